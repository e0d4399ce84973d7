/** The unit economics in a Feishu Base, written to a local server that enforces Feishu's limits. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  exportToFeishu,
  type FeishuExport,
  type FeishuProgress,
  keyOf,
} from '../../../analytics/exports/feishu.ts'
import { openFeishuBase } from '../../../analytics/exports/feishu-base.ts'
import type { ExportTable } from '../../../gateway/contract/export-table.ts'
import { type BaseTable, type LocalFeishu, startFeishu } from '../../support/feishu-base.ts'
import { COLUMNS, FACTS, type Fact, sourceOf } from './facts.ts'

let feishu: LocalFeishu
let waits: number[]
let progress: FeishuProgress | null
beforeEach(async () => {
  feishu = await startFeishu()
  waits = []
  progress = null
})
afterEach(() => feishu[Symbol.asyncDispose]())

const FREE = { hold: async () => true }
let runs = 0

function open(timeoutMs = 5000) {
  const { appId, appSecret, baseToken, url: apiUrl } = feishu
  const wait = async (ms: number) => void waits.push(ms)
  return openFeishuBase({ appId, appSecret, baseToken, apiUrl }, { timeoutMs, wait })
}

async function write(table: ExportTable, more: Partial<FeishuExport> = {}) {
  return exportToFeishu({
    base: open(),
    name: 'Economics',
    table,
    timezone: 'Asia/Jakarta',
    lease: FREE,
    recall: async () => progress,
    remember: async (value) => {
      progress = value
    },
    newRun: () => `run-${++runs}`,
    ...more,
  })
}

const byDay = (facts: readonly Fact[]): Promise<ExportTable> =>
  sourceOf(facts).read({ from: '2026-11-01', to: '2026-11-30', by: ['day', 'dealer', 'channel'] })

const tableNamed = (name: string): BaseTable => {
  const table = [...feishu.tables.values()].find((found) => found.name === name)
  if (table === undefined) throw new Error(`no table ${name}`)
  return table
}
const records = () => [...tableNamed('Economics').records.values()].map(({ fields }) => fields)
const count = (call: string) => feishu.calls.filter((it) => it.call.endsWith(call) && it.code === 0).length

/** So many dealers on one day. */
const manyFacts = (dealers: number, leads = 1): Fact[] =>
  Array.from({ length: dealers }, (_, i) => ({
    day: '2026-11-01',
    dealer: `d-${String(i).padStart(4, '0')}`,
    channel: 'event',
    spend: 1000 * i,
    leads,
  }))

describe('the table', () => {
  it('is made with a field for the key and one for each column', async () => {
    await write(await byDay(FACTS))
    expect(tableNamed('Economics').fields).toEqual([
      { field_name: 'key', type: 1 },
      { field_name: 'Day', type: 5 },
      { field_name: 'Dealer', type: 1 },
      { field_name: 'Channel', type: 1 },
      { field_name: 'Spend (IDR)', type: 2 },
      { field_name: 'Leads', type: 2 },
      { field_name: 'Cost per lead (IDR per lead)', type: 2 },
    ])
  })

  it('that people made keeps its fields and records, and gets the fields it lacks', async () => {
    const own = { id: 'rec-own', fields: { Note: 'ours' } }
    const fields = [
      { field_name: 'Note', type: 1 },
      { field_name: 'key', type: 1 },
    ]
    feishu.tables.set('tbl-own', {
      id: 'tbl-own',
      name: 'Economics',
      fields,
      records: new Map([[own.id, own]]),
    })
    await write(await byDay(FACTS))
    expect(feishu.tables.size).toBe(1)
    expect(tableNamed('Economics').fields).toHaveLength(8)
    expect(records()).toHaveLength(5)
    expect(records()).toContainEqual({ Note: 'ours' })
  })

  it('whose field has another type is not written at all', async () => {
    const fields = [
      { field_name: 'key', type: 1 },
      { field_name: 'Leads', type: 1 },
    ]
    feishu.tables.set('tbl-own', { id: 'tbl-own', name: 'Economics', fields, records: new Map() })
    await expect(write(await byDay(FACTS))).rejects.toThrow(
      'the field Leads of the table Economics should be of type number, and is of type text',
    )
    expect(fields).toHaveLength(2)
    expect(records()).toEqual([])
  })
})

describe('a record', () => {
  it('has days as midnight of the business day, money in whole units, and no cell where nothing is defined', async () => {
    expect(await write(await byDay(FACTS))).toEqual({ created: 4, updated: 0, resumed: 0 })
    expect(records()).toContainEqual({
      key: 'day:2026-11-01/dealer:jkt-01/channel:tiktok',
      Day: Date.parse('2026-11-01T00:00:00+07:00'),
      Dealer: 'jkt-01',
      Channel: 'tiktok',
      'Spend (IDR)': 1_500_000,
      Leads: 3,
      'Cost per lead (IDR per lead)': 500_000,
    })
    const undefinedRatio = records().find(({ Channel }) => Channel === 'event')
    expect(undefinedRatio).toMatchObject({ 'Spend (IDR)': 250_000.5, Leads: 0 })
    expect(undefinedRatio).not.toHaveProperty(['Cost per lead (IDR per lead)'])
  })

  it('is changed by the same key, whatever was written before', async () => {
    await write(await byDay(FACTS))
    const ids = new Set(tableNamed('Economics').records.keys())
    const corrected = FACTS.map((fact) => (fact.dealer === 'bdg-02' ? { ...fact, leads: 0 } : fact))
    expect(await write(await byDay(corrected))).toEqual({ created: 0, updated: 4, resumed: 0 })
    expect(new Set(tableNamed('Economics').records.keys())).toEqual(ids)
    const bandung = records().find(({ Dealer }) => Dealer === 'bdg-02')
    expect(bandung).toMatchObject({ Leads: 0, 'Spend (IDR)': 900_000 })
    // What is no longer defined is emptied, not left as it was.
    expect(bandung).not.toHaveProperty(['Cost per lead (IDR per lead)'])
  })

  it('may go back to what it said in an earlier export', async () => {
    for (const leads of [1, 2, 1]) {
      await write(await byDay(manyFacts(3, leads)))
      expect(records().map(({ Leads }) => Leads)).toEqual([leads, leads, leads])
    }
  })

  it('that somebody deleted comes back with the next export', async () => {
    const table = await byDay(FACTS)
    await write(table)
    tableNamed('Economics').records.clear()
    expect(await write(table)).toMatchObject({ created: 4 })
    expect(records()).toHaveLength(4)
  })

  it('has a key of its own, whatever dimensions are called', () => {
    const groups = fc.array(fc.string({ unit: fc.constantFrom('a', '/', '%', ':', '2', 'F') }), {
      minLength: 3,
      maxLength: 3,
    })
    const escaped = (group: string[]) => group.map((name) => name.replaceAll('/', '%2F'))
    const pairs = fc.oneof(
      fc.tuple(groups, groups),
      groups.map((group) => [group, escaped(group)] as const),
    )
    fc.assert(
      fc.property(pairs, ([one, other]) => {
        const columns = COLUMNS.slice(1, 4)
        expect(keyOf(columns, one) === keyOf(columns, other)).toBe(one.join('\n') === other.join('\n'))
      }),
    )
  })

  it('without a day or month in its key is refused: it would be overwritten by any other period', async () => {
    const table = await sourceOf(FACTS).read({ from: '2026-11-01', to: '2026-11-30', by: ['dealer'] })
    await expect(write(table)).rejects.toThrow('group by day or month')
  })
})

describe('Feishu’s limits are kept', () => {
  it('1,000 records a call, 500 a page of what is there', async () => {
    const table = await byDay(manyFacts(2500))
    expect(await write(table)).toMatchObject({ created: 2500, updated: 0 })
    expect(await write(table)).toMatchObject({ created: 0, updated: 2500 })
    expect(records()).toHaveLength(2500)
    const sizes = (call: string) =>
      feishu.calls.filter((it) => it.call.endsWith(call)).map((it) => it.records)
    expect(sizes('batch_create')).toEqual([1000, 1000, 500])
    expect(sizes('batch_update')).toEqual([1000, 1000, 500])
    expect(count('search')).toBe(1 + 5)
    expect(feishu.conflicts).toBe(0)
  })

  it('one writer per table: whoever does not hold the lease writes nothing', async () => {
    const table = await byDay(FACTS)
    await expect(write(table, { lease: { hold: async () => false } })).rejects.toThrow(
      'another export is writing',
    )
    expect(feishu.calls).toEqual([])
  })

  it('a writer that lost its lease stops before its next batch', async () => {
    let isMine = true
    const table = await byDay(manyFacts(2500))
    const lease = { hold: async () => isMine }
    const remember = async (value: FeishuProgress | null) => {
      isMine = value?.done === 0
    }
    await expect(write(table, { lease, remember })).rejects.toThrow('another export is writing')
    expect(records()).toHaveLength(1000)
  })
})

describe('a call that fails', () => {
  const conflict = { kind: 'answer', status: 200, body: { code: 1254291, msg: 'Write conflict' } } as const
  const tooMany = { kind: 'answer', status: 400, body: { code: 99991400, msg: 'frequency limit' } } as const
  const away = { kind: 'answer', status: 502, body: '<html>Bad gateway</html>' } as const

  it.each([
    ['a write conflict', conflict],
    ['too many calls', tooMany],
    ['HTTP 429', { ...tooMany, status: 429, body: 'slow down' }],
    ['HTTP 502', away],
    ['a connection that breaks before', { kind: 'reset_before' }],
    ['a connection that breaks after it was done', { kind: 'reset_after' }],
  ] as const)('by %s is made again, and creates nothing twice', async (_name, fault) => {
    feishu.fail('batch_create', fault, fault)
    expect(await write(await byDay(manyFacts(1200)))).toMatchObject({ created: 1200 })
    expect(records()).toHaveLength(1200)
    expect(waits).toEqual([500, 1000])
    const [first] = feishu.calls.filter(({ call }) => call.endsWith('batch_create'))
    const sent = feishu.calls.filter(({ token }) => token === first?.token)
    expect(sent.every(({ records: of }) => of === 1000)).toBe(true)
  })

  it('by an answer that does not come is given up after a time, and made again', async () => {
    feishu.fail('batch_create', { kind: 'silent_after' })
    expect(await write(await byDay(FACTS), { base: open(300) })).toMatchObject({ created: 4 })
    expect(records()).toHaveLength(4)
    expect(waits).toEqual([500])
  })

  it('again and again is given up', async () => {
    feishu.fail('batch_create', ...Array.from({ length: 8 }, () => conflict))
    await expect(write(await byDay(FACTS))).rejects.toThrow(
      'Feishu did not create records: Write conflict (code 1254291)',
    )
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000])
  })

  it('for good, though with HTTP 200, ends the export at once', async () => {
    const body = { code: 1254302, msg: 'Permission denied' }
    feishu.fail('batch_create', { kind: 'answer', status: 200, body })
    await expect(write(await byDay(FACTS))).rejects.toMatchObject({ name: 'FeishuError', code: 1254302 })
    expect(waits).toEqual([])
  })

  it('for its credentials says so, and tells no secret', async () => {
    const { appId, baseToken, url: apiUrl } = feishu
    const access = { appId, appSecret: 'not-the-secret', baseToken, apiUrl }
    const base = openFeishuBase(access, { wait: async (ms) => void waits.push(ms) })
    const error = await write(await byDay(FACTS), { base }).catch((thrown: Error) => thrown)
    expect(String(error)).toMatch(/list the tables of the Base.*app secret invalid/)
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('not-the-secret')
  })

  it('while a table is made is not repeated when it may have been made', async () => {
    feishu.fail(`GET ${feishu.baseToken}/tables`, away)
    feishu.fail(`POST ${feishu.baseToken}/tables`, { kind: 'reset_after' })
    await expect(write(await byDay(FACTS))).rejects.toThrow('create the table Economics')
    expect(waits).toEqual([500])
    expect(await write(await byDay(FACTS))).toMatchObject({ created: 4 })
    expect(feishu.tables.size).toBe(1)
  })
})

describe('an export that was cut short', () => {
  /** Dies when so many batches were done, before the last of them is remembered. */
  const dyingAfter = (batches: number): Partial<FeishuExport> => {
    let times = -1
    return {
      remember: async (value) => {
        if (++times === batches) throw new Error('killed')
        progress = value
      },
    }
  }

  it('goes on after the batches that are done', async () => {
    const table = await byDay(manyFacts(3500))
    await expect(write(table, dyingAfter(3))).rejects.toThrow('killed')
    expect(records()).toHaveLength(3000)
    // The third batch was done and not remembered: it is written again, to the same records.
    expect(await write(table)).toEqual({ created: 500, updated: 1000, resumed: 2000 })
    expect(records()).toHaveLength(3500)
    expect(new Set(records().map(({ key }) => key)).size).toBe(3500)
    expect(progress).toBeNull()
  })

  it('begins anew when the figures are others', async () => {
    await expect(write(await byDay(manyFacts(1500)), dyingAfter(2))).rejects.toThrow('killed')
    expect(await write(await byDay(manyFacts(1500, 7)))).toEqual({ created: 0, updated: 1500, resumed: 0 })
    expect(records().every(({ Leads }) => Leads === 7)).toBe(true)
  })

  it('creates nothing twice when Feishu does not yet show what was done', async () => {
    const table = await byDay(manyFacts(1000))
    const first = open()
    const hidden = { ...first, async *texts() {} }
    await expect(write(table, { base: hidden, ...dyingAfter(1) })).rejects.toThrow('killed')
    expect(await write(table, { base: { ...open(), async *texts() {} } })).toMatchObject({ created: 1000 })
    expect(records()).toHaveLength(1000)
  })
})
