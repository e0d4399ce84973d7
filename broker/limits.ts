/**
 * The broker's bounds, each with its reason. They are deliberately wide: a device that comes back with a week of
 * sales in its outbox must not feel them. Tests hand in smaller ones.
 */
import { BRIDGE_PAYLOAD_BYTES_MAX, DEVICE_PAYLOAD_BYTES_MAX } from '../gateway/contract/events.ts'

export const LIMITS = Object.freeze({
  /** Sockets of all kinds. About 25 KiB each when idle, so all of them stay at half a gigabyte. */
  connections: 20_000,
  /**
   * Connections from one address that have not logged in. Wide, since a dealership behind one router or a whole
   * fleet behind one balancer shares an address, and may come back all at once.
   */
  unauthenticatedPerAddress: 5_000,
  /** From the TCP connection to a whole CONNECT. Dribbling bytes does not prolong it. */
  connectTimeoutMs: 5_000,
  /** What the store may take to tell who a client is, before it is told «server unavailable». */
  authenticateTimeoutMs: 5_000,
  /** Packets that a client may send behind its CONNECT without waiting for the CONNACK; beyond: closed. */
  packetsBeforeConnack: 1_000,
  /** A keep alive above this, or none, is taken as this: a dead peer is noticed in one and a half times as long. */
  keepAliveSeconds: 1_200,
  /** Who takes nothing for so long is dropped: a socket that is full, a subscriber whose window is. */
  drainTimeoutMs: 4_000,
  /** CONNECT, SUBSCRIBE, UNSUBSCRIBE: anything but PUBLISH. A hundred long filters fit. */
  controlPacketBytes: 16 * 1024,
  devicePayloadBytes: DEVICE_PAYLOAD_BYTES_MAX,
  apiPayloadBytes: BRIDGE_PAYLOAD_BYTES_MAX,
  subscriptionsPerClient: 100,
  /**
   * Messages in the handler's hands: a few of the intake's batches, so that even a slow store answers each in well
   * under the time it is held. The others wait in their senders' queues, in turn.
   */
  messagesInFlight: 2_048,
  /** Messages read and not settled, all senders together: above, no socket is read. */
  messagesInHand: 2_048,
  messagesInFlightPerClient: 1_000,
  /** For the handler's answer; the intake's own hold is 5 s, so this is the second net. */
  acceptTimeoutMs: 6_500,
  /** For a turn with the handler. Long: to drop those who wait in an overload makes a storm of it. */
  turnTimeoutMs: 30_000,
  /**
   * Messages a second and at once from one client; above, acknowledgements are delayed, never by more than
   * `rateDelayMs`. One device in a loop then takes a fifth of a hub at most.
   */
  ratePerSecond: 5_000,
  rateBurst: 20_000,
  rateDelayMs: 5_000,
  /** Unacknowledged messages to one mailbox; the rest stays in the outbox, which is on disk. */
  mailboxWindow: 100,
  /** Unacknowledged QoS 1 and 2 messages to one subscriber; the rest waits in its backlog. */
  subscriberWindow: 1_000,
  /** What may wait for one connected subscriber. Above: QoS 0 is left out, QoS 1 and 2 end the connection. */
  backlogMessages: 100_000,
  backlogBytes: 64 * 1024 * 1024,
  /** Persistent sessions (clean session 0) whose client is away; the one longest away is forgotten first. */
  sessions: 20_000,
  /** What one absent client finds again, and all of them together. */
  offlineMessages: 1_000,
  offlineBytes: 64 * 1024 * 1024,
  /** Each SUBSCRIBE with a wildcard looks through all of them. */
  retainedTopics: 1_000,
  retainedBytes: 16 * 1024 * 1024,
  /** On closing: for pending messages and their acknowledgements; above `acceptTimeoutMs`. */
  closeTimeoutMs: 8_000,
})

export type Limits = { readonly [Name in keyof typeof LIMITS]: number }
