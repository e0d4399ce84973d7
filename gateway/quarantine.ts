/**
 * What could not be decoded: the raw bytes, who sent them, what was wrong. After a fix (a newer hub, another
 * SERIAL_PATTERN) an item can go once more through the door.
 */
import type { Decode, Inbound } from './decode.ts'
import { type QuarantineDoc, quarantineIndex, quarantineKey } from './documents.ts'
import { SHARDS, shardOf } from './store/keys.ts'
import type { Json, Store } from './store/store.ts'

export interface QuarantineItem extends QuarantineDoc {
  readonly id: string
}

export interface QuarantinePage {
  readonly items: QuarantineItem[]
  /** Hand it in to go on; null at the end. */
  readonly next: { readonly score: number; readonly member: string } | null
}

/** Oldest first. */
export async function listQuarantine(
  store: Pick<Store, 'read' | 'range'>,
  query: { limit: number; after?: { score: number; member: string } },
): Promise<QuarantinePage> {
  const members = await store.range(SHARDS.map(quarantineIndex), query)
  const docs = await store.read(members.map(({ member }) => quarantineKey(member)))
  const items = docs.flatMap((doc, i) =>
    doc === null ? [] : [{ id: members[i]?.member as string, ...(doc.value as QuarantineDoc) }],
  )
  const last = members.at(-1)
  const next = last === undefined || members.length < query.limit ? null : last
  return { items, next: next && { score: next.score, member: next.member } }
}

export async function readQuarantine(store: Pick<Store, 'read'>, id: string): Promise<QuarantineItem | null> {
  const [doc] = await store.read([quarantineKey(id)])
  return doc ? { id, ...(doc.value as QuarantineDoc) } : null
}

export type ReplayResult =
  | { readonly result: 'taken_in' }
  | { readonly result: 'unknown' }
  /** It still cannot be decoded, for these reasons. */
  | { readonly result: 'still_undecodable'; readonly errors: QuarantineDoc['errors'] }

/**
 * Takes an item through the intake as if its sender had sent it again, then marks it. Dying between the two is
 * harmless: the event is known when it comes once more.
 */
export async function replayQuarantine(
  {
    store,
    decode,
    accept,
  }: {
    store: Pick<Store, 'read' | 'commit'>
    decode: Decode
    accept: (message: Inbound) => Promise<unknown>
  },
  id: string,
): Promise<ReplayResult> {
  const [doc] = await store.read([quarantineKey(id)])
  if (!doc) return { result: 'unknown' }
  const item = doc.value as QuarantineDoc
  const payload = Buffer.from(item.payload_base64, 'base64')
  const message: Inbound = { topic: item.topic, sender: item.sender, payload }
  const decoded = decode(message)
  if (decoded.kind === 'undecodable') return { result: 'still_undecodable', errors: decoded.errors }
  await accept(message)
  const replayed: QuarantineDoc = { ...item, state: 'replayed', replayed_at: new Date().toISOString() }
  const key = quarantineKey(id)
  await store.commit([
    { shard: shardOf(id), token: `replay-${id}`, set: [{ key, value: replayed as unknown as Json }] },
  ])
  return { result: 'taken_in' }
}
