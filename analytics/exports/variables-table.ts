/**
 * The ten variables as a flat table: what every export shows. Money is in whole units of the currency; what a ratio is made of
 * stands beside it, so that whoever groups further can make it again (burn / leads).
 */

import { MINOR_UNITS } from '../../gateway/contract/economics.ts'
import type { ExportCell, ExportColumn, ExportSource } from '../../gateway/contract/export-table.ts'
import {
  type Attribution,
  DIMENSIONS,
  type Dimension,
  type Economics,
  type Variables,
} from '../../gateway/contract/figures.ts'

interface Metric extends ExportColumn {
  cellOf(variables: Variables): ExportCell
}

export function createVariablesTable(
  economics: Pick<Economics, 'variables'>,
  { currency, attribution }: { currency: string; attribution: Attribution },
): ExportSource {
  const metrics = metricsOf(currency)
  const columns = [...DIMENSION_COLUMNS.values(), ...metrics.map(columnOf)]
  return {
    columns,
    async read({ from, to, by }) {
      const dimensions = by as readonly Dimension[]
      const { rows } = await economics.variables({
        from,
        to,
        by: dimensions,
        where: {},
        currency,
        attribution,
        knownAt: null,
        compare: false,
        explain: false,
      })
      return {
        columns: [
          ...dimensions.map((name) => DIMENSION_COLUMNS.get(name) as ExportColumn),
          ...metrics.map(columnOf),
        ],
        rows: rows.map((row) => [
          ...dimensions.map((name) => row.by[name] as string),
          ...metrics.map((metric) => metric.cellOf(row.variables)),
        ]),
      }
    },
  }
}

const DIMENSION_COLUMNS: ReadonlyMap<Dimension, ExportColumn> = new Map(
  DIMENSIONS.map((name) => [
    name,
    {
      name,
      label: name.charAt(0).toUpperCase() + name.slice(1),
      type: name === 'day' || name === 'month' ? name : 'text',
      unit: null,
      concept: 'dimension',
      adds: false,
    },
  ]),
)

const columnOf = ({ cellOf: _, ...column }: Metric): ExportColumn => column

const whole = (minor: number | null): number | null => (minor === null ? null : minor / MINOR_UNITS)

function metricsOf(currency: string): Metric[] {
  const metric = (
    name: string,
    label: string,
    type: 'money' | 'count' | 'ratio',
    unit: string | null,
    adds: boolean,
    cellOf: Metric['cellOf'],
  ): Metric => ({ name, label, type, unit, concept: 'metric', adds, cellOf })
  const money = (name: string, label: string, minorOf: (variables: Variables) => number) =>
    metric(name, label, 'money', currency, true, (variables) => whole(minorOf(variables)))
  const count = (name: string, label: string, cellOf: (variables: Variables) => number, adds = true) =>
    metric(name, label, 'count', null, adds, cellOf)
  const cost = (
    name: 'average_cost_per_activity' | 'average_cost_per_day' | 'cost_per_lead',
    label: string,
    per: string,
  ) =>
    metric(name, label, 'ratio', `${currency} per ${per}`, false, (variables) => whole(variables[name].value))

  return [
    money('total_event_spend', 'Total event spend', (of) => of.total_event_spend),
    money('dealer_support_cost', 'Dealer support cost', (of) => of.dealer_support_cost),
    money('baseline_dealer_cost', 'Baseline dealer cost', (of) => of.baseline_dealer_cost),
    money('out_of_pocket_dealer_spend', 'Out-of-pocket dealer spend', (of) => of.out_of_pocket_dealer_spend),
    money('burn', 'Burn', (of) => of.cost_per_lead.numerator),
    cost('average_cost_per_activity', 'Average cost per activity', 'activity'),
    cost('average_cost_per_day', 'Average cost per day', 'active day'),
    count('leads', 'Verified unique leads', (of) => of.cost_per_lead.denominator),
    cost('cost_per_lead', 'Cost per lead', 'lead'),
    count('total_activity_volume', 'Total activity volume', (of) => of.total_activity_volume),
    count(
      'active_duration_days_union',
      'Active duration, distinct days',
      (of) => of.active_duration_days.union,
      false,
    ),
    count(
      'active_duration_days_sum',
      'Active duration, days of all activities',
      (of) => of.active_duration_days.sum,
    ),
    count('leads_sold', 'Leads with a verified purchase', (of) => of.verified_sell_through.numerator),
    metric(
      'verified_sell_through',
      'Verified sell-through',
      'ratio',
      null,
      false,
      (of) => of.verified_sell_through.value,
    ),
  ]
}
