/** The unit economics as a table, by HTTP: JSON, CSV, XLSX. */
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import type { LightMyRequestResponse } from 'fastify'
import readWorkbook from 'read-excel-file/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  EXPORT_ROWS_MAX,
  type ExportCell,
  type ExportSource,
  type ExportTable,
} from '../../../gateway/contract/export-table.ts'
import { csvOf, jsonOf, xlsxOf } from '../../../gateway/http/downloads.ts'
import { openSqliteStore } from '../../../gateway/store/sqlite.ts'
import type { Store } from '../../../gateway/store/store.ts'
import type { Role } from '../../../gateway/tokens.ts'
import { COLUMNS, FACTS, sourceOf } from '../../analytics/exports/facts.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { type HttpHub, openHttpHub } from './hub.ts'

const facts = [...FACTS]
let store: Store
let hub: HttpHub
beforeAll(async () => {
  store = await openSqliteStore({ dataDir: temporaryFolder('exports').path })
  hub = openHttpHub(store, { exports: sourceOf(facts) })
})
afterAll(async () => {
  await hub[Symbol.asyncDispose]()
  await store.close()
})

const NOVEMBER = 'from=2026-11-01&to=2026-11-30'
const table = (parameters: string, role: Role | null = 'analyst') =>
  hub.get(`/api/v1/exports/table?${parameters}`, role)
const rowsOf = (response: LightMyRequestResponse): ExportCell[][] => response.json().rows

describe('the table', () => {
  it('has a row for each group, and every metric when no fields are named', async () => {
    const response = await table(`${NOVEMBER}&by=dealer`)
    expect(response.statusCode).toBe(200)
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(response.json()).toEqual({
      from: '2026-11-01',
      to: '2026-11-30',
      columns: ['dealer', 'spend', 'leads', 'cpl'].map((name) => COLUMNS.find((it) => it.name === name)),
      rows: [
        ['jkt-01', 1_750_000.5, 4, 437_500.125],
        ['bdg-02', 900_000, 2, 450_000],
      ],
    })
  })

  it('has the fields that are asked for, in their order, grouped by the dimensions among them', async () => {
    const response = await table(`${NOVEMBER}&fields=leads,channel,cpl`)
    expect(response.json().columns.map(({ name }: { name: string }) => name)).toEqual([
      'leads',
      'channel',
      'cpl',
    ])
    expect(rowsOf(response)).toEqual([
      [6, 'tiktok', 400_000],
      [0, 'event', null],
    ])
  })

  it('may be grouped more finely than it shows', async () => {
    const response = await table(`${NOVEMBER}&by=day,dealer&fields=day,leads`)
    expect(rowsOf(response)).toEqual([
      ['2026-11-01', 3],
      ['2026-11-01', 2],
      ['2026-11-02', 1],
    ])
  })

  it('is one row when nothing groups it, both days included', async () => {
    expect(rowsOf(await table(NOVEMBER))).toEqual([[2_650_000.5, 6, 2_650_000.5 / 6]])
    expect(rowsOf(await table('from=2026-11-02&to=2026-11-02&fields=leads'))).toEqual([[1]])
  })

  it('is whole JSON when it is sent in pieces', async () => {
    const rows = Array.from({ length: 2500 }, (_, i) => [`dealer "${i}"`, i, null])
    for (const count of [0, 1, 1000, 2500]) {
      const read: Buffer[] = []
      for await (const piece of jsonOf({ columns: COLUMNS, rows: rows.slice(0, count) }, { from: 'a' })) {
        read.push(Buffer.from(piece))
      }
      const sent = JSON.parse(Buffer.concat(read).toString())
      expect(sent).toEqual({ from: 'a', columns: COLUMNS, rows: rows.slice(0, count) })
    }
  })

  it('tells which columns there are', async () => {
    const response = await hub.get('/api/v1/exports/columns', 'analyst')
    expect(response.json()).toEqual({ columns: COLUMNS })
  })
})

describe('what makes no table is refused, by field', () => {
  it.each([
    ['to=2026-11-30', 'from'],
    ['from=2026-11-31&to=2026-11-30', 'from'],
    ['from=2026-11-02&to=2026-11-01', 'to'],
    ['from=2020-01-01&to=2026-11-01', 'from'],
    [`${NOVEMBER}&by=spend`, 'by'],
    [`${NOVEMBER}&by=day,day`, 'by'],
    [`${NOVEMBER}&fields=price`, 'fields'],
    [`${NOVEMBER}&by=day&fields=dealer,leads`, 'fields'],
    [`${NOVEMBER}&group=day`, 'group'],
  ])('%s', async (parameters, field) => {
    const response = await table(parameters)
    expect(response.statusCode).toBe(400)
    expect(response.json().errors.map((error: { field: string }) => error.field)).toEqual([field])
  })

  it('and so is one of too many rows, rather than cut short', async () => {
    const rows: ExportCell[][] = Array.from({ length: EXPORT_ROWS_MAX + 1 }, (_, i) => [i])
    const tooMany: ExportSource = {
      columns: COLUMNS,
      read: async () => ({ columns: COLUMNS.slice(5, 6), rows }),
    }
    await using other = openHttpHub(store, { exports: tooMany })
    const ask = () => other.get(`/api/v1/exports/table.csv?${NOVEMBER}&by=day`)
    const response = await ask()
    expect(response.statusCode).toBe(400)
    expect(response.json().errors[0].received).toBe('day, 100001 rows')
    rows.pop()
    expect((await ask()).statusCode).toBe(200)
  })
})

it('while the metrics are away it is told so, in every form', async () => {
  const away: ExportSource = {
    columns: COLUMNS,
    read: async () => {
      throw new Error('connect ECONNREFUSED 127.0.0.1:8086')
    },
  }
  await using other = openHttpHub(store, { exports: away })
  for (const form of ['table', 'table.csv', 'table.xlsx']) {
    const response = await other.get(`/api/v1/exports/${form}?${NOVEMBER}`)
    expect(response.statusCode).toBe(503)
    expect(response.headers['content-disposition']).toBeUndefined()
    expect(response.json().detail).toMatch(/^The metrics are away/)
  }
})

describe('who may have it', () => {
  it.each([
    ['admin', 200],
    ['manager', 200],
    ['analyst', 200],
    ['dealer:jkt-01', 403],
    ['bridge:meta', 403],
    [null, 401],
  ] as const)('%s: %i', async (role, status) => {
    for (const path of ['columns', `table?${NOVEMBER}`, `table.csv?${NOVEMBER}`, `table.xlsx?${NOVEMBER}`]) {
      expect((await hub.get(`/api/v1/exports/${path}`, role)).statusCode, path).toBe(status)
    }
  })
})

describe('a download', () => {
  it('as CSV has names with units, CRLF, and numbers as they are', async () => {
    const response = await hub.get(`/api/v1/exports/table.csv?${NOVEMBER}&by=dealer,channel`, 'analyst')
    expect(response.headers['content-type']).toBe('text/csv; charset=utf-8; header=present')
    expect(response.headers['content-disposition']).toBe(
      'attachment; filename="unit-economics-2026-11-01-2026-11-30.csv"',
    )
    expect(response.body.split('\r\n')).toEqual([
      'Dealer,Channel,Spend (IDR),Leads,Cost per lead (IDR per lead)',
      'jkt-01,tiktok,1500000,4,375000',
      'jkt-01,event,250000.5,0,',
      'bdg-02,tiktok,900000,2,450000',
    ])
  })

  it('as XLSX has days as days, numbers as numbers, and nothing where nothing is defined', async () => {
    const response = await hub.get(`/api/v1/exports/table.xlsx?${NOVEMBER}&by=day,channel`, 'analyst')
    expect(response.headers['content-disposition']).toContain('.xlsx"')
    expect(await sheetOf(response.rawPayload)).toEqual([
      ['Day', 'Channel', 'Spend (IDR)', 'Leads', 'Cost per lead (IDR per lead)'],
      [new Date('2026-11-01'), 'tiktok', 2_400_000, 5, 480_000],
      [new Date('2026-11-01'), 'event', 250_000.5, 0, null],
      [new Date('2026-11-02'), 'tiktok', 0, 1, 0],
    ])
  })

  it('holds whatever text and number there is, and no formula', async () => {
    const cells = fc.array(
      fc.tuple(
        fc.oneof(
          fc.string({ unit: 'grapheme', maxLength: 20 }),
          fc.constantFrom(
            '=1+1',
            '+1',
            '-1',
            '@SUM(A1)',
            '=HYPERLINK("http://x","y")',
            'a,b',
            '"',
            'a\r\nb',
            "'=1",
          ),
        ),
        fc.integer({ min: -(10 ** 14), max: 10 ** 14 }).map((hundredths) => hundredths / 100),
      ),
      { minLength: 1, maxLength: 20 },
    )
    await fc.assert(
      fc.asyncProperty(cells, async (rows) => {
        const [dealer, spend] = [COLUMNS[2], COLUMNS[4]] as ExportTable['columns'] as [never, never]
        const written: ExportTable = { columns: [dealer, spend], rows }
        const csv = await new Response(csvOf(written)).text()
        const [heading, ...read] = parse(csv, { relax_column_count: false }) as string[][]
        expect(heading).toEqual(['Dealer', 'Spend (IDR)'])
        expect(read).toEqual(rows.map(([text, number]) => [guarded(text), String(number)]))
        for (const [text] of read) expect(text).not.toMatch(/^[=+\-@\t\r]/)

        const [, ...sheet] = await sheetOf(Buffer.from(await new Response(xlsxOf(written)).arrayBuffer()))
        expect(sheet.map(([, number]) => number)).toEqual(rows.map(([, number]) => number))
      }),
      { numRuns: 50 },
    )
  })

  it('never has a formula in a workbook', async () => {
    const written: ExportTable = { columns: COLUMNS.slice(2, 3), rows: [['=1+1'], ['@SUM(A1)'], ['-1']] }
    const [, ...sheet] = await sheetOf(Buffer.from(await new Response(xlsxOf(written)).arrayBuffer()))
    // Texts by their type: a spreadsheet shows them as they are.
    expect(sheet).toEqual([['=1+1'], ['@SUM(A1)'], ['-1']])
  })
})

const guarded = (text: string): string => (/^[=+\-@\t\r\n\0|]/.test(text) ? `'${text}` : text)

async function sheetOf(bytes: Buffer): Promise<unknown[][]> {
  const [sheet] = await readWorkbook(bytes)
  return sheet?.data as unknown[][]
}
