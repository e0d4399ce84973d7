/**
 * An import of reference data, on one screen: read and check the whole file, stage its rows, let them count at once.
 * Nothing of it is visible before the last step: an import that was killed is as one that never was. Rows that the
 * file does not have stay as they are; the same file again changes nothing.
 */
import type { ReferenceKind } from '../documents.ts'
import type { Store } from '../store/store.ts'
import { type ReferenceRow, type ReferenceRules, referenceFile } from './files.ts'
import { beginGeneration, publishGeneration, readReference } from './generations.ts'
import { type ReadErrors, readRows } from './read.ts'
import { openSheet } from './sheet.ts'
import { type Comparison, compareRows, stageRows } from './stage.ts'

/** Rows in one commit: enough to share a sync of the disk, few enough that a sale behind it waits for milliseconds. */
const BATCH_ROWS = 1000

export interface ImportOptions extends ReferenceRules {
  /** Only tell what would change. */
  readonly dryRun?: boolean
  /**
   * Commits under way at the same time, 1 unless given. Redis serves everybody in turn, and two keep it busy. On the
   * embedded store a second one takes the file's lock as soon as the first lets go, and a hub beside it waits long.
   */
  readonly batchesAtOnce?: 1 | 2
  readonly onProgress?: (progress: ImportProgress) => void
}

export type ImportProgress =
  | { readonly phase: 'reading'; readonly rows: number }
  | { readonly phase: 'applying'; readonly rows: number; readonly rowsTotal: number }

export type ImportResult =
  /** With `dryRun`: what would be imported. */
  | ({ readonly outcome: 'imported'; readonly rows: number } & Comparison)
  /** Nothing was written. */
  | ({ readonly outcome: 'invalid' } & ReadErrors)
  /** Another import of this kind began meanwhile. Nothing of this one counts. */
  | { readonly outcome: 'superseded' }

/**
 * @param source the bytes of the CSV file
 * @throws what the source throws, and when the store is away; it may be run again then
 */
export async function importReference(
  store: Pick<Store, 'read' | 'commit'>,
  kind: ReferenceKind,
  source: AsyncIterable<Uint8Array>,
  { dryRun = false, batchesAtOnce = 1, onProgress = () => {}, serialPattern }: ImportOptions,
): Promise<ImportResult> {
  const file = referenceFile(kind, { serialPattern })
  using sheet = openSheet()
  const read = await readRows(source, file, sheet, (rows) => onProgress({ phase: 'reading', rows }))
  if (read.errorsTotal > 0) return { outcome: 'invalid', ...read }

  const generation = dryRun ? null : await beginGeneration(store, kind)
  const reference = generation?.reference ?? (await readReference(store, kind))
  const apply = (batch: ReferenceRow[]) =>
    generation === null
      ? compareRows(store, file, reference, batch)
      : stageRows(store, file, generation, batch)
  const total = await applyAll(inBatches(sheet.all()), batchesAtOnce, apply, (rows) =>
    onProgress({ phase: 'applying', rows, rowsTotal: sheet.rows }),
  )
  if (total === null) return { outcome: 'superseded' }
  if (generation !== null && !(await publishGeneration(store, kind, generation, sheet.rows))) {
    return { outcome: 'superseded' }
  }
  return { outcome: 'imported', rows: sheet.rows, ...total }
}

/** @returns null as soon as a batch was answered so: the others are in vain. */
async function applyAll(
  batches: Generator<ReferenceRow[]>,
  atOnce: number,
  apply: (batch: ReferenceRow[]) => Promise<Comparison | null>,
  onRows: (rows: number) => void,
): Promise<Comparison | null> {
  let total: Comparison | null = { added: 0, changed: 0, same: 0 }
  let rows = 0
  async function work(): Promise<void> {
    // The workers share the generator; leaving the loop early ends it for all of them.
    for (const batch of batches) {
      const part = await apply(batch)
      if (part === null || total === null) {
        total = null
        return
      }
      total = {
        added: total.added + part.added,
        changed: total.changed + part.changed,
        same: total.same + part.same,
      }
      rows += batch.length
      onRows(rows)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return total
}

function* inBatches(rows: Iterable<ReferenceRow>): Generator<ReferenceRow[]> {
  let batch: ReferenceRow[] = []
  for (const row of rows) {
    if (batch.push(row) < BATCH_ROWS) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
