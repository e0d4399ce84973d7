/**
 * The short way in. Nearly all that devices send is PUBLISH at QoS 1 and PUBACK: these two are read where they lie in the
 * socket's bytes, and handed on at once. Everything else, and whatever is not quite as it should be, is left to the parser
 * and to Aedes, which then say what is wrong. Aedes' way, through a general parser and some ten steps with an object or
 * a promise each, costs a sale as much as deciding it does.
 *
 * Both ways lead to the same queue in the order in which the packets came: Aedes asks who may publish within the same
 * turn in which it parses.
 */
import type { Client } from 'aedes'
import { isBetweenPackets, keptAlive, parserOf } from './aedes-internals.ts'

/** What a connection's packets lead to, from its CONNACK on. */
export interface ShortWay {
  /** Whether what is published there is taken in. Asked when the topic is not that of the message before. */
  takes(topic: string): boolean
  readonly payloadBytesMax: number
  publish(topic: string, payload: Buffer, id: number): void
  acknowledged(id: number): void
}

const PUBLISH_QOS1 = 0x32
const DUP = 0x08
const PUBACK = 0x40
/** Two bytes of length before the topic, and the packet identifier behind it. */
const AROUND_TOPIC = 4

/** @param way null: for now everything takes Aedes' way */
export function openShortWay(client: Client, way: () => ShortWay | null): void {
  const parser = parserOf(client)
  const parse = parser.parse.bind(parser)
  const topic = { bytes: Buffer.alloc(0), text: '' }
  /** The beginning of a packet, and its whole length. */
  let rest: Buffer | null = null
  let restLength = 0

  parser.parse = (chunk: Buffer): number => {
    const bytes = rest === null ? chunk : Buffer.concat([rest, chunk])
    if (bytes.length < restLength) {
      rest = bytes
      return 0
    }
    rest = null
    restLength = 0
    const open = way()
    if (open === null || !isBetweenPackets(parser)) return parse(bytes)
    let at = 0
    for (let end: number; at < bytes.length; at = end) {
      end = take(open, bytes, at)
      if (end === at) break
      if (end > bytes.length) {
        rest = bytes.subarray(at)
        restLength = end - at
        at = bytes.length
        break
      }
    }
    if (at > 0) keptAlive(client)
    return at < bytes.length ? parse(at === 0 ? bytes : bytes.subarray(at)) : 0
  }

  /** @returns where the packet ends; where it begins when it is none for the short way; beyond the bytes: not all there */
  function take(open: ShortWay, bytes: Buffer, at: number): number {
    const first = bytes[at] as number
    if (first === PUBACK) return takePuback(open, bytes, at)
    return (first & ~DUP) === PUBLISH_QOS1 ? takePublish(open, bytes, at) : at
  }

  function takePuback(open: ShortWay, bytes: Buffer, at: number): number {
    if (at + 4 > bytes.length) return bytes[at + 1] === 2 ? at + 4 : at
    const id = bytes.readUInt16BE(at + 2)
    if (bytes[at + 1] !== 2 || id === 0) return at
    open.acknowledged(id)
    return at + 4
  }

  function takePublish(open: ShortWay, bytes: Buffer, at: number): number {
    let length = 0
    let begin = at + 1
    for (let shift = 0; ; shift += 7, begin++) {
      const byte = bytes[begin]
      if (byte === undefined || shift > 21) return at
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    begin++
    const end = begin + length
    if (length > open.payloadBytesMax) return at
    if (end > bytes.length) return end
    if (length < AROUND_TOPIC) return at
    const topicLength = bytes.readUInt16BE(begin)
    const payloadAt = begin + AROUND_TOPIC + topicLength
    if (payloadAt > end) return at
    const id = bytes.readUInt16BE(payloadAt - 2)
    if (id === 0 || !isTopic(open, bytes, begin + 2, topicLength)) return at
    open.publish(topic.text, bytes.subarray(payloadAt, end), id)
    return end
  }

  /** Whether the topic that stands there is one that is taken in; remembered, since a device hardly ever changes it. */
  function isTopic(open: ShortWay, bytes: Buffer, at: number, length: number): boolean {
    if (length === topic.bytes.length && isSame(bytes, at, topic.bytes)) return true
    const text = bytes.toString('utf8', at, at + length)
    if (!open.takes(text)) return false
    topic.bytes = Buffer.from(bytes.subarray(at, at + length))
    topic.text = text
    return true
  }
}

function isSame(bytes: Buffer, at: number, expected: Buffer): boolean {
  for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false
  return true
}

export function encodePuback(id: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(0x4002_0000 + id, 0)
  return bytes
}
