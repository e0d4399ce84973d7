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

/** The day of an instant within a span: `YYYY-MM-DD`. */
export function dayIn({ offsetMs }: Span, timeMs: number): string {
  return new Date(Math.floor((timeMs + offsetMs) / DAY_MS) * DAY_MS).toISOString().slice(0, 10)
}

const midnight = (day: Temporal.PlainDate, timezone: string): Temporal.ZonedDateTime =>
  day.toZonedDateTime(timezone)
