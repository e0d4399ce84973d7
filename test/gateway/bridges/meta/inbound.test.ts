import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseWebhook, readWebhook } from '../../../../gateway/bridges/meta/inbound.ts'
import { inboundPayload } from '../../../../gateway/bridges/reading.ts'
import { inbound } from '../../../../gateway/contract/bridge.ts'
import { BRIDGE_PAYLOAD_BYTES_MAX } from '../../../../gateway/contract/events.ts'
import { seedOfRun } from '../../../support/random.ts'
import { ACCOUNT, envelopeOf, messageOf, messagesValue, SAMPLES, SECONDS, webhookOf } from './samples.ts'

const RECEIVED_AT = Date.parse('2026-11-22T08:00:00.000Z')
const TEXT = SAMPLES[0] as (typeof SAMPLES)[number]

const read = (webhook: object) => {
  const envelope = parseWebhook(Buffer.from(JSON.stringify(webhook)))
  if (envelope === null) throw new Error('no envelope')
  return readWebhook(envelope, { bridge: 'meta', receivedAtMs: RECEIVED_AT })
}

describe('every inbound shape', () => {
  it.each(SAMPLES)('$shape', (sample) => {
    const { messages, unreadable } = read(webhookOf(sample, 'wamid.IN'))
    expect(unreadable).toEqual([])
    expect(messages).toHaveLength(1)
    const [message] = messages
    expect(message).toMatchObject({ event_id: 'wamid.IN', bridge: 'meta', account: ACCOUNT, ...sample.is })
    expect(message?.raw).toEqual(JSON.parse(JSON.stringify(messageOf(sample, 'wamid.IN'))))
    // What the hub would say to it.
    expect(inbound.safeParse(JSON.parse(JSON.stringify(message))).error).toBeUndefined()
  })
})

describe('what lacks what every message has is unreadable', () => {
  const rows: [string, object][] = [
    ['no id', { id: undefined }],
    ['an id that is no text', { id: 7 }],
    ['an id longer than any', { id: 'w'.repeat(257) }],
    ['nobody who sent it', { from: undefined, contacts: undefined }],
    ['a sender that is neither a phone nor a user id', { from: 'somebody' }],
  ]
  it.each(rows)('%s', (_, more) => {
    const element = { ...messageOf(TEXT, 'wamid.IN'), ...more }
    const { messages, unreadable } = read(envelopeOf(messagesValue({ messages: [element] })))
    expect(messages).toEqual([])
    expect(unreadable).toEqual([JSON.parse(JSON.stringify(element))])
  })

  it.each([[null], ['text'], [7], [[]]])('an element that is %j', (element) => {
    expect(read(envelopeOf(messagesValue({ messages: [element] }))).unreadable).toEqual([element])
  })

  it('one of them does not keep the others from being read', () => {
    const messages = [messageOf(TEXT, 'wamid.1'), null, messageOf(TEXT, 'wamid.2')]
    const webhook = read(envelopeOf(messagesValue({ messages })))
    expect(webhook.messages.map(({ event_id }) => event_id)).toEqual(['wamid.1', 'wamid.2'])
  })
})

it('every entry, change and message of a batch is read, in order; a repeat in it is left to the hub', () => {
  const ids = Array.from({ length: 1000 }, (_, i) => `wamid.${i % 999}`)
  const values = [ids.slice(0, 400), ids.slice(400, 700), ids.slice(700)].map((some) =>
    messagesValue({ messages: some.map((id) => messageOf(TEXT, id)) }),
  )
  expect(read(envelopeOf(...values)).messages.map(({ event_id }) => event_id)).toEqual(ids)
})

it('fields that were subscribed to and are none of the hub’s are ignored, and counted', () => {
  const webhook = {
    object: 'whatsapp_business_account',
    entry: [
      {
        id: 'W',
        changes: [
          { field: 'account_update', value: {} },
          { field: 'account_update', value: {} },
          { field: 'user_preferences', value: null },
          { value: 7 },
          { field: 'messages', value: messagesValue({ errors: [{ code: 131000 }] }) },
        ],
      },
    ],
  }
  const { messages, unreadable, ignored } = read(webhook)
  expect([messages, unreadable]).toEqual([[], []])
  expect(Object.fromEntries(ignored)).toEqual({
    'field account_update': 2,
    'field user_preferences': 1,
    'field without a name': 1,
    'error of the number': 1,
  })
})

describe('statuses', () => {
  const status = (more: object) => ({
    id: 'wamid.OUT',
    status: 'sent',
    timestamp: String(SECONDS),
    recipient_id: '6281200000001',
    biz_opaque_callback_data: 'job-17',
    ...more,
  })
  const statusOf = (more: object) => read(envelopeOf(messagesValue({ statuses: [status(more)] })))

  it.each(['sent', 'delivered', 'read'])('%s is told by the job it is about', (state) => {
    expect(statusOf({ status: state, pricing: {}, conversation: {} }).statuses).toEqual([
      { jobId: 'job-17', providerId: 'wamid.OUT', state, at: '2026-09-21T14:13:20.000Z', error: null },
    ])
  })

  it.each([
    [{ code: 131047, title: 'Re-engagement message' }, '131047', 'Re-engagement message', false],
    [{ code: 131026, title: 'a', message: 'b', error_data: { details: 'c' } }, '131026', 'b: c', false],
    [
      { code: 131000, title: 'Something went wrong', details: 'flat' },
      '131000',
      'Something went wrong: flat',
      true,
    ],
    [{ code: '131056', message: 'as text', error_data: 'text too' }, '131056', 'as text: text too', true],
    [{ code: 131042, message: 'payment' }, '131042', 'payment', false],
    [undefined, 'unknown', 'no reason given', false],
  ])('failed: %j', (error, code, message, retryable) => {
    const [read] = statusOf({ status: 'failed', errors: error && [error] }).statuses
    expect(read).toMatchObject({ state: 'failed', error: { code, message, retryable } })
  })

  it.each([
    ['of a message that is not the hub’s', { biz_opaque_callback_data: undefined }],
    ['of a message that is not the hub’s', { biz_opaque_callback_data: 'x'.repeat(129) }],
    ['of another kind', { status: 'played' }],
    ['of another kind', { status: 'deleted' }],
    ['of another kind', { status: 'toString' }],
    ['without a message', { id: undefined }],
  ])('%s: ignored, and counted', (what, more) => {
    const { statuses, ignored } = statusOf(more)
    expect(statuses).toEqual([])
    expect(Object.fromEntries(ignored)).toEqual({ [`status ${what}`]: 1 })
  })
})

describe('what is no webhook', () => {
  it.each(['', '{', 'null', '7', '"x"', '[]', '{}', '{"entry":{}}', '\u0000'])('%j', (body) => {
    expect(parseWebhook(Buffer.from(body))).toBeNull()
  })
  it('bytes that are no UTF-8', () => {
    expect(parseWebhook(Buffer.from([0x7b, 0xff, 0x7d]))).toBeNull()
  })
})

describe('the payload for the hub', () => {
  it('of a message larger than it takes loses raw, and says so', () => {
    const element = { ...messageOf(TEXT, 'wamid.IN'), extra: 'x'.repeat(BRIDGE_PAYLOAD_BYTES_MAX) }
    const [message] = read(envelopeOf(messagesValue({ messages: [element] }))).messages
    const payload = inboundPayload(message as never)
    expect(payload.length).toBeLessThan(BRIDGE_PAYLOAD_BYTES_MAX)
    const sent = JSON.parse(Buffer.from(payload).toString())
    expect(sent).toMatchObject({ event_id: 'wamid.IN', text: TEXT.is.text })
    expect(sent.raw.omitted).toMatch(/^\d+ bytes, more than 1048576$/)
  })

  it('of a message nested too deeply to be written likewise', () => {
    const depth = 100_000
    const body =
      `{"entry":[{"changes":[{"field":"messages","value":{"messages":[{"id":"wamid.IN","from":"6281200000001",` +
      `"deep":${'['.repeat(depth)}${']'.repeat(depth)}}]}}]}]}`
    const envelope = parseWebhook(Buffer.from(body))
    expect(envelope).not.toBeNull()
    const { messages } = readWebhook(envelope as never, { bridge: 'meta', receivedAtMs: RECEIVED_AT })
    const sent = JSON.parse(Buffer.from(inboundPayload(messages[0] as never)).toString())
    expect(sent).toMatchObject({ event_id: 'wamid.IN', kind: 'other', raw: { omitted: 'nested too deeply' } })
  })

  it('is not cut through a character', () => {
    const element = { ...messageOf(TEXT, 'w'), text: { body: `${'a'.repeat(65_535)}🙏` } }
    const [message] = read(envelopeOf(messagesValue({ messages: [element] }))).messages
    expect(message?.text?.isWellFormed()).toBe(true)
  })
})

describe('whatever comes', () => {
  const names = [
    ...[
      'from',
      'from_user_id',
      'id',
      'timestamp',
      'type',
      'text',
      'body',
      'button',
      'payload',
      'interactive',
    ],
    ...[
      'button_reply',
      'list_reply',
      'title',
      'location',
      'latitude',
      'longitude',
      'image',
      'caption',
      'name',
    ],
    ...[
      'context',
      'referral',
      'source_id',
      'ctwa_clid',
      'group_id',
      'wa_id',
      'user_id',
      'profile',
      'username',
    ],
    ...['status', 'errors', 'code', 'error_data', 'biz_opaque_callback_data', '__proto__', 'constructor'],
  ]
  const scalar = fc.oneof(
    fc.string(),
    fc.constantFrom<unknown>(
      'text',
      'button',
      'interactive',
      'location',
      'image',
      'failed',
      'sent',
      '__proto__',
    ),
    fc.constantFrom<unknown>('6281200000001', 'ID.1', '', null, true, 1790000000, 1e20, -0.5, 181),
    fc.double(),
  )
  const { anything } = fc.letrec((tie) => ({
    anything: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      scalar,
      fc.array(tie('anything'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...names), tie('anything'), { maxKeys: 8 }),
    ),
  }))
  /** Mostly of the right form, so that it gets far. */
  const element = fc
    .tuple(
      fc.dictionary(fc.constantFrom(...names), anything, { maxKeys: 8 }),
      fc.constantFrom(...SAMPLES),
      fc.boolean(),
    )
    .map(([random, sample, isSample]) => (isSample ? { ...messageOf(sample, 'wamid.X'), ...random } : random))

  it('it is read without an error, nothing of it is lost, and the hub takes every message', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(element, anything), { maxLength: 4 }),
        fc.array(anything, { maxLength: 3 }),
        fc.oneof(fc.array(element, { maxLength: 3 }), anything),
        (messages, contacts, statuses) => {
          const webhook = JSON.parse(
            JSON.stringify(envelopeOf(messagesValue({ messages, contacts, statuses }))),
          ) as object
          const found = read(webhook)
          expect(found.messages.length + found.unreadable.length).toBe(messages.length)
          for (const message of found.messages) {
            const payload = JSON.parse(Buffer.from(inboundPayload(message)).toString())
            const { error } = inbound.safeParse(payload)
            expect(error?.issues, JSON.stringify(message)).toBeUndefined()
          }
        },
      ),
      { numRuns: 1500, seed: seedOfRun() },
    )
  })

  it('any JSON, and any bytes, are a webhook or are not, without an error', () => {
    const envelopes = fc.record(
      { entry: fc.oneof(fc.array(anything), anything), object: anything },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          envelopes.map((it) => JSON.stringify(it)),
        ),
        (text) => {
          const envelope = parseWebhook(Buffer.from(text))
          if (envelope !== null) readWebhook(envelope, { bridge: 'meta', receivedAtMs: RECEIVED_AT })
        },
      ),
      { numRuns: 1500, seed: seedOfRun() },
    )
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        parseWebhook(bytes)
      }),
      { seed: seedOfRun() },
    )
  })
})
