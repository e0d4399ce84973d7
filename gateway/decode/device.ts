/** What terminals and vehicle units say. */
import {
  DEVICE_PAYLOAD_BYTES_MAX,
  deviceEvents,
  type Health,
  type Sale,
  type Status,
} from '../contract/events.ts'
import type { FieldError } from '../contract/receipts.ts'
import type { DeviceTopic } from '../contract/topics.ts'
import type { Decoded, DecodeRules, Inbound } from '../decode.ts'
import { countUnknown, explain, fieldError, parseJson, personalError, toUtc } from './fields.ts'

/** @param topic one of a device's; its kind is known */
export function decodeDevice(inbound: Inbound, topic: DeviceTopic, rules: DecodeRules): Decoded {
  const { serialPattern, people, onUnknownFields } = rules
  const kind = topic.kind as keyof typeof deviceEvents
  const name = { dealer: topic.dealer, device: topic.device }
  const parsed = parseJson(inbound.payload, DEVICE_PAYLOAD_BYTES_MAX)
  const answerTo = kind === 'sale' ? { name, eventId: eventIdOf(parsed.value) } : null
  if (parsed.error !== null) return { kind: 'undecodable', inbound, errors: [parsed.error], answerTo }

  const schema = deviceEvents[kind]
  const result = schema.safeParse(parsed.value)
  if (!result.success) {
    const errors = result.error.issues.map((issue) => explain(issue, parsed.value))
    return { kind: 'undecodable', inbound, errors, answerTo }
  }
  const unknown = countUnknown(parsed.value as object, schema.shape)
  if (unknown > 0) onUnknownFields(unknown)

  if (kind === 'sale') {
    const { customer_phone: phone, ...sale } = result.data as Sale
    const customer = phone === undefined ? null : people.byPhone(phone)
    const errors: FieldError[] = []
    if (!serialPattern.test(sale.serial)) {
      errors.push(fieldError('serial', `text matching ${serialPattern.source}`, sale.serial))
    }
    if (phone !== undefined && customer === null) {
      errors.push(personalError('customer_phone', 'a phone number such as +6281234567890', phone))
    }
    if (errors.length > 0) return { kind: 'undecodable', inbound, errors, answerTo }
    return { kind, name, event: { ...sale, sold_at: toUtc(sale.sold_at), customer } }
  }
  if (kind === 'status') {
    const status = result.data as Status
    if (!serialPattern.test(status.serial)) {
      const error = fieldError('serial', `text matching ${serialPattern.source}`, status.serial)
      return { kind: 'undecodable', inbound, errors: [error], answerTo }
    }
    return { kind, name, event: { ...status, at: toUtc(status.at) } }
  }
  const health = result.data as Health
  return {
    kind,
    name,
    event: health.at === undefined ? health : { ...health, at: toUtc(health.at) },
  }
}

function eventIdOf(value: unknown): string | null {
  const id = (value as { event_id?: unknown } | undefined)?.event_id
  return typeof id === 'string' && id.length >= 1 && id.length <= 64 ? id : null
}
