/**
 * What one subscriber still has to get: people and programs that listen to topics others publish on.
 *
 *   waiting     not sent yet: the socket is full, the window is, or (QoS 1 and 2, persistent session) the client is away
 *   in flight   sent at QoS 1 or 2, not acknowledged; sent again with DUP when the client comes back [MQTT-4.4.0-1]
 *
 * Publishers never wait for it.
 */
import type { Client } from 'aedes'
import type { Limits } from './limits.ts'
import type { RefusalReason } from './refusal.ts'
import { encodePublish, type Qos, SocketWriter } from './socket-writer.ts'

/** A message as it was published; one for all who get it. */
export class Publication {
  readonly topic: string
  readonly qos: Qos
  #payload: Buffer
  #owned = false
  #encoded: Buffer | null = null

  constructor(topic: string, payload: Buffer, qos: Qos) {
    this.topic = topic
    this.#payload = payload
    this.qos = qos
  }

  get payload(): Buffer {
    return this.#payload
  }

  /** What it costs to keep: the payload, and about this much around it. */
  get bytes(): number {
    return this.#payload.length + this.topic.length + 200
  }

  /** Before it is kept: a payload is a view of what was read from the socket, which would be kept with it. */
  own(): this {
    if (!this.#owned) this.#payload = Buffer.from(this.#payload)
    this.#owned = true
    return this
  }

  /** As a PUBLISH of QoS 0, encoded once for all. */
  encoded(): Buffer {
    this.#encoded ??= encodePublish({ ...this.fields(), qos: 0, retain: false, dup: false, id: 0 })
    return this.#encoded
  }

  fields(): { topic: string; payload: Buffer } {
    return { topic: this.topic, payload: this.#payload }
  }
}

interface Outgoing {
  readonly publication: Publication
  readonly qos: Qos
  readonly retain: boolean
}

/** What all absent subscribers together may keep. */
export interface OfflineBudget {
  bytesLeft: number
}

export class Subscriber {
  readonly #limits: Limits
  readonly #count: (reason: RefusalReason) => void
  readonly #budget: OfflineBudget
  #connection: { client: Client; writer: SocketWriter } | null = null
  #waiting: Outgoing[] = []
  /** Index of the first in `#waiting` that is still to be sent; the array is cut now and then. */
  #next = 0
  #waitingBytes = 0
  /** By packet identifier, in the order sent. `released`: a PUBREL is due instead (QoS 2, second half). */
  readonly #inFlight = new Map<number, Outgoing & { released: boolean }>()
  #lastId = 0
  /** Runs while the window is full and something waits for it. */
  #stuck: NodeJS.Timeout | null = null
  /** Taken from the budget while away. */
  #kept = 0

  constructor(options: { limits: Limits; count: (reason: RefusalReason) => void; budget: OfflineBudget }) {
    this.#limits = options.limits
    this.#count = options.count
    this.#budget = options.budget
  }

  offer(publication: Publication, qos: Qos, retain: boolean): void {
    if (this.#connection === null) {
      if (qos > 0) this.#keep({ publication, qos, retain })
      return
    }
    const outgoing = { publication, qos, retain }
    if (this.#next === this.#waiting.length && this.#canSend(qos)) this.#send(outgoing)
    else this.#wait(outgoing)
  }

  /** The client is back, or here for the first time: what it did not acknowledge first, then what waited. */
  attach(client: Client): void {
    this.#budget.bytesLeft += this.#kept
    this.#kept = 0
    this.#connection = { client, writer: new SocketWriter(client, () => this.#sendWaiting()) }
    for (const [id, { publication, qos, retain, released }] of this.#inFlight) {
      const { writer } = this.#connection
      if (released) writer.write(encodePubrel(id))
      else writer.write(encodePublish({ ...publication.fields(), qos, retain, dup: true, id }))
    }
    this.#sendWaiting()
  }

  /** The client left. `keep`: its session stays, with what QoS 1 and 2 it has not had. */
  detach(keep: boolean): void {
    this.#connection = null
    this.#watch(false)
    const waiting = this.#waiting.slice(this.#next).filter(({ qos }) => qos > 0)
    this.#waiting = []
    this.#next = 0
    this.#waitingBytes = 0
    if (!keep) {
      this.#inFlight.clear()
      this.#budget.bytesLeft += this.#kept
      this.#kept = 0
      return
    }
    for (const { publication } of this.#inFlight.values()) this.#charge(publication)
    for (const outgoing of waiting) this.#keep(outgoing)
  }

  /** PUBACK, PUBCOMP. */
  acknowledged(id: number): void {
    if (!this.#inFlight.delete(id)) return
    this.#watch(false)
    this.#sendWaiting()
  }

  /** PUBREC: from here on only the identifier matters [MQTT-4.3.3-1]. */
  received(id: number): void {
    const sent = this.#inFlight.get(id)
    if (sent !== undefined) sent.released = true
  }

  #canSend(qos: Qos): boolean {
    if (this.#connection === null || this.#connection.writer.full) return false
    return qos === 0 || this.#inFlight.size < this.#limits.subscriberWindow
  }

  #send(outgoing: Outgoing): void {
    const { publication, qos, retain } = outgoing
    const writer = this.#connection?.writer
    if (qos === 0 && !retain) {
      writer?.write(publication.encoded())
      return
    }
    const id = qos === 0 ? 0 : this.#nextId()
    if (qos > 0) this.#inFlight.set(id, { ...outgoing, released: false })
    writer?.write(encodePublish({ ...publication.fields(), qos, retain, dup: false, id }))
  }

  #wait(outgoing: Outgoing): void {
    const { bytes } = outgoing.publication
    const { backlogMessages, backlogBytes } = this.#limits
    const waiting = this.#waiting.length - this.#next
    if (waiting >= backlogMessages || this.#waitingBytes + bytes > backlogBytes) {
      this.#count('slow_subscriber')
      // QoS 0 promises nothing; at QoS 1 and 2 a gap must not pass for delivery, so the client has to come again.
      if (outgoing.qos > 0) this.#connection?.client.conn.destroy()
      return
    }
    this.#waitingBytes += bytes
    outgoing.publication.own()
    this.#waiting.push(outgoing)
    this.#watchWindow()
  }

  /** A client that acknowledges nothing while more waits for it is as slow as one whose socket takes nothing. */
  #watchWindow(): void {
    const windowFull = this.#inFlight.size >= this.#limits.subscriberWindow
    if (windowFull && this.#next < this.#waiting.length && this.#connection !== null) this.#watch(true)
  }

  #watch(on: boolean): void {
    if (on && this.#stuck === null) {
      this.#stuck = setTimeout(() => {
        this.#count('slow_subscriber')
        this.#connection?.client.conn.destroy()
      }, this.#limits.drainTimeoutMs)
    } else if (!on && this.#stuck !== null) {
      clearTimeout(this.#stuck)
      this.#stuck = null
    }
  }

  #sendWaiting(): void {
    for (let outgoing = this.#waiting[this.#next]; outgoing !== undefined; ) {
      if (!this.#canSend(outgoing.qos)) break
      this.#next++
      this.#waitingBytes -= outgoing.publication.bytes
      this.#send(outgoing)
      outgoing = this.#waiting[this.#next]
    }
    if (this.#next * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#next)
      this.#next = 0
    }
    this.#watchWindow()
  }

  /** While away. */
  #keep(outgoing: Outgoing): void {
    const { bytes } = outgoing.publication
    const full = this.#waiting.length + this.#inFlight.size >= this.#limits.offlineMessages
    if (full || bytes > this.#budget.bytesLeft) {
      this.#count('offline_queue_full')
      return
    }
    outgoing.publication.own()
    this.#charge(outgoing.publication)
    this.#waitingBytes += bytes
    this.#waiting.push(outgoing)
  }

  #charge({ bytes }: Publication): void {
    this.#kept += bytes
    this.#budget.bytesLeft -= bytes
  }

  /** The window is far smaller than the 65,535 identifiers, so a free one is near. */
  #nextId(): number {
    do this.#lastId = (this.#lastId % 65_535) + 1
    while (this.#inFlight.has(this.#lastId))
    return this.#lastId
  }
}

const encodePubrel = (id: number): Buffer => Buffer.from([0x62, 2, id >> 8, id & 0xff])
