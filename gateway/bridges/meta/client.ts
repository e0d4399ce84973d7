/**
 * `POST {META_API_URL}/{version}/{phone-number-id}/messages`, and what its answer says about the message. There is no
 * idempotency key, so what matters is whether Meta may have taken it:
 *
 *   an error of Meta's own, or no connection   it did not: the table in errors.ts decides
 *   a time-out, a connection that broke, a gateway's error page, an answer without an id   unknown
 */
import { explainFailure, readJson } from '../http.ts'
import type { SendResult } from '../outbound-queue.ts'
import { readMetaError, sendResultOf } from './errors.ts'

export interface MetaClientOptions {
  readonly apiUrl: string
  readonly apiVersion: string
  readonly phoneNumberId: string
  readonly accessToken: string
  readonly timeoutMs?: number
}

/** One attempt at sending `body`. Never rejects. */
export type MetaClient = (body: object) => Promise<SendResult>

const TIMEOUT_MS = 15_000

const NEVER_SENT_RETRY = {
  outcome: 'retry',
  scope: 'queue',
  delayMs: (nth: number) => Math.min(60_000, 1000 * 2 ** nth),
  attemptsMax: Infinity,
} as const

export function createMetaClient({
  apiUrl,
  apiVersion,
  phoneNumberId,
  accessToken,
  timeoutMs = TIMEOUT_MS,
}: MetaClientOptions): MetaClient {
  const url = `${apiUrl}/${apiVersion}/${phoneNumberId}/messages`
  return async (body) => {
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
      })
      return resultOf(response.status, await readJson(response))
    } catch (error) {
      return failureOf(error as Error)
    }
  }
}

function resultOf(status: number, answer: unknown): SendResult {
  const { messages, success, error } = (answer ?? {}) as {
    messages?: { id?: unknown }[]
    success?: unknown
    error?: unknown
  }
  if (typeof error === 'object' && error !== null) return sendResultOf(readMetaError(error), status)
  if (status === 200) {
    const id = Array.isArray(messages) ? messages[0]?.id : undefined
    if (typeof id === 'string' && id !== '' && id.length <= 256) return { outcome: 'sent', providerId: id }
    // To a read receipt.
    if (success === true) return { outcome: 'sent', providerId: null }
    return { outcome: 'unknown', message: 'answered 200 without the id of a message' }
  }
  // Said by something in front of Meta, which may have passed the message on; 503 is said instead of doing so.
  if (status >= 500 && status !== 503)
    return { outcome: 'unknown', message: `answered ${status}, not by Meta` }
  return sendResultOf({ code: null, message: `answered ${status}`, isTransient: false }, status)
}

function failureOf(error: Error): SendResult {
  const { isNeverSent, message } = explainFailure(error)
  return isNeverSent
    ? { ...NEVER_SENT_RETRY, error: { code: 'unreachable', message, retryable: true } }
    : { outcome: 'unknown', message }
}
