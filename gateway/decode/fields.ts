/** Bytes → JSON, and what is wrong with a field, in words. Shared by all that is decoded. */
import type { z } from 'zod'
import type { FieldError } from '../contract/receipts.ts'

/** Personal data must not reach the ledger by way of an error message. */
const PERSONAL_FIELDS = new Set(['customer_phone'])

const utf8 = new TextDecoder('utf-8', { fatal: true })

export function parseJson(
  payload: Uint8Array,
  bytesMax: number,
): { value: unknown; error: FieldError | null } {
  const failed = (expected: string, received: string) => ({
    value: undefined,
    error: fieldError('payload', expected, received),
  })
  if (payload.length > bytesMax) {
    return failed(`at most ${bytesMax} bytes`, `${payload.length} bytes`)
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

export function countUnknown(value: object, shape: object): number {
  let count = 0
  for (const field in value) if (!Object.hasOwn(shape, field)) count++
  return count
}

/**
 * What zod found, in words: the field, what was expected there, and what came in `body`.
 *
 * @param isPersonal whether a field's value must not be repeated
 */
export function explain(
  issue: z.core.$ZodIssue,
  body: unknown,
  isPersonal: (field: string) => boolean = (field) => PERSONAL_FIELDS.has(field),
): FieldError {
  const field = issue.path.join('.') || 'payload'
  const received = issue.path.reduce<unknown>(
    (value, part) => (value as Record<PropertyKey, unknown>)?.[part],
    body,
  )
  if (isPersonal(field)) return personalError(field, expectation(issue), received)
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

export const fieldError = (field: string, expected: string, received: string): FieldError => ({
  field,
  expected,
  received: received.length > 200 ? `${received.slice(0, 199)}…` : received,
})

export const personalError = (field: string, expected: string, value: unknown): FieldError =>
  fieldError(
    field,
    expected,
    `${article(typeof value)} ${typeof value} that is not repeated here (personal data)`,
  )

/** Most clocks send UTC already; then the text is kept as it came. */
export const toUtc = (instant: string): string =>
  instant.length === 24 && instant.endsWith('Z') ? instant : new Date(instant).toISOString()
