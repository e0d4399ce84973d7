/**
 * Load: many terminals that publish sales at QoS 1, as fast as their windows allow or at a set pace, and acknowledge
 * the receipts they get. Plain sockets and bytes, no MQTT library, so that one core can load a broker that has the other.
 *
 *   node bench/generator.ts < options.json > result.json     (`runGenerator` does that)
 *
 * Options and result are `GeneratorOptions` and `GeneratorResult`, as JSON.
 *
 * Latencies of a paced run count from when a sale was due, not from when it could be sent: waiting behind a slow
 * acknowledgement is part of what a terminal sees («coordinated omission»).
 */
import { spawn } from 'node:child_process'
import { connect as openSocket, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { build, type Histogram } from 'hdr-histogram-js'

export interface Terminal {
  /** `{dealer}/{device}`; also its username. */
  readonly clientId: string
  readonly password: string
}

export interface GeneratorOptions {
  readonly host: string
  readonly port: number
  readonly terminals: readonly Terminal[]
  /** Unacknowledged sales of one terminal. */
  readonly window: number
  /** Sales a second, all terminals together; null: as many as the windows allow. */
  readonly ratePerSecond: number | null
  /** What happens before is neither counted nor timed. */
  readonly warmUpMs: number
  readonly durationMs: number
  /** Subscribe to receipts, acknowledge and time them; without, sales are all there is. */
  readonly receipts: boolean
  /** Two to six of A–Z and 0–9, new for each run: serials and event ids begin with it. */
  readonly run: string
  /** Of each sale; must be in the catalogue if the hub has one. */
  readonly model: string
}

export interface Latencies {
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

export interface GeneratorResult {
  /** Of the measured time: acknowledged sales and receipts. */
  readonly acknowledged: number
  readonly receipts: number
  readonly elapsedMs: number
  readonly acknowledgedPerSecond: number
  readonly receiptsPerSecond: number
  readonly puback: Latencies
  readonly receipt: Latencies
  /** Of the whole run, with warming up and the last ones waited for; a receipt that came again is no receipt. */
  readonly total: {
    readonly sent: number
    readonly acknowledged: number
    readonly receipts: number
    readonly repeatedReceipts: number
  }
  /** Sales that were due and never sent, since the windows were full: more than none, and latencies mean little. */
  readonly unsent: number
  /** Connections that broke. */
  readonly lost: number
  /** Processor time of the generator over the measured time: near 1, it is the bottleneck itself. */
  readonly cores: number
}

/** Runs the generator in a process of its own. */
export async function runGenerator(options: GeneratorOptions): Promise<GeneratorResult> {
  const child = spawn(process.execPath, [import.meta.filename], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  child.stdin.end(JSON.stringify(options))
  const output = await text(child.stdout)
  const code = await exited
  if (code !== 0) throw new Error(`load generator exited with ${code}`)
  return JSON.parse(output) as GeneratorResult
}

/** After the measured time: for the last acknowledgements and receipts. */
const SETTLE_MS = 10_000

export async function generate(options: GeneratorOptions): Promise<GeneratorResult> {
  const clock = { measuring: false }
  const clients = options.terminals.map((terminal, i) => new Client(terminal, i, options, clock))
  for (let i = 0; i < clients.length; i += CONNECTING_MAX) {
    await Promise.all(clients.slice(i, i + CONNECTING_MAX).map((client) => client.connect()))
  }

  const pacing = options.ratePerSecond === null ? undefined : pace(clients, options.ratePerSecond)
  if (pacing === undefined) for (const client of clients) client.flood()
  await sleep(options.warmUpMs)
  clock.measuring = true
  const startMs = performance.now()
  const startCpu = process.cpuUsage()
  await sleep(options.durationMs)
  clock.measuring = false
  const elapsedMs = performance.now() - startMs
  const { user, system } = process.cpuUsage(startCpu)
  clearInterval(pacing)
  const unsent = sum(clients, (client) => client.stop())
  await settled(clients, options.receipts)

  const puback = newHistogram()
  const receipt = newHistogram()
  for (const client of clients) {
    puback.add(client.puback)
    receipt.add(client.receipt)
    client.disconnect()
  }
  const perSecond = (count: number) => Math.round((count * 1_000) / elapsedMs)
  return {
    acknowledged: puback.totalCount,
    receipts: receipt.totalCount,
    elapsedMs,
    acknowledgedPerSecond: perSecond(puback.totalCount),
    receiptsPerSecond: perSecond(receipt.totalCount),
    puback: latenciesOf(puback),
    receipt: latenciesOf(receipt),
    total: {
      sent: sum(clients, (client) => client.sent),
      acknowledged: sum(clients, (client) => client.acknowledged),
      receipts: sum(clients, (client) => client.receipts),
      repeatedReceipts: sum(clients, (client) => client.repeatedReceipts),
    },
    unsent,
    lost: sum(clients, (client) => (client.lost ? 1 : 0)),
    cores: (user + system) / 1_000 / elapsedMs,
  }
}

const KEEP_ALIVE_SECONDS = 60

/** Handshakes at a time: a reconnect storm is another test. */
const CONNECTING_MAX = 200

/**
 * Every millisecond the sales that became due meanwhile, to each terminal in turn. Only terminals that got one are
 * looked at: at a low pace a look at all of them would cost more than the sales.
 */
function pace(clients: readonly Client[], ratePerSecond: number): NodeJS.Timeout {
  const startMs = performance.now()
  let due = 0
  let next = 0
  return setInterval(() => {
    // The first is due at once: the sale numbered 0 at 0 ms, the next one an interval later.
    const dueNow = Math.floor(((performance.now() - startMs) * ratePerSecond) / 1_000) + 1
    const served = Math.min(dueNow - due, clients.length)
    const first = next
    for (; due < dueNow; due++) {
      clients[next]?.due(startMs + (due * 1_000) / ratePerSecond)
      next = (next + 1) % clients.length
    }
    for (let i = 0; i < served; i++) clients[(first + i) % clients.length]?.send()
  }, 1)
}

async function settled(clients: readonly Client[], receipts: boolean): Promise<void> {
  const untilMs = performance.now() + SETTLE_MS
  const open = (client: Client) =>
    !client.lost && (client.acknowledged < client.sent || (receipts && client.receipts < client.acknowledged))
  while (performance.now() < untilMs && clients.some(open)) await sleep(20)
}

/** One terminal's connection. */
class Client {
  readonly puback = newHistogram()
  readonly receipt = newHistogram()
  sent = 0
  acknowledged = 0
  receipts = 0
  repeatedReceipts = 0
  lost = false
  readonly #terminal: Terminal
  readonly #options: GeneratorOptions
  readonly #clock: { readonly measuring: boolean }
  readonly #sale: SaleTemplate
  #socket: Socket | null = null
  #flooding = false
  /** Packet identifiers not in use. */
  readonly #freeIds: number[]
  /** By packet identifier, and by sale: when it was due. */
  readonly #dueById: Float64Array
  readonly #dueBySale: Float64Array
  readonly #receipted = new NumberSet()
  /** Due, not sent: the window is full. */
  #overdue: number[] = []
  #rest: Buffer | null = null
  #onPacket: ((type: number, body: Buffer) => void) | null = null

  constructor(
    terminal: Terminal,
    index: number,
    options: GeneratorOptions,
    clock: { readonly measuring: boolean },
  ) {
    this.#terminal = terminal
    this.#options = options
    this.#clock = clock
    this.#sale = new SaleTemplate(terminal.clientId, index, options)
    this.#freeIds = Array.from({ length: options.window }, (_, i) => options.window - i)
    this.#dueById = new Float64Array(options.window + 1)
    this.#dueBySale = new Float64Array(RECEIPT_LAG_MAX)
  }

  async connect(): Promise<void> {
    const { host, port, receipts } = this.#options
    const { clientId } = this.#terminal
    const socket = openSocket({ host, port, noDelay: true })
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', () => {})
    socket.once('close', () => {
      this.lost = true
    })
    const answer = (wanted: number, packet: Buffer) =>
      new Promise<Buffer>((resolve, reject) => {
        socket.once('close', () => reject(new Error(`${clientId}: connection refused or closed`)))
        this.#onPacket = (type, body) => {
          if (type === wanted) resolve(body)
        }
        socket.write(packet)
      })
    const connack = await answer(2, connectPacket(this.#terminal, KEEP_ALIVE_SECONDS))
    if (connack[1] !== 0) throw new Error(`${clientId}: CONNACK ${connack[1]}`)
    if (receipts) {
      const suback = await answer(9, subscribePacket(`hub/v1/${clientId}/receipt`))
      if (suback[2] !== 1) throw new Error(`${clientId}: receipts not granted`)
    }
    this.#onPacket = null
  }

  /** Sends as many as the window allows, until `stop`. */
  flood(): void {
    this.#flooding = true
    this.send()
  }

  /** Sends nothing more. @returns how many sales were due and are left unsent */
  stop(): number {
    this.#flooding = false
    const unsent = this.#overdue.length
    this.#overdue = []
    return unsent
  }

  /** One more sale, due at that time; `send` sends it. */
  due(atMs: number): void {
    this.#overdue.push(atMs)
  }

  send(): void {
    const count = Math.min(this.#freeIds.length, this.#flooding ? this.#freeIds.length : this.#overdue.length)
    if (count === 0 || this.lost) return
    const nowMs = performance.now()
    const bytes = Buffer.allocUnsafe(count * this.#sale.length)
    for (let i = 0; i < count; i++) {
      const dueMs = this.#flooding ? nowMs : (this.#overdue[i] as number)
      const id = this.#freeIds.pop() as number
      this.#sale.write(bytes, i * this.#sale.length, id, this.sent)
      this.#dueById[id] = dueMs
      this.#dueBySale[this.sent % RECEIPT_LAG_MAX] = dueMs
      this.sent++
    }
    if (!this.#flooding) this.#overdue = this.#overdue.slice(count)
    this.#socket?.write(bytes)
  }

  disconnect(): void {
    this.#socket?.end(Buffer.from([0xe0, 0]))
  }

  /** Whole packets are handled where they lie; the beginning of one is kept for the next chunk. */
  #read(chunk: Buffer): void {
    const bytes = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk])
    const nowMs = performance.now()
    const acks: number[] = []
    let at = 0
    while (at + 2 <= bytes.length) {
      let length = 0
      let body = at + 1
      for (let shift = 0, more = true; more; shift += 7, body++) {
        const byte = bytes[body]
        if (byte === undefined) break
        length |= (byte & 0x7f) << shift
        more = (byte & 0x80) !== 0
      }
      if (body + length > bytes.length) break
      this.#handle(bytes, at, body, length, nowMs, acks)
      at = body + length
    }
    this.#rest = at < bytes.length ? bytes.subarray(at) : null
    if (acks.length > 0) this.#socket?.write(pubacks(acks))
    if (this.#flooding || this.#overdue.length > 0) this.send()
  }

  #handle(bytes: Buffer, at: number, body: number, length: number, nowMs: number, acks: number[]): void {
    const type = (bytes[at] as number) >> 4
    if (type === 4) {
      const id = bytes.readUInt16BE(body)
      this.acknowledged++
      this.#freeIds.push(id)
      if (this.#clock.measuring) this.puback.recordValue(microseconds(nowMs - (this.#dueById[id] as number)))
    } else if (type === 3) {
      const idAt = body + 2 + bytes.readUInt16BE(body)
      acks.push(bytes.readUInt16BE(idAt))
      const sale = this.#sale.numberIn(bytes.subarray(idAt + 2, body + length))
      if (!this.#receipted.add(sale)) {
        this.repeatedReceipts++
        return
      }
      this.receipts++
      const dueMs = this.#dueBySale[sale % RECEIPT_LAG_MAX] as number
      if (this.#clock.measuring) this.receipt.recordValue(microseconds(nowMs - dueMs))
    } else {
      this.#onPacket?.(type, bytes.subarray(body, body + length))
    }
  }
}

/** Numbers from 0 without large gaps, one bit each. */
class NumberSet {
  #bits = new Uint8Array(1024)

  /** @returns whether it is new */
  add(number: number): boolean {
    const at = number >> 3
    if (at >= this.#bits.length) {
      const bits = new Uint8Array(2 * Math.max(at, this.#bits.length))
      bits.set(this.#bits)
      this.#bits = bits
    }
    const bit = 1 << (number & 7)
    const isNew = ((this.#bits[at] as number) & bit) === 0
    this.#bits[at] = (this.#bits[at] as number) | bit
    return isNew
  }
}

/** A receipt is timed when it comes before its terminal has sent this many more sales. */
const RECEIPT_LAG_MAX = 16_384

/** A terminal's sale as a PUBLISH packet whose packet identifier and numbers are written over. */
class SaleTemplate {
  readonly length: number
  readonly #bytes: Buffer
  readonly #idAt: number
  readonly #eventAt: number
  readonly #serialAt: number
  readonly #soldAtAt: number
  readonly #eventPrefix: string

  constructor(clientId: string, index: number, { run, model }: GeneratorOptions) {
    const topic = Buffer.from(`hub/v1/${clientId}/sale`)
    const number = '0'.repeat(NUMBER_DIGITS)
    this.#eventPrefix = `${run}-${digits(index, TERMINAL_DIGITS)}-`
    const serial = serialOf(run, index, 0)
    const soldAt = new Date().toISOString()
    const payload = JSON.stringify({
      event_id: `${this.#eventPrefix}${number}`,
      serial,
      model,
      price: PRICE,
      currency: 'IDR',
      sold_at: soldAt,
      channel: 'walk_in',
    })
    const header = fixedHeader(0x32, 2 + topic.length + 2 + payload.length)
    this.#bytes = Buffer.concat([header, lengthOf(topic), topic, Buffer.alloc(2), Buffer.from(payload)])
    this.length = this.#bytes.length
    this.#idAt = header.length + 2 + topic.length
    const payloadAt = this.#idAt + 2
    this.#eventAt = payloadAt + payload.indexOf(`${this.#eventPrefix}${number}`) + this.#eventPrefix.length
    this.#serialAt = payloadAt + payload.indexOf(serial) + serial.length - NUMBER_DIGITS
    this.#soldAtAt = payloadAt + payload.indexOf(soldAt)
  }

  write(target: Buffer, at: number, id: number, number: number): void {
    this.#bytes.copy(target, at)
    target.writeUInt16BE(id, at + this.#idAt)
    writeDigits(target, at + this.#eventAt, number)
    writeDigits(target, at + this.#serialAt, number)
    instant().copy(target, at + this.#soldAtAt)
  }

  /** Which sale a receipt is for. */
  numberIn(receipt: Buffer): number {
    const at = receipt.indexOf(this.#eventPrefix)
    if (at < 0) return 0
    let number = 0
    for (let i = at + this.#eventPrefix.length, end = i + NUMBER_DIGITS; i < end; i++) {
      number = number * 10 + ((receipt[i] as number) - 0x30)
    }
    return number
  }
}

const TERMINAL_DIGITS = 5
const NUMBER_DIGITS = 9

const digits = (number: number, count: number): string => String(number).padStart(count, '0')

/** The serial that the nth terminal sells with its nth sale, both counted from 0. */
export const serialOf = (run: string, terminal: number, sale: number): string =>
  `${run}${digits(terminal, TERMINAL_DIGITS)}${digits(sale, NUMBER_DIGITS)}`

/** Of each sale, whole rupiah. */
export const PRICE = 28_500_000

const now = { ms: 0, bytes: Buffer.alloc(0) }

/** Now as ISO 8601; made once a millisecond. */
function instant(): Buffer {
  const ms = Date.now()
  if (ms !== now.ms) {
    now.ms = ms
    now.bytes = Buffer.from(new Date(ms).toISOString())
  }
  return now.bytes
}

function writeDigits(target: Buffer, at: number, number: number): void {
  for (let i = at + NUMBER_DIGITS - 1, rest = number; i >= at; i--) {
    target[i] = 0x30 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}

/** CONNECT, clean session. */
export function connectPacket({ clientId, password }: Terminal, keepAliveSeconds: number): Buffer {
  const fields = [clientId, clientId, password].map((field) => Buffer.from(field))
  const body = Buffer.concat([
    Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0xc2, keepAliveSeconds >> 8, keepAliveSeconds & 0xff]),
    ...fields.flatMap((field) => [lengthOf(field), field]),
  ])
  return Buffer.concat([fixedHeader(0x10, body.length), body])
}

/** SUBSCRIBE at QoS 1, packet identifier 1. */
export function subscribePacket(filter: string): Buffer {
  const bytes = Buffer.from(filter)
  const body = Buffer.concat([Buffer.from([0, 1]), lengthOf(bytes), bytes, Buffer.from([1])])
  return Buffer.concat([fixedHeader(0x82, body.length), body])
}

function pubacks(ids: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(ids.length * 4)
  ids.forEach((id, i) => {
    bytes.writeUInt32BE(0x4002_0000 + id, i * 4)
  })
  return bytes
}

function fixedHeader(first: number, length: number): Buffer {
  const bytes = [first]
  for (let rest = length; ; rest >>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}

const lengthOf = (bytes: Buffer): Buffer => Buffer.from([bytes.length >> 8, bytes.length & 0xff])

const newHistogram = (): Histogram =>
  build({ lowestDiscernibleValue: 1, highestTrackableValue: 120_000_000, numberOfSignificantValueDigits: 2 })

const microseconds = (ms: number): number => Math.max(1, Math.round(ms * 1_000))

function latenciesOf(histogram: Histogram): Latencies {
  const at = (percentile: number) => histogram.getValueAtPercentile(percentile) / 1_000
  return {
    p50Ms: at(50),
    p90Ms: at(90),
    p99Ms: at(99),
    p999Ms: at(99.9),
    maxMs: histogram.maxValue / 1_000,
  }
}

const sum = <Item>(items: readonly Item[], value: (item: Item) => number): number =>
  items.reduce((total, item) => total + value(item), 0)

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

if (import.meta.main) {
  const options = JSON.parse(await text(process.stdin)) as GeneratorOptions
  process.stdout.write(`${JSON.stringify(await generate(options))}\n`)
  process.exit(0)
}
