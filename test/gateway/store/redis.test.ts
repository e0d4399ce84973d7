import { afterAll, beforeAll, describe } from 'vitest'
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
