/**
 * What a subscription leads to: for who listens to others, a place in the fan-out; for who has mailboxes, those of them
 * that its filters match. The session keeps the filters.
 */
import type { Subscription } from 'aedes'
import type { Login } from './connection.ts'
import type { FanOut } from './fan-out.ts'
import type { Limits } from './limits.ts'
import type { Mailboxes } from './mailboxes.ts'
import type { RefusalReason } from './refusal.ts'
import type { Qos } from './socket-writer.ts'
import { matches } from './topic-filters.ts'

export class Subscriptions {
  readonly #fanOut: FanOut
  readonly #mailboxes: Mailboxes
  readonly #limits: Limits
  /** Told of a mailbox that was subscribed just now. */
  readonly #listening: (topic: string) => void

  constructor(options: {
    fanOut: FanOut
    mailboxes: Mailboxes
    limits: Limits
    listening: (topic: string) => void
  }) {
    this.#fanOut = options.fanOut
    this.#mailboxes = options.mailboxes
    this.#limits = options.limits
    this.#listening = options.listening
  }

  /** @returns why it is refused, or null when it was added */
  add(login: Login, filter: string, qos: Qos): RefusalReason | null {
    const { rights, session } = login
    const { subscriptions, subscriber } = session
    if (!rights.may('subscribe', filter)) {
      this.#remove(login, filter) // kept from a session with more rights
      return 'not_allowed'
    }
    if (!subscriptions.has(filter) && subscriptions.size >= this.#limits.subscriptionsPerClient) {
      return 'too_many_subscriptions'
    }
    subscriptions.set(filter, qos)
    if (subscriber !== null) this.#fanOut.subscribe(filter, subscriber, qos)
    return null
  }

  /** The client has been told: now it may be sent what is there for it. */
  granted(login: Login, granted: readonly Subscription[]): void {
    const { subscriber } = login.session
    if (subscriber !== null) {
      for (const { topic, qos } of granted) this.#fanOut.sendRetained(topic, subscriber, qos)
    }
    this.#refreshMailboxes(
      login,
      granted.map(({ topic }) => topic),
    )
  }

  /** A persistent session is connected again. Retained messages are not for it: it had them. */
  restored(login: Login): void {
    this.#refreshMailboxes(login, [...login.session.subscriptions.keys()])
  }

  removed(login: Login, filters: readonly string[]): void {
    for (const filter of filters) this.#remove(login, filter)
    this.#refreshMailboxes(login, [])
  }

  /** The connection is closed. What its session keeps stays subscribed. */
  left({ rights, window }: Login): void {
    if (window === null) return
    for (const topic of rights.mailboxes) this.#mailboxes.leave(topic, window)
    window.close()
  }

  #remove({ session }: Login, filter: string): void {
    session.subscriptions.delete(filter)
    if (session.subscriber !== null) this.#fanOut.unsubscribe(filter, session.subscriber)
  }

  #refreshMailboxes({ rights, session, window }: Login, added: readonly string[]): void {
    if (window === null) return
    for (const topic of rights.mailboxes) {
      const granted = [...session.subscriptions].filter(([filter]) => matches(filter, topic))
      if (granted.length === 0) {
        this.#mailboxes.leave(topic, window)
        continue
      }
      this.#mailboxes.listen(topic, window, Math.max(...granted.map(([, qos]) => qos)) as Qos)
      if (added.some((filter) => matches(filter, topic))) this.#listening(topic)
    }
  }
}
