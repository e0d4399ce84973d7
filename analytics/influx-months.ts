/**
 * Sums by calendar month and all tags, kept in this process beside InfluxDB 1.x and 2.x, whose queries cost by the series
 * (some fifty microseconds each, and nearly every lead is one of its own): a table of two years would take seconds.
 *
 * A month is read from the points when it is first asked for, and again when it has changed. Whoever writes points marks
 * their months after them, with a token that was never used: measurement `hub_changes`, one point for each measurement and
 * month, overwritten. Whoever reads asks for the tokens first: a month whose token is the one it was read under has not
 * changed since. So processes share nothing but the database, and no clock matters.
 *
 * InfluxDB 3 has columns and no series, is asked directly, and does not say which of two writes of one point wins.
 */
import { randomUUID } from 'node:crypto'
import { createMonthFinder, type DayRange, monthsOf, spansOf } from './business-days.ts'
import { designOf, type Measurement, type Point } from './measurements.ts'
import { conditionsOf, type Group, type Question } from './metrics.ts'

export const CHANGES = 'hub_changes'

/** Some hundred bytes each. What does not fit is read again each time it is asked for. */
const GROUPS_KEPT_MAX = 400_000
/** Kept by day, since distinct days are counted over any range; there are few. */
const isKeptByDay = (measurement: Measurement): boolean => measurement === 'activity_days'
/** Answers remembered of one month. */
const ANSWERS_KEPT_MAX = 100

interface Month {
  readonly token: string
  /** By all tags. */
  readonly groups: readonly Group[]
  readonly answers: Map<string, readonly Group[]>
}

export interface InfluxMonths {
  /** Lines that mark the months of these points as changed; to be written after them. */
  marksFor(points: readonly Point[]): string[]
  /** The groups of whole months, as they are known now. */
  totals(
    question: Question<Measurement, string>,
    months: readonly (DayRange & { month: string })[],
  ): Promise<Group[]>
}

export interface InfluxMonthsOptions {
  readonly timezone: string
  /** Tokens of a measurement, by month. */
  readonly readTokens: (measurement: Measurement) => Promise<ReadonlyMap<string, string>>
  readonly readGroups: (question: Question<Measurement, string>) => Promise<Group[]>
}

export function createInfluxMonths({ timezone, readTokens, readGroups }: InfluxMonthsOptions): InfluxMonths {
  const monthOf = createMonthFinder(timezone)
  /** By measurement and month, the one asked for last at the end. */
  const kept = new Map<string, Month>()
  let groupsKept = 0

  function keep(name: string, month: Month): void {
    forget(name)
    kept.set(name, month)
    groupsKept += month.groups.length
    for (const oldest of kept.keys()) {
      if (groupsKept <= GROUPS_KEPT_MAX) break
      forget(oldest)
    }
  }

  function forget(name: string): void {
    groupsKept -= kept.get(name)?.groups.length ?? 0
    kept.delete(name)
  }

  return {
    marksFor(points) {
      const months = new Map<string, string>()
      for (const { measurement, timeMs, knownAtMs } of points) {
        if (knownAtMs === undefined) continue
        const { month, endMs } = monthOf(timeMs)
        // Kept for as long as the youngest points of the month are.
        const series = `${CHANGES},measurement=${measurement},month=${month}`
        months.set(series, `${series} token="${randomUUID()}" ${endMs - 1}000000`)
      }
      return [...months.values()]
    },
    async totals(question, months) {
      const { measurement } = question
      const tokens = await readTokens(measurement)
      const found: Group[] = []
      for (const { month, firstDay, lastDay } of months) {
        const token = tokens.get(month)
        // Never marked: there is nothing.
        if (token === undefined) continue
        const name = `${measurement} ${month}`
        let known = kept.get(name)
        if (known?.token !== token) {
          const { tags } = designOf(measurement)
          const all = {
            measurement,
            by: isKeptByDay(measurement) ? ['day', ...tags] : tags,
            firstDay,
            lastDay,
          }
          known = { token, groups: await readGroups(all), answers: new Map() }
        }
        keep(name, known)
        for (const group of answerOf(known, question)) {
          found.push(question.by.includes('month') ? { ...group, by: { ...group.by, month } } : group)
        }
      }
      return found
    },
  }
}

/** Of one month, without its name. */
function answerOf({ groups, answers }: Month, question: Question<Measurement, string>): readonly Group[] {
  const tags = question.by.filter((name) => name !== 'month')
  const conditions = conditionsOf(question).map(([tag, values]) => [tag, new Set(values)] as const)
  const name = JSON.stringify([tags, conditionsOf(question)])
  const known = answers.get(name)
  if (known !== undefined) return known
  const found = new Map<string, { by: Record<string, string>; sums: Record<string, number> }>()
  for (const { by, sums } of groups) {
    if (!conditions.every(([tag, values]) => values.has(by[tag] as string))) continue
    const key = tags.map((tag) => by[tag]).join('\n')
    const total = found.get(key)
    if (total === undefined) {
      found.set(key, {
        by: Object.fromEntries(tags.map((tag) => [tag, by[tag] as string])),
        sums: { ...sums },
      })
      continue
    }
    for (const sum in sums) total.sums[sum] = (total.sums[sum] as number) + (sums[sum] as number)
  }
  const answer = [...found.values()]
  if (answers.size >= ANSWERS_KEPT_MAX) answers.clear()
  answers.set(name, answer)
  return answer
}

/**
 * The whole months of a range, which can be answered from their sums, and the other parts of it.
 *
 * @param hasMonths whether there are sums of whole months
 */
export function partsOf(question: Question<Measurement, string>, timezone: string, hasMonths: boolean) {
  // So that it is refused as a whole when it is no range.
  spansOf(question, timezone)
  const { measurement, by, knownAt, knownAfter } = question
  const isKnown = !by.includes('day') || isKeptByDay(measurement)
  const isOfNow = knownAt === undefined && knownAfter === undefined && isKnown
  const months = monthsOf(question)
  const isSummed = hasMonths && isOfNow && designOf(measurement).stream === 'ledger'
  const whole = isSummed ? months.filter(({ isWhole }) => isWhole) : []
  const isInParts = whole.length > 0 || by.includes('month')
  const others: readonly (DayRange & { month?: string })[] = isInParts
    ? months.filter(({ isWhole }) => whole.length === 0 || !isWhole)
    : [question]
  return { whole, others }
}
