/** `hub ledger export --format parquet`, beside the hub that runs. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { expect, it } from 'vitest'
import { type DeviceCredentials, provision, Terminal } from '../support/devices.ts'
import { startHub } from '../support/hub-process.ts'
import { saleSource } from '../support/sales.ts'
import { hubPlace } from './run-hub.ts'

it('hub ledger export --format parquet writes what the JSON lines say, as rows that DuckDB reads', async () => {
  await using hub = await startHub()
  const [credentials] = await provision(hub, [{ dealer: 'd1', device: 't1' }])
  await using terminal = await Terminal.connect(hub.mqttUrl, credentials as DeviceCredentials)
  using place = hubPlace({ HUB_DATA_DIR: hub.dataDir })
  const sale = saleSource(11)
  for (let i = 0; i < 20; i++) await terminal.sell(sale())
  const repeated = sale()
  await terminal.sell(repeated)
  await terminal.sell({ ...sale(), serial: repeated.serial })

  const lines = (await place.run(['ledger', 'export'])).stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  const file = join(place.folder, 'ledger.parquet')
  const { code, stdout } = await place.run(['ledger', 'export', '--format', 'parquet', file])
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^23 entries in .*ledger\.parquet, /),
  })

  const duckdb = await DuckDBInstance.create()
  const connection = await duckdb.connect()
  const query = async (sql: string) => (await connection.runAndReadAll(sql)).getRowObjectsJson()
  const rows = await query(`SELECT entry, epoch_ms("at") AS at, type, data::VARCHAR AS data FROM '${file}'`)
  expect(
    rows.map(({ entry, at, type, data }) => ({
      entry,
      at: Number(at),
      type,
      data: JSON.parse(data as string),
    })),
  ).toEqual(lines.map(({ at, ...line }) => ({ ...line, at: Date.parse(at) })))
  const revenue = lines
    .filter(({ type }) => type === 'sale.registered')
    .reduce((sum: number, { data }: { data: { price: number } }) => sum + data.price, 0)
  expect(await query(`SELECT sum(price) AS revenue FROM '${file}' WHERE type = 'sale.registered'`)).toEqual([
    { revenue: String(revenue) },
  ])

  const only = ['ledger', 'export', '--format', 'parquet', '--type', 'sale.rejected', file]
  expect((await place.run(only)).stdout).toMatch(/^1 entry in /)
  expect(await query(`SELECT type FROM '${file}'`)).toEqual([{ type: 'sale.rejected' }])
  connection.closeSync()
  duckdb.closeSync()
})

it('a format and a file that do not go together are told before anything is written', async () => {
  using place = hubPlace()
  const file = join(place.folder, 'ledger.jsonl')
  for (const [words, says] of [
    [['--format', 'parquet'], 'Parquet needs a FILE'],
    [[file], 'JSON lines go to stdout'],
    [['--format', 'csv', file], 'Allowed choices are jsonl, parquet'],
  ] as const) {
    const { code, stderr } = await place.run(['ledger', 'export', ...words])
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(says) })
  }
  expect(existsSync(file)).toBe(false)
})
