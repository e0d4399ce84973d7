/**
 * A TCP proxy that behaves like a bad network, between a client and a server on this machine. Faults:
 *
 *   pass         as if it were not there
 *   refuse       nobody listens; the connections there were are reset
 *   blackhole    connections are accepted and stay open, and nothing goes through, until it passes again
 *   delay        everything, either way, is late by at least the time given
 *   cut          the connections there are, are reset; new ones pass
 *   loseReply    the server gets the request and does the work; its client never hears, and is reset
 */
import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from './ports.ts'

/** Which replies are lost: those to a request, and like a reply. Looked for in one read of the socket, as latin1. */
export interface LostReply {
  readonly request?: RegExp
  readonly reply?: RegExp
}

interface Link {
  readonly client: Socket
  readonly upstream: Socket
  /** It has sent what `loseReply` waits for. */
  asked: boolean
}

const OPEN = Promise.resolve()

export class FaultProxy implements AsyncDisposable {
  readonly port: number
  readonly #upstreamPort: number
  readonly #links = new Set<Link>()
  #listener: Server | null = null
  #delayMs = 0
  /** Resolves when the black hole lets through again. */
  #gate: { promise: Promise<void>; resolve: () => void } = { promise: OPEN, resolve: () => {} }
  #losing: (Required<LostReply> & { lost: () => void }) | null = null

  private constructor(port: number, upstreamPort: number) {
    this.port = port
    this.#upstreamPort = upstreamPort
  }

  /** In front of `127.0.0.1:upstreamPort`, passing. The server need not run yet. */
  static async start(upstreamPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(await freePort(), upstreamPort)
    await proxy.pass()
    return proxy
  }

  async pass(): Promise<void> {
    this.#delayMs = 0
    this.#losing = null
    this.#gate.resolve()
    this.#gate = { promise: OPEN, resolve: () => {} }
    await this.#listen()
  }

  async refuse(): Promise<void> {
    const listener = this.#listener
    this.#listener = null
    this.cut()
    if (listener === null) return
    const closed = once(listener, 'close')
    listener.close()
    await closed
  }

  async blackhole(): Promise<void> {
    await this.pass()
    this.#gate = Promise.withResolvers<void>()
  }

  async delay(delayMs: number): Promise<void> {
    await this.pass()
    this.#delayMs = delayMs
  }

  cut(): void {
    for (const { client } of this.#links) client.resetAndDestroy()
  }

  /** Arms it once; resolves when a reply was lost, and passes from then on. */
  async loseReply({ request = /^/, reply = /^/ }: LostReply = {}): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    for (const link of this.#links) link.asked = false
    this.#losing = { request, reply, lost: resolve }
    await promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.refuse()
    this.#gate.resolve()
    for (const { upstream } of this.#links) upstream.destroy()
  }

  async #listen(): Promise<void> {
    if (this.#listener !== null) return
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#connect(client))
    listener.listen(this.port, '127.0.0.1')
    await once(listener, 'listening')
    this.#listener = listener
  }

  #connect(client: Socket): void {
    const upstream = createConnection({
      port: this.#upstreamPort,
      host: '127.0.0.1',
      allowHalfOpen: true,
      noDelay: true,
    })
    const link: Link = { client, upstream, asked: false }
    this.#links.add(link)
    upstream.once('close', () => this.#links.delete(link))
    void this.#requests(link)
    void this.#replies(link)
  }

  async #requests(link: Link): Promise<void> {
    const { client, upstream } = link
    try {
      for await (const chunk of client) {
        await this.#fault()
        if (this.#losing?.request.test(latin1(chunk))) link.asked = true
        await write(upstream, chunk)
      }
    } catch {
      // The client is gone; what it sent before is still the server's to do.
    }
    // Ended, never reset: with a reset the server would lose what it has not read yet.
    upstream.end()
  }

  async #replies(link: Link): Promise<void> {
    const { client, upstream } = link
    try {
      for await (const chunk of upstream) {
        await this.#fault()
        if (link.asked && this.#losing?.reply.test(latin1(chunk))) {
          client.resetAndDestroy()
          this.#losing.lost()
          this.#losing = null
        }
        await write(client, chunk)
      }
      client.end()
    } catch {
      // A server that is away, or goes away, is a connection reset to the client.
      client.resetAndDestroy()
    }
  }

  async #fault(): Promise<void> {
    await this.#gate.promise
    if (this.#delayMs > 0) await delay(this.#delayMs)
  }
}

const latin1 = (chunk: Buffer): string => chunk.toString('latin1')

/** Waits while the receiver is slow; what goes to one that is gone is dropped. */
async function write(socket: Socket, chunk: Buffer): Promise<void> {
  if (socket.destroyed || socket.write(chunk)) return
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.once('drain', resolve)
  socket.once('close', resolve)
  await promise
  socket.off('drain', resolve)
  socket.off('close', resolve)
}
