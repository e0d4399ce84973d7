/**
 * The ledger as a Parquet file, for DuckDB, pandas, Spark: a row for each entry, in the order in which it is read.
 *
 *   entry, at, type, lane, number   as in the ledger; `at` is a UTC timestamp
 *   dealer, region, … price         fields of `data` that many types of entries have; null where an entry has none
 *   data                            all of the entry's own fields, as JSON
 *
 * Written row group by row group: memory holds one of them. The file appears under its name when it is whole.
 */
import { rename, rm, stat } from 'node:fs/promises'
import { type BasicType, fileWriter, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer'
import type { Entry } from '../../gateway/contract/ledger.ts'

/** Fields that are texts wherever they occur. */
const TEXTS = [
  'dealer',
  'region',
  'device',
  'channel',
  'initiative',
  'serial',
  'model',
  'lead',
  'rep',
  'customer',
  'currency',
] as const

interface Column {
  readonly name: string
  readonly type: BasicType
  readonly nullable: boolean
  cellOf(entry: Entry): unknown
}

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)

const COLUMNS: readonly Column[] = [
  { name: 'entry', type: 'STRING', nullable: false, cellOf: ({ entry }) => entry },
  { name: 'at', type: 'TIMESTAMP', nullable: false, cellOf: ({ at }) => new Date(at) },
  { name: 'type', type: 'STRING', nullable: false, cellOf: ({ type }) => type },
  { name: 'lane', type: 'INT32', nullable: false, cellOf: ({ lane }) => lane },
  { name: 'number', type: 'INT64', nullable: false, cellOf: ({ number }) => BigInt(number) },
  ...TEXTS.map(
    (name): Column => ({ name, type: 'STRING', nullable: true, cellOf: ({ data }) => text(data[name]) }),
  ),
  {
    name: 'price',
    type: 'INT64',
    nullable: true,
    cellOf: ({ data: { price } }) => (Number.isSafeInteger(price) ? BigInt(price as number) : null),
  },
  { name: 'data', type: 'JSON', nullable: false, cellOf: ({ data }) => data },
]

/** Without it readers take a timestamp for local time. */
const INSTANT = { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' } as const

/** Small enough that a group of the largest entries fits into memory, large enough for readers to skip by. */
const ROW_GROUP_ENTRIES = 20_000

/**
 * @param pages entries, in the order they are to be written
 * @returns how many there were, and the file's size
 * @throws what reading or writing throws; then there is no such file, or the one that was there before
 */
export async function writeLedgerParquet(
  file: string,
  pages: AsyncIterable<readonly Entry[]>,
  { rowGroupEntries = ROW_GROUP_ENTRIES }: { rowGroupEntries?: number } = {},
): Promise<{ entries: number; bytes: number }> {
  const part = `${file}.part`
  try {
    const schema = schemaFromColumnData({ columnData: columnData([]) }).map((column) =>
      column.name === 'at' ? { ...column, logical_type: INSTANT } : column,
    )
    const writer = new ParquetWriter({ writer: fileWriter(part), schema, createdBy: 'dealer-hub' })
    let entries = 0
    let group: Entry[] = []
    const flush = async (): Promise<void> => {
      await writer.write({ columnData: columnData(group), rowGroupSize: rowGroupEntries })
      entries += group.length
      group = []
    }
    for await (const page of pages) {
      for (const entry of page) {
        group.push(entry)
        if (group.length === rowGroupEntries) await flush()
      }
    }
    if (group.length > 0) await flush()
    await writer.finish()
    await rename(part, file)
    return { entries, bytes: (await stat(file)).size }
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

const columnData = (entries: readonly Entry[]) =>
  COLUMNS.map(({ name, type, nullable, cellOf }) => ({ name, type, nullable, data: entries.map(cellOf) }))
