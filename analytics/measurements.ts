/**
 * What the metrics hold: one entry per measurement. Drivers, points and queries all read this table, so a new
 * measurement is a new entry here and a new function in `points.ts` or `economics-points.ts`, and no change in a driver.
 *
 * Glossary
 *   measurement  a kind of point, such as `sales`
 *   tag          what figures are grouped and filtered by: few values, always present (`none` when there is none)
 *   sum          a whole number that adds up: counts, flags (0 or 1), money in whole units of its currency; where it is
 *                missing it is 0
 *   gauge        a measured number that does not add up
 *   text         what leads back to the ledger; unbounded, so never a tag
 *   series       a measurement with one set of tag values
 *   known_at     when the ledger came to know it: the instant of the entry's commit, ms. Every point of the ledger has it
 *
 * Restatement. A point is never changed. What is corrected, voided or moved makes signed points beside the first: what
 * stood is taken back with negative sums, what stands now is added, each at the day and the tags it belongs to. So a sum
 * is what stands, and the sum over `known_at` up to an instant is what stood then.
 *
 * Cardinality. Every tag is bounded by what the hub itself admits: dealers and their regions (the directory),
 * models (the registration ledger, see `points.ts`), currencies (26³), initiatives (what spend and activities have named:
 * a lead's campaign counts only when it is one of them), and closed lists. Serials, devices and event ids grow with the
 * business and are texts.
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
export const DESIGN = 2

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
  spend: {
    stream: 'ledger',
    tags: ['kind', 'initiative', 'dealer', 'region', 'channel', 'currency'],
    sums: ['count', 'amount_minor'],
    gauges: [],
    texts: ['entry', 'spend'],
  },
  activities: {
    stream: 'ledger',
    tags: ['initiative', 'dealer', 'region', 'channel'],
    sums: ['count'],
    gauges: [],
    texts: ['entry', 'activity'],
  },
  activity_days: {
    stream: 'ledger',
    tags: ['initiative', 'dealer', 'region', 'channel'],
    sums: ['count'],
    gauges: [],
    texts: ['entry', 'activity'],
  },
  leads: {
    stream: 'ledger',
    tags: ['dealer', 'region', 'channel', 'last_channel', 'initiative', 'source'],
    sums: ['raw', 'unique', 'claimed', 'sold', 'sold_verified'],
    gauges: [],
    texts: ['entry', 'lead'],
  },
  claims: {
    stream: 'ledger',
    tags: ['dealer', 'region', 'channel', 'last_channel', 'initiative'],
    sums: ['count', 'time_to_claim_ms'],
    gauges: [],
    texts: ['entry', 'lead'],
  },
  outcomes: {
    stream: 'ledger',
    tags: ['stage', 'dealer', 'region', 'channel', 'last_channel', 'initiative'],
    sums: ['count'],
    gauges: [],
    texts: ['entry', 'lead'],
  },
  conversions: {
    stream: 'ledger',
    tags: ['dealer', 'region', 'channel', 'last_channel', 'initiative', 'matched_by', 'currency'],
    sums: ['count', 'verified', 'price_minor'],
    gauges: [],
    texts: ['entry', 'lead', 'serial'],
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
  /** Of the ledger's: when the entry was committed, ms. */
  readonly knownAtMs?: number
  readonly values: Readonly<Record<string, string | number | undefined>>
}
