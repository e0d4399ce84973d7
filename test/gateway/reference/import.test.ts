import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  dealerKey,
  dealersIndex,
  pricesKey,
  type ReferenceDoc,
  type ReferenceKind,
  referenceKey,
  registrationKey,
  type Versioned,
  visibleRow,
} from '../../../gateway/documents.ts'
import { type ImportOptions, importReference } from '../../../gateway/reference/import.ts'
import { type Key, SHARDS } from '../../../gateway/store/keys.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { describeOnBothStores } from '../../support/stores.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const serialPattern = /^[A-Z0-9]{6,32}$/
const SERIALS = 'serial,model,dealer_id,produced_on'
const PRICES = 'model,region,msrp,map,valid_from'

async function* bytesOf(content: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(content)
}

describeOnBothStores('an import', (store, open) => {
  const importText = (
    kind: ReferenceKind,
    header: string,
    rows: Iterable<string>,
    options: Partial<ImportOptions> = {},
    target: Pick<Store, 'read' | 'commit'> = store(),
  ) => importReference(target, kind, bytesOf([header, ...rows, ''].join('\n')), { serialPattern, ...options })
  const importSerials = (
    rows: Iterable<string>,
    options?: Partial<ImportOptions>,
    target?: Pick<Store, 'read' | 'commit'>,
  ) => importText('serials', SERIALS, rows, options, target)

  /** What the deciders see. */
  async function visible(kind: ReferenceKind, keys: readonly Key[]): Promise<unknown[]> {
    const [reference, ...docs] = await store().read([referenceKey(kind), ...keys])
    return docs.map((doc) =>
      visibleRow(doc?.value as Versioned<unknown> | undefined, reference?.value as ReferenceDoc | undefined),
    )
  }
  const modelsOf = async (serials: readonly string[]) =>
    (await visible('serials', serials.map(registrationKey))).map(
      (row) => (row as { model: string } | null)?.model ?? null,
    )
  async function imported(): Promise<ReferenceDoc> {
    const [doc] = await store().read([referenceKey('serials')])
    return doc?.value as ReferenceDoc
  }

  it('makes every row count, and tells how many are new, changed and the same', async () => {
    expect(await importSerials(['AAA001,EV-1,jkt-01,2026-01-01', 'AAA002,EV-1,,'])).toEqual({
      outcome: 'imported',
      rows: 2,
      added: 2,
      changed: 0,
      same: 0,
    })
    expect(await visible('serials', [registrationKey('AAA001'), registrationKey('AAA009')])).toEqual([
      { model: 'EV-1', dealer_id: 'jkt-01', produced_on: '2026-01-01' },
      null,
    ])
    expect(await importSerials(['AAA002,EV-2,,', 'AAA003,EV-1,,', 'AAA001,EV-1,jkt-01,2026-01-01'])).toEqual({
      outcome: 'imported',
      rows: 3,
      added: 1,
      changed: 1,
      same: 1,
    })
    expect(await modelsOf(['AAA001', 'AAA002', 'AAA003'])).toEqual(['EV-1', 'EV-2', 'EV-1'])
    expect(await imported()).toMatchObject({ rows: 3, staging: null, imported_at: expect.any(String) })
  })

  it('of the same file again changes nothing and writes no row again', async () => {
    const rows = Array.from({ length: 1500 }, (_, i) => `SAME${String(i).padStart(5, '0')},EV-1,,`)
    const keys = rows.map((row) => registrationKey(row.split(',')[0] as string))
    await importSerials(rows)
    const before = await store().read(keys)
    expect(await importSerials(rows)).toMatchObject({ added: 0, changed: 0, same: 1500 })
    expect(await store().read(keys)).toEqual(before)
  })

  it('leaves alone what the file does not name', async () => {
    await importSerials(['BBB001,EV-1,,'])
    await importSerials(['BBB002,EV-1,,'])
    expect(await modelsOf(['BBB001', 'BBB002'])).toEqual(['EV-1', 'EV-1'])
  })

  it('with a wrong row writes nothing at all', async () => {
    const before = await imported()
    const result = await importSerials(['CCC001,EV-1,,', 'wrong,EV-1,,'])
    expect(result).toMatchObject({
      outcome: 'invalid',
      errorsTotal: 1,
      errors: [{ line: 3, column: 'serial' }],
    })
    expect(await store().read([registrationKey('CCC001')])).toEqual([null])
    expect(await imported()).toEqual(before)
  })

  it('that only tells what would change writes nothing', async () => {
    await importSerials(['DDD001,EV-1,,'])
    const before = await imported()
    const rows = ['DDD001,EV-2,,', 'DDD002,EV-1,,']
    expect(await importSerials(rows, { dryRun: true })).toEqual({
      outcome: 'imported',
      rows: 2,
      added: 1,
      changed: 1,
      same: 0,
    })
    expect(await imported()).toEqual(before)
    expect(await modelsOf(['DDD001', 'DDD002'])).toEqual(['EV-1', null])
  })

  it('keeps the prices of a model together, whichever file they came in', async () => {
    await importText('prices', PRICES, ['EV-7,,30,25,2026-01-01', 'EV-7,Bali,31,26,2026-01-01'])
    await importText('prices', PRICES, ['EV-7,,33,28,2026-02-01', 'EV-7,Bali,31,27,2026-01-01'])
    expect(await visible('prices', [pricesKey('EV-7')])).toEqual([
      {
        prices: [
          { region: null, msrp: 30, map: 25, valid_from: '2026-01-01' },
          { region: 'Bali', msrp: 31, map: 27, valid_from: '2026-01-01' },
          { region: null, msrp: 33, map: 28, valid_from: '2026-02-01' },
        ],
      },
    ])
  })

  it('of prices too many for one commit loses none, in whatever order they come', async () => {
    const days = Array.from({ length: 2500 }, (_, i) => new Date(i * 86_400_000).toISOString().slice(0, 10))
    const rows = days.toReversed().map((day, i) => `EV-8,,${i},1,${day}`)
    for (const batchesAtOnce of [1, 2] as const) {
      await importText('prices', PRICES, rows, { batchesAtOnce })
      const [document] = (await visible('prices', [pricesKey('EV-8')])) as [
        { prices: { valid_from: string }[] },
      ]
      expect(document.prices.map(({ valid_from }) => valid_from)).toEqual(days)
    }
    expect(await importText('prices', PRICES, rows)).toMatchObject({ same: 2500 })
  })

  it('lists the dealers', async () => {
    const header = 'dealer_id,name,region,lat,lon,opens,closes,daily_quota,phone'
    await importText('dealers', header, ['bali-01,Dealer,Bali,-8.6,115.2,09:00,17:00,,'])
    expect(await visible('dealers', [dealerKey('bali-01')])).toMatchObject([
      { region: 'Bali', daily_quota: null },
    ])
    const listed = await store().range(SHARDS.map(dealersIndex), { limit: 10 })
    expect(listed.map(({ member }) => member)).toEqual(['bali-01'])
  })

  const many = (count: number, model: string, prefix: string) =>
    Array.from({ length: count }, (_, i) => `${prefix}${String(i).padStart(5, '0')},${model},,`)
  const serialsOf = (rows: readonly string[]) => rows.map((row) => row.split(',')[0] as string)

  it('is not seen before its last row is there, and then all at once', async () => {
    const [old, rows] = [many(3000, 'OLD', 'SEEN'), many(3000, 'NEW', 'SEEN')]
    await importSerials(old)
    const seen: Promise<Set<unknown>>[] = []
    const onProgress: ImportOptions['onProgress'] = ({ phase }) => {
      if (phase === 'applying') seen.push(modelsOf(serialsOf(rows)).then((models) => new Set(models)))
    }
    // Looked at after each batch; the look after the last one may come before or after the flip.
    await importSerials(rows, { onProgress })
    for (const models of await Promise.all(seen)) expect(models.size).toBe(1)
    expect(await seen[0]).toEqual(new Set(['OLD']))
    expect(new Set(await modelsOf(serialsOf(rows)))).toEqual(new Set(['NEW']))
  })

  it('that is overtaken by another one ends without any effect', async () => {
    const rows = many(3000, 'SLOW', 'RACE')
    const [slow, fast] = [store(), await open()]
    let commits = 0
    const paused: Pick<Store, 'read' | 'commit'> = {
      read: (keys) => slow.read(keys),
      async commit(proposals) {
        // Its first commit begins the generation, its second stages a batch.
        if (++commits === 3) {
          const result = await importSerials(many(2000, 'FAST', 'RACE'), {}, fast)
          expect(result).toMatchObject({ outcome: 'imported', added: 2000 })
        }
        return slow.commit(proposals)
      },
    }
    expect(await importSerials(rows, {}, paused)).toEqual({ outcome: 'superseded' })
    const models = await modelsOf(serialsOf(rows))
    expect(models.filter((model) => model === 'FAST')).toHaveLength(2000)
    expect(models.filter((model) => model === null)).toHaveLength(1000)
    expect(await importSerials(rows)).toMatchObject({ outcome: 'imported', added: 1000, changed: 2000 })
    await fast.close()
  })

  it('repeats what the store did not answer, and counts nothing twice', async () => {
    const flaky = store()
    let commits = 0
    const target: Pick<Store, 'read' | 'commit'> = {
      read: (keys) => flaky.read(keys),
      async commit(proposals) {
        const outcomes = await flaky.commit(proposals)
        // Done, but its answer is lost.
        if (++commits % 2 === 1) throw new Error('the reply was lost')
        return outcomes
      },
    }
    expect(await importSerials(many(1500, 'EV-1', 'LOST'), {}, target)).toMatchObject({
      outcome: 'imported',
      added: 1500,
    })
    expect(new Set(await modelsOf(serialsOf(many(1500, '', 'LOST'))))).toEqual(new Set(['EV-1']))
  })

  it('is as one that never was when it died on the way, whatever was imported before and after (property)', async () => {
    let run = 0
    const plan = fc.record({
      from: fc.nat({ max: 1500 }),
      count: fc.integer({ min: 1, max: 1500 }),
      model: fc.constantFrom('A', 'B', 'C'),
      /** Dies when the store is asked for documents this often; null: lives. */
      dieAtRead: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 2 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(plan, { minLength: 1, maxLength: 5 }), async (plans) => {
        const prefix = `P${String(++run).padStart(3, '0')}X`
        const serial = (i: number) => `${prefix}${String(i).padStart(5, '0')}`
        const expected = new Map<string, string>()
        for (const { from, count, model, dieAtRead } of plans) {
          const serials = Array.from({ length: count }, (_, i) => serial(from + i))
          let reads = 0
          const target: Pick<Store, 'read' | 'commit'> = {
            read: async (keys) => {
              if (++reads === dieAtRead) throw new Error('died')
              return store().read(keys)
            },
            commit: (proposals) => store().commit(proposals),
          }
          const rows = serials.map((name) => `${name},${model},,`)
          const result = await importSerials(rows, {}, target).catch((error: Error) => error.message)
          if (typeof result === 'string') expect(result).toBe('died')
          else for (const name of serials) expected.set(name, model)
        }
        const all = Array.from({ length: 3000 }, (_, i) => serial(i))
        expect(await modelsOf(all)).toEqual(all.map((name) => expected.get(name) ?? null))
      }),
      { numRuns: 10 },
    )
  })
})

it('an import that is killed half-way changes nothing that is seen, and run again it completes', async () => {
  const { openSqliteStore } = await import('../../../gateway/store/sqlite.ts')
  using folder = temporaryFolder('killed')
  const csv = join(folder.path, 'serials.csv')
  const rows = Array.from({ length: 6000 }, (_, i) => `KILL${String(i).padStart(6, '0')},EV-1,,`)
  writeFileSync(csv, [SERIALS, ...rows].join('\n'))
  const program = `
    import { createReadStream } from 'node:fs'
    import { importReference } from ${JSON.stringify(new URL('../../../gateway/reference/import.ts', import.meta.url))}
    import { openSqliteStore } from ${JSON.stringify(new URL('../../../gateway/store/sqlite.ts', import.meta.url))}
    const [dataDir, csv, killAtRow] = process.argv.slice(1)
    const store = await openSqliteStore({ dataDir })
    const result = await importReference(store, 'serials', createReadStream(csv), {
      serialPattern: /^[A-Z0-9]{6,32}$/,
      onProgress: ({ phase, rows }) => {
        if (phase === 'applying' && rows >= Number(killAtRow)) process.kill(process.pid, 'SIGKILL')
      },
    })
    console.log(JSON.stringify(result))
    await store.close()`
  async function run(killAtRow: number): Promise<{ signal: string | null; stdout: string }> {
    const child = spawn(
      process.execPath,
      ['--input-type=module', '--eval', program, folder.path, csv, String(killAtRow)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const closed = once(child, 'close')
    const stdout = await text(child.stdout)
    const [, signal] = (await closed) as [number | null, string | null]
    return { signal, stdout }
  }
  async function countVisible(): Promise<number> {
    const store = await openSqliteStore({ dataDir: folder.path })
    const keys = rows.map((row) => registrationKey(row.split(',')[0] as string))
    const [reference, ...docs] = await store.read([referenceKey('serials'), ...keys])
    await store.close()
    return docs.filter(
      (doc) =>
        visibleRow(
          doc?.value as Versioned<object> | undefined,
          reference?.value as ReferenceDoc | undefined,
        ) !== null,
    ).length
  }
  for (const killAtRow of [1000, 3000, 6000]) {
    expect(await run(killAtRow)).toMatchObject({ signal: 'SIGKILL' })
    expect(await countVisible()).toBe(0)
  }
  const { stdout } = await run(Number.POSITIVE_INFINITY)
  expect(JSON.parse(stdout)).toEqual({
    outcome: 'imported',
    rows: 6000,
    added: 6000,
    changed: 0,
    same: 0,
  })
  expect(await countVisible()).toBe(6000)
})
