/**
 * A terminal reports a sale. In this order, the first that holds decides:
 *
 *   1. the same event was decided before                 → replayed: the original entry, nothing new in the ledger
 *   2. its event_id was used for another sale            → rejected, invalid
 *   3. the serial was sold before under another event_id → rejected, duplicate_serial; both parties kept; P1
 *      (unless that sale was voided: then the serial is free again)
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
  eventKey,
  type PriceRow,
  type RegistrationRow,
  receiptsIndex,
  registrationKey,
  rejectedKey,
  type SerialHolder,
  serialKey,
  type Versioned,
  visibleRow,
} from '../documents.ts'
import { shardOfKey } from '../store/keys.ts'
import { type Doc, ENTRY_ID, type Json, type Writes } from '../store/store.ts'
import {
  type Decider,
  type Decision,
  type Docs,
  type Keys,
  type Moment,
  type ProposedWrite,
  receiptMember,
} from './decision.ts'

export interface SaleReport {
  readonly name: DeviceName
  readonly event: DecodedSale
}

type Name = 'serial' | 'rejected' | 'event' | 'registration'

const READS = ['serial', 'registration'] as const satisfies readonly Name[]

/** An event's own locks hardly ever stand: nobody asks for them until one was found held. */
export const saleDecider: Decider<SaleReport, Name> = {
  keys,
  reads: READS,
  readsAgain: [...READS, 'event', 'rejected'],
  decide,
}

function keys({ name, event }: SaleReport): Keys<Name> {
  return {
    serial: serialKey(event.serial),
    rejected: rejectedKey(event.serial, name, event.event_id, fingerprintOf(event)),
    event: eventKey(name, event.event_id),
    registration: registrationKey(event.serial),
  }
}

function decide(report: SaleReport, docs: Docs<Name>, keys: Keys<Name>, moment: Moment): Decision {
  const { name, event } = report
  const { serials } = moment.directory
  const fingerprint = fingerprintOf(event)

  if (docs.rejected !== null) return replayed(report, keys, moment, docs.rejected.entry as string)

  if (docs.event !== null && ![fingerprint, refused(fingerprint)].includes(docs.event.value as string)) {
    const error = {
      field: 'event_id',
      expected: 'an id used for one sale only',
      received: `${event.event_id}, which was used for another sale`,
    }
    return reject(report, moment, keys, { reason: 'invalid', errors: [error] })
  }

  const holder = docs.serial?.value as SerialHolder | undefined
  if (docs.serial !== null && holder !== undefined) {
    const isThis = (sale: Pick<SerialHolder, 'event_id' | 'dealer' | 'fingerprint'>) =>
      sale.event_id === event.event_id && sale.dealer === name.dealer && sale.fingerprint === fingerprint
    if (isThis(holder)) return replayed(report, keys, moment, holder.voided ?? (docs.serial.entry as string))
    const earlier = holder.earlier?.find(isThis)
    if (earlier !== undefined) return replayed(report, keys, moment, earlier.sale)
  }
  if (docs.serial !== null && holder !== undefined && holder.voided === undefined) {
    const { event_id, dealer } = holder
    const first = { event_id, dealer, at: new Date(docs.serial.atMs).toISOString() }
    return reject(report, moment, keys, { reason: 'duplicate_serial', first })
  }

  const registration = visibleRow(docs.registration?.value as Versioned<RegistrationRow> | undefined, serials)
  const isLedgerImported = serials !== null && serials.current > 0
  if (isLedgerImported && registration === null) {
    return reject(report, moment, keys, { reason: 'unknown_serial' })
  }
  return register(report, moment, keys, registration, docs.serial)
}

function register(
  { name, event }: SaleReport,
  { directory, timezone }: Moment,
  keys: Keys<Name>,
  registration: RegistrationRow | null,
  voided: Doc | null,
): Decision {
  const region = directory.dealer(name.dealer)?.region
  const prices = directory.pricesOf(event.model)
  const price = prices === null ? null : priceOn(prices, region ?? null, dayOf(event.sold_at, timezone))
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
    ...(voided !== null && { earlier: earlierOf(voided.value as SerialHolder) }),
  }
  return {
    proposals: [
      {
        shard: shardOfKey(keys.serial),
        ...takeSerial(keys, holder, voided),
        append: [
          { stream: 'ledger', type: 'sale.registered', data: sale },
          ...flags.map((cause) => alert(name, event, cause)),
        ],
      },
      ...remember(event),
    ],
    receipt: { device: deviceId(name), member: ENTRY_ID, entry: { type: 'sale.registered', data: sale } },
  }
}

/** The serial's lock; or, where the sale that held it is void, its next version. */
function takeSerial(
  keys: Keys<Name>,
  holder: SerialHolder,
  voided: Doc | null,
): Pick<ProposedWrite, 'once' | 'check' | 'set'> {
  const said = saidOnce(keys, holder.fingerprint)
  const value = holder as unknown as Json
  if (voided === null) return { once: [said, { key: keys.serial, value }] }
  return {
    once: [said],
    check: [{ key: keys.serial, version: voided.version }],
    set: [{ key: keys.serial, value }],
  }
}

function earlierOf({ event_id, dealer, fingerprint, voided, earlier = [] }: SerialHolder) {
  return [...earlier, { event_id, dealer, fingerprint, sale: voided as string }]
}

function reject(
  { name, event }: SaleReport,
  { directory, nowMs }: Moment,
  keys: Keys<Name>,
  refusal: Required<Pick<SaleEntry, 'reason'>> & Pick<SaleEntry, 'errors'> & { first?: FirstSale },
): Decision {
  const region = directory.dealer(name.dealer)?.region
  const sale: SaleEntry = { ...facts(name, event), region, ...refusal }
  const alerts: NonNullable<Writes['append']> =
    refusal.reason === 'duplicate_serial' || refusal.reason === 'unknown_serial'
      ? [alert(name, event, refusal.reason, refusal.first)]
      : []
  // An id that means another sale is refused for itself alone: it must not take that sale's place.
  const said = refusal.reason === 'invalid' ? [] : [saidOnce(keys, refused(fingerprintOf(event)))]
  return {
    proposals: [
      {
        shard: shardOfKey(keys.serial),
        once: [...said, { key: keys.rejected, value: 1 }],
        append: [{ stream: 'ledger', type: 'sale.rejected', data: sale }, ...alerts],
        index: [{ name: attemptsIndex(event.serial), member: ENTRY_ID, score: nowMs }],
      },
    ],
    receipt: { device: deviceId(name), member: ENTRY_ID, entry: { type: 'sale.rejected', data: sale } },
  }
}

function replayed({ name }: SaleReport, keys: Keys<Name>, { nowMs }: Moment, entry: string): Decision {
  const device = deviceId(name)
  const shard = shardOfKey(keys.serial)
  const member = receiptMember(entry, true)
  return {
    proposals: [{ shard, index: [{ name: receiptsIndex(shard, device), member, score: nowMs }] }],
    receipt: { device, member, entry: null },
  }
}

/**
 * The same event_id must not mean two sales; the lock is the event's own, so it lives in the device's shard. It also
 * tells a sale that was refused: sent again, it must not be registered because the world has changed meanwhile.
 */
const saidOnce = (keys: Keys<Name>, value: string) => ({ key: keys.event, value, equalIsMine: true }) as const

const refused = (fingerprint: string): string => `refused ${fingerprint}`

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
