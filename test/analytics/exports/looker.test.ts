/** The Looker Studio connector, run as Apps Script against a hub that listens. */
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openSqliteStore } from '../../../gateway/store/sqlite.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { type HttpHub, openHttpHub } from '../../gateway/http/hub.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { type AppsScript, openAppsScript } from './apps-script.ts'
import { FACTS, sourceOf } from './facts.ts'

const FOLDER = join(import.meta.dirname, '../../../analytics/exports/looker')
/** As in the manifest: the hub behind the proxy that speaks TLS for it. */
const HUB = 'https://hub.example.com'

let store: Store
let hub: HttpHub
let source: ReturnType<typeof sourceOf>
let address: string
let script: AppsScript
beforeAll(async () => {
  store = await openSqliteStore({ dataDir: temporaryFolder('looker').path })
  source = sourceOf(FACTS)
  hub = openHttpHub(store, { exports: source })
  await hub.app.listen({ host: '127.0.0.1', port: 0 })
  address = `http://127.0.0.1:${(hub.app.server.address() as AddressInfo).port}`
})
afterAll(async () => {
  await hub[Symbol.asyncDispose]()
  await store.close()
})
beforeEach(() => {
  script = openAppsScript(FOLDER, { [HUB]: address })
})
afterEach(() => script[Symbol.asyncDispose]())

const authorize = async (role: 'analyst' | 'dealer:jkt-01' = 'analyst') =>
  script.call('setCredentials', { key: await hub.token(role) })

const NOVEMBER = { startDate: '2026-11-01', endDate: '2026-11-30' }
const request = (fields: readonly string[], more: object = {}) => ({
  configParams: { url: HUB },
  dateRange: NOVEMBER,
  fields: fields.map((name) => ({ name })),
  ...more,
})
interface Answer {
  schema: { name: string }[]
  rows: { values: unknown[] }[]
  filtersApplied: boolean
}
const getData = async (fields: readonly string[], more: object = {}) =>
  (await script.call('getData', request(fields, more))) as Answer

describe('authorization', () => {
  it('is by key: an API token of the hub, kept for the user', async () => {
    expect(await script.call('getAuthType')).toMatchObject({ type: 'KEY' })
    expect(await script.call('isAuthValid')).toBe(false)
    expect(await authorize()).toEqual({ errorCode: 'NONE' })
    expect(await script.call('isAuthValid')).toBe(true)
    await script.call('resetAuth')
    expect(await script.call('isAuthValid')).toBe(false)
  })

  it('takes nothing that is no token of a hub', async () => {
    for (const key of ['', 'password', undefined]) {
      expect(await script.call('setCredentials', { key })).toEqual({ errorCode: 'INVALID_CREDENTIALS' })
    }
    expect(await script.call('isAuthValid')).toBe(false)
  })

  it('that the hub does not know is told to the user', async () => {
    await script.call('setCredentials', { key: 'A'.repeat(43) })
    await expect(getData(['leads'])).rejects.toMatchObject({
      userError: true,
      message: 'The hub does not take this token: revoke access to this connector and enter another.',
    })
  })

  it('of a role that may not see it is told to the user, with the hub’s words', async () => {
    await authorize('dealer:jkt-01')
    await expect(getData(['leads'])).rejects.toMatchObject({
      userError: true,
      message: expect.stringMatching(/^The hub answered 403: Role dealer:jkt-01 may not do this/),
    })
  })

  it('shows no user who is not the owner what went wrong inside', async () => {
    expect(await script.call('isAdminUser')).toBe(false)
  })
})

describe('the configuration', () => {
  it('asks for the hub and a range of dates', async () => {
    const config = (await script.call('getConfig', {})) as {
      configParams: object[]
      dateRangeRequired: boolean
    }
    expect(config.dateRangeRequired).toBe(true)
    expect(config.configParams).toMatchObject([{ type: 'INFO' }, { type: 'TEXTINPUT', name: 'url' }])
  })

  it.each([
    ['http://hub.example.com', /should begin with https/],
    ['', /should begin with https/],
    [undefined, /should begin with https/],
    ['https://elsewhere.example.com', /urlFetchWhitelist/],
    [`${HUB}@elsewhere.example.com`, /urlFetchWhitelist/],
  ])('sends the token nowhere else: %s', async (url, message) => {
    await authorize()
    await expect(getData(['leads'], { configParams: { url } })).rejects.toThrow(message)
    expect(script.asked).toEqual([])
  })
})

describe('the schema', () => {
  it('has every column of the hub, with its type and whether it may be summed', async () => {
    await authorize()
    const { schema } = (await script.call('getSchema', { configParams: { url: `${HUB}/` } })) as Answer
    const dimension = (name: string, label: string, semanticType: string) => ({
      name,
      label,
      dataType: 'STRING',
      semantics: { conceptType: 'DIMENSION', semanticType },
    })
    const metric = (name: string, label: string, semanticType: string, adds: boolean) => ({
      name,
      label,
      dataType: 'NUMBER',
      semantics: { conceptType: 'METRIC', semanticType, isReaggregatable: adds },
      ...(adds && { defaultAggregationType: 'SUM' }),
    })
    expect(schema).toEqual([
      dimension('day', 'Day', 'YEAR_MONTH_DAY'),
      dimension('month', 'Month', 'YEAR_MONTH'),
      dimension('dealer', 'Dealer', 'TEXT'),
      dimension('channel', 'Channel', 'TEXT'),
      metric('spend', 'Spend', 'CURRENCY_IDR', true),
      metric('leads', 'Leads', 'NUMBER', true),
      metric('cpl', 'Cost per lead (IDR per lead)', 'NUMBER', false),
    ])
  })
})

describe('the data', () => {
  beforeEach(() => authorize())

  it('are the fields asked for and no others, in that order', async () => {
    const { schema, rows, filtersApplied } = await getData(['leads', 'day', 'spend'])
    expect(schema.map(({ name }) => name)).toEqual(['leads', 'day', 'spend'])
    expect(rows).toEqual([{ values: [5, '20261101', 2_650_000.5] }, { values: [1, '20261102', 0] }])
    expect(filtersApplied).toBe(false)
  })

  it('are grouped by the dimensions asked for, so that a ratio is the group’s own', async () => {
    expect((await getData(['cpl'])).rows).toEqual([{ values: [2_650_000.5 / 6] }])
    expect((await getData(['channel', 'cpl'])).rows).toEqual([
      { values: ['tiktok', 400_000] },
      { values: ['event', null] },
    ])
  })

  it('include what is asked for to be filtered by: Looker Studio filters', async () => {
    const fields = [{ name: 'leads' }, { name: 'dealer', forFilterOnly: true }]
    const { schema, rows } = await getData([], {
      fields,
      dimensionsFilters: [[{ fieldName: 'dealer', values: ['bdg-02'], type: 'INCLUDE', operator: 'EQUALS' }]],
    })
    expect(schema.map(({ name }) => name)).toEqual(['leads', 'dealer'])
    expect(rows).toEqual([{ values: [4, 'jkt-01'] }, { values: [2, 'bdg-02'] }])
  })

  it('have months as YYYYMM', async () => {
    expect((await getData(['month', 'leads'])).rows).toEqual([{ values: ['202611', 6] }])
  })

  it('are of the days asked for, both included', async () => {
    const dateRange = { startDate: '2026-11-02', endDate: '2026-11-02' }
    expect((await getData(['dealer', 'leads'], { dateRange })).rows).toEqual([{ values: ['jkt-01', 1] }])
    expect(source.asked.at(-1)).toEqual({ from: '2026-11-02', to: '2026-11-02', by: ['dealer'] })
  })

  it('equal what the hub’s own JSON has', async () => {
    const { rows } = await getData(['dealer', 'channel', 'spend', 'leads', 'cpl'])
    const direct = await hub.get(
      '/api/v1/exports/table?from=2026-11-01&to=2026-11-30&by=dealer,channel',
      'analyst',
    )
    expect(rows.map(({ values }) => values)).toEqual(direct.json().rows)
  })

  it('that are refused say why, field by field', async () => {
    const dateRange = { startDate: '2016-11-01', endDate: '2026-11-30' }
    await expect(getData(['leads'], { dateRange })).rejects.toMatchObject({
      userError: true,
      message: expect.stringMatching(
        /^The hub answered 400: .*from: expected at most 1100 days up to 2026-11-30/,
      ),
    })
  })

  it('with a field that the hub no longer has say so', async () => {
    await expect(getData(['price'])).rejects.toMatchObject({
      userError: true,
      message: 'The hub has no field price any more: refresh the fields of this data source.',
    })
  })
})
