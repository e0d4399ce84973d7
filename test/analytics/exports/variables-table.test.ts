/** The ten variables as a flat table. */
import { expect, it } from 'vitest'
import { createVariablesTable } from '../../../analytics/exports/variables-table.ts'
import { NO_FACTS, variablesOf } from '../../../analytics/variables.ts'
import type { AskedVariables, VariablesAnswer } from '../../../gateway/contract/figures.ts'

/** November of one dealer, in sen: 12,000,000.50 + 3,000,000 + 1,000,000 + 500,000 rupiah. */
const NOVEMBER = variablesOf({
  corporate: 1_200_000_050,
  subsidy: 300_000_000,
  baseline: 100_000_000,
  out_of_pocket: 50_000_000,
  activities: 4,
  activityDays: 7,
  activeDays: 5,
  leads: 8,
  leadsSold: 2,
})

function tableOf(rows: VariablesAnswer['rows']) {
  const asked: AskedVariables[] = []
  const economics = {
    async variables(question: AskedVariables): Promise<VariablesAnswer> {
      asked.push(question)
      return { rows } as VariablesAnswer
    },
  }
  return { asked, source: createVariablesTable(economics, { currency: 'IDR', attribution: 'first_touch' }) }
}

it('has money in whole units, each ratio with what it is made of', async () => {
  const { source, asked } = tableOf([{ by: { dealer: 'jkt-01', month: '2026-11' }, variables: NOVEMBER }])
  const { columns, rows } = await source.read({
    from: '2026-11-01',
    to: '2026-11-30',
    by: ['month', 'dealer'],
  })
  expect(asked).toEqual([
    {
      from: '2026-11-01',
      to: '2026-11-30',
      by: ['month', 'dealer'],
      where: {},
      currency: 'IDR',
      attribution: 'first_touch',
      knownAt: null,
      compare: false,
      explain: false,
    },
  ])
  expect(columns.map(({ name }, i) => [name, rows[0]?.[i]])).toEqual([
    ['month', '2026-11'],
    ['dealer', 'jkt-01'],
    ['total_event_spend', 12_000_000.5],
    ['dealer_support_cost', 3_000_000],
    ['baseline_dealer_cost', 1_000_000],
    ['out_of_pocket_dealer_spend', 500_000],
    ['burn', 16_500_000.5],
    // (12,000,000.50 + 3,000,000 + 500,000) / 4, to the sen, halves away from zero
    ['average_cost_per_activity', 3_875_000.13],
    ['average_cost_per_day', 3_100_000.1],
    ['leads', 8],
    ['cost_per_lead', 2_062_500.06],
    ['total_activity_volume', 4],
    ['active_duration_days_union', 5],
    ['active_duration_days_sum', 7],
    ['leads_sold', 2],
    ['verified_sell_through', 0.25],
  ])
})

it('leaves a ratio empty that is undefined', async () => {
  const nothing = variablesOf({ ...NO_FACTS, corporate: 100 })
  const { source } = tableOf([{ by: {}, variables: nothing }])
  const { columns, rows } = await source.read({ from: '2026-11-01', to: '2026-11-30', by: [] })
  const empty = columns.filter((_, i) => rows[0]?.[i] === null).map(({ name }) => name)
  expect(empty).toEqual([
    'average_cost_per_activity',
    'average_cost_per_day',
    'cost_per_lead',
    'verified_sell_through',
  ])
})

it('says of each column what it is, and of which no sum may be taken', () => {
  const { columns } = tableOf([]).source
  expect(
    columns.filter(({ concept }) => concept === 'dimension').map(({ name, type }) => [name, type]),
  ).toEqual([
    ['day', 'day'],
    ['month', 'month'],
    ['dealer', 'text'],
    ['region', 'text'],
    ['initiative', 'text'],
    ['channel', 'text'],
  ])
  const metrics = columns.filter(({ concept }) => concept === 'metric')
  expect(metrics.filter(({ adds }) => !adds).map(({ name }) => name)).toEqual([
    'average_cost_per_activity',
    'average_cost_per_day',
    'cost_per_lead',
    'active_duration_days_union',
    'verified_sell_through',
  ])
  expect(columns.find(({ name }) => name === 'cost_per_lead')).toEqual({
    name: 'cost_per_lead',
    label: 'Cost per lead',
    type: 'ratio',
    unit: 'IDR per lead',
    concept: 'metric',
    adds: false,
  })
})
