/**
 * What making points has in common: where a point stands in time, and what may be in it.
 *
 * Two points of one series and one nanosecond would be one point. Entries are numbered about one by one over the whole
 * hub, so an entry's id becomes the point's place within the time it belongs to. The wider that time, the farther apart
 * two entries must be to meet:
 *
 *   atInstant    a millisecond: a million ids. For what happens at this very instant, with others of its time
 *   restating    a second: a milliard ids. For what is learned later of an instant
 *   within       as wide as it is said. For what has a date and no instant
 *
 * Trust. The hub wrote these entries, but some repeat what could be read of a message. One value of a wrong type would
 * stop a metrics database for good, so every value is checked here.
 */
import type { Entry } from '../gateway/contract/ledger.ts'
import { designOf, type Measurement, NONE, type Point } from './measurements.ts'

const NANOS_PER_MS = 1_000_000
/** The last millisecond whose nanoseconds fit in 64 bits (2262-04-11), and a second before it. */
const TIME_MS_MAX = Math.floor(Number(2n ** 63n / 1_000_000n)) - 1001
const SECOND_MS = 1000

type Values = Point['values']

export const atInstant = (measurement: Measurement, entry: Entry, timeMs: number, values: Values): Point => ({
  measurement,
  timeMs,
  tiebreak: Number(entry.entry) % NANOS_PER_MS,
  knownAtMs: committedMs(entry),
  values,
})

export const atCommit = (measurement: Measurement, entry: Entry, values: Values): Point =>
  atInstant(measurement, entry, committedMs(entry), values)

export const restating = (measurement: Measurement, entry: Entry, timeMs: number, values: Values): Point =>
  within(measurement, entry, Math.floor(timeMs / SECOND_MS) * SECOND_MS, SECOND_MS, values)

export function within(
  measurement: Measurement,
  entry: Entry,
  beginsMs: number,
  lastsMs: number,
  values: Values,
): Point {
  const nanos = Number(entry.entry) % (lastsMs * NANOS_PER_MS)
  return {
    measurement,
    timeMs: beginsMs + Math.floor(nanos / NANOS_PER_MS),
    tiebreak: nanos % NANOS_PER_MS,
    knownAtMs: committedMs(entry),
    values,
  }
}

/** Points of one entry: those of one series and one time become one; those that change nothing are left out. */
export function merged(points: readonly Point[]): Point[] {
  const byPlace = new Map<string, Point>()
  for (const point of points) {
    const { tags, sums } = designOf(point.measurement)
    const place = JSON.stringify([
      point.measurement,
      point.timeMs,
      point.tiebreak,
      tags.map((name) => point.values[name]),
    ])
    const other = byPlace.get(place)
    if (other === undefined) {
      byPlace.set(place, point)
      continue
    }
    const both = sums
      .filter((name) => name in point.values || name in other.values)
      .map((name) => [name, sumOf(point, name) + sumOf(other, name)] as const)
    byPlace.set(place, { ...other, values: { ...other.values, ...Object.fromEntries(both) } })
  }
  return [...byPlace.values()].filter((point) =>
    designOf(point.measurement).sums.some((name) => sumOf(point, name) !== 0),
  )
}

const sumOf = ({ values }: Point, name: string): number => (values[name] as number | undefined) ?? 0

export const committedMs = (entry: Entry): number => Date.parse(entry.at)

/** Milliseconds since 1970, or null for what is none, or too far away to be kept. */
export function instantMs(instant: unknown): number | null {
  const ms = typeof instant === 'string' ? Date.parse(instant) : Number.NaN
  return ms >= 1 && ms <= TIME_MS_MAX ? ms : null
}

/** Control characters and backslashes have no safe form in every InfluxDB's line protocol, lone surrogates in none. */
const UNSAFE = /[\p{Cc}\p{Cs}\\]/u
const EVERY_UNSAFE = new RegExp(UNSAFE, 'gu')

export function text(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined
  return UNSAFE.test(value) ? value.replace(EVERY_UNSAFE, '_') : value
}

/** InfluxDB has no empty tag values. */
export const tag = (value: unknown): string => text(value) ?? NONE

export const oneOf = <Value extends string>(values: readonly Value[], value: unknown): Value | typeof NONE =>
  values.find((known) => known === value) ?? NONE

export const whole = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined

export const measured = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined
