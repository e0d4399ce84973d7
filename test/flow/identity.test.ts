/**
 * Row 30 of the fault matrix: who a device is, and what comes into the ledger in its name. Nobody writes there for
 * somebody else, whatever they try; a second login takes the session over, and nothing is lost or double by it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RawClient } from '../broker/support.ts'
import { type DeviceCredentials, provision, Terminal } from '../support/devices.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { saleSource } from '../support/sales.ts'
import { fault } from './faults/faults.ts'
import { ledgerOf } from './support.ts'

const nextSale = saleSource(30)

interface Pair {
  readonly hub: HubProcess
  readonly honest: DeviceCredentials
  readonly thief: DeviceCredentials
}

async function startWithTwo(...options: Parameters<typeof startHub>): Promise<Pair> {
  const hub = await startHub(...options)
  const [honest, thief] = (await provision(hub, [
    { dealer: 'd1', device: 'pos-1' },
    { dealer: 'd2', device: 'pos-1' },
  ])) as [DeviceCredentials, DeviceCredentials]
  return { hub, honest, thief }
}

let pair: Pair
beforeAll(async () => {
  pair = await startWithTwo()
})
afterAll(() => pair?.hub.stop())

type Login = Parameters<RawClient['connect']>[0]

const loginOf = ({ client_id: clientId, username, password }: DeviceCredentials) => ({
  clientId,
  username,
  password: Buffer.from(password),
})

const topicOf = ({ client_id }: DeviceCredentials, kind: string): string => `hub/v1/${client_id}/${kind}`

const stolenSale = () => ({ payload: JSON.stringify(nextSale()), qos: 1 as const, messageId: 1 })

/** Ways to have a sale in the ledger that its device did not make. */
const ATTEMPTS: [string, (pair: Pair, client: RawClient) => Promise<unknown>][] = [
  [
    'publishing on its topic',
    async ({ honest, thief }, client) => {
      await client.connect(loginOf(thief))
      const { payload, ...options } = stolenSale()
      client.publish(topicOf(honest, 'sale'), payload, options)
      return client.closed
    },
  ],
  [
    'its name with another password',
    ({ honest, thief }, client) =>
      refused(client, { ...loginOf(honest), password: Buffer.from(thief.password) }),
  ],
  [
    'its client id with another login',
    ({ honest, thief }, client) => refused(client, { ...loginOf(thief), clientId: honest.client_id }),
  ],
  [
    'a will on its topic',
    ({ honest, thief }, client) => {
      const { payload, qos } = stolenSale()
      const will = { topic: topicOf(honest, 'sale'), payload: Buffer.from(payload), qos, retain: false }
      return refused(client, { ...loginOf(thief), will })
    },
  ],
  [
    'a will on its own sales, as if a device that vanished had sold something',
    ({ thief }, client) => {
      const { payload, qos } = stolenSale()
      const will = { topic: topicOf(thief, 'sale'), payload: Buffer.from(payload), qos, retain: false }
      return refused(client, { ...loginOf(thief), will })
    },
  ],
  [
    'a topic below $SYS',
    async ({ thief }, client) => {
      await client.connect(loginOf(thief))
      const { payload, ...options } = stolenSale()
      client.publish('$SYS/x/new/clients', payload, options)
      return client.closed
    },
  ],
]

async function refused(client: RawClient, login: Login): Promise<void> {
  expect((await client.connect(login)).returnCode).not.toBe(0)
}

describe('the ledger has nothing of a device that it did not send:', () => {
  it.each(ATTEMPTS)('not by %s', async (_, attempt) => {
    const client = await RawClient.open(pair.hub.mqttPort)
    await attempt(pair, client)
    expect(await ledgerOf(pair.hub)).toEqual([])
  })

  it('and is seen to have it in a hub that lets everybody (the control)', async () => {
    const open = await startWithTwo(fault('lets-everybody'))
    await using _hub = open.hub
    const client = await RawClient.open(open.hub.mqttPort)
    await client.connect(loginOf(open.thief))
    const { payload, ...options } = stolenSale()
    client.publish(topicOf(open.honest, 'sale'), payload, options)
    await client.next('puback')
    expect(await ledgerOf(open.hub)).toMatchObject([{ type: 'sale.registered', data: { dealer: 'd1' } }])
  })
})

describe('a second login of the same device', () => {
  it('takes the session over in the middle of its sales, and each stands in the ledger once', async () => {
    await using hub = await startHub()
    const [device] = (await provision(hub, [{ dealer: 'd1', device: 'pos-1' }])) as [DeviceCredentials]
    const sales = Array.from({ length: 200 }, () => nextSale())
    const first = await RawClient.open(hub.mqttPort)
    await first.connect(loginOf(device))
    sales.forEach((sale, at) => {
      first.publish(topicOf(device, 'sale'), JSON.stringify(sale), { qos: 1, messageId: at + 1 })
    })
    await using second = await Terminal.connect(hub.mqttUrl, device)
    await first.closed
    await Promise.all(sales.map((sale) => second.publish('sale', sale)))
    const events = (await ledgerOf(hub)).map(({ data }) => data.event_id)
    expect(events.toSorted()).toEqual(sales.map((sale) => sale.event_id).toSorted())
  })
})
