/**
 * An import's rows are staged under a generation of its own and begin to count all at once, when the kind's document
 * moves to it (`ReferenceDoc` in `documents.ts`).
 *
 *   begin    takes the next number; an import still staging (it died, or is slower) is aborted by it
 *   publish  the rows count from now on, unless another import has begun meanwhile
 */
import { randomUUID } from 'node:crypto'
import { type ReferenceDoc, type ReferenceKind, referenceKey } from '../documents.ts'
import { commitUntilAnswered } from '../store/commit-until-answered.ts'
import { shardOfKey } from '../store/keys.ts'
import type { Json, Store } from '../store/store.ts'

export interface Generation {
  readonly number: number
  /** As it was written at the beginning: what counted before. */
  readonly reference: ReferenceDoc
  /** Of that document. */
  readonly version: number
}

const NONE: ReferenceDoc = { current: 0, staging: null, aborted: [], rows: 0, imported_at: null }

/** What counts now. */
export async function readReference(store: Pick<Store, 'read'>, kind: ReferenceKind): Promise<ReferenceDoc> {
  const [doc] = await store.read([referenceKey(kind)])
  return (doc?.value as ReferenceDoc | undefined) ?? NONE
}

export async function beginGeneration(
  store: Pick<Store, 'read' | 'commit'>,
  kind: ReferenceKind,
): Promise<Generation> {
  for (;;) {
    const [doc] = await store.read([referenceKey(kind)])
    const before = (doc?.value as ReferenceDoc | undefined) ?? NONE
    const aborted = before.staging === null ? before.aborted : [...before.aborted, before.staging]
    const number = Math.max(before.current, ...aborted) + 1
    const reference = { ...before, staging: number, aborted }
    const version = doc?.version ?? 0
    if (await write(store, kind, version, reference)) return { number, reference, version: version + 1 }
  }
}

/** @returns false when another import has begun since: nothing of this one counts. */
export function publishGeneration(
  store: Pick<Store, 'commit'>,
  kind: ReferenceKind,
  { number, reference, version }: Generation,
  rows: number,
): Promise<boolean> {
  const imported_at = new Date().toISOString()
  return write(store, kind, version, { ...reference, current: number, staging: null, rows, imported_at })
}

async function write(
  store: Pick<Store, 'commit'>,
  kind: ReferenceKind,
  version: number,
  value: ReferenceDoc,
): Promise<boolean> {
  const key = referenceKey(kind)
  const [outcome] = await commitUntilAnswered(store, [
    {
      shard: shardOfKey(key),
      token: randomUUID(),
      check: [{ key, version }],
      set: [{ key, value: value as unknown as Json }],
    },
  ])
  return outcome?.outcome === 'committed'
}
