/**
 * Sessions: what the broker remembers of a client by its id. In memory on purpose: what must last is in the store, so
 * that a session is a cache, and bounded like one.
 *
 *   live    its client is connected
 *   away    its client asked to be remembered (clean session 0) and left; the one longest away is forgotten first
 */

import { Readable } from 'node:stream'
import type { AedesPublishPacket, Client, Subscription } from 'aedes'
import type { FanOut } from './fan-out.ts'
import type { Limits } from './limits.ts'
import type { Qos } from './socket-writer.ts'
import type { Subscriber } from './subscriber.ts'

export interface Session {
  readonly clientId: string
  /** Who it belongs to; another principal with the same client id starts anew. */
  readonly owner: string
  /** Granted filters. */
  readonly subscriptions: Map<string, Qos>
  /** QoS 2: identifiers of messages that came and were not released [MQTT-4.3.3-2]. */
  readonly received: Set<number>
  /** Null for who hears only its mailboxes. */
  readonly subscriber: Subscriber | null
}

export class Sessions {
  readonly #fanOut: FanOut
  readonly #limits: Limits
  readonly #live = new Map<string, Session>()
  /** In the order of leaving. */
  readonly #away = new Map<string, Session>()

  constructor(fanOut: FanOut, limits: Limits) {
    this.#fanOut = fanOut
    this.#limits = limits
  }

  /** The session of a client that logged in. No other client may be live under its id. */
  open(options: {
    clientId: string
    owner: string
    clean: boolean
    subscriber: () => Subscriber | null
  }): Session {
    const { clientId, owner, clean } = options
    const kept = this.#away.get(clientId)
    this.#away.delete(clientId)
    let session = kept
    if (kept !== undefined && (clean || kept.owner !== owner)) {
      this.#discard(kept)
      session = undefined
    }
    session ??= {
      clientId,
      owner,
      subscriptions: new Map(),
      received: new Set(),
      subscriber: options.subscriber(),
    }
    this.#live.set(clientId, session)
    return session
  }

  /** The client left. */
  leave(session: Session, keep: boolean): void {
    if (this.#live.get(session.clientId) === session) this.#live.delete(session.clientId)
    if (!keep) {
      this.#discard(session)
      return
    }
    session.subscriber?.detach(true)
    this.#away.set(session.clientId, session)
    if (this.#away.size <= this.#limits.sessions) return
    for (const [clientId, oldest] of this.#away) {
      this.#away.delete(clientId)
      this.#discard(oldest)
      return
    }
  }

  live(clientId: string): Session | undefined {
    return this.#live.get(clientId)
  }

  #discard(session: Session): void {
    const { subscriber } = session
    if (subscriber === null) return
    for (const filter of session.subscriptions.keys()) this.#fanOut.unsubscribe(filter, subscriber)
    subscriber.detach(false)
  }
}

/** A client that keeps sending QoS 2 messages and releases none has the connection closed at this many. */
const RECEIVED_MAX = 1_000

const DONE = Promise.resolve()
const NOBODY = Promise.resolve([])
const NOT_FOUND = new Error('no such packet')

/**
 * Sessions as Aedes wants its persistence: what it is asked to remember is remembered in `Session`, or by who does the
 * remembering already: `Subscriber` sends and sends again, `FanOut` has the retained messages, and a will lives and dies
 * with its connection.
 *
 * @param acknowledged PUBACK or PUBCOMP
 * @param received PUBREC
 */
export function persistenceOf(
  sessions: Sessions,
  fanOut: FanOut,
  acknowledged: (client: Client, id: number) => void,
  received: (client: Client, id: number) => void,
) {
  const receivedBy = (client: { id: string }) => sessions.live(client.id)?.received
  return {
    async setup(): Promise<void> {},
    async destroy(): Promise<void> {},

    async storeRetained({ topic, payload, qos }: AedesPublishPacket): Promise<void> {
      fanOut.retain(topic, payload as Buffer, qos)
    },
    createRetainedStreamCombi: (): Readable => Readable.from([]),

    addSubscriptions: (): Promise<void> => DONE,
    removeSubscriptions: (): Promise<void> => DONE,
    cleanSubscriptions: (): Promise<void> => DONE,
    async subscriptionsByClient({ id }: { id: string }): Promise<Subscription[]> {
      const subscriptions = sessions.live(id)?.subscriptions ?? new Map<string, Qos>()
      return Array.from(subscriptions, ([topic, qos]) => ({ topic, qos }))
    },
    subscriptionsByTopic: (): Promise<never[]> => NOBODY,

    outgoingEnqueueCombi: (): Promise<void> => DONE,
    outgoingStream: (): Readable => Readable.from([]),
    /** Called with the PUBREL that answers a PUBREC. */
    outgoingUpdate(client: Client, { messageId = 0 }: { messageId?: number }): Promise<void> {
      received(client, messageId)
      return DONE
    },
    outgoingClearMessageId(client: Client, { messageId = 0 }: { messageId?: number }): Promise<void> {
      acknowledged(client, messageId)
      return DONE
    },

    async incomingStorePacket(client: Client, { messageId = 0 }: { messageId?: number }): Promise<void> {
      const ids = receivedBy(client)
      if (ids !== undefined && ids.size >= RECEIVED_MAX) throw new Error('too many messages without PUBREL')
      ids?.add(messageId)
    },
    async incomingGetPacket(client: Client, { messageId = 0 }: { messageId?: number }): Promise<object> {
      if (!receivedBy(client)?.has(messageId)) throw NOT_FOUND
      return { messageId }
    },
    async incomingDelPacket(client: Client, { messageId = 0 }: { messageId?: number }): Promise<void> {
      if (!receivedBy(client)?.delete(messageId)) throw NOT_FOUND
    },
    cleanIncoming: (): Promise<void> => DONE,

    putWill: (): Promise<void> => DONE,
    delWill: (): Promise<void> => DONE,
    streamWill: (): Readable => Readable.from([]),
  }
}
