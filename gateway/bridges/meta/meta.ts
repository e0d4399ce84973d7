/**
 * The bridge to the WhatsApp Cloud API.
 *
 *   webhook ──► signature ──► inbound.ts ──► …/inbound, …/status ──► 200 after the PUBACKs
 *   …/outbound ──► outbound-queue.ts ──► outbound.ts ──► client.ts ──► …/status
 *
 * What can't be taken now is answered 503 and comes again, from Meta for up to seven days; what came already is known
 * to the hub by its wamid. What can't be read is published as it came, for quarantine, and answered 200: Meta would
 * send it for a week.
 */
import type { Logger } from 'pino'
import type { JobStatus } from '../../contract/bridge.ts'
import { BRIDGE_PAYLOAD_BYTES_MAX } from '../../contract/events.ts'
import { BoundedMap } from '../bounded-map.ts'
import type { BridgeBus } from '../bridge.ts'
import { type Clock, systemClock } from '../clock.ts'
import { createOutboundQueue, type OutboundQueueState, type SendResult } from '../outbound-queue.ts'
import { encode, inboundPayload } from '../reading.ts'
import type { Rate } from '../token-bucket.ts'
import { createMetaClient } from './client.ts'
import { parseWebhook, readWebhook, type StatusUpdate } from './inbound.ts'
import { toGraphBody } from './outbound.ts'
import { isSameSecret, isSigned } from './signature.ts'

export const META_BRIDGE = 'meta'

/** Of a number; no span of one second holds more than 4 + 76 = 80. */
const NUMBER_RATE: Rate = { perSecond: 76, burst: 4 }
/** Of one person: one in 6 s, bursts to 45, paid back. */
const RECIPIENT_RATE: Rate = { perSecond: 1 / 6, burst: 45 }

/** (wamid, status) that the hub has taken: a day of a busy number. Beyond it, the hub knows them all the same. */
const STATUSES_REMEMBERED = 50_000
/** Of these Meta gives digits; all else is not echoed. */
const CHALLENGE = /^[A-Za-z0-9_-]{1,256}$/

export interface MetaSettings {
  readonly appSecret: string
  readonly verifyToken: string
  readonly accessToken: string
  readonly phoneNumberId: string
  readonly apiUrl: string
  readonly apiVersion: string
}

export interface WebhookAnswer {
  readonly status: 200 | 401 | 403 | 503
  readonly body: string
}

export interface MetaBridge {
  /** Meta asks once, when the URL is saved. `query` has the dotted names as they came. */
  handleVerification(query: Readonly<Record<string, unknown>>): WebhookAnswer
  /** `body` is what came, byte by byte. Never rejects. */
  handleWebhook(body: Uint8Array, signature: unknown): Promise<WebhookAnswer>
  readonly state: MetaBridgeState
  /** Sends nothing more, waits for what is under way. The bus is the caller's to close, after this. */
  close(): Promise<void>
}

export interface MetaBridgeState {
  readonly queue: OutboundQueueState
  /** Since the start, by what it is: `message`, `status`, `status again`, `unreadable`, `ignored: …`, `refused: …`. */
  readonly counts: ReadonlyMap<string, number>
}

export interface MetaBridgeOptions {
  readonly settings: MetaSettings
  readonly bus: Pick<BridgeBus, 'publish' | 'onOutbound'>
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly clock?: Clock
  readonly random?: () => number
  /** How long an answer of Meta is waited for. */
  readonly timeoutMs?: number
}

export function createMetaBridge({
  settings,
  bus,
  log,
  clock = systemClock,
  random = Math.random,
  timeoutMs,
}: MetaBridgeOptions): MetaBridge {
  const client = createMetaClient({ ...settings, ...(timeoutMs !== undefined && { timeoutMs }) })
  const counts = new Map<string, number>()
  const taken = new BoundedMap<string, true>(STATUSES_REMEMBERED)
  const queue = createOutboundQueue({
    rates: { number: NUMBER_RATE, recipient: RECIPIENT_RATE },
    report: (status) => bus.publish('status', status),
    clock,
    random,
    log,
    async send(job): Promise<SendResult> {
      const graph = toGraphBody(job)
      if (graph.ok) return client(graph.body)
      return { outcome: 'failed', error: { code: 'invalid', message: graph.message, retryable: false } }
    },
  })
  bus.onOutbound((job) => queue.take(job))

  return {
    handleVerification,
    handleWebhook,
    state: { queue: queue.state, counts },
    close: () => queue.close(),
  }

  function handleVerification(query: Readonly<Record<string, unknown>>): WebhookAnswer {
    const { 'hub.mode': mode, 'hub.verify_token': token, 'hub.challenge': challenge } = query
    const isAllowed =
      typeof token === 'string' && isSameSecret(token, settings.verifyToken) && mode === 'subscribe'
    if (isAllowed && typeof challenge === 'string' && CHALLENGE.test(challenge)) {
      log.info('Meta verified the webhook')
      return { status: 200, body: challenge }
    }
    count('refused: verification')
    return { status: 403, body: 'Not the verify token of this hub' }
  }

  async function handleWebhook(body: Uint8Array, signature: unknown): Promise<WebhookAnswer> {
    if (!isSigned(body, signature, settings.appSecret)) {
      count('refused: signature')
      return { status: 401, body: 'No signature, or not one of this app' }
    }
    const envelope = parseWebhook(body)
    try {
      if (envelope === null) await quarantine(body)
      else await pass(envelope, body)
      return { status: 200, body: '' }
    } catch (error) {
      count('refused: hub away')
      log.warn({ err: error }, 'a webhook could not be taken; Meta sends it again')
      return { status: 503, body: 'The hub can’t take this now; send it again' }
    }
  }

  /** In the order in which they came, all under way at once. */
  async function pass(envelope: { readonly entry: readonly unknown[] }, body: Uint8Array): Promise<void> {
    const webhook = readWebhook(envelope, { bridge: META_BRIDGE, receivedAtMs: clock.now() })
    for (const [what, times] of webhook.ignored) count(`ignored: ${what}`, times)
    await Promise.all([
      ...webhook.messages.map(async (message) => {
        await bus.publish('inbound', inboundPayload(message))
        count('message')
      }),
      ...webhook.statuses.map(passStatus),
      ...webhook.unreadable.map((element) => quarantine(encode(element) ?? body)),
    ])
  }

  async function passStatus(update: StatusUpdate): Promise<void> {
    const key = `${update.providerId} ${update.state}`
    if (taken.has(key)) {
      count('status again')
      return
    }
    const status: JobStatus = {
      job_id: update.jobId,
      provider_id: update.providerId,
      state: update.state,
      error: update.error,
      at: update.at,
    }
    // Whatever comes late of a message that failed is no news of its job, which may be under way as another message.
    if (update.state === 'failed' || !taken.has(`${update.providerId} failed`)) queue.confirm(status)
    await bus.publish('status', status)
    count('status')
    taken.set(key, true)
  }

  /** As it came; in pieces, when it is more than the hub takes at once. */
  async function quarantine(body: Uint8Array): Promise<void> {
    count('unreadable')
    log.warn({ bytes: body.length }, 'what came from Meta can’t be read; it is in quarantine')
    for (let at = 0; at === 0 || at < body.length; at += BRIDGE_PAYLOAD_BYTES_MAX) {
      await bus.publish('inbound', body.subarray(at, at + BRIDGE_PAYLOAD_BYTES_MAX))
    }
  }

  function count(what: string, times = 1): void {
    // Names of fields are Meta's: what could be many is counted as one.
    const name = counts.has(what) || counts.size < 100 ? what : 'ignored: more'
    counts.set(name, (counts.get(name) ?? 0) + times)
  }
}
