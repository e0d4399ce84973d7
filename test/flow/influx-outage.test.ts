/**
 * Rows 20 and 21 of the fault matrix: InfluxDB is away, slow, or takes what it is given and does not say so. No sale
 * waits for it, the hub tells, and afterwards the figures are the ledger's.
 */
import { describe, expect, it } from 'vitest'
import { FaultProxy } from '../support/fault-proxy.ts'
import { type HubOptions, type HubProcess, startHub } from '../support/hub-process.ts'
import { type LoadProcess, startLoad } from '../support/load-process.ts'
import { seedOfRun } from '../support/random.ts'
import { startInflux } from '../support/services.ts'
import { until } from '../support/until.ts'
import { fault } from './faults/faults.ts'
import {
  auditOf,
  expectFigures,
  expectNothingLost,
  figuresOf,
  openMetrics,
  partsOf,
  someDevices,
} from './support.ts'

const seed = seedOfRun()

const startOn = (proxy: FaultProxy, options: HubOptions = {}): Promise<HubProcess> =>
  startHub({ ...options, settings: { INFLUX_URL: `http://127.0.0.1:${proxy.port}` } })

async function underLoad(hub: HubProcess): Promise<LoadProcess> {
  const devices = await someDevices(hub, 4)
  return startLoad({ mqttPort: hub.mqttPort, devices, seed, salesPerSecond: 200 })
}

async function expectSelling(load: LoadProcess): Promise<void> {
  const { acknowledged } = load.progress()
  await load.until('it sells', (now) => now.acknowledged >= acknowledged + 200)
}

const expectMetrics = (hub: HubProcess, state: 'up' | 'down') =>
  until(`the hub says that its metrics are ${state}`, async () => {
    const parts = await partsOf(hub)
    expect(parts.store).toBe('up')
    return parts.metrics === state
  })

/** Sales go on while the metrics are away, nobody is dropped, and the hub tells. */
async function expectOutage(hub: HubProcess, load: LoadProcess): Promise<void> {
  await expectSelling(load)
  await expectMetrics(hub, 'down')
  await expectSelling(load)
}

describe('an InfluxDB that is away under load', () => {
  it('slows no sale, and the figures follow when it is back', async () => {
    await using influx = await startInflux()
    await using proxy = await FaultProxy.start(influx.port)
    await using hub = await startOn(proxy)
    await using load = await underLoad(hub)
    await expectSelling(load)
    await proxy.refuse()
    await expectOutage(hub, load)
    await proxy.pass()
    await expectMetrics(hub, 'up')
    await proxy.blackhole()
    await expectOutage(hub, load)
    await proxy.pass()
    await expectMetrics(hub, 'up')
    await influx.kill()
    await expectOutage(hub, load)
    await influx.restart()
    await expectMetrics(hub, 'up')
    await expectNothingLost(hub, load, { influxUrl: influx.url })
    expect(load.progress(), 'nobody was dropped').toMatchObject({ reconnections: 0 })
  })

  it('counts nothing twice that it took without saying so', async () => {
    await using influx = await startInflux()
    await using proxy = await FaultProxy.start(influx.port)
    await using hub = await startOn(proxy)
    await using load = await underLoad(hub)
    for (let times = 0; times < 3; times++) {
      await proxy.loseReply({ request: /POST [^ ]*write/, reply: / 204 / })
      await expectSelling(load)
    }
    await expectNothingLost(hub, load, { influxUrl: influx.url })
  })

  it('is seen to lack sales when the hub goes on without having written them (the control)', async () => {
    await using influx = await startInflux()
    await using proxy = await FaultProxy.start(influx.port)
    await using hub = await startOn(proxy, fault('skips-what-fails'))
    await using load = await underLoad(hub)
    await expectSelling(load)
    await proxy.refuse()
    await expectSelling(load)
    await proxy.pass()
    await expectSelling(load)
    await load.finish()
    const { totals } = await auditOf(hub, load)
    await expect(expectFigures(hub, totals, influx.url)).rejects.toThrow()
    await using metrics = await openMetrics(hub, influx.url)
    expect((await figuresOf(metrics)).all.count).toBeLessThan(totals.all.count)
  })
})
