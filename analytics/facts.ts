/** Facts of the ten variables, by any dimensions: a few questions to the metrics, joined. */
import type { Dimension } from '../gateway/contract/figures.ts'
import type { Asker } from './ask.ts'
import type { DayRange } from './business-days.ts'
import { type Facts, NO_FACTS } from './variables.ts'

export interface FactsRow {
  /** Values of the dimensions asked for; `none` for none. */
  readonly by: Readonly<Record<string, string>>
  readonly facts: Facts
}

export interface FactsTable {
  /** By their key; see `keyOf`. */
  readonly rows: ReadonlyMap<string, FactsRow>
  readonly otherCurrencies: readonly string[]
}

/** What a group is known by. */
export const keyOf = (by: readonly string[], values: Readonly<Record<string, string>>): string =>
  JSON.stringify(by.map((name) => values[name]))

export async function readFacts(
  asker: Asker,
  by: readonly Dimension[],
  range: DayRange,
  currency: string,
): Promise<FactsTable> {
  const [spend, activities, days, leads] = await Promise.all([
    asker.ask('spend', [...by, 'kind', 'currency'], range),
    asker.ask('activities', by, range),
    asker.ask('activity_days', [...by, 'day'], range),
    asker.ask('leads', by, range),
  ])

  const rows = new Map<
    string,
    { by: Record<string, string>; facts: { -readonly [Name in keyof Facts]: number } }
  >()
  function factsOf(values: Readonly<Record<string, string>>) {
    const key = keyOf(by, values)
    let row = rows.get(key)
    if (row === undefined) {
      const named = Object.fromEntries(by.map((name) => [name, values[name] as string]))
      row = { by: named, facts: { ...NO_FACTS } }
      rows.set(key, row)
    }
    return row.facts
  }

  for (const { by: values, sums } of spend) {
    if (values.currency !== currency) continue
    // Of no other kind is anything written.
    factsOf(values)[values.kind as 'corporate'] += sums.amount_minor
  }
  for (const { by: values, sums } of activities) factsOf(values).activities += sums.count
  for (const { by: values, sums } of days) {
    const facts = factsOf(values)
    facts.activityDays += sums.count
    facts.activeDays += 1
  }
  for (const { by: values, sums } of leads) {
    // Inquiries of people who have a lead are no facts of these.
    if (sums.unique === 0 && sums.sold_verified === 0) continue
    const facts = factsOf(values)
    facts.leads += sums.unique
    facts.leadsSold += sums.sold_verified
  }

  const currencies = new Set(spend.map(({ by: values }) => values.currency as string))
  currencies.delete(currency)
  return { rows: inOrder(rows, by), otherCurrencies: [...currencies].sort() }
}

/** By the values of these dimensions, one after the other. */
export function inOrder<Row extends FactsRow>(
  rows: ReadonlyMap<string, Row>,
  by: readonly string[],
): Map<string, Row> {
  return new Map(
    [...rows].sort(([, a], [, b]) => {
      const name = by.find((candidate) => a.by[candidate] !== b.by[candidate])
      return name === undefined ? 0 : (a.by[name] as string) < (b.by[name] as string) ? -1 : 1
    }),
  )
}
