/** Why the broker turned something down: what `BrokerStats.refused` counts and the log says. */
export type RefusalReason =
  /** Before or while logging in. */
  | 'too_many_connections'
  | 'connect_timeout'
  | 'malformed_connect'
  | 'identifier'
  | 'credentials'
  | 'not_authorized'
  | 'unavailable'
  /** Afterwards. */
  | 'protocol'
  | 'packet_too_large'
  | 'not_allowed'
  | 'too_many_subscriptions'
  | 'not_accepted'
  | 'keep_alive'
  /** Not turned down, but held back or left out. */
  | 'rate'
  | 'slow_subscriber'
  | 'offline_queue_full'
  | 'retained_full'

export class Refusal extends Error {
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/** The first byte of a CONNACK packet. */
export const CONNACK = 0x20

/** The return codes of MQTT 3.1.1 §3.2.2.3 that refuse; they are Aedes' `returnCode` too. */
const RETURN_CODES = { identifier: 2, unavailable: 3, credentials: 4, not_authorized: 5 } as const

export class ConnectRefusal extends Refusal {
  readonly returnCode: 2 | 3 | 4 | 5

  constructor(reason: keyof typeof RETURN_CODES, message: string, options?: ErrorOptions) {
    super(reason, message, options)
    this.returnCode = RETURN_CODES[reason]
  }
}
