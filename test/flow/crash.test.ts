/**
 * Row 1 of the fault matrix: the hub is killed again and again in the middle of its work. What it acknowledged is in
 * the ledger, once, whatever the moment. SEED=… has the same moments and the same sales again.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type HubOptions, type HubProcess, startHub } from '../support/hub-process.ts'
import { type LoadProcess, startLoad } from '../support/load-process.ts'
import { integer, mulberry32, seedOfRun } from '../support/random.ts'
import { type RedisServer, startRedis } from '../support/services.ts'
import { fault } from './faults/faults.ts'
import { auditOf, expectNothingLost, someDevices } from './support.ts'

const KILLS = 20
/** After the hub is ready again: while devices still come back, in full run, and between. */
const LIFE_MS = { min: 100, max: 700 }
const DEVICES = 8

const seed = seedOfRun()

async function underLoad(hub: HubProcess, more: { patienceMs?: number } = {}): Promise<LoadProcess> {
  const devices = await someDevices(hub, DEVICES)
  // As fast as the hub answers: the moment of the kill finds messages at every stage.
  return startLoad({ mqttPort: hub.mqttPort, devices, seed, window: 10, duplicateShare: 0.05, ...more })
}

async function killAgainAndAgain(hub: HubProcess, kills: number): Promise<void> {
  const random = mulberry32(seed)
  for (let kill = 0; kill < kills; kill++) {
    await delay(integer(random, LIFE_MS.min, LIFE_MS.max))
    await hub.kill()
    await hub.restart()
  }
}

describe('a hub that is killed twenty times under load', () => {
  it.each<[string, () => Promise<RedisServer | null>]>([
    ['on the embedded store', async () => null],
    ['on Redis with appendfsync always', () => startRedis({ appendfsync: 'always' })],
  ])(
    'has every acknowledged sale in the ledger exactly once, %s',
    async (_, startServer) => {
      await using redis = await startServer()
      const options: HubOptions = redis === null ? {} : { settings: { REDIS_URL: redis.url } }
      await using hub = await startHub(options)
      await using load = await underLoad(hub)
      await killAgainAndAgain(hub, KILLS)
      const { counts } = await expectNothingLost(hub, load)
      expect(load.progress().reconnections).toBeGreaterThanOrEqual(KILLS)
      console.info(`${KILLS} kills, ${counts.acknowledged} sales acknowledged, 0 lost`)
    },
    180_000,
  )

  it('is seen to lose sales when it acknowledges before it commits (the control)', async () => {
    await using hub = await startHub({ ...fault('acknowledges-first') })
    await using load = await underLoad(hub, { patienceMs: 2000 })
    await killAgainAndAgain(hub, 3)
    await load.finish()
    const { violations } = await auditOf(hub, load)
    expect(violations.map(({ audit }) => audit)).toContain('A1')
  })
})
