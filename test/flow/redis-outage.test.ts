/**
 * Rows 13, 15 and 18 of the fault matrix, for the whole hub (for the store alone: `gateway/store/redis-faults.test.ts`):
 * Redis hangs, dies, or is full, under load. What was acknowledged is kept, the rest is sent again, and the hub goes
 * on by itself when Redis does.
 */
import { Redis } from 'ioredis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type HubOptions, type HubProcess, startHub } from '../support/hub-process.ts'
import { type LoadProcess, startLoad } from '../support/load-process.ts'
import { seedOfRun } from '../support/random.ts'
import { type RedisServer, startRedis } from '../support/services.ts'
import { until } from '../support/until.ts'
import { fault } from './faults/faults.ts'
import { auditOf, expectGoingOn, expectHeld, expectNothingLost, partsOf, someDevices } from './support.ts'

const seed = seedOfRun()

const startOn = (redis: RedisServer, options: HubOptions = {}): Promise<HubProcess> =>
  startHub({ ...options, settings: { REDIS_URL: redis.url } })

async function underLoad(hub: HubProcess, more: { patienceMs?: number } = {}): Promise<LoadProcess> {
  const devices = await someDevices(hub, 4)
  const load = await startLoad({ mqttPort: hub.mqttPort, devices, seed, salesPerSecond: 200, ...more })
  await load.until('it sells', ({ acknowledged }) => acknowledged >= 100)
  return load
}

describe('a Redis that hangs, and one that is killed (rows 15 and 13)', () => {
  it('costs nothing that was acknowledged, and the hub goes on by itself', async () => {
    await using redis = await startRedis({ appendfsync: 'always' })
    await using hub = await startOn(redis)
    await using load = await underLoad(hub)
    redis.pause()
    await expectHeld(hub, load)
    redis.resume()
    await expectGoingOn(hub, load)
    await redis.kill()
    await expectHeld(hub, load)
    await redis.restart()
    await expectGoingOn(hub, load)
    await expectNothingLost(hub, load)
  })

  it('is seen to cost sales when they are acknowledged first (the control)', async () => {
    await using redis = await startRedis({ appendfsync: 'always' })
    await using hub = await startOn(redis, fault('acknowledges-first'))
    await using load = await underLoad(hub, { patienceMs: 8000 })
    await redis.kill()
    const { acknowledged } = load.progress()
    await load.until('it sells', (now) => now.acknowledged >= acknowledged + 100)
    // Longer than a message is kept for a store that is away.
    await load.finish()
    await redis.restart()
    await until('the hub is ready again', async () => (await partsOf(hub)).store === 'up')
    const { violations } = await auditOf(hub, load)
    expect(violations.map(({ audit }) => audit)).toContain('A1')
  })
})

describe('a Redis that is full (row 18)', () => {
  it('has nothing acknowledged that it did not take, and the hub goes on when there is room again', async () => {
    await using redis = await startRedis()
    const admin = new Redis(redis.url)
    onTestFinished(() => admin.disconnect())
    await using hub = await startOn(redis)
    await using load = await underLoad(hub)
    await admin.config('SET', 'maxmemory', '1')
    await expectHeld(hub, load)
    await admin.config('SET', 'maxmemory', '0')
    await expectGoingOn(hub, load)
    await expectNothingLost(hub, load)
  })

  it('that would rather forget than refuse is refused by the hub, which says what to do', async () => {
    await using redis = await startRedis({ settings: { 'maxmemory-policy': 'allkeys-lru' } })
    await expect(startOn(redis)).rejects.toThrow(/may evict keys .*set maxmemory-policy to noeviction/)
  })
})
