/**
 * The contract as a device maker meets it first: with `mosquitto_pub`, `mosquitto_sub` and `mosquitto_rr`, which share
 * no code with the hub, and the hub's own commands.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Entry, SaleEntry } from '../../gateway/contract/ledger.ts'
import type { Receipt } from '../../gateway/contract/receipts.ts'
import { type BinaryName, binary } from '../support/binaries.ts'
import { type DeviceCredentials, provision } from '../support/devices.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { ledgerOf } from './support.ts'

const FILES = {
  dealers: `dealer_id,name,region,lat,lon,opens,closes,daily_quota,phone
jkt-01,Jakarta Satu,Jawa,-6.2,106.8,09:00,18:00,,
sby-01,Surabaya Satu,Jawa,-7.25,112.75,09:00,18:00,,
`,
  serials: `serial,model,dealer_id,produced_on
JKT000001,EV-1,jkt-01,2026-10-01
JKT000002,EV-1,jkt-01,2026-10-01
SBY000001,EV-1,sby-01,2026-10-01
`,
  prices: `model,region,msrp,map,valid_from
EV-1,,30000000,27000000,2026-01-01
`,
}

const SALE = {
  event_id: 'jkt-1',
  serial: 'JKT000001',
  model: 'EV-1',
  price: 28_500_000,
  currency: 'IDR',
  sold_at: '2026-11-22T08:15:30.123Z',
}

let hub: HubProcess
let jakarta: DeviceCredentials
let surabaya: DeviceCredentials

beforeAll(async () => {
  hub = await startHub()
  for (const [kind, csv] of Object.entries(FILES)) {
    const file = join(temporaryFolder('reference').path, `${kind}.csv`)
    writeFileSync(file, csv)
    expect(await hub.run('import', kind, file)).toMatchObject({ code: 0 })
  }
  ;[jakarta, surabaya] = (await provision(hub, [
    { dealer: 'jkt-01', device: 'pos-1' },
    { dealer: 'sby-01', device: 'pos-1' },
  ])) as [DeviceCredentials, DeviceCredentials]
})
afterAll(() => hub?.stop())

/** Runs one of the tools as a device over MQTT 3.1.1. @throws when it does not succeed */
async function run(
  tool: BinaryName,
  { client_id, username, password }: DeviceCredentials,
  words: readonly string[],
  { input, port = hub.mqttPort }: { input?: string | Buffer; port?: number } = {},
): Promise<string> {
  const login = ['-i', client_id, '-u', username, '-P', password]
  const address = ['-h', '127.0.0.1', '-p', String(port), '-V', 'mqttv311', '-q', '1']
  const child = spawn(binary(tool), [...address, ...login, ...words], {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  const closed = once(child, 'close')
  child.stdin?.end(input)
  const [stdout, stderr] = await Promise.all([text(child.stdout as Readable), text(child.stderr as Readable)])
  const [code] = (await closed) as [number | null]
  if (code !== 0) throw new Error(`${tool} ended with exit code ${code}: ${stderr}`)
  return stdout
}

const topicOf = ({ client_id }: DeviceCredentials, kind: string): string => `hub/v1/${client_id}/${kind}`

/** Ends with the PUBACK. */
const publish = (device: DeviceCredentials, payload: string | Buffer, kind = 'sale') =>
  run('mosquitto_pub', device, ['-t', topicOf(device, kind), '-s'], { input: payload })

/** Connects anew, subscribes, and takes what the outbox holds for it: the first `count`. */
async function receive(device: DeviceCredentials, count = 1, port?: number): Promise<Receipt[]> {
  const words = ['-t', topicOf(device, 'receipt'), '-C', String(count), '-W', '30']
  const output = await run('mosquitto_sub', device, words, { port })
  return output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Receipt)
}

/** Publishes over one connection and takes the receipt over the next. */
async function sell(device: DeviceCredentials, sale: object): Promise<Receipt> {
  await publish(device, JSON.stringify(sale))
  const [receipt] = await receive(device)
  return receipt as Receipt
}

/** The newest sale of this event in the export. */
async function entryOf(eventId: string | null): Promise<Entry<SaleEntry>> {
  const found = (await ledgerOf(hub)).findLast(
    ({ type, data }) => type.startsWith('sale.') && data.event_id === eventId,
  )
  return found as unknown as Entry<SaleEntry>
}

describe('a terminal made of mosquitto_pub and mosquitto_sub', () => {
  it('registers a sale, and is told where it stands in the ledger', async () => {
    const receipt = await sell(jakarta, SALE)
    const entry = await entryOf('jkt-1')
    expect(receipt).toEqual({
      event_id: 'jkt-1',
      outcome: 'registered',
      reason: null,
      errors: [],
      first: null,
      entry: entry.entry,
      committed_at: entry.at,
    })
    expect(entry).toMatchObject({
      type: 'sale.registered',
      data: { ...SALE, dealer: 'jkt-01', device: 'pos-1', region: 'Jawa', verified: true, flags: [] },
    })
  })

  it('is told replayed, with the original entry, when it sends the same event again', async () => {
    const before = await ledgerOf(hub)
    const { entry, at } = await entryOf('jkt-1')
    expect(await sell(jakarta, SALE)).toEqual({
      event_id: 'jkt-1',
      outcome: 'replayed',
      reason: null,
      errors: [],
      first: null,
      entry,
      committed_at: at,
    })
    expect(await ledgerOf(hub), 'nothing new').toEqual(before)
  })

  it('is refused a serial that was sold before, and told by whom; both parties are kept', async () => {
    const first = await entryOf('jkt-1')
    const party = { event_id: 'jkt-1', dealer: 'jkt-01', at: first.at }
    const receipt = await sell(surabaya, { ...SALE, event_id: 'sby-1' })
    const second = await entryOf('sby-1')
    expect(receipt).toEqual({
      event_id: 'sby-1',
      outcome: 'rejected',
      reason: 'duplicate_serial',
      errors: [],
      first: party,
      entry: second.entry,
      committed_at: second.at,
    })
    expect(second).toMatchObject({ type: 'sale.rejected', data: { dealer: 'sby-01', first: party } })
    expect(await alertsOf('sby-1')).toMatchObject([
      { tier: 'P1', cause: 'duplicate_serial', dealer: 'sby-01', first: party },
    ])
  })

  it('is refused a serial that is not in the registration ledger', async () => {
    const receipt = await sell(jakarta, { ...SALE, event_id: 'jkt-2', serial: 'NOBODYS01' })
    const entry = await entryOf('jkt-2')
    expect(receipt).toEqual({
      event_id: 'jkt-2',
      outcome: 'rejected',
      reason: 'unknown_serial',
      errors: [],
      first: null,
      entry: entry.entry,
      committed_at: entry.at,
    })
    expect(await alertsOf('jkt-2')).toMatchObject([{ tier: 'P1', cause: 'unknown_serial' }])
  })

  it('registers a serial of another dealer, and is told so; it is flagged as diversion', async () => {
    const receipt = await sell(jakarta, { ...SALE, event_id: 'jkt-3', serial: 'SBY000001' })
    const entry = await entryOf('jkt-3')
    expect(receipt).toEqual({
      event_id: 'jkt-3',
      outcome: 'registered',
      reason: 'wrong_dealer',
      errors: [],
      first: null,
      entry: entry.entry,
      committed_at: entry.at,
    })
    expect(entry.data).toMatchObject({ flags: ['diversion'], allotted_dealer: 'sby-01' })
    expect(await alertsOf('jkt-3')).toMatchObject([{ tier: 'P1', cause: 'diversion' }])
  })

  it('registers a sale below the MAP, which is flagged and never blocked', async () => {
    const receipt = await sell(jakarta, {
      ...SALE,
      event_id: 'jkt-4',
      serial: 'JKT000002',
      price: 26_999_999,
    })
    const entry = await entryOf('jkt-4')
    expect(receipt).toEqual({
      event_id: 'jkt-4',
      outcome: 'registered',
      reason: null,
      errors: [],
      first: null,
      entry: entry.entry,
      committed_at: entry.at,
    })
    expect(entry.data).toMatchObject({ flags: ['below_map'], map: 27_000_000 })
    expect(await alertsOf('jkt-4')).toMatchObject([{ tier: 'P1', cause: 'below_map' }])
  })

  it('gets its receipt over the very connection it sells on, with mosquitto_rr', async () => {
    const topics = ['-t', topicOf(jakarta, 'sale'), '-e', topicOf(jakarta, 'receipt'), '-W', '30']
    const output = await run('mosquitto_rr', jakarta, [...topics, '-m', JSON.stringify(SALE)])
    expect(JSON.parse(output)).toMatchObject({ event_id: 'jkt-1', outcome: 'replayed' })
  })
})

async function alertsOf(eventId: string): Promise<unknown[]> {
  const ledger = await ledgerOf(hub)
  return ledger
    .filter(({ type, data }) => type === 'alert.raised' && data.event_id === eventId)
    .map(({ data }) => data)
}

describe('what cannot be decoded', () => {
  const bytes = Buffer.from([0x7b, 0xff, 0xfe, 0x00, 0x7d])

  it('is acknowledged and refused, and stays as it came in quarantine', async () => {
    await publish(jakarta, bytes)
    const [receipt] = await receive(jakarta)
    const entry = await entryOf(null)
    expect(receipt).toEqual({
      event_id: null,
      outcome: 'rejected',
      reason: 'invalid',
      errors: [
        { field: 'payload', expected: 'UTF-8 text', received: `${bytes.length} bytes that are not UTF-8` },
      ],
      first: null,
      entry: entry.entry,
      committed_at: entry.at,
    })
    expect(await shown(entry.data.quarantine as string)).toMatchObject({
      topic: topicOf(jakarta, 'sale'),
      sender: jakarta.client_id,
      payload_base64: bytes.toString('base64'),
      errors: receipt?.errors,
    })
  })

  it('is kept as well when nobody waits for a receipt', async () => {
    await publish(jakarta, bytes, 'health')
    const kept = (await ledgerOf(hub)).filter(({ type }) => type === 'message.quarantined')
    expect(kept).toMatchObject([{ data: { topic: topicOf(jakarta, 'health'), sender: jakarta.client_id } }])
  })

  it('goes through the door once more after a fix, and its device hears of it', async () => {
    const sale = { ...SALE, event_id: 'sby-2', serial: 'SBY-000002' }
    expect(await sell(surabaya, sale)).toMatchObject({ event_id: 'sby-2', reason: 'invalid' })
    const rejected = await entryOf('sby-2')
    const id = rejected.data.quarantine as string
    expect((await quarantined()).map((item) => item.id)).toContain(id)
    expect(await hub.run('quarantine', 'replay', id), 'before the fix').not.toMatchObject({ code: 0 })

    // The fix: serials may have a dash; and the factory's list has come.
    await hub.stop()
    const file = join(temporaryFolder('reference').path, 'serials.csv')
    writeFileSync(file, `${FILES.serials}SBY-000002,EV-1,sby-01,2026-11-01\n`)
    const settings = { HUB_DATA_DIR: hub.dataDir, SERIAL_PATTERN: '^[A-Z0-9-]{6,32}$' }
    await using fixed = await startHub({ settings })
    expect(await fixed.run('import', 'serials', file)).toMatchObject({ code: 0 })
    expect(await fixed.run('quarantine', 'replay', id)).toMatchObject({ code: 0 })
    expect(await receive(surabaya, 1, fixed.mqttPort)).toMatchObject([
      { event_id: 'sby-2', outcome: 'registered', entry: expect.not.stringMatching(rejected.entry) },
    ])
    expect(await shown(id)).toMatchObject({ state: 'replayed' })
  })
})

interface Quarantined {
  readonly id: string
  readonly [field: string]: unknown
}

async function quarantined(): Promise<Quarantined[]> {
  const { code, stdout } = await hub.run('quarantine', 'list', '--json')
  expect(code).toBe(0)
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Quarantined)
}

async function shown(id: string): Promise<Quarantined> {
  const { code, stdout } = await hub.run('quarantine', 'show', id, '--json')
  expect(code).toBe(0)
  return JSON.parse(stdout) as Quarantined
}
