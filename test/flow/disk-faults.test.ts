/**
 * Rows 5, 6 and 7 of the fault matrix: the disk below the embedded store fails, dawdles or is full. Nothing that it
 * did not take is acknowledged, the hub stays alive and says what is wrong, and goes on by itself.
 */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { STORE_FILE } from '../../gateway/store/sqlite.ts'
import { RawClient } from '../broker/support.ts'
import { provision, Terminal } from '../support/devices.ts'
import { injectIntoSyncs, smallDisk } from '../support/disk-faults.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { type LoadProcess, startLoad } from '../support/load-process.ts'
import { seedOfRun } from '../support/random.ts'
import { saleSource } from '../support/sales.ts'
import { until } from '../support/until.ts'
import { fault } from './faults/faults.ts'
import { auditOf, expectGoingOn, expectHeld, expectNothingLost, figureOf, someDevices } from './support.ts'

const seed = seedOfRun()

async function underLoad(hub: HubProcess, more: { patienceMs?: number } = {}): Promise<LoadProcess> {
  const devices = await someDevices(hub, 4)
  const load = await startLoad({ mqttPort: hub.mqttPort, devices, seed, salesPerSecond: 200, ...more })
  await load.until('it sells', ({ acknowledged }) => acknowledged >= 100)
  return load
}

const logOf = ({ dataDir }: HubProcess) => join(dataDir, `${STORE_FILE}-wal`)

describe('a disk that fails to sync (row 5)', () => {
  it('has nothing acknowledged that it did not take, and the hub goes on when it works again', async () => {
    await using hub = await startHub()
    await using load = await underLoad(hub)
    await using disk = await injectIntoSyncs(hub.pid, logOf(hub), 'error=EIO')
    await expectHeld(hub, load)
    await disk.stop()
    await expectGoingOn(hub, load)
    await expectNothingLost(hub, load)
  })

  it('is not noticed by a hub that does not wait for it (the control)', async () => {
    await using hub = await startHub({ ...fault('does-not-sync') })
    await using load = await underLoad(hub)
    await using _disk = await injectIntoSyncs(hub.pid, logOf(hub), 'error=EIO')
    const { acknowledged } = load.progress()
    await load.until('it sells', (progress) => progress.acknowledged >= acknowledged + 200)
  })
})

describe('a disk that is full (row 7)', () => {
  it('has nothing acknowledged that it did not take, and the hub goes on when there is room again', async () => {
    using disk = smallDisk(24)
    await using hub = await startHub({ settings: { HUB_DATA_DIR: join(disk.path, 'data') } })
    await using load = await underLoad(hub)
    disk.fill()
    await expectHeld(hub, load)
    disk.free()
    await expectGoingOn(hub, load)
    await expectNothingLost(hub, load)
  })

  it('is seen to lose sales when they are acknowledged first (the control)', async () => {
    using disk = smallDisk(24)
    await using hub = await startHub({
      settings: { HUB_DATA_DIR: join(disk.path, 'data') },
      ...fault('acknowledges-first'),
    })
    await using load = await underLoad(hub, { patienceMs: 1000 })
    disk.fill()
    const { acknowledged } = load.progress()
    await load.until('it sells', (progress) => progress.acknowledged >= acknowledged + 200)
    await load.finish()
    await until(
      'what waited is given up',
      async () => (await figureOf(hub, 'hub_intake_messages_pending')) === 0,
    )
    disk.free()
    const { violations } = await auditOf(hub, load)
    expect(violations.map(({ audit }) => audit)).toContain('A1')
  })
})

/** A sale is sent while each sync takes a second. @returns how often the hub answered otherwise before its PUBACK */
async function answersDuringOneCommit(
  hub: HubProcess,
): Promise<{ page: number; health: number; ping: number }> {
  const [seller, other] = await provision(hub, [
    { dealer: 'd9', device: 'pos-1' },
    { dealer: 'd9', device: 'pos-2' },
  ])
  if (seller === undefined || other === undefined) throw new Error('not provisioned')
  await using terminal = await Terminal.connect(hub.mqttUrl, seller)
  const idle = await RawClient.open(hub.mqttPort)
  const { client_id: clientId, username, password } = other
  await idle.connect({ clientId, username, password: Buffer.from(password) })
  await using _disk = await injectIntoSyncs(hub.pid, logOf(hub), 'delay_enter=1s')
  const answers = { page: 0, health: 0, ping: 0 }
  let isCommitted = false
  const ask = async (what: keyof typeof answers, question: () => Promise<unknown>) => {
    while (!isCommitted) {
      await question()
      if (!isCommitted) answers[what]++
    }
  }
  const published = terminal.publish('sale', saleSource(seed + 1)()).then(() => {
    isCommitted = true
  })
  await Promise.all([
    published,
    ask('page', async () => (await fetch(hub.httpUrl)).text()),
    ask('health', async () => (await fetch(`${hub.httpUrl}/healthz`)).text()),
    ask('ping', () => idle.ping()),
  ])
  return answers
}

describe('a disk that dawdles (row 6)', () => {
  it('makes the acknowledgement late, and nothing else: pings, health and page are answered meanwhile', async () => {
    await using hub = await startHub()
    const { page, health, ping } = await answersDuringOneCommit(hub)
    expect(Math.min(page, health, ping), 'answers while one sale was committed').toBeGreaterThanOrEqual(3)
  })

  it('is seen to stop all else in a hub whose event loop waits for it (the control)', async () => {
    await using hub = await startHub({ ...fault('commits-on-the-event-loop') })
    const { page, health, ping } = await answersDuringOneCommit(hub)
    expect(Math.min(page, health, ping)).toBeLessThan(3)
  })

  it('slows a load down, and drops nobody', async () => {
    await using hub = await startHub()
    await using load = await underLoad(hub)
    await using disk = await injectIntoSyncs(hub.pid, logOf(hub), 'delay_enter=300ms')
    const { acknowledged } = load.progress()
    await load.until('it sells, slowly', (progress) => progress.acknowledged >= acknowledged + 500)
    await disk.stop()
    await expectNothingLost(hub, load)
    expect(load.progress()).toMatchObject({ reconnections: 0 })
  })
})
