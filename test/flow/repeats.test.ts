/**
 * Rows 22 to 25 of the fault matrix: what devices do that is not as it should be. They send the same again, and again
 * much later, and something else under the same name, and what nobody can read. Each message is acknowledged, or it
 * would come for ever, and each sale counts once.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Sale } from '../../gateway/contract/events.ts'
import { RawClient } from '../broker/support.ts'
import { audit } from '../support/auditor.ts'
import { type DeviceCredentials, provision, Terminal } from '../support/devices.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { integer, mulberry32, seedOfRun } from '../support/random.ts'
import { saleSource } from '../support/sales.ts'
import { fault } from './faults/faults.ts'
import { expectFigures, type LedgerLine, ledgerOf } from './support.ts'

const seed = seedOfRun()

/** The hub of every test that does not need one of its own. */
let shared: HubProcess
beforeAll(async () => {
  shared = await startHub()
})
afterAll(() => shared?.stop())

let dealers = 0
/** Terminals of two dealers that no other test has. */
async function newDevices(hub: HubProcess): Promise<[DeviceCredentials, DeviceCredentials]> {
  return (await provision(hub, [
    { dealer: `d${++dealers}`, device: 'pos-1' },
    { dealer: `d${++dealers}`, device: 'pos-1' },
  ])) as [DeviceCredentials, DeviceCredentials]
}

/** What the ledger has of these devices. */
async function entriesOf(hub: HubProcess, ...devices: DeviceCredentials[]): Promise<LedgerLine[]> {
  const names = new Set(devices.map(({ client_id }) => client_id))
  return (await ledgerOf(hub)).filter(({ data }) => names.has(`${data.dealer}/${data.device}`))
}

const saleTopic = ({ client_id }: DeviceCredentials): string => `hub/v1/${client_id}/sale`

async function connect(hub: HubProcess, device: DeviceCredentials): Promise<RawClient> {
  const { client_id: clientId, username, password } = device
  const client = await RawClient.open(hub.mqttPort)
  await client.connect({ clientId, username, password: Buffer.from(password) })
  return client
}

/** Sends every sale one to five times, with and without DUP, under the same and under new packet ids. @returns how often */
function sendCopies(client: RawClient, device: DeviceCredentials, sales: readonly Sale[]): number {
  const random = mulberry32(seed)
  let messageId = 0
  let copies = 0
  for (const sale of sales) {
    messageId++
    for (let left = integer(random, 1, 5); left > 0; left--, copies++) {
      if (random() < 0.5) messageId++
      const dup = random() < 0.5
      client.publish(saleTopic(device), JSON.stringify(sale), { qos: 1, messageId, dup })
    }
  }
  return copies
}

/** A device's whole capture: over one connection that is taken over in the middle by another, which sends all again. */
async function sellManyTimes(
  hub: HubProcess,
  device: DeviceCredentials,
  sales: readonly Sale[],
): Promise<void> {
  const first = await connect(hub, device)
  sendCopies(first, device, sales)
  const second = await connect(hub, device)
  await first.closed
  const copies = sendCopies(second, device, sales)
  for (let acknowledged = 0; acknowledged < copies; acknowledged++) await second.next('puback')
  await second.disconnect()
}

const journalOf = (device: DeviceCredentials, sales: readonly Sale[]): string[] =>
  sales.flatMap((sale) => {
    const [dealer, name] = device.client_id.split('/')
    return [
      `SENT ${sale.event_id} ${JSON.stringify({ dealer, device: name, ...sale })}`,
      `ACK ${sale.event_id}`,
    ]
  })

const auditOf = (device: DeviceCredentials, sales: readonly Sale[], ledger: readonly LedgerLine[]) =>
  audit(
    journalOf(device, sales),
    ledger.map((entry) => JSON.stringify(entry)),
  )

const nextSale = saleSource(seed)
const salesOf = (count: number): Sale[] => Array.from({ length: count }, () => nextSale())

describe('sales that are sent many times over two connections (row 22)', () => {
  it('are all acknowledged, and stand in the ledger once', async () => {
    const [device] = await newDevices(shared)
    const sales = salesOf(60)
    await sellManyTimes(shared, device, sales)
    const { violations, counts } = await auditOf(device, sales, await entriesOf(shared, device))
    expect(violations).toEqual([])
    expect(counts).toMatchObject({ registered: 60, rejected: 0 })
  })

  it('are seen to stand there twice when the hub forgets what it has registered (the control)', async () => {
    await using hub = await startHub({ ...fault('forgets-sales') })
    const [device] = await newDevices(hub)
    const sales = salesOf(10)
    await sellManyTimes(hub, device, sales)
    const { violations } = await auditOf(device, sales, await ledgerOf(hub))
    expect(violations.map((violation) => violation.audit)).toContain('A3')
  })
})

describe('an old capture that is sent again, all of it (row 23)', () => {
  it('changes neither ledger nor figures and is acknowledged, after a restart and after eight days', async () => {
    await using hub = await startHub()
    const [device] = await newDevices(hub)
    const sales = salesOf(40)
    await sellManyTimes(hub, device, sales)
    const before = await ledgerOf(hub)
    await hub.restart()
    await sellManyTimes(hub, device, sales)
    await hub.stop()

    await using later = await startHub({
      settings: { HUB_DATA_DIR: hub.dataDir },
      ...fault('eight-days-later'),
    })
    await sellManyTimes(later, device, sales)
    expect(await ledgerOf(later)).toEqual(before)

    // One more, so that the figures are known to have come past what was sent again.
    const last = nextSale()
    await using terminal = await Terminal.connect(later.mqttUrl, device)
    const { committed_at } = await terminal.sell(last)
    expect(Date.parse(committed_at) - Date.now(), 'its clock is ahead').toBeGreaterThan(7 * 86_400_000)
    const { totals } = await auditOf(device, sales, await ledgerOf(later))
    const price = [...sales, last].reduce((sum, sale) => sum + sale.price, 0)
    expect(totals.all).toEqual({ count: 41, price })
    await expectFigures(later, totals)
  })
})

describe('a sale that contradicts an earlier one (row 24)', () => {
  it.each<[string, (first: Sale) => Sale, string, 'same' | 'other']>([
    [
      'the same event with another serial',
      (first) => ({ ...first, serial: nextSale().serial }),
      'invalid',
      'same',
    ],
    ['the same event with another price', (first) => ({ ...first, price: 1 }), 'invalid', 'same'],
    [
      'the same serial under another event',
      (first) => ({ ...first, event_id: nextSale().event_id }),
      'duplicate_serial',
      'same',
    ],
    ['the same serial from another dealer', (first) => first, 'duplicate_serial', 'other'],
  ])('is refused with its reason, once, and the first one stands: %s', async (_, change, reason, who) => {
    const [device, other] = await newDevices(shared)
    const first = nextSale()
    const second = change(first)
    await using winner = await Terminal.connect(shared.mqttUrl, device)
    expect(await winner.sell(first)).toMatchObject({ outcome: 'registered' })
    await winner[Symbol.asyncDispose]()

    await using loser = await Terminal.connect(shared.mqttUrl, who === 'same' ? device : other)
    expect(await loser.sell(second)).toMatchObject({ outcome: 'rejected', reason })
    expect(await loser.sell(second)).toMatchObject({ outcome: 'replayed', reason })
    const sales = (await entriesOf(shared, device, other)).filter(({ type }) => type.startsWith('sale.'))
    expect(sales.toSorted((a, b) => a.type.localeCompare(b.type))).toMatchObject([
      { type: 'sale.registered', data: { serial: first.serial, price: first.price } },
      { type: 'sale.rejected', data: { serial: second.serial, price: second.price, reason } },
    ])
  })
})

const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`

/** What no decoder likes; each below 64 KiB. */
const POISON: [string, string | Buffer][] = [
  ['no JSON', '{"event_id": "x"'],
  ['nothing', ''],
  ['a zero byte', Buffer.from([0])],
  ['JSON that is no object', '[1, 2, 3]'],
  ['sixty thousand brackets', deep],
  ['sixty thousand brackets in a field', `{"event_id": "deep", "serial": ${deep}}`],
  ['a prototype for a body', '{"__proto__": {"event_id": "x"}, "constructor": 1}'],
  ['a prototype for a serial', '{"event_id": "p", "serial": "__proto__"}'],
  ['sixty kilobytes of text', 'x'.repeat(60_000)],
  ['a number that is none', '{"event_id": "n", "price": 1e999}'],
]

/** A device whose outbox begins with poison and goes on with twenty good sales. @returns how many of these were acknowledged */
async function sendPoisonFirst(hub: HubProcess, device: DeviceCredentials): Promise<number> {
  const good = salesOf(20)
  await using terminal = await Terminal.connect(hub.mqttUrl, device)
  const poison = POISON.map(([, payload]) => terminal.publish('sale', payload))
  const sold = good.map((sale) => terminal.publish('sale', sale))
  const outcomes = await Promise.allSettled([...poison, ...sold])
  return outcomes.slice(POISON.length).filter(({ status }) => status === 'fulfilled').length
}

describe('messages that nobody can read (row 25)', () => {
  it('are refused once and acknowledged, and the twenty good sales behind them come through', async () => {
    const [device] = await newDevices(shared)
    expect(await sendPoisonFirst(shared, device)).toBe(20)
    const ledger = await entriesOf(shared, device)
    const count = (type: string) => ledger.filter((entry) => entry.type === type).length
    expect({ registered: count('sale.registered'), rejected: count('sale.rejected') }).toEqual({
      registered: 20,
      rejected: POISON.length,
    })
  })

  it('are seen to stop their device for good when they are not acknowledged (the control)', async () => {
    await using hub = await startHub({ ...fault('refuses-what-it-cannot-read') })
    const [device] = await newDevices(hub)
    expect(await sendPoisonFirst(hub, device)).toBe(0)
    expect(await sendPoisonFirst(hub, device), 'nor after a reconnect').toBe(0)
  })
})
