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
import {
  ATTRIBUTIONS,
  type Attribution,
  DIMENSIONS,
  type Dimension,
  type Variables,
} from '../../gateway/contract/figures.ts'
import type { Entry } from '../../gateway/contract/ledger.ts'
import { economicFiguresOf, randomEconomics } from '../analytics/random-economics.ts'
import type { Figure } from '../analytics/random-ledger.ts'
import { FIRST_OF_DECEMBER, NOVEMBER, WORKED_EXAMPLE } from '../analytics/worked-example.ts'

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

  it('gives the figures of the worked example, and those before they were corrected', async () => {
    const economics = await project(WORKED_EXAMPLE)
    const november = { ...asked, ...NOVEMBER, by: [], compare: false }
    const [{ variables } = { variables: null }] = (await economics.variables(november)).rows
    expect(variables).toEqual({
      total_event_spend: 50_000_000_00,
      dealer_support_cost: 10_000_000_00,
      baseline_dealer_cost: 20_000_000_00,
      out_of_pocket_dealer_spend: 5_000_000_00,
      average_cost_per_activity: { numerator: 65_000_000_00, denominator: 2, value: 32_500_000_00 },
      average_cost_per_day: { numerator: 65_000_000_00, denominator: 4, value: 16_250_000_00 },
      cost_per_lead: { numerator: 85_000_000_00, denominator: 4, value: 21_250_000_00 },
      total_activity_volume: 2,
      active_duration_days: { union: 4, sum: 5 },
      verified_sell_through: { numerator: 1, denominator: 4, value: 0.25 },
    })
    const knownAt = Date.parse(FIRST_OF_DECEMBER)
    const [then] = (await economics.variables({ ...november, knownAt })).rows
    expect(then?.variables).toEqual({
      ...variables,
      total_event_spend: 60_000_000_00,
      average_cost_per_activity: { numerator: 75_000_000_00, denominator: 2, value: 37_500_000_00 },
      average_cost_per_day: { numerator: 75_000_000_00, denominator: 4, value: 18_750_000_00 },
      cost_per_lead: { numerator: 95_000_000_00, denominator: 4, value: 23_750_000_00 },
    })
  })

  it('compares a period with the one before, group by group, also where one of them has none', async () => {
    const economics = await project(WORKED_EXAMPLE)
    const spendOf = (variables: Variables | null | undefined) =>
      variables && variables.total_event_spend / 100
    const rowsOf = async (range: { from: string; to: string }, by: Dimension[]) => {
      const { before, rows } = await economics.variables({ ...asked, ...range, by, compare: true })
      return {
        before,
        rows: rows.map((row) => [...Object.values(row.by), spendOf(row.variables), spendOf(row.before)]),
      }
    }
    expect(await rowsOf({ from: '2026-12-01', to: '2026-12-31' }, ['month', 'channel'])).toEqual({
      before: NOVEMBER,
      rows: [
        ['2026-12', 'event', 0, 0],
        ['2026-12', 'other', 0, 0],
        ['2026-12', 'tiktok', 0, 50_000_000],
      ],
    })
    expect((await rowsOf(NOVEMBER, [])).rows).toEqual([[50_000_000, null]])
    expect((await rowsOf({ from: '2026-11-02', to: '2026-11-02' }, ['day'])).rows).toEqual([
      ['2026-11-02', 0, 50_000_000],
    ])
  })

  it('tells the cost per lead of each month, and of every day, undefined where no lead came', async () => {
    const economics = await project(WORKED_EXAMPLE)
    const { months, days } = await economics.costPerLead({ ...asked, from: '2026-10-31', to: '2026-11-05' })
    const shown = ({ burn, leads, cost_per_lead }: (typeof days)[number] | (typeof months)[number]) => [
      burn / 100,
      leads,
      cost_per_lead.value === null ? null : cost_per_lead.value / 100,
    ]
    expect(months.map((month) => [month.month, ...shown(month)])).toEqual([
      ['2026-10', 0, 0, null],
      ['2026-11', 70_000_000, 2, 35_000_000],
    ])
    expect(days.map((day) => [day.day, ...shown(day)])).toEqual([
      ['2026-10-31', 0, 0, null],
      ['2026-11-01', 70_000_000, 0, null],
      ['2026-11-02', 0, 1, 0],
      ['2026-11-03', 0, 0, null],
      ['2026-11-04', 0, 0, null],
      ['2026-11-05', 0, 1, 0],
    ])
  })

  it('shows how spend flows to leads, claims and sales, and walk-ins past them', async () => {
    const economics = await project(WORKED_EXAMPLE)
    const { nodes, links } = await economics.flow({ ...asked, ...NOVEMBER })
    expect(nodes.map(({ id, spend = null, count }) => [id, spend && spend / 100, count])).toEqual([
      ['spend:tiktok', 50_000_000, 3],
      ['spend:walk_in', 0, 0],
      ['spend:event', 15_000_000, 1],
      ['spend:other', 20_000_000, 0],
      ['lead', null, 4],
      ['claimed', null, 2],
      ['open', null, 2],
      ['sale', null, 3],
    ])
    expect(links.map(({ source, target, value }) => `${source} → ${target}: ${value}`)).toEqual([
      'spend:tiktok → lead: 3',
      'spend:event → lead: 1',
      'spend:walk_in → sale: 2',
      'lead → claimed: 2',
      'lead → open: 2',
      'claimed → sale: 1',
    ])
  })

  it('lists closed days that were restated since, with what was, what is, and the entries between', async () => {
    const economics = await project(WORKED_EXAMPLE)
    const since = Date.parse(FIRST_OF_DECEMBER)
    const { changes } = await economics.restated({ ...NOVEMBER, where: {}, since })
    const entry = (at: number) => [WORKED_EXAMPLE.at(at)?.entry]
    expect(
      changes.map(({ day, what, currency, before, after, entries }) => [
        day,
        what,
        currency,
        before,
        after,
        entries,
      ]),
    ).toEqual([
      ['2026-11-01', 'spend.amount_minor', 'IDR', 80_000_000_00, 70_000_000_00, entry(-3)],
      ['2026-11-28', 'sales.count', 'IDR', 1, 0, entry(-2)],
      ['2026-11-28', 'sales.price', 'IDR', 28_500_000, 0, entry(-2)],
      ['2026-11-28', 'sales.verified', 'IDR', 1, 0, entry(-2)],
      ['2026-11-30', 'sales.count', 'IDR', 0, 1, entry(-1)],
      ['2026-11-30', 'sales.price', 'IDR', 0, 28_500_000, entry(-1)],
      ['2026-11-30', 'sales.verified', 'IDR', 0, 1, entry(-1)],
    ])
    // 30 November ends at 17:00 UTC and is closed six hours later: until then it is not restated, it is not over.
    const beforeItCloses = Date.parse('2026-11-30T22:59:59.999Z')
    const days = async (at: number) =>
      new Set((await economics.restated({ ...NOVEMBER, where: {}, since: at })).changes.map(({ day }) => day))
    expect(await days(beforeItCloses)).toEqual(new Set(['2026-11-01', '2026-11-28']))
    expect(await days(beforeItCloses + 1)).toEqual(new Set(['2026-11-01', '2026-11-28', '2026-11-30']))
    expect(await days(Date.parse('2026-12-31T00:00:00Z'))).toEqual(new Set())
  })

  it('explains a figure by what was asked and the entries behind it', async () => {
    const economics = await project(WORKED_EXAMPLE)
    const where = { channel: ['event'] }
    const { explain } = await economics.variables({
      ...asked,
      ...NOVEMBER,
      where,
      by: ['dealer'],
      compare: false,
      explain: true,
      attribution: 'last_touch',
    })
    expect(explain?.questions).toContainEqual({
      measurement: 'leads',
      by: ['dealer'],
      where: { last_channel: ['event'] },
      ...NOVEMBER,
    })
    const idsOf = (type: string, of: (data: Record<string, unknown>) => boolean) =>
      WORKED_EXAMPLE.filter((entry) => entry.type === type && of(entry.data)).map(({ entry }) => entry)
    const isEvent = ({ now }: Record<string, unknown>) => (now as { channel: string }).channel === 'event'
    expect(explain?.entries).toEqual({
      spend: { entries: idsOf('spend.recorded', isEvent), is_complete: true },
      activities: { entries: idsOf('activity.recorded', () => true), is_complete: true },
      activity_days: { entries: idsOf('activity.recorded', () => true), is_complete: true },
      leads: {
        entries: [
          ...idsOf('lead.duplicate', () => true),
          ...idsOf('lead.created', ({ lead }) => lead === 'L3'),
        ],
        is_complete: true,
      },
    })
  })

  it('counts money of one currency, and names the others', async () => {
    const [first] = WORKED_EXAMPLE as [Entry]
    const dollars = {
      ...first,
      data: { ...first.data, now: { ...(first.data.now as object), currency: 'USD' } },
    }
    const economics = await project([dollars, ...WORKED_EXAMPLE.slice(1, 2)])
    const of = (currency: string) =>
      economics.variables({ ...asked, ...NOVEMBER, by: [], compare: false, currency })
    const rupiah = await of('IDR')
    expect([rupiah.other_currencies, rupiah.rows[0]?.variables.total_event_spend]).toEqual([['USD'], 0])
    const other = await of('USD')
    expect([other.other_currencies, other.rows[0]?.variables.total_event_spend]).toEqual([
      ['IDR'],
      60_000_000_00,
    ])
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
