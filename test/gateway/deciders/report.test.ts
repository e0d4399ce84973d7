import { describe, expect, it } from 'vitest'
import { createPeople } from '../../../gateway/customers.ts'
import { createDecode, type Decoded } from '../../../gateway/decode.ts'
import { raceWorld, types } from './race-world.ts'

const decode = createDecode({
  serialPattern: /^[A-Z0-9]{6,32}$/,
  people: createPeople('a secret'),
  onUnknownFields: () => {},
})

const publish = (body: object, portal = 'hq', kind = 'spend'): Decoded =>
  decode({
    topic: `hub/v1/portal/${portal}/${kind}`,
    sender: 'portal',
    payload: Buffer.from(JSON.stringify(body)),
  })

const spend = (more: object = {}) => ({
  entry_id: 's1',
  date: '2026-11-01',
  initiative: 'Launch',
  channel: 'event',
  kind: 'corporate',
  amount: 1_500_000.5,
  currency: 'IDR',
  ...more,
})

const wrong = (message: Decoded) =>
  message.kind === 'undecodable'
    ? message.errors.map(({ field, expected }) => `${field}: ${expected}`)
    : message.kind

describe('a spend entry', () => {
  it('is kept in minor units, with the region of its dealer', () => {
    const world = raceWorld()
    const [entry] = world.take(publish(spend({ dealer_id: 'd1' })))
    expect(entry).toMatchObject({
      type: 'spend.recorded',
      data: {
        spend: 's1',
        version: 1,
        before: null,
        now: { dealer: 'd1', region: 'Jawa Barat', amount_minor: 150_000_050, currency: 'IDR' },
      },
    })
  })

  it('sent again changes nothing, whoever sends it', () => {
    const world = raceWorld()
    world.take(publish(spend()))
    expect(world.reply(publish(spend()))).toEqual({ id: 's1', outcome: 'unchanged', version: 1 })
    expect(world.take(publish(spend()))).toEqual([])
  })

  it('with other content corrects: the entry tells both', () => {
    const world = raceWorld()
    world.take(publish(spend()))
    const corrected = publish(spend({ amount: 2, date: '2026-10-31' }))
    expect(world.reply(corrected)).toMatchObject({ outcome: 'corrected', version: 2 })
    expect(world.take(corrected)).toMatchObject([
      {
        data: {
          version: 2,
          now: { amount_minor: 200, date: '2026-10-31' },
          before: { amount_minor: 150_000_050 },
        },
      },
    ])
  })

  it('is taken back by its id, once; and may be reported again', () => {
    const world = raceWorld()
    world.take(publish(spend()))
    const taken = publish({ entry_id: 's1', void: true })
    expect(world.take(taken)).toMatchObject([
      { data: { version: 2, now: null, before: { date: '2026-11-01' } } },
    ])
    expect(world.take(taken)).toEqual([])
    expect(world.take(publish(spend()))).toMatchObject([{ data: { version: 3, before: null } }])
  })

  it.each([
    ['a negative amount', { amount: -1 }, 'amount: at least 0'],
    ['a third of a sen', { amount: 0.001 }, 'amount: '],
    ['a day that there is not', { date: '2026-02-30' }, 'date: '],
    [
      'a kind that there is not',
      { kind: 'gift' },
      'kind: one of corporate, subsidy, baseline, out_of_pocket',
    ],
    ['no initiative', { initiative: ' ' }, 'initiative: at least 1 characters'],
  ])('with %s is refused, and the field named', (_, more, error) => {
    expect(wrong(publish(spend(more)))).toEqual([expect.stringContaining(error)])
  })
})

describe('a dealer’s portal', () => {
  it('reports for that dealer, named or not, and for no other', () => {
    const world = raceWorld()
    expect(world.take(publish(spend(), 'd2'))).toMatchObject([{ data: { now: { dealer: 'd2' } } }])
    expect(wrong(publish(spend({ dealer_id: 'd2' }), 'd2'))).toBe('report')
    expect(wrong(publish(spend({ dealer_id: 'd1' }), 'd2'))).toEqual([
      'dealer_id: d2, whose portal this is, or nothing',
    ])
  })
})

describe('an activity', () => {
  const activity = (more: object = {}) => ({
    activity_id: 'a1',
    initiative: 'Launch',
    channel: 'event',
    name: 'Test ride day',
    start_date: '2026-11-01',
    end_date: '2026-11-02',
    ...more,
  })

  it('is recorded with its days', () => {
    const world = raceWorld()
    expect(types(world.take(publish(activity(), 'd1', 'activity')))).toEqual(['activity.recorded'])
  })

  it('that ends before it begins is refused', () => {
    expect(wrong(publish(activity({ end_date: '2026-10-31' }), 'd1', 'activity'))).toEqual([
      'end_date: a day not before start_date',
    ])
  })
})

describe('a sale that is voided', () => {
  const sell = (event_id: string): Decoded =>
    decode({
      topic: 'hub/v1/d1/pos/sale',
      sender: 'd1/pos',
      payload: Buffer.from(
        JSON.stringify({
          event_id,
          serial: 'SERIAL0001',
          model: 'volt',
          price: 28_000_000,
          currency: 'IDR',
          sold_at: '2026-11-22T08:15:30.123Z',
        }),
      ),
    })
  const voidOf = (sale: string): Decoded => ({
    kind: 'void_sale',
    facts: {
      sale,
      serial: 'SERIAL0001',
      dealer: 'd1',
      model: 'volt',
      price: 28_000_000,
      currency: 'IDR',
      sold_at: '2026-11-22T08:15:30.123Z',
      verified: false,
      lead: null,
      reason: 'returned',
    },
  })

  it('frees the serial for another sale, and is itself never sold again', () => {
    const world = raceWorld()
    expect(types(world.take(sell('e1')))).toEqual(['sale.registered'])
    expect(types(world.take(sell('e2')))).toEqual(['sale.rejected', 'alert.raised'])
    expect(types(world.take(voidOf('1')))).toEqual(['sale.voided'])
    expect(world.take(voidOf('1')), 'voided twice').toEqual([])
    expect(world.take(sell('e1')), 'its terminal sends it again').toEqual([])
    expect(types(world.take(sell('e3')))).toEqual(['sale.registered'])
    expect(world.take(sell('e1')), 'and again, after it was sold anew').toEqual([])
    expect(types(world.take(sell('e4')))).toEqual(['sale.rejected', 'alert.raised'])
  })

  it('is that sale and no other', () => {
    const world = raceWorld()
    world.take(sell('e1'))
    expect(world.take(voidOf('17'))).toEqual([])
    expect(types(world.take(sell('e2')))).toEqual(['sale.rejected', 'alert.raised'])
  })
})
