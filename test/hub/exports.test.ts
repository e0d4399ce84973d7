/** One hub, one month: whatever way its table goes out, the figures are the same. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openAppsScript } from '../analytics/exports/apps-script.ts'
import { TOWN } from '../gateway/http/race-town.ts'
import { type LocalFeishu, startFeishu } from '../support/feishu-base.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { until } from '../support/until.ts'

/** Whole months around now, on either side of whatever midnight. */
const now = new Date()
const dayOf = (month: number, day: number): string =>
  new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + month, day)).toISOString().slice(0, 10)
const FROM = dayOf(-2, 1)
const TO = dayOf(2, 0)
const RANGE = ['--from', FROM, '--to', TO]
const PERIOD = `from=${FROM}&to=${TO}`
/** Before any form comes in. */
const SPEND = `entry_id,date,initiative,dealer_id,region,channel,kind,amount,currency
s1,${dayOf(-2, 5)},Launch,north,,tiktok,corporate,12000000.50,IDR
s2,${dayOf(-2, 5)},Launch,north,,tiktok,subsidy,3000000,IDR
s3,${dayOf(-2, 6)},Launch,south,,event,out_of_pocket,500000,IDR
`

let hub: HubProcess
let feishu: LocalFeishu
let token: string
beforeAll(async () => {
  feishu = await startFeishu()
  const { appId, appSecret, baseToken, url } = feishu
  hub = await startHub({
    settings: {
      FEISHU_APP_ID: appId,
      FEISHU_APP_SECRET: appSecret,
      FEISHU_BASE_TOKEN: baseToken,
      FEISHU_API_URL: url,
    },
  })
  const folder = temporaryFolder('exports').path
  for (const [kind, csv] of Object.entries({ ...TOWN, spend: SPEND })) {
    writeFileSync(join(folder, `${kind}.csv`), csv)
    expect(await hub.run('import', kind, join(folder, `${kind}.csv`))).toMatchObject({ code: 0 })
  }
  token = JSON.parse((await hub.run('token', 'add', '--role', 'admin', '--json')).stdout).token
  for (const number of [1, 2]) {
    const response = await fetch(`${hub.httpUrl}/api/v1/lead`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        event_id: `form-${number}`,
        name: 'Rina Pelanggan',
        phone: `+6281300000${number}00`,
        lat: -6.88,
        lon: 107.61,
        model: 'Volt One',
        channel: 'tiktok',
      }),
    })
    expect(response.status).toBe(202)
  }
  await until('the figures have all of it', async () => {
    const [row] = (await table(`fields=burn,leads`)).rows
    return row?.[0] === 15_500_000.5 && row[1] === 2
  })
})
afterAll(async () => {
  await hub?.stop()
  await feishu?.[Symbol.asyncDispose]()
})

const get = async (path: string) => {
  const response = await fetch(`${hub.httpUrl}/api/v1/exports/${path}`, {
    headers: { authorization: `Bearer ${token}` },
  })
  expect(response.status).toBe(200)
  return response.text()
}
interface Table {
  columns: { name: string; label: string; unit: string | null }[]
  rows: (string | number | null)[][]
}
const table = async (parameters: string): Promise<Table> =>
  JSON.parse(await get(`table?${PERIOD}&${parameters}`))

it('the table has what was spent and who came', async () => {
  const { rows } = await table(
    'fields=channel,total_event_spend,dealer_support_cost,burn,leads,cost_per_lead',
  )
  expect(rows).toEqual([
    ['event', 0, 0, 500_000, 0, null],
    ['tiktok', 12_000_000.5, 3_000_000, 15_000_000.5, 2, 7_500_000.25],
  ])
})

it('a spreadsheet, Looker Studio and a Feishu Base show the same figures', async () => {
  const by = 'month,dealer,channel'
  const { columns, rows } = await table(`by=${by}`)
  const heading = columns.map(({ label, unit }) => (unit === null ? label : `${label} (${unit})`))

  const csv = parse(await get(`table.csv?${PERIOD}&by=${by}`)) as string[][]
  expect(csv).toEqual([heading, ...rows.map((row) => row.map((cell) => String(cell ?? '')))])

  const looker = join(import.meta.dirname, '../../analytics/exports/looker')
  await using script = openAppsScript(looker, { 'https://hub.example.com': hub.httpUrl })
  await script.call('setCredentials', { key: token })
  const data = (await script.call('getData', {
    configParams: { url: 'https://hub.example.com' },
    dateRange: { startDate: FROM, endDate: TO },
    fields: columns.map(({ name }) => ({ name })),
  })) as { rows: { values: unknown[] }[] }
  const month = (cell: unknown, place: number) => (place === 0 ? String(cell).replace('-', '') : cell)
  expect(data.rows.map(({ values }) => values)).toEqual(rows.map((row) => row.map(month)))

  const words = ['export', 'feishu', ...RANGE, '--by', by, '--json']
  for (const [created, updated] of [
    [rows.length, 0],
    [0, rows.length],
  ]) {
    const { code, stdout } = await hub.run(...words)
    expect({ code, ...JSON.parse(stdout) }).toEqual({
      code: 0,
      table: 'Unit economics',
      rows: rows.length,
      created,
      updated,
      resumed: 0,
    })
    const records = [...([...feishu.tables.values()][0]?.records.values() ?? [])]
    const shown = records.map(({ fields }) => heading.map((name) => fields[name] ?? null))
    const sorted = (list: unknown[][]) => list.map((row) => JSON.stringify(row)).sort()
    expect(sorted(shown)).toEqual(sorted(rows))
  }
})

it.each([
  [['--by', 'month,dealer'], 'expected whole months, received 2026-01-02 to 2026-01-31'],
  [
    ['--by', 'day,shop'],
    'expected each once, of day, month, dealer, region, initiative, channel, received shop',
  ],
  [['--by', 'dealer'], 'group by day or month'],
])('hub export feishu %j is refused, and nothing is written', async (words, says) => {
  const before = feishu.calls.length
  const { code, stderr } = await hub.run(
    'export',
    'feishu',
    '--from',
    '2026-01-02',
    '--to',
    '2026-01-31',
    ...words,
  )
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(says) })
  expect(feishu.calls).toHaveLength(before)
})

it('hub export feishu is refused while another one writes the same table, and goes on when that is done', async () => {
  const writing = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  feishu.onWrite = () => {
    writing.resolve()
    return gate.promise
  }
  const first = hub.run('export', 'feishu', ...RANGE)
  await writing.promise
  const { code, stderr } = await hub.run('export', 'feishu', ...RANGE)
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringContaining('another export is writing the table Unit economics'),
  })
  gate.resolve()
  feishu.onWrite = async () => {}
  expect(await first).toMatchObject({ code: 0 })
  expect(await hub.run('export', 'feishu', ...RANGE)).toMatchObject({ code: 0 })
  expect(feishu.conflicts).toBe(0)
})

it('hub export feishu without a Base says what to set', async () => {
  await using plain = await startHub()
  const { code, stderr } = await plain.run('export', 'feishu', ...RANGE)
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('set FEISHU_APP_ID') })
})
