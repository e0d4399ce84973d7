/**
 * Keys and shards. Every key begins with the hash tag of its aggregate's shard (`{h07}serial:ABC`), so that all
 * keys of one aggregate stand in one slot of a Redis Cluster. On one server the tag is merely part of the name.
 */
import { LANES } from '../contract/ledger.ts'

export type Shard = number
export type Key = string

export const SHARDS: readonly Shard[] = Array.from({ length: LANES }, (_, shard) => shard)

const tags = SHARDS.map((shard) => `{h${String(shard).padStart(2, '0')}}`)

/** FNV-1a over UTF-16 units: quick, spreads evenly, and must never change (it says where data is). */
export function shardOf(aggregate: string): Shard {
  let hash = 0x811c9dc5
  for (let i = 0; i < aggregate.length; i++) {
    hash = Math.imul(hash ^ aggregate.charCodeAt(i), 0x01000193)
  }
  return ((hash ^ (hash >>> 15)) >>> 0) % LANES
}

/** `name` in the shard given. */
export const keyIn = (shard: Shard, name: string): Key => `${tags[shard]}${name}`

/** The shard that a key's tag names. */
export const shardOfKey = (key: Key): Shard => Number(key.slice(2, 4))

/** The key without its tag. */
export const nameOfKey = (key: Key): string => key.slice(5)

/** A key whose last part is also its aggregate: `keyFor('serial', 'ABC')` → `{h07}serial:ABC`. */
export const keyFor = (kind: string, aggregate: string): Key =>
  keyIn(shardOf(aggregate), `${kind}:${aggregate}`)
