/**
 * Bytes → a typed event, or what is wrong with them, field by field. The first step of the intake; pure.
 */
import { deviceEvents, type Health, type Sale, type Status } from './contract/events.ts'
import type { FieldError } from './contract/receipts.ts'
import { type DeviceName, parseDeviceTopic } from './contract/topics.ts'
import type { People } from './customers.ts'
import { decodeDevice } from './decode/device.ts'
import { fieldError } from './decode/fields.ts'
import { decodeInternal, type Sold, type TimerDue, type Unsold, type VoidSale } from './decode/internal.ts'
import {
  type DecodedJobStatus,
  type DecodedMessage,
  type DecodedSubmission,
  decodePeople,
} from './decode/people.ts'
import { type DecodedReport, decodeReport } from './decode/reports.ts'

export interface Inbound {
  readonly topic: string
  readonly payload: Uint8Array
  /** Who sent it, as it is written into the ledger: `{dealer}/{device}`, or an API client's id. */
  readonly sender: string
}

export type Decoded =
  | { readonly kind: 'sale'; readonly name: DeviceName; readonly event: DecodedSale }
  | { readonly kind: 'status'; readonly name: DeviceName; readonly event: Status }
  | { readonly kind: 'health'; readonly name: DeviceName; readonly event: Health }
  | DecodedMessage
  | DecodedJobStatus
  | DecodedSubmission
  | TimerDue
  | Sold
  | Unsold
  | VoidSale
  | DecodedReport
  | Undecodable

export interface Undecodable {
  readonly kind: 'undecodable'
  readonly inbound: Inbound
  readonly errors: FieldError[]
  /** The device that waits for a receipt, with the sale's id if that much could be read; null when none waits. */
  readonly answerTo: { readonly name: DeviceName; readonly eventId: string | null } | null
}

export interface DecodedSale extends Omit<Sale, 'customer_phone'> {
  /** The buyer, as the ledger knows people, and the phone it was made from. */
  readonly customer: { readonly id: string; readonly phone: string } | null
}

export interface DecodeRules {
  readonly serialPattern: RegExp
  readonly people: People
  /** Fields the schema does not know: ignored, and counted. */
  onUnknownFields(count: number): void
}

export type Decode = (inbound: Inbound) => Decoded

export function createDecode(rules: DecodeRules): Decode {
  return function decode(inbound) {
    const topic = parseDeviceTopic(inbound.topic)
    if (topic !== null && topic.kind in deviceEvents) return decodeDevice(inbound, topic, rules)
    const decoded = decodePeople(inbound, rules) ?? decodeReport(inbound, rules) ?? decodeInternal(inbound)
    if (decoded !== null) return decoded
    const expected = 'a topic that is taken in: of a device …/sale, …/status or …/health'
    return undecodable(inbound, [fieldError('topic', expected, inbound.topic)])
  }
}

export const undecodable = (inbound: Inbound, errors: FieldError[]): Undecodable => ({
  kind: 'undecodable',
  inbound,
  errors,
  answerTo: null,
})
