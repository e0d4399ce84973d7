/**
 * Rows 2 and 3 of the fault matrix: the hub dies at the very point that a random kill hardly ever meets, between a
 * sale's commit and its PUBACK, and between the PUBACK and everything that follows from it.
 */
import { describe, expect, it } from 'vitest'
import { provision, Terminal } from '../support/devices.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { saleSource } from '../support/sales.ts'
import { startRedis } from '../support/services.ts'
import { fault } from './faults/faults.ts'
import { expectFigures, figuresOf, ledgerOf, openMetrics } from './support.ts'

const sale = saleSource(2)()

async function terminalOf(hub: HubProcess) {
  const [credentials] = await provision(hub, [{ dealer: 'd1', device: 'pos-1' }])
  if (credentials === undefined) throw new Error('not provisioned')
  return { connect: () => Terminal.connect(hub.mqttUrl, credentials), credentials }
}

const registered = async (hub: HubProcess) =>
  (await ledgerOf(hub)).filter(({ type }) => type === 'sale.registered')

/** The hub is killed by its first sale, comes back, and is sent the sale once more. @returns what the ledger has then */
async function dieBeforePuback(hub: HubProcess) {
  const { connect } = await terminalOf(hub)
  {
    await using terminal = await connect()
    await expect(terminal.publish('sale', sale)).rejects.toThrow('closed before the PUBACK')
  }
  expect(await hub.exited).toEqual({ code: null, signal: 'SIGKILL' })
  expect(await registered(hub), 'it was committed').toHaveLength(1)
  await hub.restart()
  await using terminal = await connect()
  await terminal.publish('sale', sale, { dup: true })
  const receipt = await terminal.receiptFor(sale.event_id)
  return { entries: await registered(hub), receipt }
}

describe('a hub that dies between the commit of a sale and its PUBACK (row 2)', () => {
  it('acknowledges the sale that is sent again, and has it once, on the embedded store', async () => {
    await using hub = await startHub({ ...fault('dies-after-commit') })
    const { entries, receipt } = await dieBeforePuback(hub)
    expect(entries).toMatchObject([{ entry: receipt.entry, data: { event_id: sale.event_id } }])
  })

  it('acknowledges the sale that is sent again, and has it once, on Redis', async () => {
    await using redis = await startRedis({ appendfsync: 'always' })
    await using hub = await startHub({
      ...fault('dies-after-commit'),
      settings: { REDIS_URL: redis.url },
    })
    const { entries, receipt } = await dieBeforePuback(hub)
    expect(entries).toMatchObject([{ entry: receipt.entry, data: { event_id: sale.event_id } }])
  })

  it('is seen to have it twice when it forgets what it has registered (the control)', async () => {
    await using hub = await startHub({ ...fault('dies-after-commit-and-forgets') })
    // It dies of the second one as well, since it registers that too.
    await expect(dieBeforePuback(hub)).rejects.toThrow('closed before the PUBACK')
    expect(await registered(hub)).toHaveLength(2)
  })
})

/** A sale is acknowledged, and the hub killed before anything else came of it. */
async function dieAfterPuback() {
  await using hub = await startHub({ ...fault('acknowledges-and-no-more') })
  const { connect, credentials } = await terminalOf(hub)
  await using terminal = await connect()
  await terminal.publish('sale', sale)
  await hub.kill()
  expect(terminal.receipts).toEqual([])
  await using metrics = await openMetrics(hub)
  expect(await figuresOf(metrics)).toMatchObject({ all: { count: 0 } })
  return { dataDir: hub.dataDir, credentials }
}

const figures = {
  all: { count: 1, price: sale.price },
  dealers: new Map([['d1', { count: 1, price: sale.price }]]),
  channels: new Map([[sale.channel ?? '', { count: 1, price: sale.price }]]),
}

describe('a hub that dies between a PUBACK and what follows from it (row 3)', () => {
  it('makes up for it: receipt and figures come after the restart', async () => {
    const { dataDir, credentials } = await dieAfterPuback()
    await using hub = await startHub({ settings: { HUB_DATA_DIR: dataDir } })
    await using terminal = await Terminal.connect(hub.mqttUrl, credentials)
    expect(await terminal.receiptFor(sale.event_id)).toMatchObject({ outcome: 'registered' })
    await expectFigures(hub, figures)
  })

  it('is seen to lack the sale in its figures when they are made of what passes (the control)', async () => {
    const { dataDir, credentials } = await dieAfterPuback()
    await using hub = await startHub({
      settings: { HUB_DATA_DIR: dataDir },
      ...fault('projects-what-passes'),
    })
    await using terminal = await Terminal.connect(hub.mqttUrl, credentials)
    const next = saleSource(3)()
    expect(await terminal.sell(next)).toMatchObject({ outcome: 'registered' })
    const price = next.price
    await expectFigures(hub, {
      all: { count: 1, price },
      dealers: new Map([['d1', { count: 1, price }]]),
      channels: new Map([[next.channel ?? '', { count: 1, price }]]),
    })
  })
})
