/**
 * What terminals and vehicle units have in common: a connection with a will, an outbox that survives it, and a word
 * about their health whenever they come up.
 */
import type { Health } from '../gateway/contract/events.ts'
import { type DeviceName, type DeviceUplink, deviceTopic } from '../gateway/contract/topics.ts'
import { Connection, type Credential } from './connection.ts'
import { Outbox } from './outbox.ts'
import type { Letter } from './plan.ts'
import type { Random } from './random.ts'
import type { Recorder } from './recorder.ts'

export interface DeviceOptions {
  readonly name: DeviceName
  readonly url: string
  readonly credential: Credential
  readonly recorder: Recorder
  readonly random: Random
  /** The world's clock, milliseconds since 1970. */
  readonly worldNow: () => number
}

export interface DeviceHardware {
  readonly firmware: string
  /** The uplink its letters go to. */
  readonly uplink: DeviceUplink
  readonly subscriptions: readonly string[]
  readonly onMessage: (topic: string, payload: Buffer) => void
}

/** Letters that may be without their PUBACK at one time: what fits a small device's memory. */
const WINDOW_MAX = 20

export class SimulatedDevice {
  readonly outbox = new Outbox(WINDOW_MAX)
  readonly #options: DeviceOptions
  readonly #hardware: DeviceHardware
  readonly #connection: Connection
  readonly #topic: string
  readonly #startedAtMs: number
  readonly #firstAttempt = Promise.withResolvers<void>()
  #rssiDbm = -70

  constructor(options: DeviceOptions, hardware: DeviceHardware) {
    const { name, url, credential, random, recorder } = options
    this.#options = options
    this.#hardware = hardware
    this.#topic = deviceTopic(name, hardware.uplink)
    this.#startedAtMs = options.worldNow()
    this.#connection = new Connection({
      url,
      credential,
      random,
      subscriptions: hardware.subscriptions,
      will: {
        topic: deviceTopic(name, 'health'),
        payload: JSON.stringify({ online: false } satisfies Health),
      },
      onUp: () => {
        this.#firstAttempt.resolve()
        recorder.connected(credential.client_id)
        this.#sayHealth()
        this.send()
      },
      onDown: (reason) => {
        this.outbox.disconnect()
        recorder.disconnected(credential.client_id, reason)
      },
      onRefused: (reason) => {
        this.#firstAttempt.resolve()
        recorder.refused(credential.client_id, reason)
      },
      onMessage: hardware.onMessage,
    })
  }

  get isConnected(): boolean {
    return this.#connection.isUp
  }

  /** Connects, and from then on keeps the connection up. Resolves after the first attempt, whatever came of it. */
  start(): Promise<void> {
    this.#connection.open()
    return this.#firstAttempt.promise
  }

  post(letter: Letter): void {
    this.outbox.post(letter)
    this.send()
  }

  /** Says how it is, now and whenever it comes up again. */
  feel(rssiDbm: number): void {
    this.#rssiDbm = rssiDbm
    this.#sayHealth()
  }

  /** Hands to the network what the window lets through. */
  send(): void {
    const { recorder } = this.#options
    while (this.#connection.isUp) {
      const outgoing = this.outbox.next(performance.now())
      if (outgoing === null) return
      const { letter, sends, lastSentAtMs } = outgoing
      recorder.sent(letter, sends)
      this.#connection.publish(this.#topic, letter.payload, sends > 1, () => {
        const nowMs = performance.now()
        recorder.acknowledged(letter, nowMs - lastSentAtMs)
        this.outbox.acknowledge(outgoing, nowMs)
        this.send()
      })
    }
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  cut(): void {
    this.#connection.cut()
  }

  #sayHealth(): void {
    const { name, worldNow } = this.#options
    const nowMs = worldNow()
    const health: Health = {
      at: new Date(nowMs).toISOString(),
      online: true,
      uptime_s: Math.round((nowMs - this.#startedAtMs) / 1000),
      firmware: this.#hardware.firmware,
      queue_depth: this.outbox.pending,
      rssi_dbm: this.#rssiDbm,
    }
    this.#connection.mention(deviceTopic(name, 'health'), JSON.stringify(health))
  }
}
