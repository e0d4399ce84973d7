/**
 * Bytes → a typed event, or what is wrong with them, field by field. The first step of the intake; pure.
 */
import type { z } from 'zod'
import {
  DEVICE_PAYLOAD_BYTES_MAX,
  deviceEvents,
  type Health,
  type Sale,
  type Status,
} from './contract/events.ts'
import type { FieldError } from './contract/receipts.ts'
import { type DeviceName, parseDeviceTopic } from './contract/topics.ts'

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
  /** A phone number → the customer, or null when it can't be one. */
  identify(phone: string): { id: string; phone: string } | null
  /** Fields the schema does not know: ignored, and counted. */
  onUnknownFields(count: number): void
}

export type Decode = (inbound: Inbound) => Decoded

/** Personal data must not reach the ledger by way of an error message. */
const PERSONAL_FIELDS = new Set(['customer_phone'])

const utf8 = new TextDecoder('utf-8', { fatal: true })

export function createDecode({ serialPattern, identify, onUnknownFields }: DecodeRules): Decode {
  return function decode(inbound) {
    const topic = parseDeviceTopic(inbound.topic)
    if (topic === null || !(topic.kind in deviceEvents)) {
      const error = fieldError(
        'topic',
        'a topic that is taken in: …/sale, …/status or …/health',
        inbound.topic,
      )
      return { kind: 'undecodable', inbound, errors: [error], answerTo: null }
    }
    const kind = topic.kind as keyof typeof deviceEvents
    const name = { dealer: topic.dealer, device: topic.device }
    const parsed = parseJson(inbound.payload)
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
      const customer = phone === undefined ? null : identify(phone)
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
}

function parseJson(payload: Uint8Array): { value: unknown; error: FieldError | null } {
  const failed = (expected: string, received: string) => ({
    value: undefined,
    error: fieldError('payload', expected, received),
  })
  if (payload.length > DEVICE_PAYLOAD_BYTES_MAX) {
    return failed(`at most ${DEVICE_PAYLOAD_BYTES_MAX} bytes`, `${payload.length} bytes`)
  }
  let text: string
  try {
    text = utf8.decode(payload)
  } catch {
    return failed('UTF-8 text', `${payload.length} bytes that are not UTF-8`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    // The parser goes on to quote the text around the error, and with it whatever is personal there.
    const [said = ''] = (error as Error).message.split(/, (?:\.\.\.)?"/)
    return failed('JSON', payload.length === 0 ? 'nothing' : said)
  }
  if (Array.isArray(value)) return failed('a JSON object', 'an array')
  if (typeof value !== 'object' || value === null) {
    return failed('a JSON object', value === null ? 'null' : `a ${typeof value}`)
  }
  return { value, error: null }
}

function eventIdOf(value: unknown): string | null {
  const id = (value as { event_id?: unknown } | undefined)?.event_id
  return typeof id === 'string' && id.length >= 1 && id.length <= 64 ? id : null
}

function countUnknown(value: object, shape: object): number {
  let count = 0
  for (const field in value) if (!Object.hasOwn(shape, field)) count++
  return count
}

/** What zod found, in words: the field, what was expected there, and what came in `body`. */
export function explain(issue: z.core.$ZodIssue, body: unknown): FieldError {
  const field = issue.path.join('.') || 'payload'
  const received = issue.path.reduce<unknown>(
    (value, part) => (value as Record<PropertyKey, unknown>)?.[part],
    body,
  )
  if (PERSONAL_FIELDS.has(field)) return personalError(field, expectation(issue), received)
  return fieldError(field, expectation(issue), describe(received))
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'int' ? 'a whole number' : `${article(issue.expected)} ${issue.expected}`
    case 'invalid_value':
      return `one of ${issue.values.join(', ')}`
    case 'too_small':
      return issue.origin === 'string' ? `at least ${issue.minimum} characters` : `at least ${issue.minimum}`
    case 'too_big':
      return issue.origin === 'string' ? `at most ${issue.maximum} characters` : `at most ${issue.maximum}`
    case 'invalid_format':
      return issue.format === 'datetime'
        ? 'an instant such as 2026-11-22T08:15:30.123Z'
        : issue.message.replace(/^expected /, '')
    default:
      return issue.message
  }
}

const article = (noun: string): string => (/^[aeiou]/.test(noun) ? 'an' : 'a')

/** A value for people to read, at most 80 characters of it; of a structure only that it is one, as it may hold anything. */
function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null) return 'an object'
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

const fieldError = (field: string, expected: string, received: string): FieldError => ({
  field,
  expected,
  received: received.length > 200 ? `${received.slice(0, 199)}…` : received,
})

const personalError = (field: string, expected: string, value: unknown): FieldError =>
  fieldError(
    field,
    expected,
    `${article(typeof value)} ${typeof value} that is not repeated here (personal data)`,
  )

/** Most clocks send UTC already; then the text is kept as it came. */
const toUtc = (instant: string): string =>
  instant.length === 24 && instant.endsWith('Z') ? instant : new Date(instant).toISOString()
