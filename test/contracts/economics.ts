/**
 * The ten variables, channels and restatements over a driver of the metrics: what any ledger must give, folded by the model
 * of `random-economics.ts` and with arithmetic of its own. Both drivers pass it, so both give the same table.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createEconomics } from '../../analytics/economics.ts'
import type { Metrics } from '../../analytics/metrics.ts'
import { pointsFor } from '../../analytics/points.ts'
import { CHANNELS } from '../../gateway/contract/events.ts'
import { ATTRIBUTIONS, type Attribution, DIMENSIONS, type Dimension } from '../../gateway/contract/figures.ts'
import type { Entry } from '../../gateway/contract/ledger.ts'
import { economicFiguresOf, randomEconomics } from '../analytics/random-economics.ts'
import type { Figure } from '../analytics/random-ledger.ts'

const JAKARTA = 'Asia/Jakarta'
const SPAN = { from: '2026-03-01', to: '2026-04-30' }

const asked = {
  ...SPAN,
  where: {},
  currency: 'IDR',
  attribution: 'first_touch' as Attribution,
  knownAt: null,
  explain: false,
}

export function testEconomics(openFresh: () => Promise<Metrics>, closeAll: () => Promise<void>): void {
  async function project(ledger: readonly Entry[]) {
    const metrics = await openFresh()
    await metrics.write(ledger.flatMap(pointsFor), await metrics.checkpoint())
    return createEconomics({ metrics, timezone: JAKARTA })
  }

  it('gives the ten variables of any ledger, by any dimensions, filters, attribution, and as known at any time', async () => {
    const by = fc.subarray([...DIMENSIONS])
    const attribution = fc.constantFrom(...ATTRIBUTIONS)
    const where = fc.record(
      {
        dealer: fc.subarray(['D001', 'D002', 'none'], { minLength: 1 }),
        channel: fc.subarray([...CHANNELS], { minLength: 3 }),
        region: fc.constant(['Jawa Barat']),
        initiative: fc.constant(['Lebaran', 'none']),
      },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(
        randomEconomics,
        by,
        where,
        attribution,
        fc.option(fc.nat()),
        async (ledger, ...random) => {
          const [dimensions, filters, touch, pick] = random
          const economics = await project(ledger)
          const knownAt =
            pick === null ? null : Date.parse(ledger[pick % ledger.length]?.at ?? '2026-03-28T00:00:00Z')
          const { rows } = await economics.variables({
            ...asked,
            by: dimensions,
            where: filters,
            attribution: touch,
            knownAt,
            compare: false,
          })
          const known = ledger.filter(({ at }) => knownAt === null || Date.parse(at) <= knownAt)
          const figures = economicFiguresOf(known, JAKARTA)
          expect(rows).toEqual(expectedRows(figures, dimensions, filters, touch))
          await closeAll()
        },
      ),
      { numRuns: 40, interruptAfterTimeLimit: 30_000 },
    )
  })

  it('gives channels that add up: every verified sale once, of a lead or a walk-in', async () => {
    await fc.assert(
      fc.asyncProperty(randomEconomics, fc.constantFrom(...ATTRIBUTIONS), async (ledger, attribution) => {
        const economics = await project(ledger)
        const { channels, total, matching } = await economics.channels({ ...asked, attribution })
        const figures = economicFiguresOf(ledger, JAKARTA)
        const sum = (measurement: string, name: string, of: (by: Figure['by']) => boolean = () => true) =>
          figures
            .filter((figure) => figure.measurement === measurement && of(figure.by))
            .reduce((all, { sums }) => all + (sums[name] ?? 0), 0)
        const tag = attribution === 'first_touch' ? 'channel' : 'last_channel'
        const walkIns = sum('sales', 'verified') - sum('conversions', 'verified')
        expect(total.verified_sales).toBe(sum('sales', 'verified'))
        expect(matching.map(({ name, sales }) => [name, sales])).toEqual([
          ['lead_id', sum('conversions', 'verified')],
          ['customer', 0],
          ['serial', 0],
          ['none', walkIns],
        ])
        for (const { channel, figures: found } of channels) {
          const isIt = (by: Figure['by']) => by[tag] === channel
          const spend = sum('spend', 'amount_minor', (by) => by.channel === channel && by.currency === 'IDR')
          const leads = sum('leads', 'unique', isIt)
          const verified = sum('conversions', 'verified', isIt) + (channel === 'walk_in' ? walkIns : 0)
          expect(found).toEqual({
            spend,
            inquiries: sum('leads', 'raw', isIt),
            leads,
            claim_rate: rate(sum('leads', 'claimed', isIt), leads),
            time_to_claim_ms: mean(sum('claims', 'time_to_claim_ms', isIt), sum('claims', 'count', isIt)),
            conversion: rate(sum('leads', 'sold_verified', isIt), leads),
            cost_per_lead: mean(spend, leads),
            verified_sales: verified,
            walk_in_sales: channel === 'walk_in' ? walkIns : 0,
            cost_per_verified_sale: mean(spend, verified),
          })
        }
        await closeAll()
      }),
      { numRuns: 15, interruptAfterTimeLimit: 30_000 },
    )
  })
}

/** The model's figures, grouped and divided by other means than the hub's. */
function expectedRows(
  figures: readonly Figure[],
  by: readonly Dimension[],
  where: Readonly<Record<string, readonly string[] | undefined>>,
  attribution: Attribution,
) {
  const tagOf = (name: string, measurement: string) =>
    name === 'channel' && attribution === 'last_touch' && measurement === 'leads' ? 'last_channel' : name
  const groups = new Map<string, { by: Record<string, string>; figures: Figure[] }>()
  for (const figure of figures) {
    const { measurement, sums } = figure
    if (!['spend', 'activities', 'activity_days', 'leads'].includes(measurement)) continue
    if (measurement === 'spend' && figure.by.currency !== 'IDR') continue
    if (measurement === 'leads' && sums.unique === 0 && sums.sold_verified === 0) continue
    const day = figure.by.day as string
    if (day < SPAN.from || day > SPAN.to) continue
    const nameIn = (name: string) =>
      name === 'month' ? day.slice(0, 7) : (figure.by[tagOf(name, measurement)] as string)
    if (!Object.entries(where).every(([name, values]) => values?.includes(nameIn(name)))) continue
    const group = Object.fromEntries(by.map((name) => [name, nameIn(name)]))
    const key = JSON.stringify(Object.values(group))
    const found = groups.get(key) ?? { by: group, figures: [] }
    found.figures.push(figure)
    groups.set(key, found)
  }
  const rows = [...groups.values()].map(({ by: group, figures: of }) => {
    const sum = (measurement: string, name: string, kind?: string) =>
      of
        .filter(
          (figure) => figure.measurement === measurement && (kind === undefined || figure.by.kind === kind),
        )
        .reduce((all, { sums }) => all + (sums[name] ?? 0), 0)
    const [corporate, subsidy, baseline, outOfPocket] = [
      'corporate',
      'subsidy',
      'baseline',
      'out_of_pocket',
    ].map((kind) => sum('spend', 'amount_minor', kind)) as [number, number, number, number]
    const activityDays = of.filter(({ measurement }) => measurement === 'activity_days')
    const union = new Set(activityDays.map(({ by: { day } }) => day)).size
    const leads = sum('leads', 'unique')
    return {
      by: group,
      variables: {
        total_event_spend: corporate,
        dealer_support_cost: subsidy,
        baseline_dealer_cost: baseline,
        out_of_pocket_dealer_spend: outOfPocket,
        average_cost_per_activity: mean(corporate + subsidy + outOfPocket, sum('activities', 'count')),
        average_cost_per_day: mean(corporate + subsidy + outOfPocket, union),
        cost_per_lead: mean(corporate + subsidy + baseline + outOfPocket, leads),
        total_activity_volume: sum('activities', 'count'),
        active_duration_days: { union, sum: activityDays.length },
        verified_sell_through: rate(sum('leads', 'sold_verified'), leads),
      },
    }
  })
  // A group that holds only what comes to nothing is no group, unless money was reported as zero.
  const keyOf = (row: (typeof rows)[number]) => by.map((name) => row.by[name] as string)
  return rows.sort((a, b) => {
    const [one, other] = [keyOf(a), keyOf(b)]
    const at = one.findIndex((value, i) => value !== other[i])
    return at === -1 ? 0 : (one[at] as string) < (other[at] as string) ? -1 : 1
  })
}

const mean = (numerator: number, denominator: number) => ({
  numerator,
  denominator,
  // These sums stay far below 2^53 / 2, so that a half is exact.
  value: denominator === 0 ? null : Math.floor((2 * numerator + denominator) / (2 * denominator)),
})

const rate = (numerator: number, denominator: number) => ({
  numerator,
  denominator,
  value: denominator === 0 ? null : Math.round((numerator * 10_000) / denominator) / 10_000,
})
