/**
 * Business days: a day begins at midnight of the hub's time zone, instants are kept in UTC. Both drivers group by day
 * with the plain arithmetic of one UTC offset, so a range of days is cut into spans in which the offset does not
 * change. (InfluxDB's `tz()` would do as well, where its server has a time zone database.)
 */

export const DAY_MS = 86_400_000

export interface DayRange {
  /** `YYYY-MM-DD`, both inclusive. */
  readonly firstDay: string
  readonly lastDay: string
}

export interface Span {
  /** Milliseconds since 1970; `endMs` is exclusive. */
  readonly startMs: number
  readonly endMs: number
  /** Local time minus UTC. */
  readonly offsetMs: number
}

export interface Month {
  /** `YYYY-MM` */
  readonly month: string
  /** `endMs` is exclusive. */
  readonly startMs: number
  readonly endMs: number
}

/** Tells the month of an instant, and remembers those met before: what is looked at together lies in few. */
export function createMonthFinder(timezone: string): (timeMs: number) => Month {
  const known: Month[] = []
  return (timeMs) => {
    const index = known.findIndex(({ startMs, endMs }) => timeMs >= startMs && timeMs < endMs)
    const found = known[index] ?? monthAt(timeMs, timezone)
    if (index !== 0) {
      if (index > 0) known.splice(index, 1)
      known.unshift(found)
    }
    return found
  }
}

function monthAt(timeMs: number, timezone: string): Month {
  const instant = Temporal.Instant.fromEpochMilliseconds(timeMs)
  const month = instant.toZonedDateTimeISO(timezone).toPlainDate().toPlainYearMonth()
  const begin = (of: Temporal.PlainYearMonth) => midnight(of.toPlainDate({ day: 1 }), timezone)
  return {
    month: month.toString(),
    startMs: begin(month).epochMilliseconds,
    endMs: begin(month.add({ months: 1 })).epochMilliseconds,
  }
}

/**
 * The spans that make up these days, oldest first: one, and one more for each change of the clocks within.
 * @throws RangeError for what is no day, no time zone, or a range that ends before it begins
 */
export function spansOf({ firstDay, lastDay }: DayRange, timezone: string): Span[] {
  const end = midnight(Temporal.PlainDate.from(lastDay).add({ days: 1 }), timezone)
  let start = midnight(Temporal.PlainDate.from(firstDay), timezone)
  if (start.epochMilliseconds >= end.epochMilliseconds) {
    throw new RangeError(`${lastDay} lies before ${firstDay}`)
  }
  const spans: Span[] = []
  while (start.epochMilliseconds < end.epochMilliseconds) {
    const change = start.getTimeZoneTransition('next')
    const next = change !== null && change.epochMilliseconds < end.epochMilliseconds ? change : end
    spans.push({
      startMs: start.epochMilliseconds,
      endMs: next.epochMilliseconds,
      offsetMs: start.offsetNanoseconds / 1_000_000,
    })
    start = next
  }
  return spans
}

/** A range of days, cut into its calendar months: each with the part of it that lies in the range. */
export function monthsOf({
  firstDay,
  lastDay,
}: DayRange): (DayRange & { month: string; isWhole: boolean })[] {
  const last = Temporal.PlainDate.from(lastDay)
  const months: (DayRange & { month: string; isWhole: boolean })[] = []
  let day = Temporal.PlainDate.from(firstDay)
  while (Temporal.PlainDate.compare(day, last) <= 0) {
    const monthEnd = day.with({ day: day.daysInMonth })
    const end = Temporal.PlainDate.compare(monthEnd, last) < 0 ? monthEnd : last
    months.push({
      month: day.toPlainYearMonth().toString(),
      firstDay: day.toString(),
      lastDay: end.toString(),
      isWhole: day.day === 1 && end.equals(monthEnd),
    })
    day = end.add({ days: 1 })
  }
  return months
}

/** The day of an instant within a span: `YYYY-MM-DD`. */
export function dayIn({ offsetMs }: Span, timeMs: number): string {
  return new Date(Math.floor((timeMs + offsetMs) / DAY_MS) * DAY_MS).toISOString().slice(0, 10)
}

const midnight = (day: Temporal.PlainDate, timezone: string): Temporal.ZonedDateTime =>
  day.toZonedDateTime(timezone)
