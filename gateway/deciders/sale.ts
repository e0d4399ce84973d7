/**
 * A terminal reports a sale. In this order, the first that holds decides:
 *
 *   1. the same event was decided before                 → replayed: the original entry, nothing new in the ledger
 *   2. its event_id was used for another sale            → rejected, invalid
 *   3. the serial was sold before under another event_id → rejected, duplicate_serial; both parties kept; P1
 *   4. the serial is not in the registration ledger      → rejected, unknown_serial; P1
 *                                                          (before the first import: registered, unverified)
 *   5. otherwise                                         → registered, with flags, each a P1 of its own:
 *        diversion        the serial was allotted to another dealer (receipt reason wrong_dealer)
 *        model_mismatch   the registration ledger has another model
 *        below_map        the price is under the model's minimum advertised price; reported, never blocked
 *
 * The serial's lock arbitrates between terminals that sell one serial in the same instant: whoever comes second is
 * decided again, with the winner among its documents.
 */
import { hash } from 'node:crypto'
import type { AlertEntry, SaleEntry, SaleFlag } from '../contract/ledger.ts'
import type { FirstSale } from '../contract/receipts.ts'
import { type DeviceName, deviceId } from '../contract/topics.ts'
import type { DecodedSale } from '../decode.ts'
import {
  attemptsIndex,
  type CustomerDoc,
  customerKey,
  type DealerRow,
  dealerKey,
  eventKey,
  type PriceRow,
  type PricesRow,
  pricesKey,
  type ReferenceDoc,
  type RegistrationRow,
  receiptsIndex,
  referenceKey,
  registrationKey,
  rejectedKey,
  type SerialHolder,
  serialKey,
  type Versioned,
  visibleRow,
} from '../documents.ts'
import { type Key, shardOf, shardOfKey } from '../store/keys.ts'
import { ENTRY_ID, type Json, type Writes } from '../store/store.ts'
import {
  type Decider,
  type Decision,
  type Docs,
  type Moment,
  type ProposedWrite,
  receiptMember,
} from './decision.ts'

export interface SaleReport {
  readonly name: DeviceName
  readonly event: DecodedSale
}

export const saleDecider: Decider<SaleReport> = { reads, decide }

function reads({ name, event }: SaleReport): Key[] {
  return [
    serialKey(event.serial),
    rejectedKey(event.serial, name, event.event_id, fingerprintOf(event)),
    registrationKey(event.serial),
    dealerKey(name.dealer),
    pricesKey(event.model),
    referenceKey('serials'),
    referenceKey('dealers'),
    referenceKey('prices'),
  ]
}

function decide(report: SaleReport, docs: Docs, { nowMs, timezone }: Moment): Decision {
  const { name, event } = report
  const fingerprint = fingerprintOf(event)

  const rejected = docs.get(rejectedKey(event.serial, name, event.event_id, fingerprint))
  if (rejected !== null) return replayed(report, rejected.entry as string, nowMs)

  // Read only after the event's lock was found held: on the ordinary way nobody has to ask.
  const said = docs.get<string>(eventKey(name, event.event_id))
  if (said !== null && said.value !== fingerprint) {
    const error = {
      field: 'event_id',
      expected: 'an id used for one sale only',
      received: `${event.event_id}, which was used for another sale`,
    }
    return reject(report, { reason: 'invalid', errors: [error] }, docs, nowMs)
  }

  const holder = docs.get<SerialHolder>(serialKey(event.serial))
  if (holder !== null) {
    const { event_id, dealer, fingerprint: soldAs } = holder.value
    if (event_id === event.event_id && dealer === name.dealer && soldAs === fingerprint) {
      return replayed(report, holder.entry as string, nowMs)
    }
    const first = { event_id, dealer, at: new Date(holder.atMs).toISOString() }
    return reject(report, { reason: 'duplicate_serial', first }, docs, nowMs)
  }

  const serials = docs.get<ReferenceDoc>(referenceKey('serials'))
  const isLedgerImported = serials !== null && serials.value.current > 0
  const registration = row<RegistrationRow>(docs, registrationKey(event.serial), 'serials')
  if (isLedgerImported && registration === null) {
    return reject(report, { reason: 'unknown_serial' }, docs, nowMs)
  }
  return register(report, registration, docs, nowMs, timezone)
}

function register(
  { name, event }: SaleReport,
  registration: RegistrationRow | null,
  docs: Docs,
  nowMs: number,
  timezone: string,
): Decision {
  const region = row<DealerRow>(docs, dealerKey(name.dealer), 'dealers')?.region
  const prices = row<PricesRow>(docs, pricesKey(event.model), 'prices')?.prices ?? []
  const price = priceOn(prices, region ?? null, dayOf(event.sold_at, timezone))
  const flags: SaleFlag[] = []
  const isDiverted = registration !== null && ![null, name.dealer].includes(registration.dealer_id)
  if (isDiverted) flags.push('diversion')
  if (registration !== null && registration.model !== event.model) flags.push('model_mismatch')
  if (price !== null && event.price < price.map) flags.push('below_map')

  const sale: SaleEntry = {
    ...facts(name, event),
    region,
    verified: registration !== null,
    reason: isDiverted ? 'wrong_dealer' : null,
    flags,
    ...(isDiverted && { allotted_dealer: registration.dealer_id as string }),
    ...(flags.includes('model_mismatch') && { allotted_model: registration?.model }),
    ...(flags.includes('below_map') && { map: price?.map }),
  }
  const holder: SerialHolder = {
    event_id: event.event_id,
    dealer: name.dealer,
    device: name.device,
    fingerprint: fingerprintOf(event),
  }
  const shard = shardOf(event.serial)
  return {
    proposals: [
      {
        shard,
        once: [saidOnce(name, event), { key: serialKey(event.serial), value: holder as unknown as Json }],
        append: [
          { stream: 'ledger', type: 'sale.registered', data: sale },
          ...flags.map((cause) => alert(name, event, cause)),
        ],
        index: [{ name: receiptsIndex(shard, deviceId(name)), member: ENTRY_ID, score: nowMs }],
      },
      ...remember(event),
    ],
    receipt: { device: deviceId(name), member: ENTRY_ID, entry: { type: 'sale.registered', data: sale } },
  }
}

function reject(
  { name, event }: SaleReport,
  refusal: Required<Pick<SaleEntry, 'reason'>> & Pick<SaleEntry, 'errors'> & { first?: FirstSale },
  docs: Docs,
  nowMs: number,
): Decision {
  const region = row<DealerRow>(docs, dealerKey(name.dealer), 'dealers')?.region
  const sale: SaleEntry = { ...facts(name, event), region, ...refusal }
  const fingerprint = fingerprintOf(event)
  const shard = shardOf(event.serial)
  const alerts: NonNullable<Writes['append']> =
    refusal.reason === 'duplicate_serial' || refusal.reason === 'unknown_serial'
      ? [alert(name, event, refusal.reason, refusal.first)]
      : []
  // An id that means another sale is refused for itself alone: it must not take that sale's place.
  const said = refusal.reason === 'invalid' ? [] : [saidOnce(name, event)]
  return {
    proposals: [
      {
        shard,
        once: [...said, { key: rejectedKey(event.serial, name, event.event_id, fingerprint), value: 1 }],
        append: [{ stream: 'ledger', type: 'sale.rejected', data: sale }, ...alerts],
        index: [
          { name: receiptsIndex(shard, deviceId(name)), member: ENTRY_ID, score: nowMs },
          { name: attemptsIndex(event.serial), member: ENTRY_ID, score: nowMs },
        ],
      },
    ],
    receipt: { device: deviceId(name), member: ENTRY_ID, entry: { type: 'sale.rejected', data: sale } },
  }
}

function replayed({ name, event }: SaleReport, entry: string, nowMs: number): Decision {
  const member = receiptMember(entry, true)
  const shard = shardOf(event.serial)
  return {
    proposals: [{ shard, index: [{ name: receiptsIndex(shard, deviceId(name)), member, score: nowMs }] }],
    receipt: { device: deviceId(name), member, entry: null },
  }
}

/** The same event_id must not mean two sales; the lock is the event's own, so it lives in the device's shard. */
const saidOnce = (name: DeviceName, event: DecodedSale) =>
  ({
    key: eventKey(name, event.event_id),
    value: fingerprintOf(event),
    equalIsMine: true,
  }) as const

/** Personal data stands beside the ledger, written once. */
function remember({ customer }: DecodedSale): ProposedWrite[] {
  if (customer === null) return []
  const key = customerKey(customer.id)
  const value: CustomerDoc = { phone: customer.phone }
  return [{ shard: shardOfKey(key), once: [{ key, value: value as unknown as Json }] }]
}

function facts(name: DeviceName, event: DecodedSale): SaleEntry {
  const { customer, ...said } = event
  return {
    ...said,
    dealer: name.dealer,
    device: name.device,
    ...(customer !== null && { customer: customer.id }),
  }
}

function alert(name: DeviceName, event: DecodedSale, cause: AlertEntry['cause'], first?: FirstSale) {
  const data: AlertEntry = {
    tier: 'P1',
    cause,
    dealer: name.dealer,
    device: name.device,
    serial: event.serial,
    event_id: event.event_id,
    ...(first && { first }),
  }
  return { stream: 'ledger', type: 'alert.raised', data } as const
}

function row<Row>(docs: Docs, key: Key, kind: 'dealers' | 'serials' | 'prices'): Row | null {
  const versions = docs.get<Versioned<Row>>(key)?.value
  return visibleRow(versions, docs.get<ReferenceDoc>(referenceKey(kind))?.value)
}

/** A price of the dealer's own region goes before one for all regions; the latest that is valid counts. */
export function priceOn(prices: readonly PriceRow[], region: string | null, day: string): PriceRow | null {
  const valid = prices.filter(({ valid_from }) => valid_from <= day)
  const own = valid.filter((price) => price.region !== null && price.region === region)
  const candidates = own.length > 0 ? own : valid.filter((price) => price.region === null)
  return candidates.reduce<PriceRow | null>(
    (latest, price) => (latest === null || price.valid_from > latest.valid_from ? price : latest),
    null,
  )
}

const dayFormats = new Map<string, Intl.DateTimeFormat>()

/** The business day of an instant: `YYYY-MM-DD` in that time zone. */
export function dayOf(instant: string, timezone: string): string {
  let format = dayFormats.get(timezone)
  if (format === undefined) {
    format = new Intl.DateTimeFormat('sv-SE', { timeZone: timezone, dateStyle: 'short' })
    dayFormats.set(timezone, format)
  }
  return format.format(new Date(instant))
}

const fingerprints = new WeakMap<DecodedSale, string>()

/** 128 bits of a hash of what the sale says, whoever sends it: the same sale sent again has the same. */
export function fingerprintOf(event: DecodedSale): string {
  let found = fingerprints.get(event)
  if (found === undefined) {
    const { serial, model, price, currency, sold_at, channel, lead_id, customer, seq } = event
    const content = [serial, model, price, currency, sold_at, channel, lead_id, customer?.id, seq]
    found = hash('sha256', JSON.stringify(content), 'base64url').slice(0, 22)
    fingerprints.set(event, found)
  }
  return found
}
