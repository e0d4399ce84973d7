/**
 * One device's connection to the hub: MQTT 3.1.1, a clean session, kept up with growing, jittered waits. Every attempt
 * is a new client, so that what is resent, and when, is the outbox's decision and not the MQTT library's.
 */
import { connect, type MqttClient } from 'mqtt'
import { between, type Random } from './random.ts'

/** As `hub device add --json` prints it. */
export interface Credential {
  readonly client_id: string
  readonly username: string
  readonly password: string
}

export interface ConnectionOptions {
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://` */
  readonly url: string
  readonly credential: Credential
  /** What the hub publishes when this device falls silent. */
  readonly will: { readonly topic: string; readonly payload: string }
  /** Subscribed to, at QoS 1, before `onUp`. */
  readonly subscriptions: readonly string[]
  /** Spreads the waits, so that a fleet does not come back at once. */
  readonly random: Random
  readonly onUp: () => void
  readonly onDown: (reason: string | null) => void
  /** An attempt failed; the next one follows by itself. */
  readonly onRefused: (reason: string | null) => void
  readonly onMessage: (topic: string, payload: Buffer) => void
}

const KEEPALIVE_SECONDS = 30
const CONNECT_TIMEOUT_MS = 10_000
const RETRY_FIRST_MS = 250
const RETRY_MAX_MS = 8000
/** A hub that does not answer must not keep the simulator from ending. */
const CLOSE_TIMEOUT_MS = 2000

/** [MQTT-3.9.3-1] */
const SUBSCRIPTION_REFUSED = 128

export class Connection {
  readonly #options: ConnectionOptions
  #client: MqttClient | null = null
  #isUp = false
  #failures = 0
  #retry: NodeJS.Timeout | null = null
  #reason: string | null = null

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  get isUp(): boolean {
    return this.#isUp
  }

  open(): void {
    const { url, credential, will, onMessage } = this.#options
    const client = connect(url, {
      protocolVersion: 4,
      clean: true,
      clientId: credential.client_id,
      username: credential.username,
      password: credential.password,
      will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: false },
      keepalive: KEEPALIVE_SECONDS,
      connectTimeout: CONNECT_TIMEOUT_MS,
      reconnectPeriod: 0,
      resubscribe: false,
    })
    this.#client = client
    client.on('error', (error) => {
      this.#reason = error.message
    })
    client.on('connect', () => this.#subscribe(client))
    client.on('message', onMessage)
    client.once('close', () => this.#closed(client))
  }

  /** At QoS 1. `onAcknowledged` at the PUBACK; when the connection is lost before it, never. */
  publish(topic: string, payload: Buffer, isRepeat: boolean, onAcknowledged: () => void): void {
    const client = this.#client
    client?.publish(topic, payload, { qos: 1, dup: isRepeat }, (error) => {
      if (error === undefined || error === null) onAcknowledged()
    })
  }

  /** At QoS 0: it may be lost. */
  mention(topic: string, payload: string): void {
    if (this.#isUp) this.#client?.publish(topic, payload, { qos: 0 })
  }

  /** Says goodbye, so that the will is not published. Resolves when the socket is closed. */
  async close(): Promise<void> {
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#retry = null
    const client = this.#client
    this.#client = null
    if (client === null) return
    const wasUp = this.#isUp
    this.#isUp = false
    if (wasUp) this.#options.onDown(null)
    const timer = setTimeout(() => client.stream.destroy(), CLOSE_TIMEOUT_MS)
    // The library would wait for PUBACKs that may never come: then the line is cut instead.
    await client.endAsync(!wasUp || Object.keys(client.outgoing).length > 0)
    clearTimeout(timer)
  }

  /** Cuts the line without a word, as a bad network does. */
  cut(): void {
    this.#client?.stream.destroy()
  }

  #subscribe(client: MqttClient): void {
    const { subscriptions } = this.#options
    if (subscriptions.length === 0) {
      this.#up(client)
      return
    }
    client.subscribe([...subscriptions], { qos: 1 }, (error, granted) => {
      const refused = granted?.find(({ qos }) => qos === SUBSCRIPTION_REFUSED)
      if (!error && refused === undefined) {
        this.#up(client)
        return
      }
      this.#reason = error?.message ?? `subscription to ${refused?.topic} refused`
      client.stream.destroy()
    })
  }

  #up(client: MqttClient): void {
    // It may have been closed while the answer was under way.
    if (client !== this.#client) return
    this.#isUp = true
    this.#failures = 0
    this.#reason = null
    this.#options.onUp()
  }

  #closed(client: MqttClient): void {
    if (client !== this.#client) return
    const { onDown, onRefused } = this.#options
    const wasUp = this.#isUp
    this.#client = null
    this.#isUp = false
    if (wasUp) onDown(this.#reason)
    else onRefused(this.#reason)
    const waitMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** this.#failures++)
    this.#retry = setTimeout(() => this.open(), between(this.#options.random, 0.5, 1) * waitMs)
  }
}
