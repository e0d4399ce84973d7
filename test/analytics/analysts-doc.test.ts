/** `docs/analysts.md` says what is so: its table is the table of measurements, and each of its queries answers. */
import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEconomics } from '../../analytics/economics.ts'
import { ALL_MEASUREMENTS, designOf, type Measurement } from '../../analytics/measurements.ts'
import { EMPTY } from '../../analytics/metrics.ts'
import { pointsFor } from '../../analytics/points.ts'
import { METRICS_FILE, openSqliteMetrics } from '../../analytics/sqlite.ts'
import { type InfluxServer, startInflux } from '../support/services.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { openInflux, TIMEZONE } from './projection.ts'
import { entryOf } from './random-ledger.ts'
import { FIRST_OF_DECEMBER, NOVEMBER, WORKED_EXAMPLE } from './worked-example.ts'

const document = readFileSync(new URL('../../docs/analysts.md', import.meta.url), 'utf8')
const blocks = (language: string): string[] =>
  [...document.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(
    ([, block]) => block as string,
  )

/** As the guide shows it: money in whole units. */
function shownIn(name: string, figure: unknown): string {
  const number = (value: number) => value.toLocaleString('en-US')
  if (typeof figure === 'object' && figure !== null && 'union' in figure)
    return Object.values(figure).join(', ')
  const value = typeof figure === 'number' ? figure : (figure as { value: number }).value
  const isMoney = !['total_activity_volume', 'verified_sell_through'].includes(name)
  return number(isMoney ? value / 100 : value)
}

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

/** What is said of spend, activities and leads is said of the worked example. */
const worked = WORKED_EXAMPLE.flatMap(pointsFor)
const workedWithoutSales = worked.filter(({ measurement }) => measurement !== 'sales')

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
      await metrics.write([...points, ...workedWithoutSales], EMPTY)
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

    it.each([
      [
        'SUM("amount_minor") / 100 AS "spend"',
        0,
        { channel: 'tiktok', kind: 'corporate', spend: 50_000_000 },
      ],
      [
        'SUM("amount_minor") / 100 AS "spend"',
        1,
        { channel: 'tiktok', kind: 'corporate', spend: 60_000_000 },
      ],
      ['SELECT "entry", "amount_minor"', 0, { amount_minor: -10_000_000_00 }],
      ['AS "burn"', 0, { burn: 70_000_000 }],
      [
        'AS "leads", SUM("claimed")',
        0,
        { channel: 'tiktok', leads: 3, claim_rate: 2 / 3, sell_through: 1 / 3 },
      ],
      ['AS "seconds"', 0, { dealer: 'D001', seconds: 90 }],
      ['AS "activities"', 0, { dealer: 'D001', activities: 2 }],
      ['COUNT("days")', 0, { dealer: 'D001', sum: 5, union: 4 }],
      ['AS "of_leads"', 0, { dealer: 'D001', channel: 'tiktok', of_leads: 1 }],
    ])('give the figures of the worked example: %s', async (part, index, row) => {
      const found = blocks('influxql').filter((query) => query.includes(part))[index]
      expect(await ask(found as string)).toContainEqual(expect.objectContaining(row))
    })

    it('give one business day and its exact revenue, with a time zone database and without', async () => {
      const [byZone, byOffset] = blocks('influxql')
      const expected = { dealer: 'D001', sales: 2, revenue: 28_500_001 }
      expect(await ask(byZone as string)).toEqual([{ ...expected, time: '2026-11-22T00:00:00+07:00' }])
      expect(await ask(byOffset as string)).toEqual([{ ...expected, time: '2026-11-21T17:00:00Z' }])
    })
  })

  it('works an example out, whose every figure is so', async () => {
    const { path: dataDir } = temporaryFolder('metrics')
    const metrics = await openSqliteMetrics({ dataDir, timezone: TIMEZONE })
    await metrics.write(worked, EMPTY)
    const economics = createEconomics({ metrics, timezone: TIMEZONE })
    const asked = { ...NOVEMBER, by: [], where: {}, currency: 'IDR', attribution: 'first_touch' } as const
    const figuresAt = async (knownAt: number | null) => {
      const { rows } = await economics.variables({ ...asked, knownAt, compare: false, explain: false })
      return Object.entries(rows[0]?.variables ?? {}).map(([name, figure]) => [name, shownIn(name, figure)])
    }
    const now = await figuresAt(null)
    const then = new Map((await figuresAt(Date.parse(FIRST_OF_DECEMBER))) as [string, string][])
    const rows = [...document.matchAll(/^\| `(\w+)`(?: \(union, sum\))? \| ([\d., ]+) \| ([\d., ]+) \|$/gm)]
    expect(rows.map(([, ...cells]) => cells)).toEqual(
      now.map(([name, figure]) => [name, figure, then.get(name as string)]),
    )
    await metrics.close()
  })

  it('has SQL for InfluxDB 3 that gives the figures of the worked example', async () => {
    const database = await (await DuckDBInstance.create(':memory:')).connect()
    for (const measurement of ['spend', 'leads'] as const) {
      const { tags, sums } = designOf(measurement)
      const columns = [...tags.map((name) => `${name} VARCHAR`), ...sums.map((name) => `"${name}" BIGINT`)]
      await database.run(
        `CREATE TABLE ${measurement} (time TIMESTAMP, known_at BIGINT, ${columns.join(', ')})`,
      )
      for (const { timeMs, knownAtMs, values } of worked.filter(
        (point) => point.measurement === measurement,
      )) {
        const given = [
          ...tags.map((name) => `'${values[name]}'`),
          ...sums.map((name) => values[name] ?? 'NULL'),
        ]
        await database.run(
          `INSERT INTO ${measurement} VALUES (make_timestamp(${timeMs}000), ${knownAtMs}, ${given.join(', ')})`,
        )
      }
    }
    const askDuck = async (query: string) =>
      (await database.runAndReadAll(query)).getRowObjectsJson().map(({ month: _, ...row }) => row)
    const [byMonth, byDealer] = blocks('sql')
    expect(await askDuck(byMonth as string)).toEqual([
      { burn: 85_000_000, leads: '4', cost_per_lead: 21_250_000 },
    ])
    expect(await askDuck(`${byDealer} ORDER BY dealer`)).toEqual([
      { dealer: 'D001', leads: '2', claimed: '2' },
      { dealer: 'none', leads: '2', claimed: null },
    ])
    database.closeSync()
  })

  it('has a query for the embedded metrics that gives the same', async () => {
    const { path: dataDir } = temporaryFolder('metrics')
    const metrics = await openSqliteMetrics({ dataDir, timezone: TIMEZONE })
    await metrics.write(points, EMPTY)
    const database = new DatabaseSync(`${dataDir}/${METRICS_FILE}`, { readOnly: true })
    const rows = database.prepare(blocks('sql').at(-1) as string).all()
    expect(rows.map((row) => ({ ...row }))).toEqual([
      { day: '2026-11-22', dealer: 'D001', sales: 2, revenue: 28_500_001 },
    ])
    database.close()
    await metrics.close()
  })
})
