/**
 * The ledger's entries, as `hub ledger export` prints them and projections read them.
 *
 * Glossary
 *   entry      one thing that happened, never edited; its id is unique in its stream, for good
 *   stream     `ledger` (business, never trimmed) or `telemetry` (vehicle status and device health, trimmed)
 *   lane       a stream is kept in LANES lanes, so that it can be spread over a Redis Cluster; an aggregate
 *              (a serial, a device, a lead) always writes to the same lane, so its entries are in order
 *   number     1, 2, 3 … within a lane, without gaps: a missing number is a missing entry
 *   chain      sha1(previous chain, instant, body): editing one entry breaks every later link of its lane
 *   position   how far a reader has come in all lanes; opaque, to be kept and handed back
 *
 * No entry carries a phone number or a name: a customer is `cus_<HMAC of the phone>`.
 */

export const LANES = 16

export type Stream = 'ledger' | 'telemetry'

export interface Entry<Data = Record<string, unknown>> {
  /** The id: `number * LANES + lane`, in decimal. */
  readonly entry: string
  readonly lane: number
  readonly number: number
  /** When it was committed, by the store's one clock: ISO 8601, UTC, milliseconds. */
  readonly at: string
  /** `sale.registered`, `sale.rejected`, `alert.raised`, `message.quarantined`, `vehicle.status`, `device.health`, … */
  readonly type: string
  readonly data: Data
  readonly chain: string
}

export const entryId = (lane: number, number: number): string => String(number * LANES + lane)

/** An entry's id → where it stands, or null when it is no id. */
export function parseEntryId(id: string): { lane: number; number: number } | null {
  if (!/^[1-9]\d{0,14}$/.test(id)) return null
  const value = Number(id)
  const number = Math.floor(value / LANES)
  return number < 1 ? null : { lane: value % LANES, number }
}

/** `sale.registered` and `sale.rejected`: the sale as it was decided. */
export interface SaleEntry {
  /** Null when an invalid sale's id could not be read. */
  event_id: string | null
  dealer: string
  device: string
  serial?: string
  model?: string
  /** Whole units of `currency`. */
  price?: number
  currency?: string
  /** ISO 8601, UTC. */
  sold_at?: string
  channel?: string
  lead_id?: string
  /** `cus_<HMAC of the phone>`. */
  customer?: string
  seq?: number
  /** Region of the selling dealer; absent when the dealer is not in the directory. */
  region?: string
  /** Registered only: the serial stood in the registration ledger. */
  verified?: boolean
  /** Registered only: what was flagged, for people to look at. */
  flags?: SaleFlag[]
  /** With flag `diversion`: the dealer the serial was allotted to. */
  allotted_dealer?: string
  /** With flag `model_mismatch`: the model the registration ledger has. */
  allotted_model?: string
  /** With flag `below_map`: the threshold, whole units. */
  map?: number
  reason?: 'duplicate_serial' | 'unknown_serial' | 'wrong_dealer' | 'invalid' | null
  errors?: { field: string; expected: string; received: string }[]
  first?: { event_id: string; dealer: string; at: string } | null
  /** Rejected as invalid: where the raw bytes are kept. */
  quarantine?: string
}

export type SaleFlag = 'diversion' | 'model_mismatch' | 'below_map'

/** `alert.raised`: P0 to phones, P1 to the page, P2 to the daily digest. What it is about depends on its cause. */
export interface AlertEntry {
  tier: 'P0' | 'P1' | 'P2'
  cause: AlertCause
  /** Of a sale: who reported it. Of a lead: who held it. */
  dealer?: string
  device?: string
  serial?: string
  event_id?: string
  /** Duplicate serial only: the other party. */
  first?: { event_id: string; dealer: string; at: string }
  lead?: string
  rep?: string
  /** `cus_…` */
  customer?: string
}

export const ALERT_CAUSES = [
  'duplicate_serial',
  'unknown_serial',
  'diversion',
  'model_mismatch',
  'below_map',
  'lead_unclaimed',
  'lead_uncontacted',
  'lead_expired',
  'customer_needs_human',
] as const
export type AlertCause = (typeof ALERT_CAUSES)[number]

/** `crm.refused`: a CRM will never take what it was told of an entry. */
export interface CrmRefusedEntry {
  /** `webhook` or `qontak` */
  target: string
  /** Id of the entry it was told of. */
  entry: string
  /** `http_422`, `gave_up_timeout`, … */
  reason: string
  attempts: number
}

/** `message.quarantined`: bytes that could not be decoded, other than a sale's. */
export interface QuarantineEntry {
  quarantine: string
  topic: string
  sender: string
  errors: { field: string; expected: string; received: string }[]
}

/** `vehicle.status` in the telemetry stream: the event, with the unit that sent it. */
export interface StatusEntry {
  event_id: string
  dealer: string
  device: string
  serial: string
  at: string
  odometer_km: number
  battery_pct: number
  lat: number
  lon: number
  state: 'parked' | 'riding' | 'charging' | 'fault'
  fault_code?: string
}

/** `device.health` in the telemetry stream. */
export interface HealthEntry {
  dealer: string
  device: string
  /** The device's own clock, or the store's when it sent none. */
  at: string | null
  online: boolean
  uptime_s?: number
  firmware?: string
  queue_depth?: number
  rssi_dbm?: number
}
