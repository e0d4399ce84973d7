/**
 * The bridge to Mekari Qontak.
 *
 *   webhook ──► secret, organisation ──► inbound.ts ──► titles.ts ──► …/inbound, …/status ──► 200 after the PUBACK
 *   …/outbound ──► outbound-queue.ts ──► outbound.ts ──► client.ts ──► …/status
 *
 * Qontak documents no signature: the webhook's address holds a secret, and the body's organisation is checked when one
 * is configured. What can't be taken now is answered 503 and comes again; what came already is known to the hub by its id.
 *
 * Nothing twice, as far as it can be known. Qontak takes no id of ours. A send without an answer is known to have
 * happened by the report that follows it (`sent.ts`). When the hub hands such a job over again, the room's last message
 * is read first; and so it is done for every job while the hub may hand over what this bridge sent before it was
 * restarted. What stays open: a send without an answer and without a report, after which somebody else wrote in the room;
 * and a broadcast without either. They go out again.
 */
import type { Logger } from 'pino'
import type { QontakConfig } from '../../../config.ts'
import {
  type InboundMessage,
  type JobStatus,
  type OutboundMessage,
  RECONCILE_MS,
} from '../../contract/bridge.ts'
import { BRIDGE_PAYLOAD_BYTES_MAX } from '../../contract/events.ts'
import { BoundedMap } from '../bounded-map.ts'
import type { BridgeBus } from '../bridge.ts'
import { type Clock, systemClock } from '../clock.ts'
import { isSameSecret } from '../meta/signature.ts'
import {
  createOutboundQueue,
  type OutboundQueue,
  type OutboundQueueState,
  type SendResult,
} from '../outbound-queue.ts'
import { fieldsOf, inboundPayload, textOf } from '../reading.ts'
import type { Rate } from '../token-bucket.ts'
import { createCatalogue } from './catalogue.ts'
import { createQontakClient } from './client.ts'
import { sendResultOf } from './errors.ts'
import { type Fate, parseBody, readEvent } from './inbound.ts'
import { broadcastCall, type CallOf, type QontakCall, roomCall } from './outbound.ts'
import { createSent, type Doubt, phoneEcho, roomEcho } from './sent.ts'
import { createTitles } from './titles.ts'

/** In rooms no limit is documented; one of Qontak's own guides says 10 a second. */
const ROOM_RATE: Rate = { perSecond: 9, burst: 1 }
/** Of broadcasts/direct: no span of a minute holds more than 5 + 55 = 60. */
const BROADCAST_RATE: Rate = { perSecond: 55 / 60, burst: 5 }
/** WhatsApp's, of one person: one in 6 s, bursts to 45, paid back. */
const RECIPIENT_RATE: Rate = { perSecond: 1 / 6, burst: 45 }

/** People whose room and name are known. */
const PEOPLE_MAX = 50_000
/** (id, state) that the hub has taken. */
const TOLD_MAX = 50_000
/** How far Qontak's clock may be off. */
const CLOCK_SKEW_MS = 5 * 60_000

export interface WebhookAnswer {
  readonly status: 200 | 403 | 404 | 503
  readonly body: string
}

export interface QontakBridgeState {
  readonly rooms: OutboundQueueState
  readonly broadcasts: OutboundQueueState
  /** Since the start, by what it is: `message`, `tap`, `status`, `status again`, `unreadable`, `ignored: …`, `refused: …`. */
  readonly counts: ReadonlyMap<string, number>
}

export interface QontakBridge {
  /** `secret` is the last part of the address, `body` what came, byte by byte. Never rejects. */
  handleWebhook(secret: string, body: Uint8Array): Promise<WebhookAnswer>
  readonly state: QontakBridgeState
  /** Sends nothing more, waits for what is under way. The bus is the caller's to close, after this. */
  close(): Promise<void>
}

export interface QontakBridgeOptions {
  readonly settings: QontakConfig
  readonly bus: Pick<BridgeBus, 'publish' | 'onOutbound'>
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly clock?: Clock
  readonly random?: () => number
  /** How long an answer of Qontak is waited for. */
  readonly timeoutMs?: number
}

interface Acquaintance {
  readonly roomId: string
  readonly name: string | null
}

export function createQontakBridge({
  settings,
  bus,
  log,
  clock = systemClock,
  random = Math.random,
  timeoutMs,
}: QontakBridgeOptions): QontakBridge {
  const client = createQontakClient({
    access: settings,
    clock,
    ...(timeoutMs !== undefined && { timeoutMs }),
  })
  const catalogue = createCatalogue({ client, clock, channelId: settings.channelId })
  const counts = new Map<string, number>()
  const titles = createTitles()
  const sent = createSent()
  const people = new BoundedMap<string, Acquaintance>(PEOPLE_MAX)
  const told = new BoundedMap<string, true>(TOLD_MAX)
  const startedAtMs = clock.now()

  const shared = { report: (status: JobStatus) => bus.publish('status', status), clock, random, log }
  const rooms = createOutboundQueue({
    ...shared,
    rates: { number: ROOM_RATE, recipient: RECIPIENT_RATE },
    send: sendInRoom,
  })
  const broadcasts = createOutboundQueue({
    ...shared,
    rates: { number: BROADCAST_RATE, recipient: RECIPIENT_RATE },
    send: broadcast,
  })
  const queueOf = (job: OutboundMessage): OutboundQueue => (job.kind === 'template' ? broadcasts : rooms)
  bus.onOutbound((job) => queueOf(job).take(job))

  return {
    handleWebhook,
    state: { rooms: rooms.state, broadcasts: broadcasts.state, counts },
    async close() {
      await Promise.all([rooms.close(), broadcasts.close()])
    },
  }

  // — out —

  async function sendInRoom(job: OutboundMessage): Promise<SendResult> {
    const roomId = job.to.room_id ?? acquaintanceOf(job)?.roomId ?? null
    const made = roomCall(job, { roomId })
    if (!made.ok) return refused(made)
    if (job.kind === 'read') return sendResultOf(await client.chat(made.call), true)
    const text = wordsOf(made.call)
    const doubt = { jobId: job.job_id, key: roomEcho(roomId as string, text), sinceMs: clock.now() }
    const before = await lookBack(doubt, roomId as string, text)
    if (before !== null) return before
    titles.offered([roomId, job.to.phone, job.to.user_id], job.choices ?? [])
    return attempt(made.call, doubt)
  }

  async function broadcast(job: OutboundMessage): Promise<SendResult> {
    if (job.template === undefined) {
      return refused({
        ok: false,
        code: 'invalid',
        message: 'template: expected a template, received nothing',
      })
    }
    const found = await catalogue.find(job.template)
    if ('outcome' in found) return found
    const made = broadcastCall(job, { name: acquaintanceOf(job)?.name ?? null }, found)
    if (!made.ok) return refused(made)
    const { payloads = [] } = job.template
    const choices = payloads.flatMap((id, i) =>
      found.labels[i] === undefined ? [] : { id, title: found.labels[i] },
    )
    titles.offered([job.to.phone, job.to.room_id, job.to.user_id], choices)
    return attempt(made.call, { jobId: job.job_id, key: phoneEcho(job.to.phone ?? ''), sinceMs: clock.now() })
  }

  async function attempt(call: QontakCall, doubt: Doubt): Promise<SendResult> {
    const result = sendResultOf(await client.chat(call), false)
    if (result.outcome === 'sent' && result.providerId !== null) {
      passLater(doubt.jobId, sent.answered(doubt.jobId, result.providerId))
    } else if (result.outcome === 'unknown') {
      const found = sent.unanswered(doubt)
      if (found === null) return result
      passLater(doubt.jobId, found.fates)
      return { outcome: 'sent', providerId: found.providerId }
    } else if (result.outcome !== 'retry') {
      sent.settled(doubt.jobId)
    }
    return result
  }

  /** Whether a job that is handed over (again) is in the room already; null: it is not, as far as can be told. */
  async function lookBack({ jobId }: Doubt, roomId: string, text: string): Promise<SendResult | null> {
    const doubt = sent.doubtOf(jobId)
    const sinceMs = doubt?.sinceMs ?? startedAtMs - RECONCILE_MS
    if (doubt === null && clock.now() - startedAtMs > 2 * RECONCILE_MS) return null
    const answer = await client.chat({ method: 'GET', path: `/rooms/${encodeURIComponent(roomId)}` })
    // While it can't be told, a doubtful one is not sent again.
    if (answer.is === 'failure' || answer.status >= 500) {
      return doubt && { outcome: 'unknown', message: 'its room can’t be read' }
    }
    if (answer.status === 401 || answer.status === 429) return sendResultOf(answer, true)
    const last = fieldsOf(fieldsOf(answer.body.data).last_message)
    const id = textOf(last.id)
    const isOurs =
      (last.participant_type === 'bot' || last.participant_type === 'agent') && last.text === text
    const isLater = !(Date.parse(String(last.created_at)) < sinceMs - CLOCK_SKEW_MS)
    if (!isOurs || !isLater || id === null || sent.isKnown(id)) return null
    log.info({ job: jobId }, 'a message whose send was not answered is in its room')
    passLater(jobId, sent.answered(jobId, id))
    return { outcome: 'sent', providerId: id }
  }

  function acquaintanceOf({ to }: OutboundMessage): Acquaintance | null {
    return people.get(personKey(to.phone)) ?? people.get(personKey(to.user_id)) ?? null
  }

  // — in —

  async function handleWebhook(secret: string, body: Uint8Array): Promise<WebhookAnswer> {
    if (!isSameSecret(secret, settings.webhookSecret)) {
      count('refused: secret')
      return { status: 404, body: 'There is nothing here' }
    }
    const fields = parseBody(body)
    try {
      if (fields === null) return await quarantine(body)
      const event = readEvent(fields, clock.now())
      if (isForeign(event.organizationId, event.is)) {
        count('refused: organisation')
        log.warn('a Qontak webhook is of another organisation than QONTAK_ORGANIZATION_ID')
        return { status: 403, body: 'Not the organisation of this hub' }
      }
      if (event.is === 'unreadable') return await quarantine(body)
      if (event.is === 'message') await passMessage(event.message)
      else if (event.is === 'fate') await passFate(event)
      else count(`ignored: ${event.reason}`)
      return TAKEN
    } catch (error) {
      count('refused: hub away')
      log.warn({ err: error }, 'a Qontak webhook could not be taken; Qontak is asked to send it again')
      return { status: 503, body: 'The hub can’t take this now; send it again' }
    }
  }

  /** Without an organisation only what is harmless may come: the verification of the address. */
  function isForeign(organizationId: string | null, is: string): boolean {
    if (settings.organizationId === null) return false
    return organizationId === null ? is !== 'ignored' : organizationId !== settings.organizationId
  }

  async function passMessage(message: InboundMessage & { room_id: string }): Promise<void> {
    const { room_id: roomId, customer } = message
    for (const id of [customer.phone, customer.user_id]) {
      if (id !== null) people.set(personKey(id), { roomId, name: customer.name })
    }
    const tapped =
      message.kind === 'text'
        ? titles.find([roomId, customer.phone, customer.user_id], message.text ?? '')
        : null
    await bus.publish(
      'inbound',
      inboundPayload(
        tapped === null
          ? message
          : { ...message, kind: 'choice', choice: { id: tapped.id, title: tapped.title } },
      ),
    )
    count(tapped === null ? 'message' : 'tap')
  }

  async function passFate(fate: Fate): Promise<void> {
    const jobId = sent.jobOf(fate)
    if (jobId === null) count('ignored: report of a message that is not the hub’s, or not known yet')
    // That a message exists is that it was sent.
    else await tell(jobId, fate.state === null ? { ...fate, state: 'sent' } : fate)
  }

  async function tell(jobId: string, { providerId, state, error, at, phone }: Fate): Promise<void> {
    const key = `${jobId} ${state}`
    if (state === null || told.has(key)) {
      count('status again')
      return
    }
    const status: JobStatus = { job_id: jobId, provider_id: providerId, state, error, at }
    if (phone === null) rooms.confirm(status)
    else broadcasts.confirm(status)
    await bus.publish('status', status)
    told.set(key, true)
    count('status')
  }

  /** What was reported before the send was answered. */
  function passLater(jobId: string, fates: readonly Fate[]): void {
    for (const fate of fates) {
      if (fate.state === null) continue
      tell(jobId, fate).catch((error: Error) =>
        log.warn({ err: error, job: jobId }, 'a status was not taken'),
      )
    }
  }

  /** As it came; in pieces, when it is more than the hub takes at once. */
  async function quarantine(body: Uint8Array): Promise<WebhookAnswer> {
    log.warn({ bytes: body.length }, 'what came from Qontak can’t be read; it is in quarantine')
    for (let at = 0; at === 0 || at < body.length; at += BRIDGE_PAYLOAD_BYTES_MAX) {
      await bus.publish('inbound', body.subarray(at, at + BRIDGE_PAYLOAD_BYTES_MAX))
    }
    count('unreadable')
    return TAKEN
  }

  function count(what: string): void {
    // Names of events are Qontak's: what could be many is counted as one.
    const name = counts.has(what) || counts.size < 100 ? what : 'ignored: more'
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
}

const TAKEN: WebhookAnswer = { status: 200, body: '' }

/** A phone by its digits, however it is written. */
const personKey = (id: string | null | undefined): string =>
  /^\+?[\d\s().-]+$/.test(id ?? '') ? (id as string).replace(/\D/g, '') : (id ?? '')

const refused = ({ code, message }: CallOf & { ok: false }): SendResult => ({
  outcome: 'failed',
  error: { code, message, retryable: false },
})

/** What the person will read, and an echo will say. */
function wordsOf({ body }: QontakCall): string {
  const { text, interactive } = fieldsOf(body)
  return textOf(text) ?? textOf(fieldsOf(interactive).body) ?? ''
}
