/**
 * A ledger or telemetry entry → its point, by its content alone: no clock, no I/O. The same entry always makes the
 * identical point, so writing it twice changes nothing.
 *
 * Time. A sale stands at its `sold_at`, so a sale that was sent late restates the day it was made; everything else
 * stands at its entry's own instant. Entries are numbered about one by one over the whole hub, so the id's last six
 * digits become the nanoseconds below the millisecond: two entries of one series and one millisecond could only
 * collide when a million others lie between them.
 *
 * Trust. The hub wrote these entries, but an invalid sale's entry repeats what could be read of it. One value of a
 * wrong type would stop a metrics database for good, so every value is checked here.
 */
import { CHANNELS } from '../gateway/contract/events.ts'
import type {
  AlertEntry,
  Entry,
  HealthEntry,
  QuarantineEntry,
  SaleEntry,
  SaleFlag,
  StatusEntry,
} from '../gateway/contract/ledger.ts'
import { DEVICE_UPLINKS, parseDeviceId, parseDeviceTopic } from '../gateway/contract/topics.ts'
import { type Measurement, NONE, type Point } from './measurements.ts'

const TIEBREAKS = 1_000_000
/** The last millisecond whose nanoseconds fit in 64 bits (2262-04-11). */
const TIME_MS_MAX = Math.floor(Number(2n ** 63n / 1_000_000n)) - 1

/** @returns null for entries that make no point. */
export function pointFor(entry: Entry): Point | null {
  switch (entry.type) {
    case 'sale.registered':
      return registeredSale(entry, entry.data as unknown as SaleEntry)
    case 'sale.rejected':
      return rejectedSale(entry, entry.data as unknown as SaleEntry)
    case 'alert.raised':
      return alert(entry, entry.data as unknown as AlertEntry)
    case 'message.quarantined':
      return quarantined(entry, entry.data as unknown as QuarantineEntry)
    case 'vehicle.status':
      return vehicleStatus(entry, entry.data as unknown as StatusEntry)
    case 'device.health':
      return deviceHealth(entry, entry.data as unknown as HealthEntry)
    default:
      return null
  }
}

function registeredSale(entry: Entry, sale: SaleEntry): Point {
  // Hardly ever set, and each field costs InfluxDB as much as the next: where one is missing it is 0.
  const flagged = (flag: SaleFlag) => (sale.flags?.includes(flag) ? 1 : undefined)
  return point('sales', entry, soldAtMs(entry, sale), {
    dealer: tag(sale.dealer),
    region: tag(sale.region),
    channel: oneOf(CHANNELS, sale.channel),
    // Where the registration ledger knows better, its model counts: a terminal may send anything, and it must not
    // be able to make a new series with each sale.
    model: tag(sale.allotted_model ?? sale.model),
    outcome: 'registered',
    reason: tag(sale.reason),
    currency: tag(sale.currency),
    count: 1,
    price: whole(sale.price),
    verified: sale.verified === true ? 1 : 0,
    diversion: flagged('diversion'),
    model_mismatch: flagged('model_mismatch'),
    below_map: flagged('below_map'),
    entry: entry.entry,
    serial: text(sale.serial),
    device: text(sale.device),
  })
}

/** A refused sale's model, currency and price are claims, not figures: it counts, and adds no money. */
function rejectedSale(entry: Entry, sale: SaleEntry): Point {
  return point('sales', entry, soldAtMs(entry, sale), {
    dealer: tag(sale.dealer),
    region: tag(sale.region),
    channel: oneOf(CHANNELS, sale.channel),
    model: NONE,
    outcome: 'rejected',
    reason: tag(sale.reason),
    currency: NONE,
    count: 1,
    entry: entry.entry,
    serial: text(sale.serial),
    device: text(sale.device),
  })
}

function alert(entry: Entry, { dealer, tier, cause, serial, device }: AlertEntry): Point {
  return point('alerts', entry, committedAtMs(entry), {
    dealer: tag(dealer),
    tier: tag(tier),
    cause: tag(cause),
    count: 1,
    entry: entry.entry,
    serial: text(serial),
    device: text(device),
  })
}

function quarantined(entry: Entry, { topic, sender }: QuarantineEntry): Point {
  return point('quarantine', entry, committedAtMs(entry), {
    dealer: tag(parseDeviceId(sender)?.dealer),
    kind: oneOf(DEVICE_UPLINKS, parseDeviceTopic(topic)?.kind),
    count: 1,
    entry: entry.entry,
    sender: text(sender),
  })
}

/** Where a vehicle stands is its owner's business: positions stay in the vehicle's own document. */
function vehicleStatus(entry: Entry, status: StatusEntry): Point {
  return point('vehicle_status', entry, committedAtMs(entry), {
    dealer: tag(status.dealer),
    state: tag(status.state),
    count: 1,
    odometer_km: measured(status.odometer_km),
    battery_pct: measured(status.battery_pct),
    entry: entry.entry,
    serial: text(status.serial),
    device: text(status.device),
    fault_code: text(status.fault_code),
  })
}

function deviceHealth(entry: Entry, health: HealthEntry): Point {
  return point('device_health', entry, committedAtMs(entry), {
    dealer: tag(health.dealer),
    online: health.online ? 'true' : 'false',
    count: 1,
    uptime_s: measured(health.uptime_s),
    queue_depth: measured(health.queue_depth),
    rssi_dbm: measured(health.rssi_dbm),
    entry: entry.entry,
    device: text(health.device),
    firmware: text(health.firmware),
  })
}

function point(measurement: Measurement, entry: Entry, timeMs: number, values: Point['values']): Point {
  return { measurement, timeMs, tiebreak: Number(entry.entry) % TIEBREAKS, values }
}

const committedAtMs = (entry: Entry): number => Date.parse(entry.at)

/** A terminal whose clock is out of all bounds still sold something: then the instant of the commit stands. */
function soldAtMs(entry: Entry, { sold_at }: SaleEntry): number {
  const timeMs = typeof sold_at === 'string' ? Date.parse(sold_at) : Number.NaN
  return timeMs >= 1 && timeMs <= TIME_MS_MAX ? timeMs : committedAtMs(entry)
}

/** Control characters and backslashes have no safe form in every InfluxDB's line protocol, lone surrogates in none. */
const UNSAFE = /[\p{Cc}\p{Cs}\\]/u
const EVERY_UNSAFE = new RegExp(UNSAFE, 'gu')

function text(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined
  return UNSAFE.test(value) ? value.replace(EVERY_UNSAFE, '_') : value
}

/** InfluxDB has no empty tag values. */
const tag = (value: unknown): string => text(value) ?? NONE

const oneOf = <Value extends string>(values: readonly Value[], value: unknown): Value | typeof NONE =>
  values.find((known) => known === value) ?? NONE

const whole = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined

const measured = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined
