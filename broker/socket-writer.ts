/**
 * PUBLISH packets onto one client's socket. A socket that takes nothing is waited for, no longer than Aedes'
 * `drainTimeout`, then the client is dropped.
 */
import type { Client } from 'aedes'
import { waitForDrain } from './aedes-internals.ts'

export class SocketWriter {
  readonly #client: Client
  readonly #onDrain: () => void
  #full = false

  constructor(client: Client, onDrain: () => void) {
    this.#client = client
    this.#onDrain = onDrain
  }

  /** The socket's buffer is full: what is written now is kept in memory. */
  get full(): boolean {
    return this.#full
  }

  write(bytes: Buffer): void {
    if (this.#client.conn.write(bytes) || this.#full) return
    this.#full = true
    waitForDrain(this.#client, (error) => {
      this.#full = false
      if (!error) this.#onDrain()
    })
  }
}

export type Qos = 0 | 1 | 2

export interface PublishFields {
  readonly topic: string
  readonly payload: Uint8Array | string
  readonly qos: Qos
  readonly retain: boolean
  readonly dup: boolean
  /** Packet identifier, 1 to 65,535; not used at QoS 0. */
  readonly id: number
}

/** A PUBLISH packet (MQTT 3.1.1 §3.3): one buffer, nothing shared with the payload. */
export function encodePublish({ topic, payload, qos, retain, dup, id }: PublishFields): Buffer {
  const topicLength = Buffer.byteLength(topic)
  const payloadLength = Buffer.byteLength(payload)
  const length = 2 + topicLength + (qos > 0 ? 2 : 0) + payloadLength
  const lengthBytes = length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : 4
  const bytes = Buffer.allocUnsafe(1 + lengthBytes + length)
  bytes[0] = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
  let at = 1
  for (let rest = length, i = 0; i < lengthBytes; i++, rest >>>= 7) {
    bytes[at++] = (rest & 0x7f) | (i < lengthBytes - 1 ? 0x80 : 0)
  }
  at = bytes.writeUInt16BE(topicLength, at)
  at += bytes.write(topic, at)
  if (qos > 0) at = bytes.writeUInt16BE(id, at)
  if (typeof payload === 'string') bytes.write(payload, at)
  else bytes.set(payload, at)
  return bytes
}
