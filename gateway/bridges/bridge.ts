/**
 * What every bridge is: an MQTT client of the hub with three topics of its own (CONTRACT, «Topics»).
 *
 *   publish      inbound, status; resolves at the PUBACK: it is in the ledger. Rejects after a bounded time, and at once
 *                while there is no connection: whoever brought it is told to bring it again
 *   onOutbound   jobs to send; acknowledged, that is taken, when the handler returns
 *
 * Every connection is a new client with a clean session, so nothing is resent behind the bridge's back: a job that was
 * not acknowledged comes again from the hub's outbox, and a webhook that was answered 503 from its provider.
 */
import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { connect, type IClientOptions, MqttClient } from 'mqtt'
import type { Logger } from 'pino'
import {
  type BridgeUplink,
  bridgeTopic,
  type JobStatus,
  type OutboundMessage,
  outbound,
} from '../contract/bridge.ts'
import { explain } from '../decode/fields.ts'

export interface BridgeBus {
  /** Bytes are published as they are: the hub quarantines what it can't decode. */
  publish(kind: BridgeUplink, payload: object | Uint8Array): Promise<void>
  /** One handler, set once. It should return soon: until then nothing else that comes from the hub is read. */
  onOutbound(handler: (job: OutboundMessage) => void | Promise<void>): void
  readonly isConnected: boolean
  /** Waits a little for what is being published. */
  close(): Promise<void>
}

/** Opens one connection; how, is the composition root's to say. */
export type Dial = (options: IClientOptions) => MqttClient

/** Over the network: `mqtt://`, `mqtts://`, `ws://`, `wss://`, with a token of role `bridge:{bridge}`. */
export const dialUrl =
  (url: string, token: string): Dial =>
  (options) =>
    connect(url, { ...options, username: 'api', password: token })

/** Within the process: each call of `open` is the client's end of a new connection to the broker. */
export const dialStream =
  (open: () => Duplex, token?: string): Dial =>
  (options) =>
    new MqttClient(open, {
      ...options,
      ...(token !== undefined && { username: 'api', password: token }),
    })

export interface BridgeOptions {
  /** `meta`, `qontak`, … */
  readonly bridge: string
  readonly dial: Dial
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly publishTimeoutMs?: number
}

/** Longer than the hub holds an acknowledgement while its store is away; shorter than a provider waits for an answer. */
const PUBLISH_TIMEOUT_MS = 8000
/** What is published and not acknowledged; beyond it publishing is refused. */
const PENDING_MESSAGES_MAX = 10_000
const PENDING_BYTES_MAX = 64 * 1024 * 1024
const KEEPALIVE_SECONDS = 30
const CONNECT_TIMEOUT_MS = 10_000
const RETRY_FIRST_MS = 250
const RETRY_MAX_MS = 8000
const CLOSE_TIMEOUT_MS = 2000
/** [MQTT-3.9.3-1] */
const SUBSCRIPTION_REFUSED = 128

export function connectBridge({
  bridge,
  dial,
  log,
  publishTimeoutMs = PUBLISH_TIMEOUT_MS,
}: BridgeOptions): BridgeBus {
  const clientId = `bridge-${bridge}-${randomBytes(4).toString('hex')}`
  const outboundTopic = bridgeTopic(bridge, 'outbound')
  let client: MqttClient | null = null
  let isConnected = false
  let isClosed = false
  let failures = 0
  let reason: string | null = null
  let retry: NodeJS.Timeout | null = null
  let handler: ((job: OutboundMessage) => void | Promise<void>) | null = null
  const pending = new Set<{ readonly fail: (why: string) => void; readonly settled: Promise<unknown> }>()
  let pendingBytes = 0

  open()

  return {
    publish,
    onOutbound(taken) {
      handler = taken
      if (isConnected && client !== null) subscribe(client)
    },
    get isConnected() {
      return isConnected
    },
    close,
  }

  function open(): void {
    retry = null
    const opened = dial({
      protocolVersion: 4,
      clean: true,
      clientId,
      keepalive: KEEPALIVE_SECONDS,
      connectTimeout: CONNECT_TIMEOUT_MS,
      reconnectPeriod: 0,
      resubscribe: false,
    })
    client = opened
    opened.on('error', (error) => {
      reason = error.message
    })
    opened.on('connect', () => {
      isConnected = true
      failures = 0
      reason = null
      log.info({ bridge }, 'bridge connected to the hub')
      if (handler !== null) subscribe(opened)
    })
    opened.handleMessage = (packet, done) => {
      const { topic, payload } = packet
      if (topic !== outboundTopic) return done()
      // Acknowledged when `done` is called; an error that is not ours to answer must not stop the client.
      take(Buffer.from(payload)).then(
        () => done(),
        (error: Error) => {
          log.error({ err: error, bridge }, 'a job could not be taken; the hub hands it over again')
          opened.stream.destroy()
          done()
        },
      )
    }
    opened.once('close', () => closed(opened))
  }

  function subscribe(to: MqttClient): void {
    to.subscribe(outboundTopic, { qos: 1 }, (error, granted) => {
      if (!error && granted?.every(({ qos }) => qos !== SUBSCRIPTION_REFUSED)) return
      reason = error?.message ?? `subscription to ${outboundTopic} refused`
      to.stream.destroy()
    })
  }

  function closed(gone: MqttClient): void {
    if (gone !== client) return
    client = null
    isConnected = false
    for (const { fail } of pending) fail('the connection to the hub was lost')
    gone.end(true)
    if (isClosed) return
    const delayMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** failures++) * (0.5 + Math.random() / 2)
    log.warn(
      { bridge, reason, delayMs: Math.round(delayMs) },
      'bridge not connected to the hub; it tries again',
    )
    retry = setTimeout(open, delayMs)
  }

  async function publish(kind: BridgeUplink, payload: object | Uint8Array): Promise<void> {
    const bytes = payload instanceof Uint8Array ? Buffer.from(payload) : Buffer.from(JSON.stringify(payload))
    const failed = (why: string) => new Error(`${kind} of bridge ${bridge} was not acknowledged: ${why}`)
    const through = client
    if (isClosed || !isConnected || through === null) throw failed('no connection to the hub')
    if (pending.size >= PENDING_MESSAGES_MAX || pendingBytes + bytes.length > PENDING_BYTES_MAX) {
      throw failed('too much waits to be acknowledged')
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const entry = { fail: (why: string) => reject(failed(why)), settled: promise.catch(() => {}) }
    pending.add(entry)
    pendingBytes += bytes.length
    const timer = setTimeout(() => {
      entry.fail(`no answer in ${publishTimeoutMs} ms`)
      // The hub drops a connection whose message it can't commit. One that says nothing at all is dropped here, so that
      // what is unanswered does not pile up in the client.
      through.stream.destroy()
    }, publishTimeoutMs)
    through.publish(bridgeTopic(bridge, kind), bytes, { qos: 1 }, (error) => {
      if (error) entry.fail(error.message)
      else resolve()
    })
    try {
      await promise
    } finally {
      clearTimeout(timer)
      pending.delete(entry)
      pendingBytes -= bytes.length
    }
  }

  async function take(payload: Buffer): Promise<void> {
    const job = readJob(payload)
    if (job.ok) return handler?.(job.job)
    log.error({ bridge, job: job.jobId, error: job.message }, 'the hub handed over what is no job')
    if (job.jobId === null) return
    const status: JobStatus = {
      job_id: job.jobId,
      provider_id: null,
      state: 'failed',
      error: { code: 'invalid', message: job.message, retryable: false },
      at: new Date().toISOString(),
    }
    // Not waited for: its PUBACK is read only after this message is acknowledged.
    publish('status', status).catch((error) => log.warn({ err: error, bridge }, 'a status was not taken'))
  }

  async function close(): Promise<void> {
    if (isClosed) return
    isClosed = true
    if (retry !== null) clearTimeout(retry)
    const last = client
    if (last === null) return
    const { promise: timedOut, resolve: giveUp } = Promise.withResolvers<void>()
    const timer = setTimeout(giveUp, CLOSE_TIMEOUT_MS)
    await Promise.race([Promise.all([...pending].map(({ settled }) => settled)), timedOut])
    // The library would wait for PUBACKs that may never come, or for the end of a stream that has ended.
    await Promise.race([last.endAsync(!isConnected || pending.size > 0), timedOut])
    clearTimeout(timer)
    last.stream.destroy()
  }
}

type ReadJob =
  | { readonly ok: true; readonly job: OutboundMessage }
  | { readonly ok: false; readonly jobId: string | null; readonly message: string }

/** The payload of an outbound topic → a job, or what is wrong with it and whom to tell. */
export function readJob(payload: Uint8Array): ReadJob {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(payload).toString())
  } catch {
    return { ok: false, jobId: null, message: 'expected JSON' }
  }
  const parsed = outbound.safeParse(value)
  if (parsed.success) return { ok: true, job: parsed.data }
  const message = parsed.error.issues
    .map((issue) => explain(issue, value))
    // What came may be a person's phone number or words: only its name is repeated.
    .map(({ field, expected }) => `${field}: expected ${expected.replace(/^expected /, '')}`)
    .join('; ')
  const id = (value as { job_id?: unknown } | null)?.job_id
  const jobId = typeof id === 'string' && id.length >= 1 && id.length <= 128 ? id : null
  return { ok: false, jobId, message: message.slice(0, 2048) }
}
