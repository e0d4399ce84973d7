/**
 * Row 11 of the fault matrix: a hub that is told to stop answers what it has taken, or says nothing about it, and ends
 * in good time with exit code 0. Told twice, it ends at once, and that is no worse than a crash.
 */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { STORE_FILE } from '../../gateway/store/sqlite.ts'
import { provision, Terminal } from '../support/devices.ts'
import { injectIntoSyncs } from '../support/disk-faults.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { type LoadProcess, startLoad } from '../support/load-process.ts'
import { seedOfRun } from '../support/random.ts'
import { saleSource } from '../support/sales.ts'
import { fault } from './faults/faults.ts'
import { auditOf, expectNothingLost, ledgerOf, someDevices } from './support.ts'

const seed = seedOfRun()
/** What an orchestrator gives a process before it kills it. */
const GRACE_MS = 10_000

async function underLoad(hub: HubProcess, more: { patienceMs?: number } = {}): Promise<LoadProcess> {
  const devices = await someDevices(hub, 8)
  const load = await startLoad({ mqttPort: hub.mqttPort, devices, seed, ...more })
  await load.until('it sells', ({ acknowledged }) => acknowledged >= 500)
  return load
}

describe('a hub that is told to stop', () => {
  it('ends within ten seconds with exit code 0 under full load, and nothing acknowledged is lost', async () => {
    await using hub = await startHub()
    await using load = await underLoad(hub)
    for (let times = 0; times < 3; times++) {
      const toldMs = performance.now()
      expect(await hub.stop()).toEqual({ code: 0, signal: null })
      expect(performance.now() - toldMs).toBeLessThan(GRACE_MS)
      await hub.restart()
      const { acknowledged } = load.progress()
      await load.until('it sells again', (now) => now.acknowledged >= acknowledged + 500)
    }
    await expectNothingLost(hub, load)
  })

  it('acknowledges first what it has taken, though the disk is slow', async () => {
    await using hub = await startHub()
    const [credentials] = await provision(hub, [{ dealer: 'd1', device: 'pos-1' }])
    if (credentials === undefined) throw new Error('not provisioned')
    await using terminal = await Terminal.connect(hub.mqttUrl, credentials)
    const disk = await injectIntoSyncs(hub.pid, join(hub.dataDir, `${STORE_FILE}-wal`), 'delay_enter=1s')
    const sale = saleSource(seed)()
    const published = terminal.publish('sale', sale)
    // Behind it on the same connection: once it is answered, the sale has been read.
    terminal.client.sendPing()
    await new Promise((resolve) => terminal.client.once('packetreceive', resolve))
    const [exit] = await Promise.all([hub.stop(), published])
    expect(exit).toEqual({ code: 0, signal: null })
    await disk.stop()
    expect((await ledgerOf(hub)).map(({ data }) => data.event_id)).toContain(sale.event_id)
  })

  it('ends at once when it is told twice, and nothing acknowledged is lost', async () => {
    await using hub = await startHub()
    await using load = await underLoad(hub)
    await tellTwice(hub, load)
    await expectNothingLost(hub, load)
  })

  it('is seen to lose sales then when it acknowledges before it commits (the control)', async () => {
    await using hub = await startHub(fault('acknowledges-first'))
    await using load = await underLoad(hub, { patienceMs: 2000 })
    await tellTwice(hub, load)
    await load.finish()
    const { violations } = await auditOf(hub, load)
    expect(violations.map(({ audit }) => audit)).toContain('A1')
  })
})

/** Three times, and started again each time. */
async function tellTwice(hub: HubProcess, load: LoadProcess): Promise<void> {
  for (let times = 0; times < 3; times++) {
    const { pid, exited } = hub
    process.kill(pid, 'SIGTERM')
    // Two of one kind, as close as this, would arrive as one.
    process.kill(pid, 'SIGINT')
    expect(await exited).toEqual({ code: 1, signal: null })
    await hub.restart()
    const { acknowledged } = load.progress()
    await load.until('it sells again', (now) => now.acknowledged >= acknowledged + 500)
  }
}
