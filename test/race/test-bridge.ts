/**
 * A bridge of the tests' own: an MQTT client of a hub that may die at any moment. What it publishes it publishes again, on
 * one connection after the other, until it is acknowledged; what it is given it reports as sent. It shares no code with
 * the hub's bridges.
 */
import { connect, type MqttClient } from 'mqtt'

export interface TestBridgeOptions {
  readonly name: string
  /** Of role `bridge:{name}`. */
  readonly token: string
  readonly mqttUrl: string
  /** A message to a person; the same `job_id` may come again. */
  readonly onOutbound: (message: Outbound) => void
}

export interface Outbound {
  readonly job_id: string
  readonly to: { readonly phone?: string }
  readonly kind: string
  readonly body?: string
  readonly choices?: readonly { readonly id: string }[]
  readonly template?: { readonly payloads?: readonly string[] }
}

interface Publication {
  readonly topic: string
  readonly payload: string
  readonly acknowledged: () => void
}

/** Published and not acknowledged, at most. */
const WINDOW = 200
const RECONNECT_MS = 50

export class TestBridge implements AsyncDisposable {
  /** Connections that were lost. */
  losses = 0
  acknowledged = 0
  readonly #options: TestBridgeOptions
  readonly #waiting: Publication[] = []
  readonly #underWay = new Set<Publication>()
  #client: MqttClient | null = null
  #retry: NodeJS.Timeout | null = null
  #isClosed = false

  constructor(options: TestBridgeOptions) {
    this.#options = options
    this.#open()
  }

  /** Not acknowledged yet. */
  get pending(): number {
    return this.#waiting.length + this.#underWay.size
  }

  /** Resolves at the PUBACK, however many connections it takes. */
  publish(kind: 'inbound' | 'status', payload: object): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const topic = `hub/v1/bridge/${this.#options.name}/${kind}`
    this.#waiting.push({ topic, payload: JSON.stringify(payload), acknowledged: resolve })
    this.#pump()
    return promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    if (this.#retry !== null) clearTimeout(this.#retry)
    await this.#client?.endAsync(true)
  }

  #open(): void {
    const { name, token, mqttUrl, onOutbound } = this.#options
    const client = connect(mqttUrl, {
      clientId: `test-bridge-${name}`,
      username: 'api',
      password: token,
      reconnectPeriod: 0,
      clean: true,
    })
    this.#client = client
    client.setMaxListeners(Number.POSITIVE_INFINITY)
    client.on('error', () => {})
    client.on('message', (_topic, bytes) => {
      const message = JSON.parse(String(bytes)) as Outbound
      onOutbound(message)
      void this.publish('status', {
        job_id: message.job_id,
        provider_id: `sent.${message.job_id}`,
        state: 'sent',
        error: null,
        at: new Date().toISOString(),
      })
    })
    let wasConnected = false
    client.on('connect', () => {
      wasConnected = true
      client.subscribe(`hub/v1/bridge/${name}/outbound`, { qos: 1 }, () => this.#pump())
    })
    client.once('close', () => {
      if (this.#client !== client) return
      this.#client = null
      if (wasConnected) this.losses++
      // First what was first.
      this.#waiting.unshift(...this.#underWay)
      this.#underWay.clear()
      client.end(true)
      if (!this.#isClosed) this.#retry = setTimeout(() => this.#open(), RECONNECT_MS)
    })
  }

  #pump(): void {
    const client = this.#client
    if (client === null || !client.connected) return
    while (this.#underWay.size < WINDOW) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#underWay.add(next)
      client.publish(next.topic, next.payload, { qos: 1 }, (error) => {
        // One that was not acknowledged on this connection is under way on another one by now.
        if (error || this.#client !== client || !this.#underWay.delete(next)) return
        this.acknowledged++
        next.acknowledged()
        this.#pump()
      })
    }
  }
}
