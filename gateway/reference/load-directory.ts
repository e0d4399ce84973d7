/** Reads the directory out of the store, and keeps what it read until an import has changed it. */
import { createDirectory, type Directory } from '../directory.ts'
import {
  type DealerRow,
  dealerKey,
  dealersIndex,
  type ManagerRow,
  managerKey,
  managersIndex,
  type PricesRow,
  pricesIndex,
  pricesKey,
  REFERENCE_KINDS,
  type ReferenceDoc,
  type ReferenceKind,
  type RepRow,
  referenceKey,
  repKey,
  repsIndex,
  type Versioned,
  visibleRow,
} from '../documents.ts'
import { type Key, SHARDS, type Shard } from '../store/keys.ts'
import type { Doc, Store } from '../store/store.ts'

const PAGE_ROWS = 5000

/** What says which imports count: to be read together with whatever is decided by the directory. */
export const DIRECTORY_KEYS: readonly Key[] = REFERENCE_KINDS.map(referenceKey)

export interface DirectoryLoader {
  /** @param docs what was read under DIRECTORY_KEYS, in that order */
  at(docs: readonly (Doc | null)[]): Promise<Directory>
}

export function createDirectoryLoader(store: Pick<Store, 'read' | 'range'>): DirectoryLoader {
  let loaded: { readonly versions: string; readonly directory: Promise<Directory> } | null = null
  return {
    at(docs) {
      const versions = docs.map((doc) => doc?.version ?? 0).join()
      if (loaded?.versions === versions) return loaded.directory
      const directory = loadDirectory(store, docs)
      loaded = { versions, directory }
      directory.catch(() => {
        if (loaded?.directory === directory) loaded = null
      })
      return directory
    },
  }
}

/** For whoever asks now and then: the directory as it is now. */
export function createDirectoryReader(store: Pick<Store, 'read' | 'range'>): () => Promise<Directory> {
  const loader = createDirectoryLoader(store)
  return async () => loader.at(await store.read(DIRECTORY_KEYS))
}

async function loadDirectory(
  store: Pick<Store, 'read' | 'range'>,
  docs: readonly (Doc | null)[],
): Promise<Directory> {
  const imported = (kind: ReferenceKind) =>
    (docs[REFERENCE_KINDS.indexOf(kind)]?.value as ReferenceDoc | undefined) ?? null
  const rowsOf = async <Row>(kind: ReferenceKind, index: (shard: Shard) => Key, key: (id: string) => Key) => {
    const reference = imported(kind)
    const rows = new Map<string, Row>()
    if (reference === null || reference.current === 0) return rows
    let after: { score: number; member: string } | undefined
    for (;;) {
      const page = await store.range(SHARDS.map(index), { limit: PAGE_ROWS, ...(after && { after }) })
      const found = await store.read(page.map(({ member }) => key(member)))
      found.forEach((doc, i) => {
        const row = visibleRow(doc?.value as Versioned<Row> | undefined, reference)
        if (row !== null) rows.set(page[i]?.member as string, row)
      })
      after = page.at(-1)
      if (page.length < PAGE_ROWS) return rows
    }
  }
  const [dealers, reps, managers, prices] = await Promise.all([
    rowsOf<DealerRow>('dealers', dealersIndex, dealerKey),
    rowsOf<RepRow>('reps', repsIndex, repKey),
    rowsOf<ManagerRow>('managers', managersIndex, managerKey),
    rowsOf<PricesRow>('prices', pricesIndex, pricesKey),
  ])
  return createDirectory({
    dealers: [...dealers.values()],
    reps: [...reps.values()],
    managers: [...managers.values()],
    prices: new Map([...prices].map(([model, row]) => [model, row.prices])),
    serials: imported('serials'),
  })
}
