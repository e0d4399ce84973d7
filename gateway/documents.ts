/**
 * Every document, lock and index the hub keeps, with its key and its shape: the one place that knows their names.
 * Entries are in `contract/ledger.ts`; how keys are spread over shards is in `store/keys.ts`.
 *
 *   aggregate   what stands under it
 *   serial      the lock that the first sale took, the registration ledger's row, the last status, rejected attempts,
 *               receipts for sales of it that wait
 *   event       `event:{dealer}/{device}/{event_id}`: what was said under that id, so that it can't mean two things
 *   device      credential, last health, sequence numbers seen
 */
import { createHash } from 'node:crypto'
import { type DeviceName, deviceId } from './contract/topics.ts'
import type { Ranges } from './sequences.ts'
import { type Key, keyFor, keyIn, nameOfKey, type Shard, shardOf } from './store/keys.ts'
import type { Position } from './store/store.ts'

// — serial —

/**
 * Lock: the sale that registered this serial. When and by which entry: the lock's `atMs` and `entry`. Written again only when
 * that sale is voided, and when the serial is sold anew after it.
 */
export interface SerialHolder {
  event_id: string
  dealer: string
  device: string
  /** Of the sale's content: the same event sent again has the same. */
  fingerprint: string
  /** Taken back: the entry of that sale. The serial may be sold again, by another event. */
  voided?: string
  /** Sales of this serial that were voided before: sent again, each is still known. */
  earlier?: { event_id: string; dealer: string; fingerprint: string; sale: string }[]
}
export const serialKey = (serial: string): Key => keyFor('serial', serial)

/** Lock: a sale that was rejected; its entry says why. In the shard of the serial. */
export const rejectedKey = (serial: string, name: DeviceName, eventId: string, fingerprint: string): Key =>
  keyIn(shardOf(serial), `rejected:${deviceId(name)}/${eventId}/${fingerprint}`)

/** Index: the entries of rejected attempts to sell this serial, by the hub's clock when they were decided. */
export const attemptsIndex = (serial: string): Key => keyFor('attempts', serial)

/** Document: the last status of the vehicle with this serial. */
export interface VehicleDoc {
  dealer: string
  device: string
  event_id: string
  at: string
  odometer_km: number
  battery_pct: number
  lat: number
  lon: number
  state: string
  fault_code?: string
  /** Ids of the last events taken in, newest last: a repeat is known and not appended again. */
  recent: string[]
}
export const vehicleKey = (serial: string): Key => keyFor('vehicle', serial)

// — event and device —

/** Lock in the device's shard; its value is the content's fingerprint, marked when the sale was refused. */
export const eventKey = (name: DeviceName, eventId: string): Key =>
  keyIn(shardOf(deviceId(name)), `event:${deviceId(name)}/${eventId}`)

/**
 * Index in a serial's shard: entries whose receipt this device has not acknowledged and no hub holds in memory; see
 * `effects/receipts.ts`.
 */
export const receiptsIndex = (shard: Shard, device: string): Key => keyIn(shard, `receipts:${device}`)

/** Document: up to where in the ledger no receipt depends on that hub's memory; see `effects/receipt-marks.ts`. */
export interface ReceiptMarkDoc {
  position: Position
}
const MARKS_SHARD = shardOf('receipt-marks')
export const receiptMarkKey = (hub: string): Key => keyIn(MARKS_SHARD, `receipt-mark:${hub}`)
/** Index: the hubs that have a mark, score 0. */
export const RECEIPT_MARKS_INDEX: Key = keyIn(MARKS_SHARD, 'receipt-marks')
/** Document: written when receipts were put into the outbox for devices of whichever hub; its version counts. */
export const RECEIPTS_BELL: Key = keyIn(MARKS_SHARD, 'receipts-bell')

/** Document: a provisioned device. The credential is 256 random bits, kept as its SHA-256. */
export interface DeviceDoc {
  dealer: string
  device: string
  /** Hex. */
  credential_sha256: string
  created_at: string
}
export const deviceKey = (id: string): Key => keyFor('device', id)
/** Index, one in each shard: the ids of provisioned devices of that shard, all with score 0. */
export const devicesIndex = (shard: Shard): Key => keyIn(shard, 'devices')

/** Document: the last health report of a device. */
export interface HealthDoc {
  /** The device's clock, or null when it sent none. */
  at: string | null
  online: boolean
  uptime_s?: number
  firmware?: string
  queue_depth?: number
  rssi_dbm?: number
}
export const healthKey = (id: string): Key => keyFor('health', id)

/** Document: which sequence numbers of a device's sales the ledger holds; see `sequences.ts`. */
export interface SequenceDoc {
  seen: Ranges
}
export const sequenceKey = (id: string): Key => keyFor('sequence', id)

// — people and programs —

/** Document: an API token; its key holds the token's SHA-256. */
export interface TokenDoc {
  /** `admin`, `manager`, `analyst`, `dealer:{id}`, `bridge:{bridge}` */
  role: string
  created_at: string
}
export const tokenKey = (token: string): Key =>
  keyFor('token', createHash('sha256').update(token).digest('hex'))

/** Lock: the secret itself, where the hubs of one store have no other place in common; see `secrets.ts`. */
export const secretKey: Key = keyFor('secret', 'hub')
/** Lock: a fingerprint of the secret this store was made with. */
export const secretFingerprintKey: Key = keyFor('secret-fingerprint', 'hub')

/** Document: personal data of a customer, apart from the ledger; erasing it leaves the ledger whole. */
export interface CustomerDoc {
  phone: string
}
export const customerKey = (customer: string): Key => keyFor('customer', customer)

// — reference data —

export const REFERENCE_KINDS = ['dealers', 'reps', 'managers', 'serials', 'prices'] as const
export type ReferenceKind = (typeof REFERENCE_KINDS)[number]

/**
 * Document: which imports of one kind count. An import stages its rows under a generation of its own and becomes
 * visible as a whole when `current` moves to it; one that died on the way is listed as aborted by the next.
 */
export interface ReferenceDoc {
  current: number
  /** Staging, or null. */
  staging: number | null
  aborted: number[]
  /** Rows of the last import that counts, and when it came (ISO 8601). */
  rows: number
  imported_at: string | null
}
export const referenceKey = (kind: ReferenceKind): Key => keyFor('reference', kind)

/** What is kept under a reference key: the row that counts and perhaps a staged one, oldest first. */
export type Versioned<Row> = { generation: number; row: Row }[]

/** The version that counts, or null. */
export function visibleVersion<Row>(
  versions: Versioned<Row>,
  reference: ReferenceDoc,
): Versioned<Row>[number] | null {
  const counts = ({ generation }: { generation: number }) =>
    generation <= reference.current && !reference.aborted.includes(generation)
  return versions.findLast(counts) ?? null
}

/** The row that counts, or null. */
export const visibleRow = <Row>(
  versions: Versioned<Row> | null | undefined,
  reference: ReferenceDoc | null | undefined,
): Row | null => (versions && reference ? (visibleVersion(versions, reference)?.row ?? null) : null)

export interface DealerRow {
  dealer_id: string
  name: string
  region: string
  lat: number
  lon: number
  /** `09:00`, hub time zone. */
  opens: string
  closes: string
  /** null: no quota. */
  daily_quota: number | null
  phone: string | null
  attributes?: Record<string, string>
}
export const dealerKey = (dealer: string): Key => keyFor('dealer', dealer)
/** Index, one in each shard: ids of dealers in the directory, score 0. */
export const dealersIndex = (shard: Shard): Key => keyIn(shard, 'dealers')

export const LANGUAGES = ['id', 'en'] as const
export type Language = (typeof LANGUAGES)[number]

/** A dealer's sales rep. */
export interface RepRow {
  rep_id: string
  dealer_id: string
  name: string
  /** E.164. */
  phone: string
  language: Language
  attributes?: Record<string, string>
}
export const repKey = (rep: string): Key => keyFor('rep', rep)
/** Index, one in each shard: ids of reps, score 0. */
export const repsIndex = (shard: Shard): Key => keyIn(shard, 'reps')

/** Somebody who answers for a region, and hears of what can't wait. */
export interface ManagerRow {
  manager_id: string
  region: string
  name: string
  /** E.164. */
  phone: string
  language: Language
  attributes?: Record<string, string>
}
export const managerKey = (manager: string): Key => keyFor('manager', manager)
/** Index, one in each shard: ids of managers, score 0. */
export const managersIndex = (shard: Shard): Key => keyIn(shard, 'managers')

/** One row of the corporate registration ledger. */
export interface RegistrationRow {
  model: string
  /** null: any dealer may sell it. */
  dealer_id: string | null
  /** `YYYY-MM-DD`, or null. */
  produced_on: string | null
  attributes?: Record<string, string>
}
export const registrationKey = (serial: string): Key => keyFor('registration', serial)

/** All prices of one model. */
export interface PricesRow {
  prices: PriceRow[]
}
export interface PriceRow {
  /** null: every region without a price of its own. */
  region: string | null
  /** Whole currency units. */
  msrp: number
  /** Minimum advertised price, whole currency units. */
  map: number
  /** `YYYY-MM-DD`, hub time zone. */
  valid_from: string
  attributes?: Record<string, string>
}
export const pricesKey = (model: string): Key => keyFor('prices', model)
/** Index, one in each shard: models that have prices, score 0. */
export const pricesIndex = (shard: Shard): Key => keyIn(shard, 'prices')

// — what was spent and done —

/** Document: the last version of a spend entry or an activity; see `contract/economics.ts`. */
export interface ReportDoc<Facts> {
  version: number
  /** null: taken back. */
  now: Facts | null
  /** Of the report as it came: the same again changes nothing. */
  fingerprint: string
}
export const spendKey = (id: string): Key => keyFor('spend', id)
export const activityKey = (id: string): Key => keyFor('activity', id)
/** Indexes, one in each shard: ids, newest business day first (by minus its day number). */
export const spendsIndex = (shard: Shard): Key => keyIn(shard, 'spends')
export const activitiesIndex = (shard: Shard): Key => keyIn(shard, 'activities')
/** Lock: an initiative that spend or an activity has named; a lead's campaign that bears this name belongs to it. */
export const initiativeKey = (initiative: string): Key => keyFor('initiative', initiative)

// — followers of the ledger —

/** Document: how far a follower (`sequences`) has come in the ledger. */
export interface CheckpointDoc {
  position: Position
}
export const checkpointKey = (follower: string): Key => keyFor('checkpoint', follower)

/** Document under `checkpointKey('crm-{target}')`: how far a CRM was told; see `effects/crm.ts`. */
export type CrmCheckpointDoc = {
  position: Position
  /** To be told of up to `position`, oldest first. */
  waiting: WaitingDelivery[]
  /** When it last took something, ms; null: never. */
  delivered_at: number | null
}
export type WaitingDelivery = {
  /** Id of the ledger entry. */
  entry: string
  /** What is told in order has the same; see `crmOrderKey`. */
  order: string
  attempts: number
  /** First attempt, ms; null: none yet. */
  first_ms: number | null
  /** Not before, ms. */
  due_ms: number
}
/** Lock in the entry's shard: a CRM refused it, and the ledger says so. */
export const crmRefusedKey = (shard: Shard, target: string, entry: string): Key =>
  keyIn(shard, `crm-refused:${target}/${entry}`)

/**
 * Document: what the CRM of Qontak was given, so that it is not given twice: `contact/{customer}`, `deal/{lead}`,
 * `note/{lead}`; see `bridges/qontak/crm.ts`.
 */
export type QontakRecordDoc = {
  /** Qontak's; null: it was asked to make one, and what came of it is not known. */
  id: string | null
  /** Before it was asked, ms. */
  asked_ms: number
}
export const qontakRecordKey = (about: string): Key => keyFor('qontak-record', about)

// — quarantine —

/** Document: bytes that could not be decoded, kept until somebody replays them. */
export interface QuarantineDoc {
  topic: string
  /** Who sent it: `{dealer}/{device}`, or the API client's id. */
  sender: string
  received_at: string
  payload_base64: string
  errors: { field: string; expected: string; received: string }[]
  state: 'waiting' | 'replayed'
  replayed_at?: string
}
/** The id is made from topic, sender and bytes: the same bytes sent again are the same item. */
export const quarantineKey = (id: string): Key => keyFor('quarantine', id)
export const quarantineIdOf = (key: Key): string => nameOfKey(key).slice('quarantine:'.length)
/** Index, one in each shard: ids of the items of that shard, by when they came (ms). */
export const quarantineIndex = (shard: Shard): Key => keyIn(shard, 'quarantine')
