import { describe, expect, it } from 'vitest'
import { broadcastCall, roomCall } from '../../../../gateway/bridges/qontak/outbound.ts'
import { createTitles } from '../../../../gateway/bridges/qontak/titles.ts'
import { MESSAGE_LIMITS, type OutboundMessage } from '../../../../gateway/contract/bridge.ts'

const job = (more: Partial<OutboundMessage>): OutboundMessage => ({
  job_id: 'job-1',
  to: { phone: '+62 812-0000-0001' },
  kind: 'text',
  body: 'halo',
  expires_at: '2026-11-22T09:00:00.000Z',
  ...more,
})
const inRoom = (more: Partial<OutboundMessage>) => roomCall(job(more), { roomId: 'room-1' })
const choices = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ id: `c${i}`, title: `Pilihan ${i}` }))

describe('a message in a room', () => {
  it('is a text', () => {
    expect(inRoom({})).toEqual({
      ok: true,
      call: {
        method: 'POST',
        path: '/messages/whatsapp/bot',
        body: { room_id: 'room-1', type: 'text', text: 'halo' },
      },
    })
  })

  it('has buttons, in Qontak’s own shape', () => {
    expect(inRoom({ kind: 'buttons', choices: choices(2) })).toEqual({
      ok: true,
      call: {
        method: 'POST',
        path: '/messages/whatsapp/interactive_message/bot',
        body: {
          room_id: 'room-1',
          type: 'button',
          interactive: {
            body: 'halo',
            buttons: [
              { id: 'c0', title: 'Pilihan 0' },
              { id: 'c1', title: 'Pilihan 1' },
            ],
          },
        },
      },
    })
  })

  it('has a list, in one section', () => {
    const row = { id: 'c0', title: 'Pilihan 0', description: 'baru' }
    expect(inRoom({ kind: 'list', button: 'Pilih', choices: [row] })).toMatchObject({
      call: {
        body: {
          type: 'list',
          interactive: {
            body: 'halo',
            lists: {
              button: 'Pilih',
              sections: [{ title: 'Pilih', rows: [{ id: 'c0', title: 'Pilihan 0', description: 'baru' }] }],
            },
          },
        },
      },
    })
  })

  it('asks for a location in words, since Qontak has nothing else', () => {
    const made = inRoom({ kind: 'location_request', body: 'Di mana?' })
    expect(made).toMatchObject({ call: { path: '/messages/whatsapp/bot', body: { type: 'text' } } })
    expect(JSON.stringify(made)).toContain('Di mana?\\n\\n📎 → Lokasi / Location')
  })

  it('is marked as read with its room', () => {
    expect(inRoom({ kind: 'read', message_id: 'msg-1' })).toEqual({
      ok: true,
      call: { method: 'PUT', path: '/rooms/room-1/mark_all_as_read' },
    })
  })

  it('needs a room', () => {
    expect(roomCall(job({}), { roomId: null })).toMatchObject({ ok: false, code: 'no_room' })
  })

  it.each<[names: string, more: Partial<OutboundMessage>]>([
    ['body', { body: '' }],
    ['body', { body: 'x'.repeat(MESSAGE_LIMITS.textBody + 1) }],
    ['body', { kind: 'buttons', body: 'x'.repeat(MESSAGE_LIMITS.interactiveBody + 1), choices: choices(1) }],
    ['choices', { kind: 'buttons', choices: choices(4) }],
    ['choices', { kind: 'buttons', choices: [] }],
    ['choices', { kind: 'list', button: 'Pilih', choices: choices(11) }],
    ['choices.0.title', { kind: 'buttons', choices: [{ id: 'a', title: 'x'.repeat(21) }] }],
    ['choices.0.title', { kind: 'list', button: 'Pilih', choices: [{ id: 'a', title: 'x'.repeat(25) }] }],
    [
      'choices.0.description',
      { kind: 'list', button: 'Pilih', choices: [{ id: 'a', title: 'A', description: 'x'.repeat(73) }] },
    ],
    ['button', { kind: 'list', choices: choices(1) }],
    // A tap would say which of them?
    [
      'choices.1.title',
      {
        kind: 'buttons',
        choices: [
          { id: 'a', title: 'Ya' },
          { id: 'b', title: ' y A' },
        ],
      },
    ],
  ])('that breaks a limit is refused, naming %s', (names, more) => {
    const made = inRoom(more)
    expect(made).toMatchObject({ ok: false, code: 'invalid' })
    expect((made as { message: string }).message).toMatch(
      new RegExp(`^${names.replaceAll('.', '\\.')}: expected`),
    )
  })

  it('may be as long as the limits say', () => {
    expect(inRoom({ body: 'x'.repeat(MESSAGE_LIMITS.textBody) }).ok).toBe(true)
    expect(inRoom({ kind: 'list', button: 'x'.repeat(20), choices: choices(10) }).ok).toBe(true)
  })
})

describe('a template', () => {
  const template = {
    name: 'lead_offer',
    language: 'id',
    parameters: ['Kemang', 'EV-2'],
    payloads: ['claim:1'],
  }
  const known = { templateId: 'tpl-1', channelId: 'channel-1' }
  const broadcast = (more: Partial<OutboundMessage>, name: string | null = 'Budi') =>
    broadcastCall(job({ kind: 'template', template, ...more }), { name }, known)

  it('goes to a number, with all that Qontak wants', () => {
    expect(broadcast({})).toEqual({
      ok: true,
      call: {
        method: 'POST',
        path: '/broadcasts/whatsapp/direct',
        body: {
          to_name: 'Budi',
          to_number: '6281200000001',
          message_template_id: 'tpl-1',
          channel_integration_id: 'channel-1',
          language: { code: 'id' },
          parameters: {
            body: [
              { key: '1', value: 'parameter_1', value_text: 'Kemang' },
              { key: '2', value: 'parameter_2', value_text: 'EV-2' },
            ],
          },
        },
      },
    })
  })

  it('to somebody without a name is to a number', () => {
    expect(broadcast({}, null)).toMatchObject({ call: { body: { to_name: '6281200000001' } } })
  })

  it.each<[names: string, more: Partial<OutboundMessage>]>([
    ['to.phone', { to: { user_id: 'ID.1' } }],
    ['template.language', { template: { ...template, language: 'ms' } }],
    ['template.parameters.1', { template: { ...template, parameters: ['Kemang', ' '] } }],
  ])('that cannot be sent is refused, naming %s', (names, more) => {
    expect((broadcast(more) as { message: string }).message).toContain(`${names}: expected`)
  })
})

describe('a tap comes as its title', () => {
  const YES = { id: 'yes:1', title: 'Ya, benar' }
  const NO = { id: 'no:1', title: 'Bukan' }

  it('and is the choice that was offered, case and spaces aside', () => {
    const titles = createTitles()
    titles.offered(['room-1'], [YES, NO])
    expect(titles.find(['room-1'], ' YA,benar ')).toEqual(YES)
    expect(titles.find(['room-1'], 'ya')).toBeNull()
    expect(titles.find(['room-2'], 'Bukan')).toBeNull()
  })

  it('is known by the phone where a template was sent to a number', () => {
    const titles = createTitles()
    titles.offered([undefined, '+6281200000001', null], [YES])
    expect(titles.find(['room-1', '+6281200000001'], 'ya, benar')).toEqual(YES)
  })

  it('may be of an earlier question', () => {
    const titles = createTitles()
    titles.offered(['room-1'], [YES, NO])
    titles.offered(['room-1'], [{ id: 'later', title: 'Nanti' }])
    expect(titles.find(['room-1'], 'bukan')).toEqual(NO)
  })

  it('of a title that two offers had is left to the hub', () => {
    const titles = createTitles()
    titles.offered(['rep'], [{ id: 'claim:1', title: 'Ambil' }])
    titles.offered(['rep'], [{ id: 'claim:2', title: 'Ambil' }])
    expect(titles.find(['rep'], 'ambil')).toEqual({ id: '', title: 'Ambil' })
  })

  it('of the same choice offered again is that choice', () => {
    const titles = createTitles()
    titles.offered(['room-1'], [YES])
    titles.offered(['room-1'], [YES])
    expect(titles.find(['room-1'], 'Ya, benar')).toEqual(YES)
  })

  it('is forgotten in the end: neither a person nor a crowd fills the memory', () => {
    const titles = createTitles()
    for (let i = 0; i < 50; i++) titles.offered(['room-1'], [{ id: `c${i}`, title: `T${i}` }])
    expect(titles.find(['room-1'], 'T49')).not.toBeNull()
    expect(titles.find(['room-1'], 'T19')).toBeNull()
    for (let i = 0; i < 20_000; i++) titles.offered([`other-${i}`], [YES])
    expect(titles.find(['room-1'], 'T49')).toBeNull()
  })
})
