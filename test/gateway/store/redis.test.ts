import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keyIn } from '../../../gateway/store/keys.ts'
import { openRedisStore } from '../../../gateway/store/redis.ts'
import { testStore } from '../../contracts/store.ts'
import { type RedisCluster, type RedisServer, startRedis, startRedisCluster } from '../../support/services.ts'

describe('the store on one Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis?.stop())
  testStore(() => openRedisStore({ url: redis.url }))
})

describe('the store on a Redis Cluster of three', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startRedisCluster()
  })
  afterAll(() => cluster?.stop())
  testStore(() => openRedisStore({ url: cluster.url }))
})

describe('a ledger that an older hub has written', () => {
  it('is read, and goes on', async () => {
    await using redis = await startRedis()
    const client = new Redis(redis.url)
    const body = '{"type":"sale.registered","data":{"serial":"A 1"}}'
    await client.xadd(keyIn(3, 'ledger'), '1-0', 'at', '1795136523004', 'body', body, 'chain', 'c1')
    await client.hset(keyIn(3, 'ledger:head'), 'number', '1', 'chain', 'c1')
    client.disconnect()
    const store = await openRedisStore({ url: redis.url })
    const data = { serial: 'B 2' }
    await store.commit([
      {
        shard: 3,
        token: 'new',
        once: [{ key: keyIn(3, 'x'), value: 1 }],
        append: [{ stream: 'ledger', type: 'sale.registered', data }],
      },
    ])
    const { entries } = await store.entriesAfter('ledger', '', 100)
    expect(entries).toMatchObject([
      { number: 1, at: '2026-11-20T01:02:03.004Z', data: { serial: 'A 1' }, chain: 'c1' },
      { number: 2, data, chain: expect.stringMatching(/^[0-9a-f]{40}$/) },
    ])
    expect(await store.entry('ledger', entries[0]?.entry as string)).toEqual(entries[0])
    await store.close()
  })
})
