/**
 * Closed days that have changed since: late offline sales, voids, corrections.
 *
 * A business day is closed CLOSES_AFTER_HOURS hours after its end, before people read of it in the morning. What comes to the
 * ledger later restates it. Asked since an instant: of the days that were closed by then, what was known then against what is
 * known now. Leads that were claimed or sold meanwhile are not listed: that is their future, not a correction of their past.
 */
import type { Filters, RestatedAnswer } from '../gateway/contract/figures.ts'
import type { Measurement } from './measurements.ts'
import type { Metrics, Question } from './metrics.ts'

export const CLOSES_AFTER_HOURS = 6
/** Entries told of each changed day and measurement. */
const ENTRIES_TOLD = 20

/** What a day is judged by. */
const WATCHED: readonly { measurement: Measurement; sums: readonly string[]; by: readonly string[] }[] = [
  { measurement: 'sales', sums: ['count', 'price', 'verified'], by: ['currency'] },
  { measurement: 'spend', sums: ['count', 'amount_minor'], by: ['currency'] },
  { measurement: 'activities', sums: ['count'], by: [] },
  { measurement: 'activity_days', sums: ['count'], by: [] },
  { measurement: 'leads', sums: ['raw', 'unique'], by: [] },
  { measurement: 'conversions', sums: ['count', 'verified', 'price_minor'], by: ['currency'] },
]

/** The last business day that was closed at an instant. */
export function lastClosedDay(instantMs: number, timezone: string): string {
  const reckoned = Temporal.Instant.fromEpochMilliseconds(instantMs).subtract({ hours: CLOSES_AFTER_HOURS })
  return reckoned.toZonedDateTimeISO(timezone).toPlainDate().subtract({ days: 1 }).toString()
}

export interface AskedRestated {
  readonly from: string
  readonly to: string
  readonly where: Filters
  /** ms */
  readonly since: number
}

export async function restatedSince(
  metrics: Pick<Metrics, 'totals' | 'entriesBehind'>,
  { from, to, where, since }: AskedRestated,
  timezone: string,
): Promise<RestatedAnswer['changes']> {
  const closed = lastClosedDay(since, timezone)
  const lastDay = to < closed ? to : closed
  if (lastDay < from) return []
  const found = await Promise.all(
    WATCHED.map(async ({ measurement, sums, by }) => {
      const conditions = conditionsFor(measurement, where)
      if (conditions === null) return []
      const range = { firstDay: from, lastDay }
      const question = { measurement, by: ['day', ...by], where: conditions, ...range } as Question<
        Measurement,
        'day'
      >
      const changed = await metrics.totals({ ...question, knownAfter: since })
      if (changed.length === 0) return []
      const before = await metrics.totals({ ...question, knownAt: since })
      return Promise.all(
        changed.map(async ({ by: group, sums: added }) => {
          const { day, currency = null } = group as { day: string; currency?: string }
          const stood = before.find(
            ({ by: other }) =>
              other.day === day && ((other as { currency?: string }).currency ?? null) === currency,
          )
          const behind = {
            measurement,
            by: [],
            where: conditions,
            firstDay: day,
            lastDay: day,
            knownAfter: since,
          }
          const { entries } = await metrics.entriesBehind(behind, ENTRIES_TOLD)
          return sums
            .map((name) => ({
              name,
              was: (stood?.sums as Record<string, number> | undefined)?.[name] ?? 0,
              change: (added as Record<string, number>)[name] ?? 0,
            }))
            .filter(({ change }) => change !== 0)
            .map(({ name, was, change }) => ({
              day,
              what: `${measurement}.${name}`,
              currency,
              before: was,
              after: was + change,
              entries: [...entries],
            }))
        }),
      )
    }),
  )
  return found.flat(2).sort((a, b) => (a.day === b.day ? 0 : a.day < b.day ? -1 : 1))
}

/** Sales have no initiative; the channel of leads is their first one here. Null: nothing of it is asked for. */
function conditionsFor(measurement: Measurement, { initiative, ...others }: Filters) {
  if (measurement !== 'sales' || initiative === undefined)
    return { ...others, ...(initiative && { initiative }) }
  return null
}
