/**
 * Reading what a provider sent, of which nothing is certain, and writing it down for the hub. Nothing here throws.
 */
import type { InboundMessage } from '../contract/bridge.ts'
import { BRIDGE_PAYLOAD_BYTES_MAX } from '../contract/events.ts'

export type Fields = Readonly<Record<string, unknown>>

export const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {}

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

export const textOf = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' ? value : null

/** A text, cut to what the contract allows and not through a character; null when there is none. */
export const cut = (value: unknown, max: number): string | null =>
  textOf(value)?.slice(0, max).toWellFormed() ?? null

/** What is published of a message: within the hub's limit, so that a huge one loses `raw` and not itself. */
export function inboundPayload(message: InboundMessage): Uint8Array {
  const bytes = encode(message)
  if (bytes !== null && bytes.length <= BRIDGE_PAYLOAD_BYTES_MAX) return bytes
  const reason =
    bytes === null ? 'nested too deeply' : `${bytes.length} bytes, more than ${BRIDGE_PAYLOAD_BYTES_MAX}`
  return Buffer.from(JSON.stringify({ ...message, raw: { omitted: reason } }))
}

/** JSON as bytes; null when it is nested so deeply that it can't be written. */
export function encode(value: unknown): Uint8Array | null {
  try {
    return Buffer.from(JSON.stringify(value) ?? 'null')
  } catch {
    return null
  }
}
