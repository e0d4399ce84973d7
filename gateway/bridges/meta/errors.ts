/**
 * What Meta's error codes mean for a message, as a table (codes: Cloud API «Error codes»).
 *
 *   retry  the message waits; `scope` says who waits with it (outbound-queue.ts)
 *   stop   likewise, for everybody, until people have put something right: a token, a payment, an account
 *   fail   it will not go out, and trying again does not help
 */
import type { SendError, SendResult } from '../outbound-queue.ts'

interface Retry {
  readonly do: 'retry' | 'stop'
  readonly scope: 'message' | 'recipient' | 'queue'
  /** After the nth such answer in a row, from 0. */
  readonly delayMs: (nth: number) => number
  readonly attemptsMax: number
}

type Treatment = Retry | { readonly do: 'fail' }

type Row = Treatment & { readonly codes: readonly number[]; readonly means: string }

const SECOND = 1000
const MINUTE = 60 * SECOND

const growing = (firstMs: number, factor: number, maxMs: number) => (nth: number) =>
  Math.min(maxMs, firstMs * factor ** nth)

const onMetasSide: Retry = {
  do: 'retry',
  scope: 'message',
  delayMs: growing(SECOND, 2, MINUTE),
  attemptsMax: 5,
}
const throttled: Retry = {
  do: 'retry',
  scope: 'queue',
  delayMs: growing(SECOND, 2, MINUTE),
  attemptsMax: Infinity,
}
const limitReached: Retry = { ...throttled, delayMs: growing(MINUTE, 2, 15 * MINUTE) }
const forPeople: Retry = { ...throttled, do: 'stop', delayMs: growing(MINUTE, 2, 10 * MINUTE) }

/** From `first` to `last`, both included. */
const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i)

export const TABLE: readonly Row[] = [
  { codes: [1, 2, 131000, 131016], means: 'Meta’s side failed', ...onMetasSide },
  { codes: [131053], means: 'media could not be fetched or uploaded', ...onMetasSide, attemptsMax: 3 },
  {
    codes: [131056],
    means: 'too many messages to this person',
    do: 'retry',
    scope: 'recipient',
    // Meta's own advice: 4^n seconds.
    delayMs: growing(SECOND, 4, 30 * MINUTE),
    attemptsMax: Infinity,
  },
  { codes: [130429], means: 'throughput of the number reached', ...throttled },
  { codes: [131057], means: 'the number is in maintenance', ...throttled, delayMs: () => 20 * SECOND },
  { codes: [4, 80007], means: 'call limit of the app or account', ...limitReached },
  {
    codes: [131048],
    means: 'the number is restricted for spam',
    ...forPeople,
    delayMs: growing(60 * MINUTE, 2, 240 * MINUTE),
  },
  { codes: [0, 3, 10, 190, ...range(200, 299)], means: 'token or permission', ...forPeople },
  {
    codes: [368, 131005, 131031, 131042, 131045],
    means: 'account: access, lock, billing, registration, policy',
    ...forPeople,
  },
  // The account may not write to this person's country. It is about the person: were the queue stopped, one number from
  // such a country would silence the hub for everybody.
  { codes: [130497], means: 'the person’s country is closed to this account', do: 'fail' },
  { codes: [131047], means: 'the 24-hour window is closed: only a template may be sent', do: 'fail' },
  { codes: [131026], means: 'undeliverable: not on WhatsApp, an old client, terms not accepted', do: 'fail' },
  { codes: [130472, 131049], means: 'held back by Meta for this person (marketing)', do: 'fail' },
  { codes: [131050], means: 'the person stopped marketing messages', do: 'fail' },
  { codes: [131021], means: 'sender and recipient are the same', do: 'fail' },
  { codes: [131030], means: 'a test number, and this recipient is not on its list', do: 'fail' },
  { codes: [131051], means: 'unsupported type of message', do: 'fail' },
  { codes: [33, 100, 131008, 131009], means: 'a parameter is wrong or missing', do: 'fail' },
  {
    codes: [132000, 132001, 132005, 132007, 132012, 132015, 132016],
    means: 'the template: parameters, name, policy, or it is paused',
    do: 'fail',
  },
  { codes: [131062, 131063, 131064], means: 'not to this kind of user, or not by this number', do: 'fail' },
  { codes: [133016], means: 'registration limit', do: 'fail' },
  { codes: [137000], means: 'the identity of the person changed', do: 'fail' },
]

const byCode = new Map(TABLE.flatMap((row) => row.codes.map((code) => [code, row] as const)))

/** Of one error, as Meta has it in answers and in statuses. All fields are Meta's word, and may be missing. */
export interface MetaError {
  readonly code: number | null
  readonly message: string
  readonly isTransient: boolean
}

/** `error` of an answer, or one of `errors` of a status or message → its parts. */
export function readMetaError(value: unknown): MetaError {
  const error = asObject(value)
  const data = error.error_data
  // Flat `details` is the older form; error_data has come as a string.
  const details = typeof data === 'string' ? data : (asObject(data).details ?? error.details)
  const said = [error.message ?? error.title, details].filter(
    (part) => typeof part === 'string' && part !== '',
  )
  const code = typeof error.code === 'string' && /^\d+$/.test(error.code) ? Number(error.code) : error.code
  return {
    code: typeof code === 'number' ? code : null,
    message: [...new Set(said)].join(': ').slice(0, 1000) || 'no reason given',
    isTransient: error.is_transient === true,
  }
}

/** What to do about an answer that is no success. `httpStatus` decides when Meta gave no code that is known. */
export function treatmentOf({ code, isTransient }: MetaError, httpStatus: number): Treatment {
  const row = code === null ? undefined : byCode.get(code)
  if (row !== undefined) return row
  if (isTransient || httpStatus >= 500) return onMetasSide
  if (httpStatus === 429) return throttled
  if (httpStatus === 401 || httpStatus === 403) return forPeople
  return { do: 'fail' }
}

/** An answer that is no success → what the queue does. */
export function sendResultOf(error: MetaError, httpStatus: number): SendResult {
  const treatment = treatmentOf(error, httpStatus)
  const { code, message } = error
  const sendError: SendError = {
    code: code === null ? `http_${httpStatus}` : String(code),
    message,
    retryable: treatment.do !== 'fail',
  }
  if (treatment.do === 'fail') return { outcome: 'failed', error: sendError }
  const { scope, delayMs, attemptsMax } = treatment
  return { outcome: 'retry', scope, delayMs, attemptsMax, error: sendError }
}

/** A `failed` status that came later: what is for people to put right is not tried again by itself. */
export const isRetryable = (error: MetaError): boolean => treatmentOf(error, 400).do === 'retry'

const asObject = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
