import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deviceId } from '../../../gateway/contract/topics.ts'
import { type SequenceDoc, sequenceKey } from '../../../gateway/documents.ts'
import { startSequences } from '../../../gateway/effects/sequences.ts'
import { keyIn, shardOf } from '../../../gateway/store/keys.ts'
import { openRedisStore } from '../../../gateway/store/redis.ts'
import { openSqliteStore } from '../../../gateway/store/sqlite.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { type RedisServer, startRedis } from '../../support/services.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { until } from '../../support/until.ts'

const log = { info() {}, warn() {} }

interface Sale {
  dealer: string
  device: string
  seq?: number
}

async function appendSales(store: Store, sales: readonly Sale[]): Promise<void> {
  const outcomes = await store.commit(
    sales.map((data) => {
      const serial = randomUUID()
      const shard = shardOf(serial)
      return {
        shard,
        token: randomUUID(),
        once: [{ key: keyIn(shard, `sale:${serial}`), value: 1 }],
        append: [{ stream: 'ledger' as const, type: 'sale.registered', data }],
      }
    }),
  )
  expect(outcomes.every(({ outcome }) => outcome === 'committed')).toBe(true)
}

const numbered = (device: string, from: number, to: number): Sale[] =>
  Array.from({ length: to - from + 1 }, (_, i) => ({ dealer: 'D001', device, seq: from + i }))

async function seenBy(store: Store, device: string): Promise<SequenceDoc['seen'] | null> {
  const [doc] = await store.read([sequenceKey(deviceId({ dealer: 'D001', device }))])
  return (doc?.value as SequenceDoc | undefined)?.seen ?? null
}

function testSequences(open: () => Promise<Store>): void {
  let store: Store
  let other: Store
  beforeAll(async () => {
    store = await open()
    other = await open()
  })
  afterAll(async () => {
    await store?.close()
    await other?.close()
  })

  it('follow the ledger from its beginning, go on where they stopped, and need no number', async () => {
    await appendSales(store, [
      ...numbered('till-1', 1, 1200),
      ...numbered('till-2', 5, 9),
      { dealer: 'D001', device: 'till-3' },
    ])
    const first = startSequences({ store, log })
    await until(
      'both are seen',
      async () => (await seenBy(store, 'till-1')) && (await seenBy(store, 'till-2')),
    )
    await first.stop()
    expect(await seenBy(store, 'till-1')).toEqual([[1, 1200]])
    expect(await seenBy(store, 'till-2')).toEqual([[5, 9]])
    expect(await seenBy(store, 'till-3')).toBeNull()

    await appendSales(store, [...numbered('till-2', 12, 13), ...numbered('till-2', 1, 3)])
    const second = startSequences({ store: other, log })
    const seen = await until('the rest is seen', async () => {
      const found = await seenBy(store, 'till-2')
      return found?.length === 3 && found
    })
    await second.stop()
    expect(seen).toEqual([
      [1, 3],
      [5, 9],
      [12, 13],
    ])
  })

  it('are the same with two hubs at work and the store failing between', async () => {
    let failing = true
    const unsteady: Pick<Store, 'read' | 'commit' | 'entriesAfter'> = {
      read: (keys) => store.read(keys),
      entriesAfter: (...query) => store.entriesAfter(...query),
      // Every other answer is lost: what was asked may have been done or not.
      async commit(proposals) {
        const outcomes = await store.commit(proposals)
        failing = !failing
        if (!failing) throw new Error('the answer was lost')
        return outcomes
      },
    }
    const hubs = [startSequences({ store: unsteady, log }), startSequences({ store: other, log })]
    for (let from = 1; from <= 901; from += 100) await appendSales(store, numbered('till-4', from, from + 98))
    await until('all is seen', async () => (await seenBy(store, 'till-4'))?.at(-1)?.[1] === 999)
    await Promise.all(hubs.map((hub) => hub.stop()))
    expect(await seenBy(store, 'till-4')).toEqual(
      Array.from({ length: 10 }, (_, i) => [1 + i * 100, 99 + i * 100]),
    )
  })
}

describe('sequence numbers on the embedded store', () => {
  const { path: dataDir } = temporaryFolder('sequences')
  testSequences(() => openSqliteStore({ dataDir }))
})

describe('sequence numbers on Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis?.stop())
  testSequences(() => openRedisStore({ url: redis.url }))
})
