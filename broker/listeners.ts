/**
 * The doors: plain TCP, TLS, and WebSocket upgrades handed over by the HTTP server. How many may be inside, and how many
 * of one address before they have logged in, is decided here, before anything is read.
 */
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { createWebSocketStream, WebSocketServer } from 'ws'
import type { BrokerAddresses } from './broker.ts'
import type { Limits } from './limits.ts'
import type { RefusalReason } from './refusal.ts'

export interface TlsFiles {
  readonly port: number
  /** Paths of PEM files. */
  readonly cert: string
  readonly key: string
  /** Who signs client certificates; null: none are asked for. */
  readonly ca: string | null
}

export interface Entrance {
  readonly stream: Duplex
  readonly address: string
  /** Common name of a verified client certificate. */
  readonly certificateName: string | null
  /** To be called once it has logged in. */
  loggedIn(): void
}

export interface Listeners {
  readonly addresses: BrokerAddresses
  acceptWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Refuses whoever comes from now on. */
  stop(): void
}

/** Peers that vanished without a word are noticed by TCP, below MQTT's keep alive. */
const TCP_KEEP_ALIVE_MS = 60_000

/** One WebSocket frame; an MQTT packet may take several [MQTT-6.0.0-2]. */
const FRAME_BYTES_MAX = 128 * 1024

export async function openListeners(options: {
  host: string
  port: number | null
  tls: TlsFiles | null
  limits: Limits
  count: (reason: RefusalReason) => void
  enter: (entrance: Entrance) => void
  /** A listener had a connection it could not accept; it goes on listening. */
  failed: (error: Error) => void
}): Promise<Listeners> {
  const { host, limits, count, enter } = options
  const door = new Door(limits)
  let stopped = false

  /** Null: turned away. */
  const admit = (stream: Duplex, address: string): Ticket | null => {
    const ticket = stopped ? null : door.admit(address)
    if (ticket === null) {
      if (!stopped) count('too_many_connections')
      stream.destroy()
      return null
    }
    stream.once('close', () => ticket.leave())
    return ticket
  }

  const plain = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEP_ALIVE_MS })
  plain.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? ''
    const ticket = admit(socket, address)
    if (ticket === null) return
    enter({ stream: socket, address, certificateName: null, loggedIn: () => ticket.loggedIn() })
  })

  const tls = options.tls === null ? null : openTls(options.tls, limits)
  if (tls !== null) {
    // A ticket is for the TCP connection, so that handshakes count; the TLS socket on top has the same remote end.
    const tickets = new Map<string, Ticket>()
    const remote = (socket: Socket) => `${socket.remoteAddress} ${socket.remotePort}`
    tls.on('connection', (socket: Socket) => {
      const ticket = admit(socket, socket.remoteAddress ?? '')
      if (ticket === null) return
      const key = remote(socket)
      tickets.set(key, ticket)
      socket.once('close', () => tickets.delete(key))
    })
    tls.on('tlsClientError', (error: Error & { code?: string }, socket) => {
      count(error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? 'connect_timeout' : 'protocol')
      socket.destroy() // Node reports a handshake that takes too long, and leaves the rest to who listens
    })
    tls.on('secureConnection', (socket: TLSSocket) => {
      const ticket = tickets.get(remote(socket))
      if (ticket === undefined) {
        socket.destroy()
        return
      }
      const address = socket.remoteAddress ?? ''
      const certificateName = certificateNameOf(socket)
      enter({ stream: socket, address, certificateName, loggedIn: () => ticket.loggedIn() })
    })
  }

  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
    handleProtocols: (offered) => [...SUBPROTOCOLS].find((name) => offered.has(name)) ?? false,
  })

  const stop = () => {
    stopped = true
    plain.close()
    tls?.close()
  }
  let addresses: BrokerAddresses
  try {
    addresses = {
      plainPort: options.port === null ? null : await listen(plain, host, options.port),
      tlsPort: tls === null || options.tls === null ? null : await listen(tls, host, options.tls.port),
    }
  } catch (error) {
    stop()
    throw error
  }

  plain.on('error', options.failed)
  tls?.on('error', options.failed)

  return {
    addresses,
    stop,

    acceptWebSocket(request, socket, head) {
      socket.on('error', () => {}) // the HTTP server has let go of it
      const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
      if (!offered.some((name) => SUBPROTOCOLS.has(name))) {
        socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n') // [MQTT-6.0.0-3]
        return
      }
      const address = request.socket.remoteAddress ?? ''
      const ticket = admit(socket, address)
      if (ticket === null) return
      webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        webSocket.on('message', (_data, isBinary) => {
          if (!isBinary) webSocket.terminate() // [MQTT-6.0.0-1]
        })
        const stream = createWebSocketStream(webSocket)
        enter({ stream, address, certificateName: null, loggedIn: () => ticket.loggedIn() })
      })
    },
  }
}

/** `mqttv3.1` is what clients of MQTT 3.1 offer. */
const SUBPROTOCOLS: ReadonlySet<string> = new Set(['mqtt', 'mqttv3.1'])

function openTls({ cert, key, ca }: TlsFiles, limits: Limits) {
  return createTlsServer({
    cert: readFileSync(cert),
    key: readFileSync(key),
    ca: ca === null ? undefined : readFileSync(ca),
    requestCert: ca !== null,
    // Without a (valid) certificate a client may still have a password.
    rejectUnauthorized: false,
    handshakeTimeout: limits.connectTimeoutMs,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
  })
}

function certificateNameOf(socket: TLSSocket): string | null {
  if (!socket.authorized) return null
  const name = socket.getPeerCertificate().subject?.CN
  return typeof name === 'string' ? name : null
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, backlog: BACKLOG }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return (server.address() as AddressInfo).port
}

/** A fleet that reconnects at once waits in the kernel rather than being turned away; the kernel has its own bound. */
const BACKLOG = 4_096

interface Ticket {
  loggedIn(): void
  leave(): void
}

/** Counts who is inside, and who of each address has not logged in. */
class Door {
  readonly #limits: Limits
  #inside = 0
  readonly #strangers = new Map<string, number>()

  constructor(limits: Limits) {
    this.#limits = limits
  }

  admit(address: string): Ticket | null {
    const strangers = this.#strangers.get(address) ?? 0
    if (this.#inside >= this.#limits.connections) return null
    if (strangers >= this.#limits.unauthenticatedPerAddress) return null
    this.#inside++
    this.#strangers.set(address, strangers + 1)
    let stranger = true
    const loggedIn = () => {
      if (!stranger) return
      stranger = false
      const left = (this.#strangers.get(address) ?? 1) - 1
      if (left === 0) this.#strangers.delete(address)
      else this.#strangers.set(address, left)
    }
    return {
      loggedIn,
      leave: () => {
        loggedIn()
        this.#inside--
      },
    }
  }
}
