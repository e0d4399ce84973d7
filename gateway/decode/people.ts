/** What bridges and portals bring: messages of people, the fate of messages to them, leads from forms. */
import { bridgeEvents, type InboundMessage, type JobStatus, ledgerId } from '../contract/bridge.ts'
import { BRIDGE_PAYLOAD_BYTES_MAX } from '../contract/events.ts'
import type { FieldError } from '../contract/receipts.ts'
import { type Submission, submission } from '../contract/submission.ts'
import { NAME_PATTERN, ROOT } from '../contract/topics.ts'
import { parsePhone } from '../customers.ts'
import { type Decoded, type DecodeRules, type Inbound, undecodable } from '../decode.ts'
import { isJobId } from '../race-documents.ts'
import { findPlace } from '../screening/gazetteer.ts'
import { explain, fieldError, parseJson, personalError, toUtc } from './fields.ts'

/** Who it is, so far as handles tell. */
export interface Handles {
  /** Made from the phone number; null: there is none. */
  readonly customer: { readonly id: string; readonly phone: string } | null
  /** See `People.handle`; null: there is none. */
  readonly other: string | null
}

export interface DecodedMessage {
  readonly kind: 'message'
  readonly bridge: string
  readonly message: Omit<InboundMessage, 'at'> & { readonly at: string }
  readonly handles: Handles
}

export interface DecodedJobStatus {
  readonly kind: 'job_status'
  readonly bridge: string
  readonly status: JobStatus
}

export interface DecodedSubmission {
  readonly kind: 'submission'
  /** The dealer whose portal it came from, or `hq`. */
  readonly portal: string
  readonly submission: Submission
  readonly handles: Handles
}

const TOPIC = new RegExp(`^${ROOT}/(?:bridge/([^/]+)/(inbound|status)|portal/([^/]+)/(lead))$`)

/** All that people say is personal: no value is repeated in an error. */
const isPersonal = () => true

/** @returns null when the topic is none of these */
export function decodePeople(inbound: Inbound, { people, onUnknownFields }: DecodeRules): Decoded | null {
  const [, bridge, bridgeKind, portal, portalKind] = TOPIC.exec(inbound.topic) ?? []
  const kind = (bridgeKind ?? portalKind) as 'inbound' | 'status' | 'lead' | undefined
  const name = bridge ?? portal
  if (kind === undefined || name === undefined || !NAME_PATTERN.test(name)) return null
  const parsed = parseJson(inbound.payload, BRIDGE_PAYLOAD_BYTES_MAX)
  if (parsed.error !== null) return undecodable(inbound, [parsed.error])

  const schema = kind === 'lead' ? submission : bridgeEvents[kind]
  const result = schema.safeParse(parsed.value)
  if (!result.success) {
    const errors = result.error.issues.map((issue) => explain(issue, parsed.value, isPersonal))
    return undecodable(inbound, errors)
  }
  const unknown = Object.keys(parsed.value as object).filter((field) => !(field in schema.shape)).length
  if (unknown > 0) onUnknownFields(unknown)

  const identify = (phone: string | null | undefined) => (phone ? people.byPhone(phone) : null)
  if (kind === 'inbound') {
    const message = result.data as InboundMessage
    const { phone, user_id } = message.customer
    const handles: Handles = {
      customer: identify(phone),
      other: user_id === null ? null : people.handle('user', user_id),
    }
    if (handles.customer === null && handles.other === null) {
      return undecodable(inbound, [personalError('customer.phone', PHONE, phone)])
    }
    const event_id = ledgerId(message.event_id)
    return {
      kind: 'message',
      bridge: name,
      message: { ...message, event_id, at: toUtc(message.at) },
      handles,
    }
  }
  if (kind === 'status') {
    const status = result.data as JobStatus
    if (!isJobId(status.job_id)) {
      return undecodable(inbound, [fieldError('job_id', 'an id of a job of this hub', status.job_id)])
    }
    const provider_id = status.provider_id && ledgerId(status.provider_id)
    return { kind: 'job_status', bridge: name, status: { ...status, provider_id, at: toUtc(status.at) } }
  }
  const lead = result.data as Submission
  const handles: Handles = {
    customer: identify(lead.phone),
    other: lead.email ? people.handle('mail', lead.email) : null,
  }
  const missing = missingIn(lead)
  if (missing.length > 0) return undecodable(inbound, missing)
  return { kind: 'submission', portal: name, submission: lead, handles }
}

/** What a form must have besides the form of its fields: somebody to call, and something to go on with. */
export function missingIn({ phone, email, lat, lon, place }: Submission): FieldError[] {
  if (phone == null && email == null) {
    return ['phone', 'email'].map((field) => fieldError(field, 'a phone or an email', 'neither'))
  }
  if (phone != null && parsePhone(phone) === null) return [personalError('phone', PHONE, phone)]
  if ((lat == null) !== (lon == null)) {
    return [fieldError(lat == null ? 'lat' : 'lon', 'both of lat and lon, or neither', 'nothing')]
  }
  if (phone != null || lat != null || (place != null && findPlace(place).length > 0)) return []
  return [
    fieldError('lat/lon', 'coordinates, or place, or phone', 'nothing'),
    place == null ? fieldError('place', PLACE, 'nothing') : personalError('place', PLACE, place),
    fieldError('phone', 'a number to ask where they are', 'nothing'),
  ]
}

const PHONE = 'a phone number such as +6281234567890'
const PLACE = 'a city or regency in Indonesia'
