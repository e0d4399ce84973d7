/** `docs/analysts.md` says what is so: its table is the table of measurements, and each of its queries answers. */
import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ALL_MEASUREMENTS, designOf, type Measurement } from '../../analytics/measurements.ts'
import { EMPTY } from '../../analytics/metrics.ts'
import { pointsFor } from '../../analytics/points.ts'
import { METRICS_FILE, openSqliteMetrics } from '../../analytics/sqlite.ts'
import { type InfluxServer, startInflux } from '../support/services.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { openInflux, TIMEZONE } from './projection.ts'
import { entryOf } from './random-ledger.ts'

const document = readFileSync(new URL('../../docs/analysts.md', import.meta.url), 'utf8')
const blocks = (language: string): string[] =>
  [...document.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(
    ([, block]) => block as string,
  )

/** Sold on 22 November in Jakarta, and on the 21st in UTC. */
const sale = {
  dealer: 'D001',
  device: 'pos1',
  serial: 'SN000001',
  model: 'Zeta',
  price: 28_500_000,
  currency: 'IDR',
  sold_at: '2026-11-21T20:00:00Z',
  channel: 'tiktok',
  region: 'Jawa Barat',
  verified: true,
  flags: ['diversion'],
}
const atMs = Date.parse('2026-11-21T20:00:00Z')
const points = [
  { type: 'sale.registered', data: sale },
  { type: 'sale.registered', data: { ...sale, verified: false, price: 1 } },
  { type: 'sale.rejected', data: { ...sale, reason: 'duplicate_serial' } },
  { type: 'alert.raised', data: { dealer: 'D001', tier: 'P1', cause: 'diversion' } },
  { type: 'message.quarantined', data: { topic: 'hub/v1/D001/pos1/sale', sender: 'D001/pos1' } },
  { type: 'vehicle.status', data: { dealer: 'D001', state: 'riding', battery_pct: 40, odometer_km: 7 } },
  { type: 'device.health', data: { dealer: 'D001', device: 'pos1', online: false } },
].flatMap((body, index) => pointsFor(entryOf({ number: index + 1, atMs, ...body })))

describe('the analysts’ guide', () => {
  it('lists every measurement with its columns', () => {
    const rows = [...document.matchAll(/^\| `(\w+)` \|(.*)\|(.*)\|(.*)\|(.*)\|$/gm)]
    const listed = rows.map(([, measurement, ...cells]) => [
      measurement,
      ...cells.map((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name)),
    ])
    const columnsOf = (measurement: Measurement) => {
      const { tags, sums, gauges, texts } = designOf(measurement)
      return [measurement, tags, sums, gauges, texts]
    }
    expect(listed).toEqual(ALL_MEASUREMENTS.map(columnsOf))
  })

  describe('has queries that', () => {
    let influx: InfluxServer
    beforeAll(async () => {
      influx = await startInflux()
      await using test = new AsyncDisposableStack()
      const metrics = openInflux(test, influx.url)
      await metrics.checkpoint()
      await metrics.write(points, EMPTY)
    })
    afterAll(() => influx?.stop())

    async function ask(query: string): Promise<Record<string, unknown>[]> {
      const body = new URLSearchParams({ q: query })
      const response = await fetch(`${influx.url}/query?db=hub`, { method: 'POST', body })
      const { results } = (await response.json()) as {
        results: { error?: string; series?: { columns: string[]; tags?: object; values: unknown[][] }[] }[]
      }
      const [{ error, series = [] } = {}] = results
      expect(error).toBeUndefined()
      return series.flatMap(({ columns, tags, values }) =>
        values.map((row) => ({ ...tags, ...Object.fromEntries(columns.map((name, i) => [name, row[i]])) })),
      )
    }

    it.each(blocks('influxql').map((query) => [query.split('\n')[0], query]))(
      'answer: %s',
      async (_, query) => {
        expect(await ask(query as string)).not.toEqual([])
      },
    )

    it('give one business day and its exact revenue, with a time zone database and without', async () => {
      const [byZone, byOffset] = blocks('influxql')
      const expected = { dealer: 'D001', sales: 2, revenue: 28_500_001 }
      expect(await ask(byZone as string)).toEqual([{ ...expected, time: '2026-11-22T00:00:00+07:00' }])
      expect(await ask(byOffset as string)).toEqual([{ ...expected, time: '2026-11-21T17:00:00Z' }])
    })
  })

  it('has a query for the embedded metrics that gives the same', async () => {
    const { path: dataDir } = temporaryFolder('metrics')
    const metrics = await openSqliteMetrics({ dataDir, timezone: TIMEZONE })
    await metrics.write(points, EMPTY)
    const database = new DatabaseSync(`${dataDir}/${METRICS_FILE}`, { readOnly: true })
    const rows = database.prepare(blocks('sql')[0] as string).all()
    expect(rows.map((row) => ({ ...row }))).toEqual([
      { day: '2026-11-22', dealer: 'D001', sales: 2, revenue: 28_500_001 },
    ])
    database.close()
    await metrics.close()
  })
})
