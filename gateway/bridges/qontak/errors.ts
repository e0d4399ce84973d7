/**
 * What an answer of Qontak's chat API means for a message, as a table. Errors look like
 * `{"status":"error","error":{"code":422,"messages":["…"]}}`; there is no list of codes beyond HTTP's.
 *
 *   2xx with an id       sent
 *   400 404 409 413 422  failed: it will not go out, and trying again does not help (a closed session is 422)
 *   401                  sending stops: the token was renewed once already
 *   429                  sending slows down: after Retry-After, or longer and longer
 *   503, never arrived   sending waits
 *   other 5xx, no answer unknown: it may have gone out
 */
import type { SendError, SendResult } from '../outbound-queue.ts'
import { fieldsOf, listOf, textOf } from '../reading.ts'
import type { Answer } from './client.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

const growing = (firstMs: number, maxMs: number) => (nth: number) => Math.min(maxMs, firstMs * 2 ** nth)

/** @param isRepeatable doing it twice is doing it once (`read`): then nothing about it is unknown */
export function sendResultOf(answer: Answer, isRepeatable: boolean): SendResult {
  if (answer.is === 'failure') {
    const error = { code: 'unreachable', message: answer.message, retryable: true }
    if (answer.isNeverSent) return wait(error, growing(SECOND, MINUTE))
    return isRepeatable ? again(error) : { outcome: 'unknown', message: answer.message }
  }
  const { status, retryAfterMs } = answer
  if (status >= 200 && status < 300) {
    const id = textOf(fieldsOf(answer.body.data).id)
    if (id !== null && id.length <= 256) return { outcome: 'sent', providerId: id }
    if (isRepeatable) return { outcome: 'sent', providerId: null }
    return { outcome: 'unknown', message: `answered ${status} without the id of a message` }
  }
  const error: SendError = {
    code: `http_${status}`,
    message: reasonOf(answer),
    retryable: status === 401 || status === 429 || status >= 500,
  }
  if (status === 401) return wait(error, growing(MINUTE, 10 * MINUTE))
  if (status === 429)
    return wait(error, (nth) => Math.max(retryAfterMs ?? 0, growing(5 * SECOND, MINUTE)(nth)))
  if (status === 503) return wait(error, (nth) => Math.max(retryAfterMs ?? 0, growing(SECOND, MINUTE)(nth)))
  if (status < 500) return { outcome: 'failed', error }
  return isRepeatable ? again(error) : { outcome: 'unknown', message: error.message }
}

/** What went wrong, in Qontak's words. */
export function reasonOf({ status, body }: Answer & { is: 'answer' }): string {
  const { error, message, meta } = body
  const said = listOf(fieldsOf(error).messages).filter((part) => typeof part === 'string')
  const other = textOf(fieldsOf(error).message) ?? textOf(message) ?? textOf(fieldsOf(meta).developer_message)
  return (said.join('; ') || other || `answered ${status}`).slice(0, 1000)
}

const wait = (error: SendError, delayMs: (nth: number) => number): SendResult => ({
  outcome: 'retry',
  scope: 'queue',
  delayMs,
  attemptsMax: Number.POSITIVE_INFINITY,
  error,
})

const again = (error: SendError): SendResult => ({
  outcome: 'retry',
  scope: 'message',
  delayMs: growing(SECOND, MINUTE),
  attemptsMax: 3,
  error,
})
