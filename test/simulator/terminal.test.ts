import { describe, expect, onTestFinished, test } from 'vitest'
import type { Receipt } from '../../gateway/contract/receipts.ts'
import type { SimulatedDevice } from '../../simulator/device.ts'
import type { Letter } from '../../simulator/plan.ts'
import { stream } from '../../simulator/random.ts'
import type { Recorder } from '../../simulator/recorder.ts'
import { SimulatedTerminal } from '../../simulator/terminal.ts'
import { SimulatedVehicle } from '../../simulator/vehicle.ts'
import { World } from '../../simulator/world.ts'
import { until } from '../support/until.ts'
import { PASSWORD, TinyBroker, type TinyBrokerOptions } from './tiny-broker.ts'

const world = new World({ seed: 1, dealers: 2, unitsPerDealer: 1, stockPerTerminal: 10 })
const [till] = world.terminals as [World['terminals'][number]]
const [unit] = world.units as [World['units'][number]]

/** Notes what happens. */
class Notes implements Recorder {
  readonly sentIds: string[] = []
  readonly acknowledgedIds: string[] = []
  readonly receipts: Receipt[] = []
  readonly reasons: (string | null)[] = []
  nonsense = 0
  connections = 0
  losses = 0
  sent({ id }: Letter): void {
    this.sentIds.push(id)
  }
  acknowledged({ id }: Letter): void {
    this.acknowledgedIds.push(id)
  }
  told(_device: string, receipt: Receipt): void {
    this.receipts.push(receipt)
  }
  toldNonsense(): void {
    this.nonsense++
  }
  connected(): void {
    this.connections++
  }
  disconnected(): void {
    this.losses++
  }
  refused(_device: string, reason: string | null): void {
    this.reasons.push(reason)
  }
}

async function startBroker(options: Omit<TinyBrokerOptions, 'world'> = {}): Promise<TinyBroker> {
  const broker = await TinyBroker.start({ world, ...options })
  onTestFinished(() => broker[Symbol.asyncDispose]())
  return broker
}

async function startDevice<Device extends SimulatedDevice>(device: Device): Promise<Device> {
  onTestFinished(() => device.close())
  await device.start()
  return device
}

const optionsFor = (broker: TinyBroker, name: typeof till | typeof unit, recorder: Recorder) => ({
  name,
  url: broker.target.mqttUrl,
  credential: { client_id: name.id, username: name.id, password: PASSWORD },
  recorder,
  random: stream(1, 'test'),
  worldNow: () => Date.parse('2026-11-23T10:00:00+07:00'),
})

function saleOf(position: number): Letter {
  const { serial, model } = world.stockOf(till, position)
  const id = `sale-${position}`
  const sale = {
    event_id: id,
    serial,
    model,
    price: 25_000_000,
    currency: 'IDR',
    sold_at: '2026-11-23T03:00:00Z',
  }
  return { kind: 'sale', atMs: 0, device: till.id, id, payload: Buffer.from(JSON.stringify(sale)) }
}

const emptied = (device: SimulatedDevice) => until('its outbox is empty', () => device.outbox.pending === 0)

const salesSold = ({ hub }: TinyBroker) =>
  hub.ledger.filter(({ type }) => type.startsWith('sale.')).map(({ data }) => data.event_id)

describe('a terminal', () => {
  test('sends a sale until its connection is not cut any more, and the hub has it once', async () => {
    const broker = await startBroker({
      mishap: (n) => (n <= 3 ? 'cut_before_commit' : n === 4 ? 'cut_after_commit' : 'none'),
    })
    const notes = new Notes()
    const terminal = await startDevice(new SimulatedTerminal(optionsFor(broker, till, notes)))
    terminal.post(saleOf(0))
    await emptied(terminal)
    expect(notes.sentIds).toEqual(Array(5).fill('sale-0'))
    expect(salesSold(broker)).toEqual(['sale-0'])
    const payloads = broker.arrivals.filter(({ topic }) => topic.endsWith('/sale'))
    expect(new Set(payloads.map(({ payload }) => payload)).size).toBe(1)
    expect(payloads.map(({ dup }) => dup)).toEqual([false, true, true, true, true])
  })

  test('asks for a receipt that does not come by sending the same bytes again', async () => {
    const broker = await startBroker({ mishap: (n) => (n === 1 ? 'receipt_lost' : 'none') })
    const notes = new Notes()
    const options = { ...optionsFor(broker, till, notes), receiptTimeoutMs: 100 }
    const terminal = await startDevice(new SimulatedTerminal(options))
    terminal.post(saleOf(0))
    await emptied(terminal)
    expect(notes.acknowledgedIds.length).toBeGreaterThan(1)
    expect(notes.receipts[0]).toMatchObject({ event_id: 'sale-0', outcome: 'replayed' })
    expect(salesSold(broker)).toEqual(['sale-0'])
  })

  test('keeps its sales while the hub is gone, and sends them in order when it is back', async () => {
    const broker = await startBroker()
    const notes = new Notes()
    const terminal = await startDevice(new SimulatedTerminal(optionsFor(broker, till, notes)))
    await broker.stop()
    await until('the terminal has noticed', () => notes.losses === 1)
    for (let position = 0; position < 5; position++) terminal.post(saleOf(position))
    expect(terminal.outbox.pending).toBe(5)
    await broker.listen()
    await emptied(terminal)
    expect(salesSold(broker)).toEqual(['sale-0', 'sale-1', 'sale-2', 'sale-3', 'sale-4'])
    expect(notes.connections).toBe(2)
  })

  test('gets the receipts that waited for it when it comes back', async () => {
    const broker = await startBroker({ mishap: (n) => (n === 1 ? 'cut_after_commit' : 'none') })
    const notes = new Notes()
    const terminal = await startDevice(new SimulatedTerminal(optionsFor(broker, till, notes)))
    terminal.post(saleOf(0))
    await emptied(terminal)
    await until('the first receipt has come', () =>
      notes.receipts.some(({ outcome }) => outcome === 'registered'),
    )
  })

  test('that is not let in says what it was told, and goes on trying', async () => {
    const broker = await startBroker()
    const notes = new Notes()
    const options = optionsFor(broker, till, notes)
    const credential = { ...options.credential, password: 'wrong' }
    await startDevice(new SimulatedTerminal({ ...options, credential }))
    await until('it has tried again', () => notes.reasons.length >= 2)
    expect(notes.reasons[0]).toMatch(/not authorized|bad user/i)
    expect(notes.connections).toBe(0)
  })

  test('says how it is when it comes up, and its will speaks when the line is cut', async () => {
    const broker = await startBroker()
    const terminal = await startDevice(new SimulatedTerminal(optionsFor(broker, till, new Notes())))
    const health = () =>
      broker.arrivals
        .filter(({ topic }) => topic === `hub/v1/${till.id}/health`)
        .map(({ payload }) => JSON.parse(payload))
    await until('it has spoken', () => health().length === 1)
    expect(health()[0]).toMatchObject({ online: true, firmware: 'pos-2.4.1', queue_depth: 0 })
    terminal.cut()
    await until('its will has spoken', () => health().some(({ online }) => online === false))
    await until('it is back', () => health().filter(({ online }) => online === true).length === 2)
  })

  test('leaves without its will when it is closed', async () => {
    const broker = await startBroker()
    const terminal = await startDevice(new SimulatedTerminal(optionsFor(broker, till, new Notes())))
    await terminal.close()
    const other = await startDevice(new SimulatedTerminal(optionsFor(broker, till, new Notes())))
    await until('the other one has spoken', () => other.isConnected && broker.arrivals.length === 2)
    expect(broker.arrivals.map(({ payload }) => JSON.parse(payload).online)).toEqual([true, true])
  })
})

describe('a vehicle unit', () => {
  test('keeps its reports while the hub is gone', async () => {
    const broker = await startBroker()
    const notes = new Notes()
    const vehicle = await startDevice(new SimulatedVehicle(optionsFor(broker, unit, notes)))
    await broker.stop()
    await until('the unit has noticed', () => notes.losses === 1)
    for (const id of ['report-1', 'report-2']) {
      vehicle.post({ kind: 'status', atMs: 0, device: unit.id, id, payload: Buffer.from(id) })
    }
    await broker.listen()
    await emptied(vehicle)
    const reports = broker.arrivals.filter(({ topic }) => topic === `hub/v1/${unit.id}/status`)
    expect(reports.map(({ payload }) => payload)).toEqual(['report-1', 'report-2'])
  })
})
