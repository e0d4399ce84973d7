/**
 * From one publisher to all subscribers, and the retained messages. It stands where Aedes has its emitter, and differs
 * from it in that nobody waits: Aedes' own acknowledges no further message while one subscriber is slow.
 */
import type { AedesPublishPacket } from 'aedes'
import type { Limits } from './limits.ts'
import type { RefusalReason } from './refusal.ts'
import type { Qos } from './socket-writer.ts'
import { Publication, type Subscriber } from './subscriber.ts'
import { matches } from './topic-filters.ts'
import { TopicTree } from './topic-tree.ts'

const lower = (a: Qos, b: Qos): Qos => (a < b ? a : b)

export class FanOut {
  readonly #limits: Limits
  readonly #count: (reason: RefusalReason) => void
  readonly #tree = new TopicTree<Subscriber>()
  readonly #retained = new Map<string, Publication>()
  #retainedBytes = 0

  constructor(limits: Limits, count: (reason: RefusalReason) => void) {
    this.#limits = limits
    this.#count = count
  }

  subscribe(filter: string, subscriber: Subscriber, qos: Qos): void {
    this.#tree.add(filter, subscriber, qos)
  }

  unsubscribe(filter: string, subscriber: Subscriber): void {
    this.#tree.remove(filter, subscriber)
  }

  hasListeners(topic: string): boolean {
    return this.#tree.size > 0 && this.#tree.match(topic).size > 0
  }

  publish(topic: string, payload: Buffer | string, qos: Qos): void {
    if (this.#tree.size === 0) return
    const found = this.#tree.match(topic)
    if (found.size === 0) return
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
    const publication = new Publication(topic, bytes, qos)
    // Not retained, as far as a subscriber who was there is concerned [MQTT-3.3.1-9].
    for (const [subscriber, granted] of found) subscriber.offer(publication, lower(qos, granted), false)
  }

  /** [MQTT-3.3.1-5]; an empty payload forgets the topic's message [MQTT-3.3.1-10]. */
  retain(topic: string, payload: Buffer, qos: Qos): void {
    const before = this.#retained.get(topic)
    this.#retainedBytes -= before?.bytes ?? 0
    this.#retained.delete(topic)
    if (payload.length === 0) return
    const publication = new Publication(topic, payload, qos)
    if (
      this.#retained.size >= this.#limits.retainedTopics ||
      this.#retainedBytes + publication.bytes > this.#limits.retainedBytes
    ) {
      this.#count('retained_full')
      return
    }
    this.#retained.set(topic, publication.own())
    this.#retainedBytes += publication.bytes
  }

  /** To a new subscription, what is retained for it [MQTT-3.3.1-6]. */
  sendRetained(filter: string, subscriber: Subscriber, granted: Qos): void {
    for (const publication of this.#retained.values()) {
      if (matches(filter, publication.topic)) {
        subscriber.offer(publication, lower(publication.qos, granted), true)
      }
    }
  }

  /**
   * As Aedes wants its emitter. It hands in a function per subscription, which is not used: a subscription is made with
   * `subscribe`, by who knows its client.
   */
  readonly emitter = {
    on(_topic: string, _notify: unknown, done?: () => void): void {
      done?.()
    },
    removeListener(_topic: string, _notify: unknown, done?: () => void): void {
      done?.()
    },
    emit: (packet: AedesPublishPacket, done: () => void): void => {
      this.publish(packet.topic, packet.payload as Buffer, packet.qos)
      done()
    },
    close: (done: () => void): void => done(),
  }
}
