/**
 * What every driver of the metrics must do. `open` gives the metrics of a database by its name, and may be called
 * several times for one name: each call is another hub.
 */
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { type Measurement, NONE, type Point } from '../../analytics/measurements.ts'
import { type Checkpoint, EMPTY, type Metrics } from '../../analytics/metrics.ts'
import { pointsFor } from '../../analytics/points.ts'
import type { Entry } from '../../gateway/contract/ledger.ts'
import { economicFiguresOf, randomEconomics } from '../analytics/random-economics.ts'
import { entryOf, figuresOf, RANGE, randomLedger, totalsOf } from '../analytics/random-ledger.ts'
import { testEconomics } from './economics.ts'

const JAKARTA = 'Asia/Jakarta'
const pointsOf = (entries: readonly Entry[]): Point[] => entries.flatMap(pointsFor)

/** A sale as the ledger has it; what a test is about, it says. */
function sale(number: number, data: Record<string, unknown> = {}, type = 'sale.registered'): Entry {
  return entryOf({
    number,
    type,
    data: {
      event_id: `e${number}`,
      dealer: 'D001',
      device: 'pos1',
      serial: `SN${number}`,
      model: 'Zeta',
      price: 28_500_000,
      currency: 'IDR',
      sold_at: '2026-03-28T05:00:00.000Z',
      channel: 'walk_in',
      region: 'Jawa Barat',
      verified: true,
      ...data,
    },
  })
}

export function testMetrics(open: (database: string, timezone: string) => Promise<Metrics>): void {
  let databases = 0
  const opened: Metrics[] = []
  const closeAll = async () => {
    await Promise.all(opened.splice(0).map((metrics) => metrics.close()))
  }
  afterEach(closeAll)

  /** The checkpoint is asked first, as the projector does. */
  async function openFresh(timezone = JAKARTA): Promise<Metrics> {
    databases += 1
    return openAgain(timezone)
  }

  /** The same database, by another hub. */
  async function openAgain(timezone = JAKARTA): Promise<Metrics> {
    const metrics = await open(`metrics${databases}`, timezone)
    opened.push(metrics)
    return metrics
  }

  async function record(metrics: Metrics, entries: readonly Entry[]): Promise<void> {
    await metrics.write(pointsOf(entries), await metrics.checkpoint())
  }

  async function countAndPrice(metrics: Metrics): Promise<{ count: number; price: number }> {
    const [total] = await metrics.totals({ measurement: 'sales', by: [], ...RANGE })
    return { count: total?.sums.count ?? 0, price: total?.sums.price ?? 0 }
  }

  describe('figures', () => {
    const questions: { measurement: Measurement; by: string[] }[] = [
      { measurement: 'sales', by: [] },
      { measurement: 'sales', by: ['day'] },
      { measurement: 'sales', by: ['day', 'dealer', 'outcome', 'currency'] },
      { measurement: 'sales', by: ['model', 'channel', 'region'] },
      { measurement: 'sales', by: ['outcome', 'reason', 'day'] },
      { measurement: 'alerts', by: ['day', 'tier', 'cause'] },
      { measurement: 'quarantine', by: ['dealer', 'kind'] },
      { measurement: 'vehicle_status', by: ['day', 'state'] },
      { measurement: 'device_health', by: ['dealer', 'online'] },
    ]
    for (const timezone of [JAKARTA, 'Europe/Berlin', 'America/New_York']) {
      it(`of any ledger equal a plain fold of its entries, by days of ${timezone}`, async () => {
        await fc.assert(
          fc.asyncProperty(randomLedger, async (ledger) => {
            const metrics = await openFresh(timezone)
            await record(metrics, ledger)
            const figures = figuresOf(ledger, timezone)
            for (const { measurement, by } of questions) {
              const totals = await metrics.totals({ measurement, by: by as 'day'[], ...RANGE })
              expect(totals).toEqual(totalsOf(figures, { measurement, by }))
            }
            await closeAll()
          }),
          { numRuns: 20 },
        )
      })
    }

    const economicQuestions: { measurement: Measurement; by: string[] }[] = [
      { measurement: 'spend', by: [] },
      { measurement: 'spend', by: ['month'] },
      { measurement: 'spend', by: ['month', 'dealer', 'channel', 'kind', 'currency'] },
      { measurement: 'spend', by: ['initiative', 'region', 'day'] },
      { measurement: 'activities', by: ['month', 'initiative'] },
      { measurement: 'activity_days', by: ['day', 'dealer'] },
      { measurement: 'leads', by: ['day', 'dealer', 'channel'] },
      { measurement: 'leads', by: ['month', 'last_channel', 'region', 'initiative', 'source'] },
      { measurement: 'claims', by: ['day', 'dealer', 'channel'] },
      { measurement: 'outcomes', by: ['stage', 'dealer', 'month'] },
      {
        measurement: 'conversions',
        by: ['month', 'last_channel', 'dealer', 'region', 'matched_by', 'currency'],
      },
      { measurement: 'sales', by: ['month', 'dealer', 'outcome', 'currency'] },
      { measurement: 'sales', by: ['day', 'model'] },
    ]
    for (const timezone of [JAKARTA, 'America/New_York']) {
      it(`of any life of spend, leads and sales are what stands, and what stood at any instant, by days of ${timezone}`, async () => {
        await fc.assert(
          fc.asyncProperty(randomEconomics, fc.nat(), fc.nat(), async (ledger, pick, otherPick) => {
            const metrics = await openFresh(timezone)
            // In two writes, of which the second repeats a part of the first.
            const middle = ledger.length === 0 ? 0 : pick % ledger.length
            await record(metrics, ledger.slice(0, middle + 1))
            await record(metrics, ledger.slice(Math.floor(middle / 2)))
            const knownAt = Date.parse(ledger[otherPick % ledger.length]?.at ?? '2026-03-28T00:00:00Z')
            const known = ledger.filter(({ at }) => Date.parse(at) <= knownAt)
            const partial = { firstDay: '2026-03-10', lastDay: '2026-04-05' }
            for (const range of [RANGE, partial]) {
              const isAsked = ({ by: { day = '' } }: { by: Readonly<Record<string, string>> }) =>
                day >= range.firstDay && day <= range.lastDay
              const now = economicFiguresOf(ledger, timezone).filter(isAsked)
              const then = economicFiguresOf(known, timezone).filter(isAsked)
              for (const { measurement, by } of economicQuestions) {
                const question = { measurement, by: by as 'day'[], ...range }
                expect(await metrics.totals(question)).toEqual(totalsOf(now, { measurement, by }))
                const asKnown = await metrics.totals({ ...question, knownAt })
                expect(asKnown).toEqual(totalsOf(then, { measurement, by }))
              }
            }
            await closeAll()
          }),
          // To find the smallest ledger that fails may take longer than a test has.
          { numRuns: 25, interruptAfterTimeLimit: 30_000 },
        )
      })
    }

    it('of whole months are those of this moment for every hub, whoever has written', async () => {
      const [asking, writing] = [await openFresh(), await openAgain()]
      const byMonth = async () => {
        const found = await asking.totals({ measurement: 'sales', by: ['month'], ...RANGE })
        return found.map(({ by, sums }) => [by.month, sums.count, sums.price])
      }
      expect(await byMonth()).toEqual([])
      await record(writing, [sale(1, { price: 1 })])
      expect(await byMonth()).toEqual([['2026-03', 1, 1]])
      expect(await byMonth()).toEqual([['2026-03', 1, 1]])
      await record(writing, [
        sale(2, { price: 20, sold_at: '2026-03-31T17:00:00Z' }),
        sale(3, { price: 300 }),
      ])
      expect(await byMonth()).toEqual([
        ['2026-03', 2, 301],
        ['2026-04', 1, 20],
      ])
      await writing.reset()
      await writing.checkpoint()
      expect(await byMonth()).toEqual([])
      await record(writing, [sale(1, { price: 1 })])
      expect(await byMonth()).toEqual([['2026-03', 1, 1]])
    })

    it('lead back to the entries behind them', async () => {
      const metrics = await openFresh()
      const march = [sale(1), sale(2, { dealer: 'D002' }), sale(3, { sold_at: '2026-03-02T03:00:00Z' })]
      const april = [sale(4, { sold_at: '2026-04-02T03:00:00Z' })]
      await record(metrics, [...march, ...april])
      const behind = (question: object, limit = 10) =>
        metrics.entriesBehind({ measurement: 'sales', by: [], ...RANGE, ...question }, limit)
      const [first, second, early, late] = [...march, ...april].map(({ entry }) => entry)
      expect(await behind({})).toEqual({ entries: [early, first, second, late], isComplete: true })
      expect(await behind({ where: { dealer: 'D002' } })).toEqual({ entries: [second], isComplete: true })
      expect(await behind({ lastDay: '2026-03-31' })).toEqual({
        entries: [early, first, second],
        isComplete: true,
      })
      expect(await behind({}, 2)).toEqual({ entries: [early, first], isComplete: false })
      expect(await behind({}, 4)).toMatchObject({ isComplete: true })
      const knownAt = Date.parse((march[0] as Entry).at)
      expect(await behind({ knownAt: knownAt - 1 })).toEqual({ entries: [], isComplete: true })
      expect(await behind({ knownAfter: knownAt - 1 })).toMatchObject({ entries: { length: 4 } })
      expect(await behind({ knownAfter: knownAt })).toEqual({ entries: [], isComplete: true })
    })

    it('known at an instant are of the ledger only', async () => {
      const metrics = await openFresh()
      const ask = (question: object) =>
        metrics.totals({ measurement: 'device_health', by: [], ...RANGE, ...question })
      await expect(ask({ knownAt: 1 })).rejects.toThrow(RangeError)
      await expect(ask({ measurement: 'sales', knownAt: 0.5 })).rejects.toThrow(RangeError)
    })

    it('do not change when the same points are written again', async () => {
      const metrics = await openFresh()
      const ledger = Array.from({ length: 50 }, (_, i) =>
        sale(i + 1, { channel: i % 2 ? 'tiktok' : undefined }),
      )
      await record(metrics, ledger)
      await record(metrics, ledger.slice(10, 30))
      await record(metrics, ledger)
      expect(await countAndPrice(metrics)).toEqual({ count: 50, price: 50 * 28_500_000 })
    })

    it('count every neighbour of one series in one millisecond', async () => {
      const metrics = await openFresh()
      const neighbours = Array.from({ length: 2000 }, (_, i) => sale(i + 1, { price: i }))
      await record(metrics, neighbours)
      expect(await countAndPrice(metrics)).toEqual({ count: 2000, price: 1_999_000 })
    })

    it('begin a business day at midnight in Jakarta: 17:00 UTC', async () => {
      const metrics = await openFresh()
      await record(metrics, [
        sale(1, { sold_at: '2026-03-27T16:59:59.999Z', price: 1 }),
        sale(2, { sold_at: '2026-03-27T17:00:00.000Z', price: 20 }),
        sale(3, { sold_at: '2026-03-28T23:59:59.999+07:00', price: 300 }),
        sale(4, { sold_at: '2026-03-29T00:00:00.000+07:00', price: 4000 }),
      ])
      const byDay = await metrics.totals({ measurement: 'sales', by: ['day'], ...RANGE })
      expect(byDay.map(({ by, sums }) => [by.day, sums.price])).toEqual([
        ['2026-03-27', 1],
        ['2026-03-28', 320],
        ['2026-03-29', 4000],
      ])
      const day = { firstDay: '2026-03-28', lastDay: '2026-03-28' }
      const [only] = await metrics.totals({ measurement: 'sales', by: [], ...day })
      expect(only?.sums.price).toBe(320)
    })

    it('give a late sale to the day it was made', async () => {
      const metrics = await openFresh()
      await record(metrics, [sale(1)])
      const late = sale(2, { sold_at: '2026-03-02T03:00:00Z' })
      await record(metrics, [late])
      const totals = await metrics.totals({ measurement: 'sales', by: ['day'], ...RANGE })
      expect(totals.map(({ by }) => by.day)).toEqual(['2026-03-02', '2026-03-28'])
    })

    it('hold exact rupiah, and refuse a sum that would not be exact', async () => {
      const metrics = await openFresh()
      const price = 1_000_000_000_000
      await record(
        metrics,
        Array.from({ length: 9000 }, (_, i) => sale(i + 1, { price: i === 0 ? 7 : price })),
      )
      expect((await countAndPrice(metrics)).price).toBe(8999 * price + 7)
      await record(
        metrics,
        Array.from({ length: 50 }, (_, i) => sale(i + 10_001, { price })),
      )
      await expect(countAndPrice(metrics)).rejects.toThrow('the sum of price is too large to be exact')
    })

    it('count a refused sale and add none of its money', async () => {
      const metrics = await openFresh()
      await record(metrics, [
        sale(1),
        sale(2, { reason: 'duplicate_serial', price: 99 }, 'sale.rejected'),
        sale(3, { reason: 'invalid', price: 1.5, sold_at: undefined }, 'sale.rejected'),
      ])
      const totals = await metrics.totals({ measurement: 'sales', by: ['outcome', 'reason'], ...RANGE })
      expect(totals.map(({ by, sums }) => [by.outcome, by.reason, sums.count, sums.price])).toEqual([
        ['registered', NONE, 1, 28_500_000],
        ['rejected', 'duplicate_serial', 1, 0],
        ['rejected', 'invalid', 1, 0],
      ])
    })
  })

  describe('a question', () => {
    it('is answered for the tags it names, by one value or several', async () => {
      const metrics = await openFresh()
      await record(metrics, [
        sale(1, { dealer: 'D001', channel: 'tiktok', price: 1 }),
        sale(2, { dealer: 'D002', channel: 'tiktok', price: 20 }),
        sale(3, { dealer: 'D003', channel: 'event', price: 300 }),
        sale(4, { dealer: 'D003', channel: undefined, region: 'd\'Ivoire \\ "x"', price: 4000 }),
      ])
      const rows: [Record<string, string | string[]>, number][] = [
        [{}, 4321],
        [{ dealer: 'D003' }, 4300],
        [{ dealer: ['D001', 'D002'] }, 21],
        [{ dealer: ['D001', 'D003'], channel: 'tiktok' }, 1],
        [{ channel: NONE }, 4000],
        [{ region: 'd\'Ivoire _ "x"' }, 4000],
        [{ region: "' OR time > 0 --" }, 0],
        [{ dealer: [] }, 0],
      ]
      for (const [where, price] of rows) {
        const [total] = await metrics.totals({ measurement: 'sales', by: [], where, ...RANGE })
        expect([where, total?.sums.price ?? 0]).toEqual([where, price])
      }
    })

    it('is answered with nothing before anything was written, and for days without points', async () => {
      const metrics = await openFresh()
      expect(await metrics.totals({ measurement: 'sales', by: ['day'], ...RANGE })).toEqual([])
      await record(metrics, [sale(1)])
      const empty = { firstDay: '2020-01-01', lastDay: '2020-12-31' }
      expect(await metrics.totals({ measurement: 'sales', by: [], ...empty })).toEqual([])
      expect(await metrics.totals({ measurement: 'alerts', by: ['dealer'], ...RANGE })).toEqual([])
    })

    it('is refused when it names what the measurement does not have, or no range of days', async () => {
      const metrics = await openFresh()
      const ask = (question: object) =>
        metrics.totals({ measurement: 'sales', by: [], ...RANGE, ...question })
      await expect(ask({ by: ['serial'] })).rejects.toThrow(RangeError)
      await expect(ask({ by: ['dealer"; DROP MEASUREMENT sales'] })).rejects.toThrow(RangeError)
      await expect(ask({ where: { device: 'pos1' } })).rejects.toThrow(RangeError)
      await expect(ask({ where: { day: '2026-03-28' } })).rejects.toThrow(RangeError)
      await expect(ask({ firstDay: '2026-03-32' })).rejects.toThrow(RangeError)
      await expect(ask({ firstDay: '2026-05-01' })).rejects.toThrow(RangeError)
    })
  })

  describe('the checkpoint', () => {
    const checkpoint: Checkpoint = {
      generation: 0,
      design: 7,
      positions: { ledger: '1-2-3 "quoted"', telemetry: '9' },
      first: { entry: '16', chain: 'abc' },
      heads: { 0: { entry: '32', chain: 'd\\ef' }, 15: { entry: '47', chain: 'x' } },
    }

    it('is empty at first', async () => {
      const metrics = await openFresh()
      expect(await metrics.checkpoint()).toEqual(EMPTY)
    })

    it('moves with each write, and is found by the next hub', async () => {
      const metrics = await openFresh()
      await metrics.checkpoint()
      for (let number = 1; number <= 3; number++) {
        const moved = { ...checkpoint, positions: { ledger: String(number), telemetry: '' } }
        await metrics.write(pointsOf([sale(number)]), moved)
        expect(await metrics.checkpoint()).toEqual(moved)
      }
      await metrics.write([], checkpoint)
      await closeAll()
      const next = await openAgain()
      expect(await next.checkpoint()).toEqual(checkpoint)
      expect((await countAndPrice(next)).count).toBe(3)
    })
  })

  describe('a reset', () => {
    const status = entryOf({ number: 5, type: 'vehicle.status', data: { dealer: 'D001', state: 'riding' } })

    it('forgets what came from the ledger and how far it had come, and keeps what came from telemetry', async () => {
      const metrics = await openFresh()
      await metrics.write(pointsOf([sale(1), sale(2), status]), {
        ...(await metrics.checkpoint()),
        positions: { ledger: '2', telemetry: '5' },
      })
      await metrics.reset()
      expect(await metrics.checkpoint()).toEqual({ ...EMPTY, generation: 1 })
      expect(await countAndPrice(metrics)).toEqual({ count: 0, price: 0 })
      const [kept] = await metrics.totals({ measurement: 'vehicle_status', by: [], ...RANGE })
      expect(kept?.sums.count).toBe(1)
    })

    it('can be filled again with the very same points', async () => {
      const metrics = await openFresh()
      const ledger = [sale(1), sale(2), sale(3)]
      for (let round = 1; round <= 3; round++) {
        await record(metrics, ledger)
        expect(await countAndPrice(metrics)).toEqual({ count: 3, price: 3 * 28_500_000 })
        await metrics.reset()
        expect((await metrics.checkpoint()).generation).toBe(round)
      }
    })

    it.each([
      ['another hub', () => openAgain()],
      ['this one', null],
    ])('is not undone by a write that had not heard of it, when %s resets', async (_, openResetting) => {
      const writing = await openFresh()
      const before = { ...(await writing.checkpoint()), positions: { ledger: '1', telemetry: '' } }
      await writing.write(pointsOf([sale(1)]), before)
      const resetting = (await openResetting?.()) ?? writing
      await resetting.reset()
      await writing
        .write(pointsOf([sale(2)]), { ...before, positions: { ledger: '2', telemetry: '' } })
        .catch(() => {})
      expect(await writing.checkpoint()).toEqual({ ...EMPTY, generation: 1 })
      expect(await resetting.checkpoint()).toEqual({ ...EMPTY, generation: 1 })
    })
  })

  describe('the unit economics', () => testEconomics(openFresh, closeAll))

  it('answers a ping', async () => {
    const metrics = await openFresh()
    await expect(metrics.ping()).resolves.toBeUndefined()
  })
}
