/**
 * Row 1 of the fault matrix: the hub is killed again and again in the middle of its work. What it acknowledged is in
 * the ledger, once, whatever the moment. SEED=… has the same moments and the same sales again.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { type LoadProcess, startLoad } from '../support/load-process.ts'
import { integer, mulberry32, seedOfRun } from '../support/random.ts'
import { startInflux, startRedis } from '../support/services.ts'
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

function report(load: LoadProcess, acknowledged: number): void {
  expect(load.progress().reconnections, 'every kill was felt').toBeGreaterThanOrEqual(KILLS)
  console.info(`${KILLS} kills, ${acknowledged} sales acknowledged, 0 lost`)
}

describe('a hub that is killed twenty times under load', () => {
  it('has every acknowledged sale in the ledger exactly once, and in its figures, on embedded stores', async () => {
    await using hub = await startHub()
    await using load = await underLoad(hub)
    await killAgainAndAgain(hub, KILLS)
    const { counts } = await expectNothingLost(hub, load)
    report(load, counts.acknowledged)
  }, 180_000)

  it('and on Redis, with appendfsync always, and InfluxDB', async () => {
    await using redis = await startRedis({ appendfsync: 'always' })
    await using influx = await startInflux()
    await using hub = await startHub({ settings: { REDIS_URL: redis.url, INFLUX_URL: influx.url } })
    await using load = await underLoad(hub)
    await killAgainAndAgain(hub, KILLS)
    const { counts } = await expectNothingLost(hub, load, { influxUrl: influx.url })
    report(load, counts.acknowledged)
  }, 180_000)

  it('is seen to lose sales when it acknowledges before it commits (the control)', async () => {
    await using hub = await startHub({ ...fault('acknowledges-first') })
    await using load = await underLoad(hub, { patienceMs: 2000 })
    await killAgainAndAgain(hub, 3)
    await load.finish()
    const { violations } = await auditOf(hub, load)
    expect(violations.map(({ audit }) => audit)).toContain('A1')
  })
})
