import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Entry, SaleEntry } from '../../gateway/contract/ledger.ts'
import { createPeople } from '../../gateway/customers.ts'
import { DEFAULT_RACE_RULES } from '../../gateway/deciders/decision.ts'
import { createDecode } from '../../gateway/decode.ts'
import { receiptsIndex, referenceKey, registrationKey } from '../../gateway/documents.ts'
import { type CommittedReceipt, type Intake, startIntake } from '../../gateway/intake.ts'
import { SHARDS, shardOfKey } from '../../gateway/store/keys.ts'
import { openSqliteStore } from '../../gateway/store/sqlite.ts'
import type { Store } from '../../gateway/store/store.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const decode = createDecode({
  serialPattern: /^[A-Z0-9]{6,32}$/,
  people: { ...createPeople('a secret'), byPhone: () => null },
  onUnknownFields: () => {},
})

let store: Store
beforeAll(async () => {
  store = await openSqliteStore({ dataDir: temporaryFolder('intake').path })
})
afterAll(() => store?.close())

interface Hub {
  intake: Intake
  receipts: CommittedReceipt[]
}

function hub(over: Pick<Store, 'read' | 'commit' | 'range'> = store, now: () => number = Date.now): Hub {
  const receipts: CommittedReceipt[] = []
  const intake = startIntake({
    store: over,
    decode,
    timezone: 'Asia/Jakarta',
    rules: DEFAULT_RACE_RULES,
    onJobs: () => {},
    now,
    onReceipt: (receipt) => receipts.push(receipt),
    onBatch: () => {},
  })
  return { intake, receipts }
}

let counter = 0
const fresh = (prefix: string) => `${prefix}${String(++counter).padStart(6, '0')}`

const sale = (more: object = {}) => ({
  event_id: fresh('e'),
  serial: fresh('SERIAL'),
  model: 'volt',
  price: 28_000_000,
  currency: 'IDR',
  sold_at: '2026-11-22T08:15:30.123Z',
  ...more,
})
const message = (body: object | string, device = 'D1/pos', kind = 'sale') => ({
  topic: `hub/v1/${device}/${kind}`,
  sender: device,
  payload: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
})

async function ledger(): Promise<Entry<SaleEntry>[]> {
  const { entries } = await store.entriesAfter('ledger', '', 100_000)
  return entries as unknown as Entry<SaleEntry>[]
}
const salesOf = async (eventId: string) =>
  (await ledger()).filter(({ type, data }) => type.startsWith('sale.') && data.event_id === eventId)

const outboxOf = (device: string) =>
  store.range(
    SHARDS.map((shard) => receiptsIndex(shard, device)),
    { limit: 10 },
  )

describe('the intake', () => {
  it('has the sale in the ledger, and has handed on its receipt, when it acknowledges', async () => {
    const { intake, receipts } = hub()
    const body = sale()
    await intake.accept(message(body, 'D1/handed-on'))
    const [entry] = await salesOf(body.event_id)
    expect(entry).toMatchObject({ type: 'sale.registered', data: { serial: body.serial, dealer: 'D1' } })
    expect(receipts).toMatchObject([
      { device: 'D1/handed-on', member: entry?.entry, entry: { type: 'sale.registered' } },
    ])
    expect(await outboxOf('D1/handed-on')).toEqual([])
  })

  it.each([
    ['registered', sale()],
    ['rejected', { ...sale(), price: 'much' }],
  ])('has the receipt of what is %s in the outbox when nobody here sends receipts', async (outcome, body) => {
    const intake = startIntake({
      store,
      decode,
      timezone: 'Asia/Jakarta',
      rules: DEFAULT_RACE_RULES,
      onJobs: () => {},
      now: Date.now,
      onReceipt: null,
      onBatch: () => {},
    })
    await intake.accept(message(body, `D1/${outcome}`))
    const [entry] = await salesOf(body.event_id)
    expect(entry).toMatchObject({ type: `sale.${outcome}` })
    expect(await outboxOf(`D1/${outcome}`)).toMatchObject([{ member: entry?.entry }])
  })

  it('has the receipt for an older entry in the outbox, whoever sends it', async () => {
    const { intake, receipts } = hub()
    const body = sale()
    await intake.accept(message(body, 'D1/again'))
    await intake.accept(message(body, 'D1/again'))
    expect(receipts).toMatchObject([{ entry: {} }, { entry: null }])
    expect(await outboxOf('D1/again')).toMatchObject([{ member: receipts[1]?.member }])
  })

  it('registers a serial once when two terminals sell it in one batch, and tells the other who was first', async () => {
    const { intake } = hub()
    const first = sale()
    const second = sale({ serial: first.serial })
    await Promise.all([intake.accept(message(first)), intake.accept(message(second, 'D2/pos'))])
    const [won] = await salesOf(first.event_id)
    const [lost] = await salesOf(second.event_id)
    expect(won).toMatchObject({ type: 'sale.registered' })
    expect(lost).toMatchObject({
      type: 'sale.rejected',
      data: { reason: 'duplicate_serial', first: { event_id: first.event_id, dealer: 'D1', at: won?.at } },
    })
  })

  it('answers an event that is sent again with its first entry, however often and wherever it comes', async () => {
    const { intake, receipts } = hub()
    const body = sale()
    const again = message(body)
    await Promise.all([1, 2, 3].map(() => intake.accept(again)))
    await hub().intake.accept(again)
    const entries = await salesOf(body.event_id)
    expect(entries).toHaveLength(1)
    expect(receipts.map(({ member }) => member).sort()).toEqual([
      entries[0]?.entry,
      `${entries[0]?.entry}:replayed`,
      `${entries[0]?.entry}:replayed`,
    ])
  })

  it.each([
    ['another serial', { serial: 'OTHERSERIAL1' }],
    ['another price of the same serial', { price: 1 }],
  ])('refuses an event id that comes again with %s, and keeps the first', async (_, change) => {
    const { intake } = hub()
    const body = sale()
    await intake.accept(message(body))
    await intake.accept(message({ ...body, ...change }))
    await intake.accept(message({ ...body, ...change }))
    const entries = await salesOf(body.event_id)
    expect(entries.map(({ type, data }) => [type, data.reason])).toEqual([
      ['sale.registered', null],
      ['sale.rejected', 'invalid'],
    ])
    expect(entries[1]?.data.errors).toMatchObject([{ field: 'event_id' }])
  })

  it('replays a refusal although the serial was imported meanwhile; a new event id is registered', async () => {
    const { intake } = hub()
    const body = sale()
    const reference = (current: number) => ({
      shard: shardOfKey(referenceKey('serials')),
      token: fresh('t'),
      set: [
        {
          key: referenceKey('serials'),
          value: { current, staging: null, aborted: [], rows: 1, imported_at: null },
        },
      ],
    })
    const key = registrationKey(body.serial)
    const row = [{ generation: 1, row: { model: 'volt', dealer_id: null, produced_on: null } }]
    await store.commit([reference(1)])
    await intake.accept(message(body))
    await store.commit([{ shard: shardOfKey(key), token: fresh('t'), set: [{ key, value: row }] }])
    await intake.accept(message(body))
    await intake.accept(message({ ...body, event_id: `${body.event_id}-2` }))
    await store.commit([reference(0)])
    expect((await salesOf(body.event_id)).map(({ data }) => data.reason)).toEqual(['unknown_serial'])
    expect((await salesOf(`${body.event_id}-2`)).map(({ type }) => type)).toEqual(['sale.registered'])
  })

  it('keeps the two apart when one event id means two sales in one batch', async () => {
    const { intake } = hub()
    const body = sale()
    await Promise.all([
      intake.accept(message(body)),
      intake.accept(message({ ...body, serial: fresh('SERIAL') })),
    ])
    const types = (await salesOf(body.event_id)).map(({ type }) => type)
    expect(types.sort()).toEqual(['sale.registered', 'sale.rejected'])
  })

  it('lets different devices count their events alike', async () => {
    const { intake } = hub()
    const id = fresh('same')
    await intake.accept(message(sale({ event_id: id }), 'D1/a'))
    await intake.accept(message(sale({ event_id: id }), 'D1/b'))
    expect((await salesOf(id)).map(({ type }) => type)).toEqual(['sale.registered', 'sale.registered'])
  })

  it('keeps what it cannot decode, once, with an entry that says where', async () => {
    const { intake, receipts } = hub()
    const bytes = message(`{"broken ${fresh('x')}`)
    await intake.accept(bytes)
    await intake.accept(bytes)
    const kept = (await ledger()).filter(({ entry }) => receipts.some(({ member }) => member === entry))
    expect(kept).toMatchObject([
      { type: 'sale.rejected', data: { event_id: null, reason: 'invalid', quarantine: expect.any(String) } },
    ])
    expect(receipts).toHaveLength(2)
  })

  it('takes a corrected sale under the id of an invalid one', async () => {
    const { intake } = hub()
    const body = sale()
    await intake.accept(message({ ...body, price: 'free' }))
    await intake.accept(message(body))
    expect((await salesOf(body.event_id)).map(({ type }) => type)).toEqual([
      'sale.rejected',
      'sale.registered',
    ])
  })

  it('takes ten reports of one unit in one batch in order, and a repeated one once', async () => {
    const { intake } = hub()
    const serial = fresh('SERIAL')
    const reports = Array.from({ length: 10 }, (_, i) => ({
      event_id: fresh('s'),
      serial,
      at: `2026-11-22T08:15:${30 + i}.000Z`,
      odometer_km: i,
      battery_pct: 50,
      lat: -6.2,
      lon: 106.8,
      state: 'riding',
    }))
    const again = reports.slice(0, 3)
    await Promise.all([...reports, ...again].map((body) => intake.accept(message(body, 'D1/unit', 'status'))))
    const { entries } = await store.entriesAfter('telemetry', '', 10_000)
    const kept = entries.filter(({ data }) => data.serial === serial).map(({ data }) => data.odometer_km)
    expect(kept).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })
})

describe('while the store is away', () => {
  it('repeats what may have been committed, and the answer is the first one: nothing twice', async () => {
    let lost = 0
    const losing: Pick<Store, 'read' | 'commit' | 'range'> = {
      range: (names, query) => store.range(names, query),
      read: (keys) => store.read(keys),
      async commit(proposals) {
        const answer = await store.commit(proposals)
        if (lost++ < 3) throw new Error('the reply was lost')
        return answer
      },
    }
    const { intake, receipts } = hub(losing)
    const body = sale()
    await intake.accept(message(body))
    expect(lost).toBe(4)
    expect(await salesOf(body.event_id)).toHaveLength(1)
    expect(receipts).toMatchObject([{ entry: { type: 'sale.registered' } }])
  })

  it('holds the acknowledgement for five seconds, then rejects, and takes the resent event later', async () => {
    let clock = 1_000_000
    let isAway = true
    const away: Pick<Store, 'read' | 'commit' | 'range'> = {
      range: (names, query) => store.range(names, query),
      read: (keys) => {
        clock += 1000
        return isAway ? Promise.reject(new Error('connection refused')) : store.read(keys)
      },
      commit: (proposals) => store.commit(proposals),
    }
    const { intake } = hub(away, () => clock)
    const body = sale()
    await expect(intake.accept(message(body))).rejects.toThrow(
      'not committed within 5000 ms: connection refused',
    )
    expect(clock - 1_000_000).toBe(5000)
    isAway = false
    await intake.accept(message(body))
    expect(await salesOf(body.event_id)).toHaveLength(1)
  })

  it('answers in the order the messages came, although a later batch was committed first', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    let commits = 0
    const slowFirst: Pick<Store, 'read' | 'commit' | 'range'> = {
      range: (names, query) => store.range(names, query),
      read: (keys) => store.read(keys),
      async commit(proposals) {
        const isFirst = commits++ === 0
        const answer = await store.commit(proposals)
        if (isFirst) await released
        else release()
        return answer
      },
    }
    const { intake } = hub(slowFirst)
    const order: number[] = []
    const first = intake.accept(message(sale())).then(() => order.push(1))
    await new Promise(setImmediate)
    const second = intake.accept(message(sale())).then(() => order.push(2))
    await Promise.all([first, second])
    expect(order).toEqual([1, 2])
  })
})

interface Step {
  serial: number
  dealer: number
  event: number
  price: number
}

it('keeps its promises whatever comes, from two hubs at once (property)', async () => {
  const step: fc.Arbitrary<Step> = fc.record({
    serial: fc.nat({ max: 3 }),
    dealer: fc.nat({ max: 1 }),
    event: fc.nat({ max: 5 }),
    price: fc.constantFrom(1, 1, 1, 2),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
      const run = fresh('RUN')
      const hubs = [hub(), hub()]
      await Promise.all(
        steps.map(({ serial, dealer, event, price }, i) =>
          (hubs[i % 2] as Hub).intake.accept(
            message(
              sale({ event_id: `${run}${event}`, serial: `${run}${serial}`, price }),
              `D${dealer}/${run}`,
            ),
          ),
        ),
      )
      const entries = (await ledger()).filter(
        ({ type, data }) => type.startsWith('sale.') && data.device === run,
      )
      const registered = entries.filter(({ type }) => type === 'sale.registered')
      // Each serial that was offered is registered, except where every offer of it was an event id used before.
      expect(new Set(registered.map(({ data }) => data.serial)).size).toBe(registered.length)
      // One device's event id means one sale only.
      const said = registered.map(({ data }) => `${data.dealer} ${data.event_id}`)
      expect(new Set(said).size).toBe(said.length)
      // Every message has exactly one entry that speaks of just this sale.
      const key = (dealer: string, event: unknown, serial: unknown, price: unknown) =>
        [dealer, event, serial, price].join(' ')
      const sent = new Set(
        steps.map((s) => key(`D${s.dealer}`, `${run}${s.event}`, `${run}${s.serial}`, s.price)),
      )
      const kept = entries.map(({ data }) => key(data.dealer, data.event_id, data.serial, data.price))
      expect(kept.sort()).toEqual([...sent].sort())
      // Who was refused as a duplicate is told of the sale that stands.
      for (const { data } of entries.filter(({ data }) => data.reason === 'duplicate_serial')) {
        const first = registered.find(({ data: other }) => other.serial === data.serial)
        expect(data.first).toEqual({
          event_id: first?.data.event_id,
          dealer: first?.data.dealer,
          at: first?.at,
        })
      }
    }),
    { numRuns: 40 },
  )
})
