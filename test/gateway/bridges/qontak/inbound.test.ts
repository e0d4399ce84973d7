import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Fate,
  parseBody,
  type QontakEvent,
  readEvent,
} from '../../../../gateway/bridges/qontak/inbound.ts'
import { inbound } from '../../../../gateway/contract/bridge.ts'

const NOW = Date.parse('2026-11-22T08:15:30.000Z')
const read = (body: object): QontakEvent => readEvent(body as Record<string, unknown>, NOW)

const ROOM = {
  id: 'room-1',
  name: 'Rina Room',
  channel: 'wa_cloud',
  channel_account: 'Dealer',
  account_uniq_id: '6281200000001',
  channel_integration_id: 'channel-1',
  organization_id: 'org-1',
  session: 'open',
}

/** As Qontak posts it today. */
const BODY = {
  id: 'msg-1',
  type: 'text',
  room_id: 'room-1',
  is_campaign: false,
  sender_type: 'Models::Contact',
  sender: { name: 'Rina', avatar: null },
  participant_type: 'customer',
  organization_id: 'org-1',
  text: 'halo',
  status: 'created',
  external_id: 'wamid.IN',
  local_id: null,
  created_at: '2026-11-22T08:15:29.000Z',
  reply: null,
  buttons: [],
  room: ROOM,
  channel_integration: { id: 'channel-1', target_channel: 'wa_cloud' },
  data_event: 'receive_message_from_customer',
  webhook_event: 'message_interaction',
}

/** As in 2021. */
const { data_event: _event, webhook_event: _webhook, channel_integration: _channel, ...OLD_BODY } = BODY

function messageOf(body: object) {
  const event = read(body)
  if (event.is !== 'message') throw new Error(`is ${event.is}`)
  expect(inbound.parse(event.message)).toEqual(event.message)
  return event.message
}

describe('what a customer wrote', () => {
  it.each([
    ['today', BODY],
    ['in 2021', OLD_BODY],
  ])('is read, in the shape of %s', (_, body) => {
    expect(messageOf(body)).toEqual({
      event_id: 'msg-1',
      bridge: 'qontak',
      account: 'channel-1',
      customer: { phone: '+6281200000001', user_id: null, name: 'Rina' },
      room_id: 'room-1',
      at: '2026-11-22T08:15:29.000Z',
      kind: 'text',
      text: 'halo',
      reply_to: null,
      referral: null,
      raw: body,
    })
    expect(read(body).organizationId).toBe('org-1')
  })

  it.each<[rule: string, change: object, expected: object]>([
    ['a picture is media, with its caption', { type: 'image', text: 'ini' }, { kind: 'media', text: 'ini' }],
    ['a voice note has no text', { type: 'audio', text: null }, { kind: 'media', text: null }],
    [
      'a location in numbers',
      { type: 'location', text: '', location: { latitude: -6.2, longitude: 106.8, name: 'Kantor' } },
      { kind: 'location', location: { lat: -6.2, lon: 106.8, name: 'Kantor' } },
    ],
    [
      'a location in texts',
      { type: 'location', latitude: '-6.2', longitude: '106.8' },
      { kind: 'location', location: { lat: -6.2, lon: 106.8, name: null } },
    ],
    [
      'a location as a link to a map',
      { type: 'location', text: 'https://maps.google.com/?q=-6.2001,106.8002' },
      { kind: 'location', location: { lat: -6.2001, lon: 106.8002, name: null } },
    ],
    [
      'a location that is nowhere on earth',
      { type: 'location', latitude: 91, longitude: 200 },
      { kind: 'other' },
    ],
    ['a contact card', { type: 'contact', text: null }, { kind: 'other', text: null }],
    ['what the system says', { type: 'system', text: 'Room assigned' }, { kind: 'other' }],
    ['a time that cannot be read', { created_at: 'kemarin' }, { at: '2026-11-22T08:15:30.000Z' }],
    [
      'a time of another age',
      { created_at: '+012026-11-22T08:15:29.000Z' },
      { at: '2026-11-22T08:15:30.000Z' },
    ],
    ['an answer to a message', { reply: { id: 'msg-0' } }, { reply_to: 'msg-0' }],
    ['a nameless sender is called as the room', { sender: null }, { customer: { name: 'Rina Room' } }],
    [
      'a person of another channel is known by its id',
      { room: { ...ROOM, channel: 'ig', account_uniq_id: 'rina.motor' } },
      { customer: { phone: null, user_id: 'rina.motor' } },
    ],
    [
      'a person of whom only the room is known',
      { room: { ...ROOM, account_uniq_id: null } },
      { customer: { phone: null, user_id: 'room-1' } },
    ],
    [
      'a channel without an id',
      { room: { ...ROOM, channel_integration_id: null }, channel_integration: null },
      { account: 'Dealer' },
    ],
  ])('%s', (_, change, expected) => {
    expect(messageOf({ ...BODY, ...change })).toMatchObject(expected)
  })

  it.each([
    ['an id', { id: undefined }],
    ['an id that fits', { id: 'x'.repeat(257) }],
    ['a room', { room_id: undefined, room: {} }],
  ])('without %s cannot be read', (_, change) => {
    expect(read({ ...BODY, ...change }).is).toBe('unreadable')
  })

  it('is told once: that an agent read it is no message', () => {
    expect(read({ ...BODY, status: 'read' })).toMatchObject({ is: 'ignored' })
  })
})

describe('what went out', () => {
  const sent = { ...BODY, participant_type: 'bot', data_event: 'status_message' }

  it.each([
    ['bot', 'receive_message_from_agent'],
    ['agent', 'receive_message_from_agent'],
    ['bot', undefined],
    ['agent', undefined],
  ])('by a %s is never a message of a customer (data_event %s)', (participant_type, data_event) => {
    const event = read({ ...BODY, participant_type, data_event })
    expect(event).toMatchObject({
      is: 'fate',
      state: null,
      providerId: 'msg-1',
      echo: { roomId: 'room-1', text: 'halo' },
    })
  })

  it.each(['sent', 'delivered', 'read'])('is %s', (status) => {
    expect(read({ ...sent, status })).toMatchObject({ is: 'fate', state: status, error: null, phone: null })
  })

  it('failed, and why', () => {
    expect(read({ ...sent, status: 'failed', error: [{ code: 131047, message: 'closed' }] })).toMatchObject({
      state: 'failed',
      error: { code: '131047', message: 'closed', retryable: false },
    })
    expect((read({ ...sent, status: 'failed' }) as Fate).error?.message).toBe('no reason given')
  })

  it('by broadcast is known by the broadcast and the phone', () => {
    const event = {
      id: 'log-1',
      messages_broadcast_id: 'broadcast-1',
      organization_id: 'org-1',
      contact_phone_number: '6281200000001',
      status: 'failed',
      whatsapp_error_message: 'Message undeliverable',
      data_event: 'broadcast_log_status',
      webhook_event: 'message_interaction',
    }
    expect(read(event)).toMatchObject({
      is: 'fate',
      providerId: 'broadcast-1',
      phone: '6281200000001',
      echo: null,
      state: 'failed',
      error: { message: 'Message undeliverable' },
    })
  })
})

describe('what is none of the hub’s business', () => {
  it.each([
    [{ verify_info: { anything: 1 } }, 'verification'],
    [{ service_name: 'room', event_name: 'resolved', room: ROOM }, 'event resolved'],
    [{ data_event: 'x'.repeat(500) }, `event ${'x'.repeat(64)}`],
    [{}, 'event without a name'],
  ])('is ignored, with its reason: %o', (body, reason) => {
    expect(read(body)).toMatchObject({ is: 'ignored', reason })
  })
})

describe('whatever comes', () => {
  it.each(['', 'null', '[]', '"text"', '17', '{', '{"a":\u0000}'])('%j is no object', (text) => {
    expect(parseBody(Buffer.from(text))).toBeNull()
  })

  it('that is not UTF-8 is no object', () => {
    expect(parseBody(Buffer.from([0x7b, 0xff, 0x7d]))).toBeNull()
  })

  const FIELDS = [
    ...Object.keys(BODY),
    'messages_broadcast_id',
    'contact_phone_number',
    'location',
    'error',
    'verify_info',
  ]
  const anyBody = fc.oneof(
    fc.dictionary(fc.string(), fc.jsonValue()),
    // Mostly right, with some fields of any kind.
    fc
      .dictionary(
        fc.constantFrom(...FIELDS),
        fc.oneof(fc.jsonValue(), fc.constantFrom(...Object.values(BODY))),
      )
      .map((change) => ({ ...BODY, ...change })),
  )

  it('never makes the reader throw, and a message it finds is one that the hub takes', () => {
    fc.assert(
      fc.property(anyBody, (body) => {
        const parsed = parseBody(Buffer.from(JSON.stringify(body)))
        expect(parsed).not.toBeNull()
        const event = read(parsed as object)
        if (event.is === 'message') inbound.parse(event.message)
      }),
      { numRuns: 2000 },
    )
  })

  it('made of any bytes never makes the parser throw', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => void parseBody(bytes)),
      { numRuns: 500 },
    )
  })
})
