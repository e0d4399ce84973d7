/** The tiny hub behind a real broker and a real HTTP server, on free ports of 127.0.0.1. It can behave badly. */
import { once } from 'node:events'
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { Aedes, type Client } from 'aedes'
import type { LedgerEntry } from '../../simulator/ledger-reader.ts'
import type { SimulationTarget } from '../../simulator/simulate.ts'
import type { World } from '../../simulator/world.ts'
import { type Answer, type Defect, TinyHub } from './tiny-hub.ts'

export const PASSWORD = 'right'
export const TOKEN = 'token'

export interface Arrival {
  readonly topic: string
  readonly payload: string
  readonly dup: boolean
}

/** What becomes of a sale on its way; the number counts arrivals from 1. */
export type Mishap = 'none' | 'cut_before_commit' | 'cut_after_commit' | 'receipt_lost'

export interface TinyBrokerOptions {
  readonly world: World
  readonly defect?: Defect
  readonly mishap?: (arrival: number) => Mishap
}

export class TinyBroker implements AsyncDisposable {
  readonly hub: TinyHub
  /** Everything that came on any topic, in order. */
  readonly arrivals: Arrival[] = []
  readonly #world: World
  readonly #mishap: (arrival: number) => Mishap
  readonly #outbox: Answer[] = []
  readonly #http: HttpServer
  #aedes: Aedes | null = null
  #server: Server | null = null
  #port = 0
  #sales = 0

  private constructor({ world, defect, mishap = () => 'none' }: TinyBrokerOptions) {
    this.#world = world
    this.hub = new TinyHub(world, defect)
    this.#mishap = mishap
    this.#http = createHttpServer((request, response) => {
      const isAllowed = request.headers.authorization === `Bearer ${TOKEN}`
      response.writeHead(isAllowed ? 200 : 401, { 'content-type': 'application/json' })
      response.end(JSON.stringify(isAllowed ? this.#page(new URL(request.url ?? '', 'http://hub')) : {}))
    })
  }

  static async start(options: TinyBrokerOptions): Promise<TinyBroker> {
    const broker = new TinyBroker(options)
    broker.#http.listen(0, '127.0.0.1')
    await Promise.all([once(broker.#http, 'listening'), broker.listen()])
    return broker
  }

  get target(): SimulationTarget {
    const { port } = this.#http.address() as AddressInfo
    return {
      mqttUrl: `mqtt://127.0.0.1:${this.#port}`,
      credentials: this.#world.devices.map(({ id }) => ({ client_id: id, username: id, password: PASSWORD })),
      ledger: { httpUrl: `http://127.0.0.1:${port}`, token: TOKEN },
    }
  }

  /** Listens, on the same port as before. */
  async listen(): Promise<void> {
    const aedes = await Aedes.createBroker()
    this.#aedes = aedes
    aedes.authenticate = (_client, _username, password, done) => done(null, password?.toString() === PASSWORD)
    aedes.authorizePublish = (client, packet, done) => {
      const { topic, payload, dup } = packet
      this.arrivals.push({ topic, payload: payload.toString(), dup })
      if (client !== null && topic.endsWith('/sale')) this.#accept(client, Buffer.from(payload), done)
      else done()
    }
    aedes.on('subscribe', () => this.#deliver())
    this.#server = createServer((socket) => aedes.handle(socket))
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Gone, with every connection. */
  async stop(): Promise<void> {
    const closed = this.#server?.listening ? once(this.#server.close(), 'close') : null
    await new Promise<void>((resolve) => this.#aedes?.close(() => resolve()))
    await closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.stop(), once(this.#http.close(), 'close')])
  }

  #accept(client: Client, payload: Buffer, done: (error?: Error | null) => void): void {
    const mishap = this.#mishap(++this.#sales)
    if (mishap === 'cut_before_commit') {
      done(new Error('cut'))
      return
    }
    const answers = this.hub.accept(client.id, payload)
    if (mishap !== 'receipt_lost') this.#outbox.push(...answers)
    if (mishap === 'cut_after_commit') {
      done(new Error('cut'))
      return
    }
    done()
    this.#deliver()
  }

  #deliver(): void {
    for (const answer of this.#outbox.splice(0)) {
      const { device, receipt } = answer
      if (!this.#isListening(device)) {
        this.#outbox.push(answer)
        continue
      }
      const payload = JSON.stringify(receipt)
      const topic = `hub/v1/${device}/receipt`
      this.#aedes?.publish({ cmd: 'publish', topic, payload, qos: 1, retain: false, dup: false }, () => {})
    }
  }

  #isListening(device: string): boolean {
    const clients = (this.#aedes as unknown as { clients: Record<string, { subscriptions: object }> }).clients
    return Object.keys(clients[device]?.subscriptions ?? {}).length > 0
  }

  #page({ searchParams }: URL): { items: LedgerEntry[]; next: string | null } {
    const from = Number(searchParams.get('after') ?? 0)
    const until = from + Number(searchParams.get('limit'))
    const { ledger } = this.hub
    return { items: ledger.slice(from, until), next: until < ledger.length ? String(until) : null }
  }
}
