/**
 * The load generator of the crash tests: a program of its own that is never killed, so that its journal is the truth
 * about what was sent and what was promised (`auditor.ts` reads it). It speaks MQTT 3.1.1 packet by packet: nothing
 * resends, queues or reconnects behind its back.
 *
 *     node load.ts OPTIONS.json        (LoadOptions)
 *
 * Each device keeps a sale in its outbox until its receipt has come, and after each reconnection sends again what
 * `resend` says, with the same event id. On SIGTERM it makes no new sales, waits for what is outstanding, and ends;
 * when nothing has come for `patienceMs`, it ends with sales outstanding. Standard output: one `LoadProgress` a line.
 *
 * Journal, one line each, before or after the fact as marked:
 *   SENT event_id {sale with dealer and device}     before its first byte leaves
 *   ACK event_id                                    after the PUBACK
 *   RECEIPT event_id {receipt}                      after the receipt
 */
import { createWriteStream, readFileSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import mqttPacket from 'mqtt-packet'
import type { Sale } from '../../gateway/contract/events.ts'
import type { Receipt } from '../../gateway/contract/receipts.ts'
import type { DeviceCredentials } from './devices.ts'
import { integer, mulberry32, pick } from './random.ts'
import { saleSource } from './sales.ts'

export interface LoadOptions {
  readonly mqttPort: number
  readonly devices: readonly DeviceCredentials[]
  /** Path of a file to append to. */
  readonly journal: string
  readonly seed: number
  /** Sales a device has sent and that are not acknowledged: at most so many. */
  readonly window: number
  /** Of all devices together; null: as many as the windows let through. */
  readonly salesPerSecond: number | null
  /** The share of sales, 0 to 1, whose serial was sold before. */
  readonly duplicateShare: number
  /**
   * What is sent again after a reconnection. `unacknowledged` takes the hub at its word: what it acknowledged and lost
   * stays lost, and the receipt must come by itself. `unreceipted` is what a careful terminal does.
   */
  readonly resend: 'unacknowledged' | 'unreceipted'
  readonly patienceMs: number
}

/** Counts since the start; `connected` and `outstanding` (sent, not receipted) are now. */
export interface LoadProgress {
  readonly sent: number
  readonly acknowledged: number
  readonly receipted: number
  readonly outstanding: number
  readonly connected: number
  readonly reconnections: number
  readonly refusedLogins: number
}

const TICK_MS = 10
const PROGRESS_MS = 100
const KEEPALIVE_S = 30
/** A hub that accepts and says nothing is given up after this. */
const CONNECT_TIMEOUT_MS = 10_000
const RECONNECT_MS = { min: 50, max: 250 }
/** Sales a device waits for the receipts of: far more than a healthy hub lets stand. */
const OUTBOX_MAX = 2000

interface Outstanding {
  readonly eventId: string
  readonly payload: string
  acknowledged: boolean
}

const [optionsFile] = process.argv.slice(2)
if (optionsFile === undefined) throw new Error('usage: node load.ts OPTIONS.json')
const options = JSON.parse(readFileSync(optionsFile, 'utf8')) as LoadOptions

const random = mulberry32(options.seed)
const nextSale = saleSource(options.seed)
const journal = createWriteStream(options.journal, { flags: 'a' })
const serials: string[] = []
const counts = { sent: 0, acknowledged: 0, receipted: 0, reconnections: 0, refusedLogins: 0 }
let finishing = false
/** Sales that may be made now. */
let allowance = options.salesPerSecond === null ? Number.POSITIVE_INFINITY : 0
let lastNewsMs = performance.now()

class Device {
  readonly outbox = new Map<string, Outstanding>()
  connected = false
  readonly #credentials: DeviceCredentials
  readonly #topic: string
  /** By packet id: what waits for its PUBACK on this connection. */
  readonly #inFlight = new Map<number, Outstanding>()
  #socket: Socket | null = null
  #packetId = 0
  #sequence = 0

  constructor(credentials: DeviceCredentials) {
    this.#credentials = credentials
    this.#topic = `hub/v1/${credentials.client_id}`
  }

  connect(): void {
    const socket = createConnection({ host: '127.0.0.1', port: options.mqttPort, noDelay: true })
    this.#socket = socket
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => {
      if (!this.connected) socket.destroy()
    })
    const parser = mqttPacket.parser({ protocolVersion: 4 })
    parser.on('packet', (packet) => this.#receive(packet))
    parser.on('error', () => socket.destroy())
    socket.on('data', (bytes: Buffer) => parser.parse(bytes))
    // `close` follows.
    socket.on('error', () => {})
    socket.on('close', () => this.#disconnected())
    const { client_id: clientId, username, password } = this.#credentials
    this.#write({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clean: true,
      clientId,
      username,
      password: Buffer.from(password),
      keepalive: KEEPALIVE_S,
    })
  }

  /** Makes and sends a new sale, if window and allowance let it. */
  sell(): boolean {
    const free = this.#inFlight.size < options.window && this.outbox.size < OUTBOX_MAX
    if (finishing || !this.connected || allowance < 1 || !free) return false
    allowance--
    const sale = this.#newSale()
    const [dealer, device] = this.#credentials.client_id.split('/')
    journal.write(`SENT ${sale.event_id} ${JSON.stringify({ dealer, device, ...sale })}\n`)
    counts.sent++
    const outstanding = { eventId: sale.event_id, payload: JSON.stringify(sale), acknowledged: false }
    this.outbox.set(sale.event_id, outstanding)
    this.#publish(outstanding, false)
    return true
  }

  ping(): void {
    if (this.connected) this.#write({ cmd: 'pingreq' })
  }

  close(): void {
    this.#socket?.destroy()
  }

  #newSale(): Sale {
    this.#sequence++
    const again = serials.length > 0 && random() < options.duplicateShare
    const sale = nextSale({ seq: this.#sequence, ...(again ? { serial: pick(random, serials) } : {}) })
    if (!again && options.duplicateShare > 0) serials.push(sale.serial)
    return sale
  }

  #publish(outstanding: Outstanding, dup: boolean): void {
    const messageId = this.#nextPacketId()
    this.#inFlight.set(messageId, outstanding)
    const topic = `${this.#topic}/sale`
    const { payload } = outstanding
    this.#write({ cmd: 'publish', topic, payload, qos: 1, dup, retain: false, messageId })
  }

  #nextPacketId(): number {
    do this.#packetId = (this.#packetId % 65_535) + 1
    while (this.#inFlight.has(this.#packetId))
    return this.#packetId
  }

  #receive(packet: mqttPacket.Packet): void {
    switch (packet.cmd) {
      case 'connack':
        if (packet.returnCode !== 0) {
          counts.refusedLogins++
          this.close()
          return
        }
        this.#write({
          cmd: 'subscribe',
          messageId: this.#nextPacketId(),
          subscriptions: [{ topic: `${this.#topic}/receipt`, qos: 1 }],
        })
        return
      case 'suback':
        this.connected = true
        for (const outstanding of this.outbox.values()) {
          if (!outstanding.acknowledged || options.resend === 'unreceipted') this.#publish(outstanding, true)
        }
        this.#fillWindow()
        return
      case 'puback':
        this.#acknowledged(packet.messageId ?? 0)
        return
      case 'publish':
        this.#receipted(JSON.parse(String(packet.payload)) as Receipt)
        if (packet.qos === 1) this.#write({ cmd: 'puback', messageId: packet.messageId ?? 0 })
    }
  }

  #acknowledged(messageId: number): void {
    const outstanding = this.#inFlight.get(messageId)
    if (outstanding === undefined) return
    this.#inFlight.delete(messageId)
    lastNewsMs = performance.now()
    if (!outstanding.acknowledged) {
      outstanding.acknowledged = true
      journal.write(`ACK ${outstanding.eventId}\n`)
      counts.acknowledged++
    }
    this.#fillWindow()
  }

  #fillWindow(): void {
    let sold: boolean
    do sold = this.sell()
    while (sold)
  }

  #receipted(receipt: Receipt): void {
    const eventId = receipt.event_id ?? ''
    journal.write(`RECEIPT ${eventId} ${JSON.stringify(receipt)}\n`)
    lastNewsMs = performance.now()
    if (this.outbox.delete(eventId)) counts.receipted++
  }

  #disconnected(): void {
    if (this.connected) counts.reconnections++
    this.connected = false
    this.#inFlight.clear()
    setTimeout(() => this.connect(), integer(random, RECONNECT_MS.min, RECONNECT_MS.max))
  }

  #write(packet: mqttPacket.Packet): void {
    this.#socket?.write(mqttPacket.generate(packet))
  }
}

const devices = options.devices.map((credentials) => new Device(credentials))
for (const device of devices) device.connect()

const outstanding = (): number => devices.reduce((sum, { outbox }) => sum + outbox.size, 0)

function report(): void {
  const connected = devices.filter((device) => device.connected).length
  const progress: LoadProgress = { ...counts, outstanding: outstanding(), connected }
  process.stdout.write(`${JSON.stringify(progress)}\n`)
}

/** Whose turn it is: an allowance is spread evenly over the devices. */
let turn = 0

function spendAllowance(salesPerSecond: number): void {
  // What could not be sent in a second is not made up for later.
  allowance = Math.min(allowance + (salesPerSecond * TICK_MS) / 1000, salesPerSecond)
  let refusals = 0
  while (allowance >= 1 && refusals < devices.length) {
    turn = (turn + 1) % devices.length
    refusals = devices[turn]?.sell() ? 0 : refusals + 1
  }
}

function tick(): void {
  if (options.salesPerSecond !== null) spendAllowance(options.salesPerSecond)
  const impatient = performance.now() - lastNewsMs > options.patienceMs
  if (finishing && (outstanding() === 0 || impatient)) void end()
}

const timers = [
  setInterval(tick, TICK_MS),
  setInterval(report, PROGRESS_MS),
  setInterval(
    () => {
      for (const device of devices) device.ping()
    },
    (KEEPALIVE_S * 1000) / 2,
  ),
]

async function end(): Promise<void> {
  for (const timer of timers) clearInterval(timer)
  report()
  await new Promise<void>((resolve) => journal.end(resolve))
  process.exit(0)
}

process.on('SIGTERM', () => {
  finishing = true
  lastNewsMs = performance.now()
})
