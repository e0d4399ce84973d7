/**
 * Mailboxes: topics on which the hub writes to one client, a device's receipts and commands, a bridge's outbound
 * messages. A message goes straight to the socket of the client that subscribed, and is delivered when that client
 * acknowledged it. Nothing is kept here for who is away: that is the outbox's work.
 */
import type { Client } from 'aedes'
import type { Limits } from './limits.ts'
import { encodePublish, type Qos, SocketWriter } from './socket-writer.ts'

type Delivery = 'delivered' | 'absent' | 'busy'

/** The unacknowledged messages of one connection; the only one who sends QoS 1 to that client, so ids are its own. */
export class MailboxWindow {
  readonly #writer: SocketWriter
  readonly #size: number
  readonly #unacknowledged = new Map<number, (outcome: Delivery) => void>()
  #lastId = 0
  #gone = false

  constructor(client: Client, limits: Limits) {
    this.#writer = new SocketWriter(client, () => {})
    this.#size = limits.mailboxWindow
  }

  get full(): boolean {
    return this.#unacknowledged.size >= this.#size
  }

  send(topic: string, payload: string, qos: Qos): Promise<Delivery> {
    if (this.#gone) return ABSENT
    if (qos === 0) {
      if (this.#writer.full) return BUSY
      this.#writer.write(encodePublish({ topic, payload, qos, retain: false, dup: false, id: 0 }))
      return DELIVERED
    }
    if (this.full) return BUSY
    const id = this.#nextId()
    this.#writer.write(encodePublish({ topic, payload, qos: 1, retain: false, dup: false, id }))
    return new Promise((resolve) => this.#unacknowledged.set(id, resolve))
  }

  acknowledged(id: number): void {
    const settle = this.#unacknowledged.get(id)
    if (settle === undefined) return
    this.#unacknowledged.delete(id)
    settle('delivered')
  }

  /** The client left: what it did not acknowledge is not delivered. */
  close(): void {
    this.#gone = true
    for (const settle of this.#unacknowledged.values()) settle('absent')
    this.#unacknowledged.clear()
  }

  /** The window is far smaller than the 65,535 identifiers, so a free one is near. */
  #nextId(): number {
    do this.#lastId = (this.#lastId % 65_535) + 1
    while (this.#unacknowledged.has(this.#lastId))
    return this.#lastId
  }
}

const DELIVERED = Promise.resolve<Delivery>('delivered')
const ABSENT = Promise.resolve<Delivery>('absent')
const BUSY = Promise.resolve<Delivery>('busy')

/** Which connections listen to which mailbox. A device's has one at most; a bridge may run more than once. */
export class Mailboxes {
  readonly #listeners = new Map<string, Map<MailboxWindow, Qos>>()

  listen(topic: string, window: MailboxWindow, qos: Qos): void {
    const windows = this.#listeners.get(topic)
    if (windows === undefined) this.#listeners.set(topic, new Map([[window, qos]]))
    else windows.set(window, qos)
  }

  leave(topic: string, window: MailboxWindow): void {
    const windows = this.#listeners.get(topic)
    if (!windows?.delete(window)) return
    if (windows.size === 0) this.#listeners.delete(topic)
  }

  /** See `Broker.deliver`. Of several listeners the first with room gets it. */
  deliver(topic: string, payload: string): Promise<Delivery> {
    const windows = this.#listeners.get(topic)
    if (windows === undefined) return ABSENT
    for (const [window, qos] of windows) {
      if (!window.full) return window.send(topic, payload, qos)
    }
    return BUSY
  }
}
