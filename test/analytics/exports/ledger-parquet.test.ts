/** The ledger as a Parquet file, read back and asked by DuckDB. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { writeLedgerParquet } from '../../../analytics/exports/ledger-parquet.ts'
import { type Entry, entryId } from '../../../gateway/contract/ledger.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const duckdb = await DuckDBInstance.create()
  const connection = await duckdb.connect()
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJson()
  } finally {
    connection.closeSync()
    duckdb.closeSync()
  }
}

async function* pagesOf(entries: readonly Entry[], size: number): AsyncGenerator<Entry[]> {
  for (let start = 0; start < entries.length; start += size) yield entries.slice(start, start + size)
}

const AT_MS = Date.parse('2026-11-01T00:00:00.000Z')
const entryOf = (data: Record<string, unknown>, i: number, type = 'sale.registered'): Entry => {
  const [lane, number] = [i % 16, Math.floor(i / 16) + 1]
  const at = new Date(AT_MS + i * 1234).toISOString()
  return { entry: entryId(lane, number), lane, number, at, type, data, chain: 'not exported' }
}

const SALES = [
  { dealer: 'jkt-01', device: 'pos-1', serial: 'A1', price: 28_500_000, currency: 'IDR', region: null },
  { dealer: 'jkt-01', device: 'pos-2', serial: 'A2', price: 31_000_000, currency: 'IDR' },
  { dealer: 'bdg-02', device: 'pos-1', serial: 'A3', price: 28_500_000, currency: 'IDR' },
]

it('holds each entry as it is in the ledger, in the order of the reading', async () => {
  using folder = temporaryFolder('parquet')
  const file = join(folder.path, 'ledger.parquet')
  const data = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ noUnicodeString: false }))
  const entries = fc.array(fc.tuple(data, fc.constantFrom('sale.registered', 'lead.created', 'ünïcode')), {
    minLength: 1,
    maxLength: 30,
  })
  await fc.assert(
    fc.asyncProperty(entries, fc.integer({ min: 1, max: 7 }), async (said, size) => {
      const ledger = said.map(([fields, type], i) => entryOf(fields, i, type))
      const written = await writeLedgerParquet(file, pagesOf(ledger, size), { rowGroupEntries: 4 })
      expect(written.entries).toBe(ledger.length)
      const read = await query(
        `SELECT entry, strftime("at" AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ') AS "at", type, lane, number, data::VARCHAR AS data
         FROM '${file}'`,
      )
      expect(read.map(({ data: json, ...rest }) => ({ ...rest, data: JSON.parse(json as string) }))).toEqual(
        ledger.map(({ chain: _, number, data: fields, ...rest }) => ({
          ...rest,
          number: String(number),
          data: JSON.parse(JSON.stringify(fields)),
        })),
      )
    }),
    { numRuns: 30 },
  )
})

it('has columns with types that need no conversion', async () => {
  using folder = temporaryFolder('parquet')
  const file = join(folder.path, 'ledger.parquet')
  await writeLedgerParquet(
    file,
    pagesOf(
      SALES.map((sale, i) => entryOf(sale, i)),
      2,
    ),
  )
  const described = await query(`DESCRIBE SELECT * FROM '${file}'`)
  const types = Object.fromEntries(
    described.map(({ column_name, column_type }) => [column_name, column_type]),
  )
  expect(types).toMatchObject({
    entry: 'VARCHAR',
    at: 'TIMESTAMP WITH TIME ZONE',
    type: 'VARCHAR',
    lane: 'INTEGER',
    number: 'BIGINT',
    dealer: 'VARCHAR',
    price: 'BIGINT',
    data: 'JSON',
  })
})

it('answers what people ask of sales, to the rupiah', async () => {
  using folder = temporaryFolder('parquet')
  const file = join(folder.path, 'ledger.parquet')
  const rejected = entryOf({ dealer: 'jkt-01', price: 'a lot', reason: 'invalid' }, 3, 'sale.rejected')
  await writeLedgerParquet(file, pagesOf([...SALES.map((sale, i) => entryOf(sale, i)), rejected], 3))
  const sums = await query(
    `SELECT dealer, count(*) AS sales, sum(price) AS revenue FROM '${file}'
     WHERE type = 'sale.registered' GROUP BY dealer ORDER BY dealer`,
  )
  expect(sums).toEqual([
    { dealer: 'bdg-02', sales: '1', revenue: '28500000' },
    { dealer: 'jkt-01', sales: '2', revenue: '59500000' },
  ])
  // A field of another type than its column's is in data only.
  const odd = await query(
    `SELECT price, region, data->>'price' AS said FROM '${file}' WHERE type = 'sale.rejected'`,
  )
  expect(odd).toEqual([{ price: null, region: null, said: 'a lot' }])
})

it('answers the questions of docs/exports.md as they stand there', async () => {
  using folder = temporaryFolder('parquet')
  const file = join(folder.path, 'ledger.parquet')
  const refused = SALES.map((sale, i) =>
    entryOf({ ...sale, reason: 'unknown_serial' }, 3 + i, 'sale.rejected'),
  )
  await writeLedgerParquet(file, pagesOf([...SALES.map((sale, i) => entryOf(sale, i)), ...refused], 3))
  const docs = readFileSync(join(import.meta.dirname, '../../../docs/exports.md'), 'utf8')
  const shell = [.../duckdb -c "([^"]+)"/g[Symbol.matchAll](docs)].map(([, sql]) => sql as string)
  const blocks = [.../```sql\n(.*?)```/gs[Symbol.matchAll](docs)].flatMap(([, sql]) =>
    (sql as string).split(';'),
  )
  const questions = [...shell, ...blocks.filter((sql) => sql.trim() !== '')]
  const answers = []
  for (const sql of questions) answers.push(await query(sql.replaceAll("'ledger.parquet'", `'${file}'`)))
  expect(answers).toEqual([
    expect.arrayContaining([{ dealer: 'jkt-01', sales: '2', revenue: '59500000' }]),
    [{ day: '2026-11-01', 'count_star()': '3' }],
    [{ reason: 'unknown_serial', 'count_star()': '3' }],
  ])
})

it('is written group by group, and has every entry of a longer ledger', async () => {
  using folder = temporaryFolder('parquet')
  const file = join(folder.path, 'ledger.parquet')
  const ledger = Array.from({ length: 45_000 }, (_, i) => entryOf({ dealer: `d-${i % 110}`, price: i }, i))
  const { entries, bytes } = await writeLedgerParquet(file, pagesOf(ledger, 1000))
  expect({ entries, bytes }).toEqual({ entries: 45_000, bytes: readFileSync(file).length })
  const groups = await query(
    `SELECT row_group_id, any_value(row_group_num_rows) AS rows FROM parquet_metadata('${file}') GROUP BY 1 ORDER BY 1`,
  )
  expect(groups.map(({ rows }) => rows)).toEqual(['20000', '20000', '5000'])
  const [total] = await query(`SELECT count(DISTINCT entry) AS entries, sum(price) AS price FROM '${file}'`)
  expect(total).toEqual({ entries: '45000', price: String((45_000 * 44_999) / 2) })
})

it('of an empty ledger is a file without rows', async () => {
  using folder = temporaryFolder('parquet')
  const file = join(folder.path, 'ledger.parquet')
  expect(await writeLedgerParquet(file, pagesOf([], 1))).toMatchObject({ entries: 0 })
  expect(await query(`SELECT count(*) AS entries FROM '${file}'`)).toEqual([{ entries: '0' }])
})

it('that could not be finished leaves the file that was there, and nothing else', async () => {
  using folder = temporaryFolder('parquet')
  const file = join(folder.path, 'ledger.parquet')
  async function* broken(): AsyncGenerator<Entry[]> {
    yield SALES.map((sale, i) => entryOf(sale, i))
    throw new Error('the store is away')
  }
  await expect(writeLedgerParquet(file, broken(), { rowGroupEntries: 1 })).rejects.toThrow(
    'the store is away',
  )
  expect(existsSync(file)).toBe(false)
  writeFileSync(file, 'an older one')
  await expect(writeLedgerParquet(file, broken(), { rowGroupEntries: 1 })).rejects.toThrow(
    'the store is away',
  )
  expect(readFileSync(file, 'utf8')).toBe('an older one')
  expect(readdirSync(folder.path)).toEqual(['ledger.parquet'])
})
