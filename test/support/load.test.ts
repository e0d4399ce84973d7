/**
 * The load generator and the auditor together, against a hub in a few lines behind somebody else's broker: Mosquitto
 * acknowledges before this hub has done anything, so what it loses must be found.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { expect, test } from 'vitest'
import type { Sale } from '../../gateway/contract/events.ts'
import { type Audit, auditFiles } from './auditor.ts'
import { deviceNames, Terminal } from './devices.ts'
import { FaultProxy } from './fault-proxy.ts'
import { startLoad } from './load-process.ts'
import { saleSource } from './sales.ts'
import { startMosquitto } from './services.ts'
import { temporaryFolder } from './temporary-folder.ts'

const devices = deviceNames(5).map(({ dealer, device }) => {
  const name = `${dealer}/${device}`
  return { client_id: name, username: name, password: 'any' }
})

/** Registers sales and answers them; `forgets` says of the how-manieth message that it is lost. */
async function startModelHub(url: string, forgets: (count: number) => boolean = () => false) {
  const client = await connectAsync(url)
  const ledger: string[] = []
  const receipts = new Map<string, object>()
  const serials = new Map<string, object>()
  let count = 0
  client.on('message', (topic, payload) => {
    count++
    if (forgets(count)) return
    const [, , dealer, device] = topic.split('/')
    const sale = JSON.parse(String(payload)) as Sale
    const replied = receipts.get(sale.event_id)
    const first = serials.get(sale.serial) ?? null
    const entry = String(ledger.length + 1)
    const at = new Date(ledger.length).toISOString()
    const outcome = first === null ? 'registered' : 'rejected'
    const reason = first === null ? null : 'duplicate_serial'
    const receipt = { event_id: sale.event_id, outcome, reason, errors: [], first, entry, committed_at: at }
    if (replied === undefined) {
      ledger.push(
        JSON.stringify({
          entry,
          at,
          type: `sale.${outcome}`,
          data: { dealer, device, ...sale, reason, first },
        }),
      )
      receipts.set(sale.event_id, receipt)
      if (first === null) serials.set(sale.serial, { event_id: sale.event_id, dealer, at })
    }
    const answer = replied === undefined ? receipt : { ...replied, outcome: 'replayed' }
    client.publish(`hub/v1/${dealer}/${device}/receipt`, JSON.stringify(answer), { qos: 1 })
  })
  await client.subscribeAsync('hub/v1/+/+/sale', { qos: 1 })
  return {
    audit(journal: string): Promise<Audit> {
      const file = join(temporaryFolder('model-hub').path, 'ledger.jsonl')
      writeFileSync(file, `${ledger.join('\n')}\n`)
      return auditFiles(journal, file)
    },
    [Symbol.asyncDispose]: () => client.endAsync(),
  }
}

const paced = { devices, seed: 7, salesPerSecond: 500, duplicateShare: 0.1 }

test('every sale of an undisturbed load is acknowledged, receipted and audited', async () => {
  await using mosquitto = await startMosquitto()
  await using hub = await startModelHub(mosquitto.url)
  await using load = await startLoad({ ...paced, mqttPort: mosquitto.port })
  await load.until('some hundreds are acknowledged', ({ acknowledged }) => acknowledged >= 300)
  const { outstanding, sent, acknowledged, receipted } = await load.finish()
  expect({ outstanding, acknowledged, receipted }).toEqual({
    outstanding: 0,
    acknowledged: sent,
    receipted: sent,
  })
  const { violations, counts } = await hub.audit(load.journal)
  expect(violations).toEqual([])
  expect(counts).toMatchObject({ sent, acknowledged, receipted: sent })
  expect(counts.registered + counts.rejected).toBe(sent)
  expect(counts.rejected).toBeGreaterThan(0)
})

test('devices that lose their connections send again under the same ids until all is receipted', async () => {
  await using mosquitto = await startMosquitto()
  await using hub = await startModelHub(mosquitto.url)
  await using proxy = await FaultProxy.start(mosquitto.port)
  await using load = await startLoad({ ...paced, mqttPort: proxy.port, resend: 'unreceipted' })
  for (const cuts of [1, 2, 3]) {
    await load.until('it sells', ({ acknowledged }) => acknowledged >= 100 * cuts)
    proxy.cut()
    await load.until(
      'all are back',
      ({ reconnections, connected }) =>
        reconnections === cuts * devices.length && connected === devices.length,
    )
  }
  expect(await load.finish()).toMatchObject({ outstanding: 0 })
  expect((await hub.audit(load.journal)).violations).toEqual([])
})

test('what was acknowledged and then forgotten is found', async () => {
  await using mosquitto = await startMosquitto()
  await using hub = await startModelHub(mosquitto.url, (count) => count === 50 || count === 100)
  await using load = await startLoad({
    ...paced,
    mqttPort: mosquitto.port,
    duplicateShare: 0,
    patienceMs: 1000,
  })
  await load.until('both are acknowledged', ({ acknowledged }) => acknowledged >= 150)
  expect(await load.finish()).toMatchObject({ outstanding: 2 })
  const { violations } = await hub.audit(load.journal)
  expect(violations.map(({ audit }) => audit)).toEqual(['A1', 'A1'])
})

test('a terminal hears the receipt of the sale it sold', async () => {
  await using mosquitto = await startMosquitto()
  await using _hub = await startModelHub(mosquitto.url)
  const [credentials] = devices
  if (credentials === undefined) throw new Error('no device')
  await using terminal = await Terminal.connect(mosquitto.url, credentials)
  const sale = saleSource(1)()
  expect(await terminal.sell(sale)).toMatchObject({ event_id: sale.event_id, outcome: 'registered' })
  expect(await terminal.sell(sale)).toMatchObject({ event_id: sale.event_id, outcome: 'replayed' })
})

test('a terminal whose broker is gone is told so', async () => {
  await using mosquitto = await startMosquitto()
  const [credentials] = devices
  if (credentials === undefined) throw new Error('no device')
  await using terminal = await Terminal.connect(mosquitto.url, credentials)
  mosquitto.pause()
  const published = terminal.publish('sale', saleSource(1)())
  await Promise.all([mosquitto.kill(), expect(published).rejects.toThrow('closed before the PUBACK')])
})
