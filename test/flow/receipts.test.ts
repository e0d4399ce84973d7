/** A receipt waits in the outbox until its device has acknowledged it, whatever becomes of the device or the hub meanwhile. */
import { connectAsync } from 'mqtt'
import { describe, expect, it } from 'vitest'
import type { Sale } from '../../gateway/contract/events.ts'
import type { Receipt } from '../../gateway/contract/receipts.ts'
import { RawClient } from '../broker/support.ts'
import { type DeviceCredentials, provision, Terminal } from '../support/devices.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { saleSource } from '../support/sales.ts'
import { startRedis } from '../support/services.ts'
import { until } from '../support/until.ts'

const nextSale = saleSource(44)

async function newDevice(hub: HubProcess): Promise<DeviceCredentials> {
  const [credentials] = await provision(hub, [{ dealer: 'd1', device: 'pos-1' }])
  if (credentials === undefined) throw new Error('not provisioned')
  return credentials
}

/** Publishes without subscribing, and leaves with the last PUBACK. */
async function sellAndLeave(
  hub: HubProcess,
  device: DeviceCredentials,
  sales: readonly Sale[],
): Promise<void> {
  const { client_id: clientId, username, password } = device
  const client = await connectAsync(hub.mqttUrl, { clientId, username, password, reconnectPeriod: 0 })
  const topic = `hub/v1/${clientId}/sale`
  await Promise.all(sales.map((sale) => client.publishAsync(topic, JSON.stringify(sale), { qos: 1 })))
  await client.endAsync()
}

/** A device that says nothing by itself, not even PUBACK. */
async function connectSilently(hub: HubProcess, device: DeviceCredentials): Promise<RawClient> {
  const { client_id: clientId, username, password } = device
  const client = await RawClient.open(hub.mqttPort)
  await client.connect({ clientId, username, password: Buffer.from(password) })
  return client
}

async function subscribeSilently(hub: HubProcess, device: DeviceCredentials): Promise<RawClient> {
  const client = await connectSilently(hub, device)
  await client.subscribe([`hub/v1/${device.client_id}/receipt`, 1])
  return client
}

/** Sooner or later nothing waits any more: a new sale's receipt is the only one that comes. */
async function expectNothingWaiting(hub: HubProcess, device: DeviceCredentials): Promise<void> {
  await until('the outbox is empty', async () => {
    await using terminal = await Terminal.connect(hub.mqttUrl, device)
    await terminal.sell(nextSale())
    return terminal.receipts.length === 1
  })
}

describe('a receipt', () => {
  it('waits for a device that left with its PUBACK, over a kill of the hub', async () => {
    await using hub = await startHub()
    const device = await newDevice(hub)
    const sale = nextSale()
    await sellAndLeave(hub, device, [sale])
    await hub.kill()
    await hub.restart()
    await using terminal = await Terminal.connect(hub.mqttUrl, device)
    expect(await terminal.receiptFor(sale.event_id)).toMatchObject({ outcome: 'registered' })
  })

  it('comes again after a reconnect when it was not acknowledged, and no more when it was', async () => {
    await using hub = await startHub()
    const device = await newDevice(hub)
    const sale = nextSale()
    await sellAndLeave(hub, device, [sale])

    const silent = await subscribeSilently(hub, device)
    const { payload } = await silent.next('publish')
    expect(JSON.parse(String(payload))).toMatchObject({ event_id: sale.event_id, outcome: 'registered' })
    await silent.vanish()

    const careful = await subscribeSilently(hub, device)
    const again = await careful.message()
    expect(String(again.payload), 'the very same receipt').toBe(String(payload))
    await careful.vanish()
    await expectNothingWaiting(hub, device)
  })

  it('is among three hundred that wait: all are delivered, each once in effect', async () => {
    await using hub = await startHub()
    const device = await newDevice(hub)
    const sales = Array.from({ length: 300 }, () => nextSale())
    await sellAndLeave(hub, device, sales)
    {
      await using terminal = await Terminal.connect(hub.mqttUrl, device)
      const { receipts } = terminal
      await until('all have come', () => new Set(receipts.map(({ event_id }) => event_id)).size === 300)
      // What may come twice says the same twice.
      const said = new Map(receipts.map((receipt) => [receipt.event_id, receipt]))
      expect(receipts.filter((receipt) => !isSame(receipt, said.get(receipt.event_id)))).toEqual([])
    }
    await expectNothingWaiting(hub, device)
  })
})

const isSame = (a: Receipt, b: Receipt | undefined): boolean => JSON.stringify(a) === JSON.stringify(b)

describe('two hubs on one Redis', () => {
  it('have the receipt of a sale for a device that went from one to the other', async () => {
    await using redis = await startRedis()
    const settings = { REDIS_URL: redis.url, HUB_SECRET: 'one secret for both of them' }
    await using a = await startHub({ settings })
    await using b = await startHub({ settings })
    const device = await newDevice(a)
    const sale = nextSale()
    await sellAndLeave(a, device, [sale])
    await using terminal = await Terminal.connect(b.mqttUrl, device)
    expect(await terminal.receiptFor(sale.event_id)).toMatchObject({ outcome: 'registered' })
  })

  it('have it also when the sale is committed only after the device has moved and subscribed', async () => {
    await using redis = await startRedis()
    await using proxy = await FaultProxy.start(redis.port)
    const secret = { HUB_SECRET: 'one secret for both of them' }
    await using slow = await startHub({
      settings: { ...secret, REDIS_URL: `redis://127.0.0.1:${proxy.port}` },
    })
    await using quick = await startHub({ settings: { ...secret, REDIS_URL: redis.url } })
    const device = await newDevice(quick)
    const sale = nextSale()
    const before = await connectSilently(slow, device)
    await using after = await Terminal.connect(quick.mqttUrl, device)
    await proxy.blackhole()
    before.publish(`hub/v1/${device.client_id}/sale`, JSON.stringify(sale), { qos: 1, messageId: 1 })
    // Answered: the sale has been read. It is held, and its device gone.
    await before.ping()
    await before.vanish()
    await proxy.pass()
    expect(await after.receiptFor(sale.event_id)).toMatchObject({ outcome: 'registered' })
  })
})
