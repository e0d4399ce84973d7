/**
 * One batch of rows against what the store has: how many are new, changed, the same; and what must be written so that
 * they count once their generation does. A row that is the same is not written again.
 */
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { type ReferenceDoc, type Versioned, visibleVersion } from '../documents.ts'
import { commitUntilAnswered } from '../store/commit-until-answered.ts'
import { type Key, type Shard, shardOf } from '../store/keys.ts'
import type { Doc, Json, Proposal, Store } from '../store/store.ts'
import type { ReferenceFile, ReferenceRow } from './files.ts'
import type { Generation } from './generations.ts'

export interface Comparison {
  readonly added: number
  readonly changed: number
  readonly same: number
}

/** What the rows would change, with nothing written. */
export async function compareRows(
  store: Pick<Store, 'read'>,
  file: ReferenceFile,
  reference: ReferenceDoc,
  rows: readonly ReferenceRow[],
): Promise<Comparison> {
  const documents = await readDocuments(store, file, rows)
  return compare(file, reference, documents)
}

/** @returns null when another import has begun since: nothing of this one will count. */
export async function stageRows(
  store: Pick<Store, 'read' | 'commit'>,
  file: ReferenceFile,
  generation: Generation,
  rows: readonly ReferenceRow[],
): Promise<Comparison | null> {
  for (;;) {
    const documents = await readDocuments(store, file, rows)
    if (
      documents.some(({ doc }) => versionsOf(doc).some((version) => version.generation > generation.number))
    ) {
      return null
    }
    const proposals = proposalsFor(file, generation, documents)
    const outcomes = proposals.length === 0 ? [] : await commitUntilAnswered(store, proposals)
    // Lost to another import in between: what it left is read again.
    if (outcomes.every(({ outcome }) => outcome === 'committed')) {
      return compare(file, generation.reference, documents)
    }
  }
}

/** A document and the rows of this batch that stand in it. */
interface Target {
  readonly aggregate: string
  readonly key: Key
  readonly doc: Doc | null
  readonly rows: readonly ReferenceRow[]
}

async function readDocuments(
  store: Pick<Store, 'read'>,
  file: ReferenceFile,
  rows: readonly ReferenceRow[],
): Promise<Target[]> {
  const grouped = Map.groupBy(rows, ({ aggregate }) => aggregate)
  const targets = [...grouped].map(([aggregate, rows]) => ({ aggregate, key: file.key(aggregate), rows }))
  const docs = await store.read(targets.map(({ key }) => key))
  return targets.map((target, i) => ({ ...target, doc: docs[i] ?? null }))
}

const versionsOf = (doc: Doc | null): Versioned<Json> => (doc?.value as Versioned<Json> | undefined) ?? []

function compare(file: ReferenceFile, reference: ReferenceDoc, documents: readonly Target[]): Comparison {
  let [added, changed, same] = [0, 0, 0]
  for (const { doc, rows } of documents) {
    const visible = visibleVersion(versionsOf(doc), reference)?.row ?? null
    for (const row of rows) {
      const found = file.find(visible, row)
      if (found === null) added++
      else if (isDeepStrictEqual(found, row.value)) same++
      else changed++
    }
  }
  return { added, changed, same }
}

/** One proposal per shard: the documents of a batch have no other reason to be written together. */
function proposalsFor(file: ReferenceFile, generation: Generation, documents: readonly Target[]): Proposal[] {
  const writes = documents.flatMap((target) => {
    const versions = versionsOf(target.doc)
    const visible = visibleVersion(versions, generation.reference)
    // Rows of one document may come in several batches.
    const staged = versions.find((version) => version.generation === generation.number)
    const before = staged?.row ?? visible?.row ?? null
    const after = target.rows.reduce<Json | null>((document, row) => file.put(document, row), before)
    if (isDeepStrictEqual(after, before)) return []
    const value = [...(visible === null ? [] : [visible]), { generation: generation.number, row: after }]
    return [{ ...target, value: value as Json }]
  })
  const byShard = Map.groupBy(writes, ({ aggregate }) => shardOf(aggregate))
  return [...byShard].map(([shard, group]: [Shard, typeof writes]) => ({
    shard,
    token: randomUUID(),
    check: group.map(({ key, doc }) => ({ key, version: doc?.version ?? 0 })),
    set: group.map(({ key, value }) => ({ key, value })),
    index: group.flatMap(({ aggregate }) =>
      file.index === null ? [] : [{ name: file.index(shard), member: aggregate, score: 0 }],
    ),
  }))
}
