/**
 * The CRM at CRM_WEBHOOK_URL: one POST for each event, signed and retried as Standard Webhooks 1.0 says.
 *
 *   webhook-id          the ledger entry's id, the same on every try: the receiver's key against doubles
 *   webhook-timestamp   of this try, seconds
 *   webhook-signature   `v1,` and Base64 of HMAC-SHA256 over `id.timestamp.body`
 *
 *   2xx        delivered                          410  stopped: it wants nothing more
 *   408        later                              429, 503  later, and quiet for as long as Retry-After says
 *   401, 403   later: the receiver's set-up is wrong, not what it was told
 *   3xx        refused: a redirection is not followed, since the signature was meant for this address
 *   other 4xx  refused: it will not take this one, however often it is sent
 *   5xx, no answer  later
 */
import { Webhook } from 'standardwebhooks'
import type { CrmEvent } from '../contract/crm.ts'
import type { CrmResult, CrmTarget } from './crm.ts'

export interface CrmWebhookOptions {
  readonly url: string
  /** `whsec_` and Base64. */
  readonly secret: string
  readonly timeoutMs?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** Standard Webhooks, «Delivery»: 15 to 30 s. */
const TIMEOUT_MS = 15_000
/** For a receiver whose set-up is wrong: somebody has to put it right. */
const SETUP_QUIET_MS = 5 * 60_000
/** When Retry-After is missing or can't be read. */
const BUSY_QUIET_MS = 30_000

export function createCrmWebhook({
  url,
  secret,
  timeoutMs = TIMEOUT_MS,
  now = Date.now,
}: CrmWebhookOptions): CrmTarget {
  const webhook = new Webhook(secret)

  async function deliver(id: string, event: CrmEvent, signal: AbortSignal): Promise<CrmResult> {
    const body = JSON.stringify(event)
    const at = new Date(now())
    const timeout = AbortSignal.timeout(timeoutMs)
    try {
      const response = await fetch(url, {
        method: 'POST',
        redirect: 'manual',
        headers: {
          'content-type': 'application/json',
          'user-agent': 'dealer-hub',
          'webhook-id': id,
          'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
          'webhook-signature': webhook.sign(id, at, body),
        },
        body,
        signal: AbortSignal.any([signal, timeout]),
      })
      // Nothing in it matters, and it may be without end.
      await response.body?.cancel()
      return resultOf(response, now())
    } catch {
      return { result: 'retry', reason: timeout.aborted ? 'timeout' : 'no_answer', quietMs: null }
    }
  }

  return { name: 'webhook', types: ['lead.handoff', 'lead.outcome', 'sale.registered'], deliver }
}

function resultOf({ status, headers }: Response, nowMs: number): CrmResult {
  const reason = `http_${status}`
  if (status >= 200 && status < 300) return { result: 'delivered' }
  if (status === 410) return { result: 'stopped', reason }
  if (status === 429 || status === 503) {
    return {
      result: 'retry',
      reason,
      quietMs: retryAfterMs(headers.get('retry-after'), nowMs) ?? BUSY_QUIET_MS,
    }
  }
  if (status === 401 || status === 403) return { result: 'retry', reason, quietMs: SETUP_QUIET_MS }
  if (status === 408 || status >= 500) return { result: 'retry', reason, quietMs: null }
  return { result: 'refused', reason }
}

/** RFC 9110, 10.2.3: seconds, or a date. null: neither. */
export function retryAfterMs(value: string | null, nowMs: number): number | null {
  if (value === null) return null
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000
  const at = Date.parse(value)
  return Number.isNaN(at) ? null : Math.max(0, at - nowMs)
}
