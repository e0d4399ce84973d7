/**
 * The store: four primitives behind one small port, after Deno KV's `atomic().check().set().commit()`.
 *
 *   once     a key taken for good: the first writer has it, everybody later learns who holds it
 *   set      a document, checked against the version that was read (optimistic concurrency)
 *   append   an entry at the end of a stream: ordered, numbered, never edited
 *   index    a member of a sorted set: the outbox, due timers, a serial's history
 *
 * A proposal is any number of these, applied wholly or not at all. Many proposals travel in one round trip.
 * `sqlite.ts` and `redis.ts` are the drivers; `test/contracts/store.ts` is what both must do.
 *
 * Repeats. An error from `commit` means «outcome unknown». Every proposal carries a token of its own, and every
 * document or lock it writes remembers that token; so the very same proposal can be handed in again until it is
 * answered, and gets its first answer (a holder equal to me means I won). A proposal that appends must therefore
 * take or check at least one key.
 */
import type { Entry, Stream } from '../contract/ledger.ts'
import type { Key, Shard } from './keys.ts'

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json | undefined }

/** A document or a lock: what is kept under a key. A lock is a document that is written once. */
export interface Doc<Value = unknown> {
  readonly value: Value
  /** 1 when first written, then rising by one. */
  readonly version: number
  /** When it was last written: milliseconds since 1970, by the store's one clock; 0: it is proposed, and not written yet. */
  readonly atMs: number
  /** The first entry that was appended together with it, or null. */
  readonly entry: string | null
}

export interface Once {
  readonly key: Key
  readonly value: Json
  /**
   * A holder with an equal value counts as mine, whoever wrote it. Only such a lock may live in another shard than its
   * proposal: on a cluster it is taken first, and stays taken when the rest does not come to pass.
   */
  readonly equalIsMine?: true
}

export interface Writes {
  /** null removes the document. */
  readonly set?: readonly { readonly key: Key; readonly value: Json }[]
  readonly append?: readonly { readonly stream: Stream; readonly type: string; readonly data: object }[]
  /** A null score removes the member. The member ENTRY_ID stands for the first entry this proposal appends. */
  readonly index?: readonly { readonly name: Key; readonly member: string; readonly score: number | null }[]
}

/** See `Writes.index`. */
export const ENTRY_ID = '$entry'

export interface Check {
  readonly key: Key
  /** 0: must not exist. */
  readonly version: number
  /**
   * Token of the proposal that must have written this version: for who builds on a proposal that is not committed yet.
   * Somebody else's write may have the same version.
   */
  readonly by?: string
}

export interface Proposal extends Writes {
  /** Where the aggregate lives: every key below is of this shard, and entries go to its lane. */
  readonly shard: Shard
  /** Unique to this proposal; unchanged when it is handed in again. */
  readonly token: string
  /** All must be free. */
  readonly once?: readonly Once[]
  /** A key that is set without a check is overwritten. */
  readonly check?: readonly Check[]
  /** By lock: what to write instead when that lock is held. Locks named before it are taken all the same. */
  readonly otherwise?: Readonly<Record<Key, Writes>>
}

export type Outcome =
  | { readonly outcome: 'committed'; readonly atMs: number; readonly entry: string | null }
  /** A lock is held by somebody else; `otherwise` was written if the proposal had one for it (then `entry` is its). */
  | {
      readonly outcome: 'held'
      readonly key: Key
      readonly holder: Doc
      readonly atMs: number
      readonly entry: string | null
    }
  /** A version had moved on. Nothing was written. */
  | { readonly outcome: 'conflict'; readonly key: Key }

export interface IndexQuery {
  /** Scores, both inclusive. */
  readonly min?: number
  readonly max?: number
  /** Only members beyond this one: where the page before ended. */
  readonly after?: { readonly score: number; readonly member: string }
  readonly limit: number
}

export interface Member {
  readonly name: Key
  readonly member: string
  readonly score: number
}

/** How far a reader has come in a stream; opaque. `START` is before the first entry. */
export type Position = string
export const START: Position = ''

export interface EntriesPage {
  readonly entries: Entry[]
  /** After the last of `entries`; hand it in to go on. */
  readonly position: Position
  /** After the first `count` of `entries`: for a reader that took no more than these. */
  positionAfter(count: number): Position
}

/** The newest entry of a lane, as the store itself remembers it. */
export interface Head {
  readonly lane: number
  readonly number: number
  readonly chain: string
}

export interface Durability {
  /** One plain line: what a PUBACK is worth on this store. */
  readonly promise: string
  /** Whether an acknowledged event survives a power cut. */
  readonly powerCut: boolean
}

export interface Store {
  /** The documents under these keys, in this order; null where there is none. */
  read(keys: readonly Key[]): Promise<(Doc | null)[]>
  /** Applied in this order, each one wholly or not at all; one answer each. Rejects when the outcome is unknown. */
  commit(proposals: readonly Proposal[]): Promise<Outcome[]>
  /** Members of these sorted sets together, by rising score, then by member: a list spread over all shards is read as one. */
  range(names: readonly Key[], query: IndexQuery): Promise<Member[]>
  /** Entries after a position, oldest first within each lane; at most `limit`. */
  entriesAfter(stream: Stream, position: Position, limit: number): Promise<EntriesPage>
  /** The newest entries, newest first, before a position (`START`: from the end). */
  entriesBefore(stream: Stream, position: Position, limit: number): Promise<EntriesPage>
  /** One entry by its id; null when there is none, or it was trimmed. */
  entry(stream: Stream, id: string): Promise<Entry | null>
  /** The position after the newest entry: where a follower of the tail begins. */
  end(stream: Stream): Promise<Position>
  /** Of every lane that was ever written to, by lane: an entry taken from a lane's end is missed by nothing else. */
  heads(stream: Stream): Promise<Head[]>
  /** Resolves when the store takes writes, which it finds out by writing; rejects with what is wrong. */
  ping(): Promise<void>
  readonly durability: Durability
  close(): Promise<void>
}
