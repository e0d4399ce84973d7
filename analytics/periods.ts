/** Periods of business days, and the period before one. */
import type { DayRange } from './business-days.ts'

/**
 * The period before: whole months have as many months before them, other periods as many days.
 * November → October; 3 to 9 November → 27 October to 2 November.
 */
export function periodBefore({ firstDay, lastDay }: DayRange): DayRange {
  const first = Temporal.PlainDate.from(firstDay)
  const last = Temporal.PlainDate.from(lastDay)
  const end = first.subtract({ days: 1 })
  const months = wholeMonths(first, last)
  const begin = months === null ? end.subtract({ days: first.until(last).days }) : first.subtract({ months })
  return { firstDay: begin.toString(), lastDay: end.toString() }
}

/** How many whole months these days are, or null. */
function wholeMonths(first: Temporal.PlainDate, last: Temporal.PlainDate): number | null {
  if (first.day !== 1 || last.day !== last.daysInMonth) return null
  return (last.year - first.year) * 12 + last.month - first.month + 1
}

/**
 * A day or month of a period → its counterpart in the period before: the day or month as far from the beginning. Null where
 * that one is not so long (31 October has no counterpart in September).
 */
export function counterpartOf(label: string, period: DayRange, before: DayRange): string | null {
  if (label.length === 'YYYY-MM'.length) {
    const months = Temporal.PlainYearMonth.from(period.firstDay.slice(0, 7)).until(label, {
      largestUnit: 'month',
    })
    const found = Temporal.PlainYearMonth.from(before.firstDay.slice(0, 7)).add(months).toString()
    return found <= before.lastDay.slice(0, 7) ? found : null
  }
  const days = Temporal.PlainDate.from(period.firstDay).until(label)
  const found = Temporal.PlainDate.from(before.firstDay).add(days).toString()
  return found <= before.lastDay ? found : null
}

/** Every day of a period. */
export function daysOf({ firstDay, lastDay }: DayRange): string[] {
  const last = Temporal.PlainDate.from(lastDay)
  const days: string[] = []
  for (
    let day = Temporal.PlainDate.from(firstDay);
    Temporal.PlainDate.compare(day, last) <= 0;
    day = day.add({ days: 1 })
  ) {
    days.push(day.toString())
  }
  return days
}
