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
  /** Bytes not read yet. */
  readonly _list: { readonly length: number }
  /** Which part of a packet comes next; 0: its first byte. */
  readonly _stateCounter: number
  /** Where reading stands within the packet; behind its end when a length inside it points outside. */
  readonly _pos: number
  /** @returns how many bytes it keeps, of a packet that is not all there */
  parse(bytes: Buffer): number
  /** Reads the remaining length; false while its bytes are not all there. */
  _parseLength(): boolean
  _emitError(error: Error): void
}

interface ClientInternals {
  readonly _parser: Parser
  readonly _keepaliveInterval: number
  readonly _keepaliveTimer: NodeJS.Timeout | null
  readonly will: object | null
  _nextBatch(): void
  pause(): void
  resume(): void
  waitForDrain(callback: (error?: Error | null) => void): void
}

const internalsOf = (client: Client): ClientInternals => client as unknown as ClientInternals

export function parserOf(client: Client): Parser {
  const parser = internalsOf(client)._parser
  assert(typeof parser._parseLength === 'function' && typeof parser._emitError === 'function')
  assert(typeof parser.parse === 'function' && typeof parser._list.length === 'number')
  assert(parser._stateCounter === 0, 'a new parser is between packets')
  assert(parser.listenerCount('packet') === 1, 'Aedes listens to its parser')
  return parser
}

/**
 * Aedes takes what `read()` returns for all there is, and waits for more. Since Node 26 that is one chunk: what else had
 * come by then, say while a message was being committed, would lie there until the client sends again.
 *
 * @param mayRead asked each time; who says no has to `readOn` later
 */
export function readWhole(stream: Duplex, mayRead: () => boolean): void {
  const read = stream.read
  // An end of the stream is always seen, a vanished peer with it.
  stream.read = (size?: number | null) =>
    stream.readableLength === 0 || mayRead()
      ? read.call(stream, size ?? (stream.readableLength || undefined))
      : null
}

/** Whether it has read whole packets so far, and nothing of a next one. */
export const isBetweenPackets = ({ _list, _stateCounter }: Parser): boolean =>
  _list.length === 0 && _stateCounter === 0

/** A packet came that Aedes does not see: its keep alive begins anew. */
export function keptAlive(client: Client): void {
  const { _keepaliveInterval, _keepaliveTimer } = internalsOf(client)
  if (_keepaliveInterval > 0) _keepaliveTimer?.refresh()
}

/** Whether this packet is the client's will, being published because the client was lost. */
export const isWill = (client: Client, packet: object): boolean => internalsOf(client).will === packet

/** Calls back when the socket takes more; drops the client when it does not within Aedes' `drainTimeout`. */
export const waitForDrain = (client: Client, callback: (error?: Error | null) => void): void =>
  internalsOf(client).waitForDrain(callback)

/** Reads what has come meanwhile. */
export const readOn = (client: Client): void => internalsOf(client)._nextBatch()

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
