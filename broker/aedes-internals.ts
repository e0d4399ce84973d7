/**
 * The private parts of Aedes 1.2 and mqtt-packet 9 that the guards need, in one place and checked when first used: an
 * upgrade that moves them fails loudly at the first connection of the first test, not silently in the field.
 *
 * Aedes offers no hook before a packet is buffered, and none that sees every packet; hence its parser.
 */
import assert from 'node:assert/strict'
import type { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type { Client } from 'aedes'
import type { Packet } from 'mqtt-packet'
import type { RefusalReason } from './refusal.ts'

/** mqtt-packet's parser as Aedes drives it. */
export interface Parser extends EventEmitter {
  /** The packet being read; `length` is its claimed remaining length, once the length was read. */
  readonly packet: { readonly cmd: Packet['cmd']; readonly length: number }
  /** Where reading stands within the packet; behind its end when a length inside it points outside. */
  readonly _pos: number
  /** Reads the remaining length; false while its bytes are not all there. */
  _parseLength(): boolean
  _emitError(error: Error): void
}

interface ClientInternals {
  readonly _parser: Parser
  readonly will: object | null
  pause(): void
  resume(): void
  waitForDrain(callback: (error?: Error | null) => void): void
}

const internalsOf = (client: Client): ClientInternals => client as unknown as ClientInternals

export function parserOf(client: Client): Parser {
  const parser = internalsOf(client)._parser
  assert(typeof parser._parseLength === 'function' && typeof parser._emitError === 'function')
  assert(parser.listenerCount('packet') === 1, 'Aedes listens to its parser')
  return parser
}

/**
 * Aedes takes what `read()` returns for all there is, and waits for more. Since Node 26 that is one chunk: what else had
 * come by then, say while a message was being committed, would lie there until the client sends again.
 */
export function readWhole(stream: Duplex): void {
  const read = stream.read
  stream.read = (size?: number | null) => read.call(stream, size ?? (stream.readableLength || undefined))
}

/** Whether this packet is the client's will, being published because the client was lost. */
export const isWill = (client: Client, packet: object): boolean => internalsOf(client).will === packet

/** Calls back when the socket takes more; drops the client when it does not within Aedes' `drainTimeout`. */
export const waitForDrain = (client: Client, callback: (error?: Error | null) => void): void =>
  internalsOf(client).waitForDrain(callback)

/** Reads nothing more from the client's socket, until `resume`. */
export const pause = (client: Client): void => internalsOf(client).pause()
export const resume = (client: Client): void => internalsOf(client).resume()

/** What Aedes' errors mean that a connection ends with; null: nothing was refused, the network failed. */
export function reasonOf(error: Error & { code?: unknown }): RefusalReason | null {
  if (error.message === 'connect did not arrive in time') return 'connect_timeout'
  if (error.message === 'keep alive timeout') return 'keep_alive'
  if (error.message === 'drain timeout') return 'slow_subscriber'
  if (error.message === 'connection closed' || error.code !== undefined) return null
  return 'protocol'
}
