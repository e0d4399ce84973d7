/**
 * A ledger or telemetry entry → its points, by its content alone: no clock, no setting, no I/O. The same entry always
 * makes the identical points, so writing them twice changes nothing.
 *
 * A sale stands at its `sold_at`, so a sale that was sent late restates the day it was made; most else stands at its
 * entry's own instant. Money, activities and leads are in `economics-points.ts`.
 */
import type { EconomicsEntry } from '../gateway/contract/economics.ts'
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
import {
  activityPoints,
  claimedPoints,
  createdPoints,
  duplicatePoints,
  outcomePoints,
  releasedPoints,
  soldPoints,
  spendPoints,
} from './economics-points.ts'
import { NONE, type Point } from './measurements.ts'
import {
  atCommit,
  atInstant,
  committedMs,
  instantMs,
  measured,
  oneOf,
  restating,
  tag,
  text,
  whole,
} from './point.ts'

/** Empty for entries that make none. */
export function pointsFor(entry: Entry): Point[] {
  const make = MAKERS[entry.type]
  return make === undefined ? [] : make(entry as Entry<never>)
}

const MAKERS: Readonly<Record<string, ((entry: Entry<never>) => Point[]) | undefined>> = {
  'sale.registered': (entry: Entry<never>) => [registeredSale(entry, entry.data)],
  'sale.rejected': (entry: Entry<never>) => [rejectedSale(entry, entry.data)],
  'sale.voided': (entry: Entry<never>) => [voidedSale(entry, entry.data)],
  'spend.recorded': spendPoints,
  'activity.recorded': activityPoints,
  'lead.created': createdPoints,
  'lead.duplicate': duplicatePoints,
  'lead.claimed': claimedPoints,
  'lead.released': releasedPoints,
  'lead.contacted': outcomePoints,
  'lead.demo': outcomePoints,
  'lead.won': outcomePoints,
  'lead.lost': outcomePoints,
  'lead.expired': outcomePoints,
  'lead.sold': (entry: Entry<never>) => soldPoints(entry, entry.data, 1),
  'lead.unsold': (entry: Entry<never>) => soldPoints(entry, entry.data, -1),
  'alert.raised': (entry: Entry<never>) => [alert(entry, entry.data)],
  'message.quarantined': (entry: Entry<never>) => [quarantined(entry, entry.data)],
  'vehicle.status': (entry: Entry<never>) => [vehicleStatus(entry, entry.data)],
  'device.health': (entry: Entry<never>) => [deviceHealth(entry, entry.data)],
}

function registeredSale(entry: Entry, sale: SaleEntry): Point {
  // Hardly ever set, and each field costs InfluxDB as much as the next: where one is missing it is 0.
  const flagged = (flag: SaleFlag) => (sale.flags?.includes(flag) ? 1 : undefined)
  return atInstant('sales', entry, soldAtMs(entry, sale), {
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
  return atInstant('sales', entry, soldAtMs(entry, sale), {
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

/** Takes back what the sale has added; what it added to its lead, `lead.unsold` does. */
function voidedSale(entry: Entry, voided: EconomicsEntry<'sale.voided'>): Point {
  const { dealer, region, channel, model, price, currency, verified, serial, flags = [] } = voided
  const flagged = (flag: SaleFlag) => (flags.includes(flag) ? -1 : 0)
  return restating('sales', entry, soldAtMs(entry, voided), {
    dealer: tag(dealer),
    region: tag(region),
    channel: oneOf(CHANNELS, channel),
    model: tag(model),
    outcome: 'registered',
    reason: flags.includes('diversion') ? 'wrong_dealer' : NONE,
    currency: tag(currency),
    count: -1,
    price: -(whole(price) ?? 0),
    verified: verified === true ? -1 : 0,
    diversion: flagged('diversion'),
    model_mismatch: flagged('model_mismatch'),
    below_map: flagged('below_map'),
    entry: entry.entry,
    serial: text(serial),
  })
}

function alert(entry: Entry, { dealer, tier, cause, serial, device }: AlertEntry): Point {
  return atCommit('alerts', entry, {
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
  return atCommit('quarantine', entry, {
    dealer: tag(parseDeviceId(sender)?.dealer),
    kind: oneOf(DEVICE_UPLINKS, parseDeviceTopic(topic)?.kind),
    count: 1,
    entry: entry.entry,
    sender: text(sender),
  })
}

/** Where a vehicle stands is its owner's business: positions stay in the vehicle's own document. */
function vehicleStatus(entry: Entry, status: StatusEntry): Point {
  return telemetry('vehicle_status', entry, {
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
  return telemetry('device_health', entry, {
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

/** Telemetry is no part of what was known when: it is trimmed, and never corrected. */
function telemetry(
  measurement: 'vehicle_status' | 'device_health',
  entry: Entry,
  values: Point['values'],
): Point {
  const { knownAtMs: _, ...point } = atCommit(measurement, entry, values)
  return point
}

/** A terminal whose clock is out of all bounds still sold something: then the instant of the commit stands. */
const soldAtMs = (entry: Entry, { sold_at }: { sold_at?: unknown }): number =>
  instantMs(sold_at) ?? committedMs(entry)
