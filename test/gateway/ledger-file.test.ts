import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import type { Entry } from '../../gateway/contract/ledger.ts'
import { followLedger, ledgerLine, readLedger, verifyLedger } from '../../gateway/ledger-file.ts'
import { keyIn, SHARDS, shardOf } from '../../gateway/store/keys.ts'
import { openRedisStore } from '../../gateway/store/redis.ts'
import { openSqliteStore, STORE_FILE } from '../../gateway/store/sqlite.ts'
import type { Store } from '../../gateway/store/store.ts'
import { startRedis } from '../support/services.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

let appended = 0
/** Appends entries to lane after lane. */
async function append(store: Store, count: number): Promise<void> {
  await store.commit(
    Array.from({ length: count }, () => {
      const i = ++appended
      const shard = shardOf(`aggregate-${i}`)
      return {
        shard,
        token: `token-${i}`,
        once: [{ key: keyIn(shard, `test:${i}`), value: i }],
        append: [
          { stream: 'ledger' as const, type: i % 2 === 0 ? 'even' : 'odd', data: { i, text: 'à "b" \\ c' } },
        ],
      }
    }),
  )
}

const all = async (pages: AsyncIterable<Entry[]>): Promise<Entry[]> => (await Array.fromAsync(pages)).flat()

/** What a driver keeps of an entry, changed behind its back. */
interface Tamper {
  edit(lane: number, number: number, body: string): Promise<void>
  remove(lane: number, number: number): Promise<void>
}

const drivers: [name: string, open: () => Promise<{ store: Store; tamper: Tamper } & AsyncDisposable>][] = [
  [
    'the embedded store',
    async () => {
      await using stack = new AsyncDisposableStack()
      const folder = stack.use(temporaryFolder('ledger'))
      const store = stack.adopt(await openSqliteStore({ dataDir: folder.path }), (it) => it.close())
      const database = stack.adopt(new DatabaseSync(join(folder.path, STORE_FILE), { timeout: 5000 }), (it) =>
        it.close(),
      )
      const where = "WHERE stream = 'ledger' AND lane = ? AND number = ?"
      const tamper: Tamper = {
        async edit(lane, number, body) {
          database.prepare(`UPDATE entries SET body = ? ${where}`).run(body, lane, number)
        },
        async remove(lane, number) {
          database.prepare(`DELETE FROM entries ${where}`).run(lane, number)
        },
      }
      const opened = stack.move()
      return { store, tamper, [Symbol.asyncDispose]: () => opened.disposeAsync() }
    },
  ],
  [
    'Redis',
    async () => {
      await using stack = new AsyncDisposableStack()
      const redis = stack.use(await startRedis())
      const store = stack.adopt(await openRedisStore({ url: redis.url }), (it) => it.close())
      const client = stack.adopt(new Redis(redis.url), (it) => it.disconnect())
      const tamper: Tamper = {
        async edit(lane, number, body) {
          // A stream takes no edits: it is written anew, with one entry changed.
          const key = keyIn(lane, 'ledger')
          const rows = await client.xrange(key, '-', '+')
          await client.del(key)
          for (const [id, fields] of rows) {
            const [at, chain] = (fields[1] as string).split(' ', 2)
            const changed = id === `${number}-0` ? ['entry', `${at} ${chain} ${body}`] : fields
            await client.xadd(key, id, ...changed)
          }
        },
        async remove(lane, number) {
          await client.xdel(keyIn(lane, 'ledger'), `${number}-0`)
        },
      }
      const opened = stack.move()
      return { store, tamper, [Symbol.asyncDispose]: () => opened.disposeAsync() }
    },
  ],
]

describe.each(drivers)('the ledger on %s', (_, open) => {
  it('is read whole, each lane in order, and is sound', async () => {
    await using opened = await open()
    const { store } = opened
    await append(store, 2500)
    const entries = await all(readLedger(store))
    expect(entries).toHaveLength(2500)
    for (const lane of SHARDS) {
      const numbers = entries.filter((entry) => entry.lane === lane).map(({ number }) => number)
      expect(numbers).toEqual(numbers.map((_, i) => i + 1))
    }
    expect(await verifyLedger(store)).toMatchObject({
      entries: 2500,
      lanes: 16,
      violations: [],
      violationsTotal: 0,
      clockSetBack: 0,
    })
  })

  it('that is empty is sound', async () => {
    await using opened = await open()
    expect(await all(readLedger(opened.store))).toEqual([])
    expect(await verifyLedger(opened.store)).toMatchObject({ entries: 0, from: null, violationsTotal: 0 })
  })

  it('is read up to where it was when the reading began, however fast it grows', async () => {
    await using opened = await open()
    const { store } = opened
    await append(store, 100)
    const growing: Pick<Store, 'entriesAfter' | 'entriesBefore' | 'end' | 'heads'> = {
      ...store,
      async entriesAfter(...question) {
        await append(store, 50)
        return store.entriesAfter(...question)
      },
    }
    expect(await all(readLedger(growing))).toHaveLength(100)
    expect(await verifyLedger(growing)).toMatchObject({ violationsTotal: 0 })
  })

  it.each<
    [what: string, tamper: (tamper: Tamper, lane: number, count: number) => Promise<void>, says: RegExp]
  >([
    [
      'an edited entry',
      (tamper, lane) => tamper.edit(lane, 2, '{"type":"odd","data":{"i":0}}'),
      /^entry \d+ \(number 2 of lane \d+\) was altered/,
    ],
    [
      'the newest entry of a lane edited',
      (tamper, lane, count) => tamper.edit(lane, count, '{"type":"odd","data":{"i":0}}'),
      /was altered/,
    ],
    ['an entry removed', (tamper, lane) => tamper.remove(lane, 2), /\(number 2 of lane \d+\) is missing$/],
    [
      'the first entry of a lane removed',
      (tamper, lane) => tamper.remove(lane, 1),
      /\(number 1 of lane \d+\) is missing$/,
    ],
    [
      'the newest entry of a lane removed',
      (tamper, lane, count) => tamper.remove(lane, count),
      /^entry \d+ \(number \d+ of lane \d+\) is missing$/,
    ],
    ['an entry that is no JSON', (tamper, lane) => tamper.edit(lane, 2, '{'), /can't be read/],
  ])('%s is noticed, and nothing else is held against it', async (_, change, says) => {
    await using opened = await open()
    const { store, tamper } = opened
    await append(store, 200)
    const [head] = await store.heads('ledger')
    if (head === undefined) throw new Error('nothing was appended')
    await change(tamper, head.lane, head.number)
    const { violations, violationsTotal } = await verifyLedger(store)
    expect(violations).toEqual([expect.stringMatching(says)])
    expect(violationsTotal).toBe(1)
  })

  it('is followed: the newest entries, then what comes, each once', async () => {
    await using opened = await open()
    const { store } = opened
    await append(store, 30)
    const abort = new AbortController()
    const told: unknown[] = []
    const growing: typeof store = {
      ...store,
      async entriesBefore(...question) {
        await append(store, 2)
        return store.entriesBefore(...question)
      },
    }
    for await (const entries of followLedger(growing, { newest: 10, signal: abort.signal })) {
      told.push(...entries.map(({ data }) => data.i))
      if (told.length === 10) await append(store, 5)
      if (told.length >= 15) abort.abort()
    }
    expect(new Set(told).size).toBe(15)
    const newest = Array.from({ length: 5 }, (_, i) => appended - i)
    expect(new Set(told.slice(10))).toEqual(new Set(newest))
  })
})

it('an exported line is one entry, without what only the store needs', () => {
  const entry: Entry = {
    entry: '35',
    lane: 3,
    number: 2,
    at: '2026-11-22T08:15:30.123Z',
    type: 'sale.registered',
    data: { serial: 'A' },
    chain: 'c',
  }
  expect(ledgerLine(entry)).toBe(
    '{"entry":"35","at":"2026-11-22T08:15:30.123Z","type":"sale.registered","data":{"serial":"A"}}\n',
  )
})
