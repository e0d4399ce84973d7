/**
 * The broker port: the only door of the house. A message is acknowledged when its handler resolves, and only then.
 *
 * Whoever speaks MQTT is a principal. What a principal may do is `access.ts`'s table; who it is, is asked through
 * `authenticate`. `embedded.ts` (Aedes) is the driver.
 */

export type Principal =
  /** A terminal or vehicle unit; `id` is `{dealer}/{device}`. */
  | { readonly kind: 'device'; readonly id: string; readonly dealer: string; readonly device: string }
  /** People and programs with an API token: `admin`, `analyst`, `manager`, `dealer:{id}`, `bridge:{bridge}`. */
  | { readonly kind: 'api'; readonly id: string; readonly role: string }

export interface Credentials {
  readonly clientId: string
  readonly username: string | null
  readonly password: Uint8Array | null
  /** Common name of a verified TLS client certificate. */
  readonly certificateName: string | null
}

/** A message on a topic the gateway takes in (devices, portal, bridges). */
export interface Message {
  readonly topic: string
  readonly payload: Uint8Array
  readonly sender: Principal
}

export interface BrokerHandlers {
  /** Who this is, or null: refused. Rejects when it cannot be known now (the client may try again). */
  authenticate(credentials: Credentials): Promise<Principal | null>
  /** Resolves: acknowledged. Rejects: the connection is dropped without an acknowledgement, and the sender sends again. */
  accept(message: Message): Promise<void>
  /** A mailbox topic (`…/receipt`, `…/command`, `…/outbound`) has a listener now: what waits for it can be delivered. */
  listening(topic: string): void
}

export interface Broker {
  /**
   * To the one client whose mailbox this topic is, at QoS 1 (or what it subscribed with).
   * `delivered` once acknowledged; `absent` when it is not connected here, did not subscribe, or left before it acknowledged;
   * `busy` when its window of unacknowledged messages is full.
   */
  deliver(topic: string, payload: string): Promise<'delivered' | 'absent' | 'busy'>
  /** To whoever listens, at QoS 0: live topics. Never waits, never fails. */
  publish(topic: string, payload: string): void
  /** Whether anybody would hear that now: what nobody hears need not be made. */
  hasListeners(topic: string): boolean
  readonly stats: BrokerStats
  /** The addresses bound, e.g. ports chosen by the system. */
  readonly addresses: BrokerAddresses
  /** Whether this client id is connected here. */
  isConnected(clientId: string): boolean
  /** Stops accepting, waits for pending acknowledgements (bounded), then closes every connection. */
  close(): Promise<void>
}

export interface BrokerAddresses {
  readonly plainPort: number | null
  readonly tlsPort: number | null
}

/** Counts since the start; `connections` and `pending` are now. */
export interface BrokerStats {
  connections: number
  /** Messages whose handler has not settled. */
  pending: number
  received: number
  acknowledged: number
  /** By reason, e.g. `packet_too_large`, `not_allowed`, `rate`, `slow_subscriber`. */
  readonly refused: Map<string, number>
}
