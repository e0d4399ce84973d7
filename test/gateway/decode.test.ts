import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createPeople } from '../../gateway/customers.ts'
import { createDecode } from '../../gateway/decode.ts'

let unknown = 0
const decode = createDecode({
  serialPattern: /^[A-Z0-9]{6,32}$/,
  people: {
    ...createPeople('a secret'),
    byPhone: (phone) => (phone.startsWith('+62') ? { id: 'cus_x', phone } : null),
  },
  onUnknownFields: (count) => {
    unknown += count
  },
})
const TOPIC = 'hub/v1/D1/pos/sale'
const sale = {
  event_id: 'e1',
  serial: 'SERIAL0001',
  model: 'volt',
  price: 28_500_000,
  currency: 'IDR',
  sold_at: '2026-11-22T15:15:30+07:00',
}
const send = (payload: Uint8Array | string | object, topic = TOPIC) =>
  decode({
    topic,
    sender: 'D1/pos',
    payload: Buffer.from(
      typeof payload === 'string' || payload instanceof Uint8Array ? payload : JSON.stringify(payload),
    ),
  })
const errorsOf = (payload: Parameters<typeof send>[0], topic?: string) => {
  const decoded = send(payload, topic)
  return decoded.kind === 'undecodable' ? decoded.errors.map(({ field }) => field) : []
}

describe('decoding', () => {
  it('takes a sale as the contract writes it, and stores its instant in UTC', () => {
    expect(send({ ...sale, channel: 'tiktok', seq: 17, customer_phone: '+6281234567890' })).toMatchObject({
      kind: 'sale',
      name: { dealer: 'D1', device: 'pos' },
      event: { sold_at: '2026-11-22T08:15:30.000Z', customer: { id: 'cus_x' } },
    })
  })

  it.each<[string, Parameters<typeof send>[0], string[]]>([
    ['no bytes at all', '', ['payload']],
    ['bytes that are not UTF-8', new Uint8Array([0xff, 0xfe, 0x00]), ['payload']],
    ['text that is not JSON', '{"event_id":', ['payload']],
    ['JSON that is no object', '[1]', ['payload']],
    ['nesting thousands deep', `${'['.repeat(30_000)}${']'.repeat(30_000)}`, ['payload']],
    ['more than 64 KiB', `"${'x'.repeat(65_536)}"`, ['payload']],
    ['every missing field', {}, ['event_id', 'serial', 'model', 'price', 'currency', 'sold_at']],
    ['a price with cents', { ...sale, price: 1.5 }, ['price']],
    ['a price as text', { ...sale, price: '28500000' }, ['price']],
    ['a negative price', { ...sale, price: -1 }, ['price']],
    ['a serial of the wrong form', { ...sale, serial: 'abc' }, ['serial']],
    ['an unknown channel', { ...sale, channel: 'radio' }, ['channel']],
    ['an instant without zone', { ...sale, sold_at: '2026-11-22T08:15:30' }, ['sold_at']],
    ['a day that does not exist', { ...sale, sold_at: '2026-02-30T08:15:30Z' }, ['sold_at']],
    ['an event id of 65 characters', { ...sale, event_id: 'x'.repeat(65) }, ['event_id']],
    ['a phone number that is none', { ...sale, customer_phone: '12345' }, ['customer_phone']],
    [
      'fields hidden in a prototype',
      `{"__proto__":${JSON.stringify(sale)}}`,
      ['event_id', 'serial', 'model', 'price', 'currency', 'sold_at'],
    ],
  ])('names the fields of %s', (_, payload, fields) => {
    expect(errorsOf(payload)).toEqual(fields)
  })

  it.each([
    ['hub/v1/D1/pos/receipt'],
    ['hub/v1/D1/pos'],
    ['hub/v1/D1/pos/sale/more'],
    ['hub/v1/live/sales/sale'],
    ['elsewhere'],
  ])('refuses topic %s', (topic) => {
    expect(errorsOf(sale, topic)).toEqual(['topic'])
  })

  it('still finds the id of an invalid sale, so that its terminal can be answered', () => {
    expect(send({ ...sale, price: 'free' })).toMatchObject({ answerTo: { eventId: 'e1' } })
    expect(send('garbage')).toMatchObject({ answerTo: { eventId: null } })
  })

  it.each([
    ['a phone number that is none', { ...sale, customer_phone: '0812-SECRET' }],
    ['JSON that breaks off beside it', '{"customer_phone": SECRET}'],
    ['text', 'SECRET'],
    ['JSON that is no object', '"SECRET"'],
    ['an array', '["SECRET"]'],
    ['a structure where a value belongs', { ...sale, model: { buyer: 'SECRET' } }],
  ])('does not repeat personal data in an error: %s', (_, payload) => {
    const decoded = send(payload)
    expect(decoded.kind).toBe('undecodable')
    if (decoded.kind === 'undecodable') expect(JSON.stringify(decoded.errors)).not.toContain('SECRET')
  })

  it('ignores fields it does not know, and counts them', () => {
    unknown = 0
    expect(send({ ...sale, colour: 'red', note: null }).kind).toBe('sale')
    expect(unknown).toBe(2)
  })

  it('says in plain words what was expected and what came', () => {
    const decoded = send({ ...sale, price: 'free', currency: 'rupiah', sold_at: 'today' })
    expect(decoded.kind === 'undecodable' && decoded.errors).toEqual([
      { field: 'price', expected: 'a number', received: '"free"' },
      { field: 'currency', expected: 'an ISO 4217 code such as IDR', received: '"rupiah"' },
      { field: 'sold_at', expected: 'an instant such as 2026-11-22T08:15:30.123Z', received: '"today"' },
    ])
  })

  it('never throws, whatever bytes come on whatever topic (property)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), (payload, topic) => {
        expect(send(payload).kind).toBe('undecodable')
        send(payload, topic)
      }),
    )
    fc.assert(
      fc.property(fc.json(), (payload) => {
        send(payload)
      }),
    )
  })
})

describe('a provider’s id of a message', () => {
  const at = '2026-11-22T08:15:30.123Z'
  const said = (event_id: string) =>
    decode({
      topic: 'hub/v1/bridge/meta/inbound',
      sender: 'bridge',
      payload: Buffer.from(
        JSON.stringify({
          event_id,
          bridge: 'meta',
          account: '1',
          customer: { phone: '+6281234567890', user_id: null, name: null },
          at,
          kind: 'text',
          text: 'halo',
        }),
      ),
    }) as { message: { event_id: string } }

  it('of WhatsApp holds a phone number, so the hub goes on with a hash of it; the same for the same', () => {
    const wamid = `wamid.${Buffer.from('HBgN6281234567890FQIAEhg').toString('base64')}`
    const { event_id } = said(wamid).message
    expect(event_id).toMatch(/^wamid#[\w-]{22}$/)
    expect(said(wamid).message.event_id).toBe(event_id)
    expect(said(`${wamid}A`).message.event_id).not.toBe(event_id)
  })

  it('of another is kept as it is', () => {
    expect(said('5c3f-uuid').message.event_id).toBe('5c3f-uuid')
  })
})
