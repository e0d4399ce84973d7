/**
 * What the metrics hold: one entry per measurement. Drivers, points and queries all read this table, so a new
 * measurement is a new entry here and a new function in `points.ts`, and no change in a driver.
 *
 * Glossary
 *   measurement  a kind of point, such as `sales`
 *   tag          what figures are grouped and filtered by: few values, always present (`none` when there is none)
 *   sum          a whole number that adds up: counts, flags (0 or 1), money in whole units of its currency; where it is
 *                missing it is 0
 *   gauge        a measured number that does not add up
 *   text         what leads back to the ledger; unbounded, so never a tag
 *   series       a measurement with one set of tag values
 *
 * Cardinality. Every tag is bounded by what the hub itself admits: dealers and their regions (the directory),
 * models (the registration ledger, see `points.ts`), currencies (26³), and closed lists. Serials, devices and event
 * ids grow with the business and are texts.
 */
import type { Stream } from '../gateway/contract/ledger.ts'

interface Design {
  /** Where its entries come from. */
  readonly stream: Stream
  readonly tags: readonly string[]
  readonly sums: readonly string[]
  readonly gauges: readonly string[]
  readonly texts: readonly string[]
}

/**
 * Raise it with every change that makes other points of old entries: hubs then drop the ledger's measurements and
 * make them again. Measurements of telemetry stay (their stream is trimmed): give those a new name instead.
 */
export const DESIGN = 1

/** The value of a tag that has none. Written out, so that every point of a measurement has all its tags. */
export const NONE = 'none'

export const MEASUREMENTS = {
  sales: {
    stream: 'ledger',
    tags: ['dealer', 'region', 'channel', 'model', 'outcome', 'reason', 'currency'],
    sums: ['count', 'price', 'verified', 'diversion', 'model_mismatch', 'below_map'],
    gauges: [],
    texts: ['entry', 'serial', 'device'],
  },
  alerts: {
    stream: 'ledger',
    tags: ['dealer', 'tier', 'cause'],
    sums: ['count'],
    gauges: [],
    texts: ['entry', 'serial', 'device'],
  },
  quarantine: {
    stream: 'ledger',
    tags: ['dealer', 'kind'],
    sums: ['count'],
    gauges: [],
    texts: ['entry', 'sender'],
  },
  vehicle_status: {
    stream: 'telemetry',
    tags: ['dealer', 'state'],
    sums: ['count'],
    gauges: ['odometer_km', 'battery_pct'],
    texts: ['entry', 'serial', 'device', 'fault_code'],
  },
  device_health: {
    stream: 'telemetry',
    tags: ['dealer', 'online'],
    sums: ['count'],
    gauges: ['uptime_s', 'queue_depth', 'rssi_dbm'],
    texts: ['entry', 'device', 'firmware'],
  },
} as const satisfies Record<string, Design>

export type Measurement = keyof typeof MEASUREMENTS
export type TagOf<M extends Measurement> = (typeof MEASUREMENTS)[M]['tags'][number]
export type SumOf<M extends Measurement> = (typeof MEASUREMENTS)[M]['sums'][number]

/** The same table for code that walks all columns. */
export const designOf = (measurement: Measurement): Design => MEASUREMENTS[measurement]

export const measurementsOf = (stream: Stream): Measurement[] =>
  (Object.keys(MEASUREMENTS) as Measurement[]).filter((name) => MEASUREMENTS[name].stream === stream)

export const ALL_MEASUREMENTS = Object.keys(MEASUREMENTS) as readonly Measurement[]

/** One point. `values` holds tags, sums, gauges and texts by name; a missing value is left out. */
export interface Point {
  readonly measurement: Measurement
  /** Milliseconds since 1970, at least 1 and before 2262 (what a nanosecond timestamp holds). */
  readonly timeMs: number
  /** 0 … 999,999: nanoseconds after `timeMs`, which keep neighbours apart. */
  readonly tiebreak: number
  readonly values: Readonly<Record<string, string | number | undefined>>
}
