/**
 * What the broker's tests share: a broker on a free port with a fake gateway behind it, a bare Aedes to show that a test
 * sees the fault it is about, and clients that say exactly the bytes they are told to.
 */
import { createServer, connect as openSocket, type Socket } from 'node:net'
import { Aedes, type AedesOptions } from 'aedes'
import {
  generate,
  type IConnackPacket,
  type IConnectPacket,
  type IPublishPacket,
  type ISubackPacket,
  type Packet,
  parser,
} from 'mqtt-packet'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { BrokerHandlers, Message } from '../../broker/broker.ts'
import { type EmbeddedBroker, type EmbeddedBrokerOptions, openEmbeddedBroker } from '../../broker/embedded.ts'
import { authenticate, PASSWORD } from './authenticate.ts'

export { authenticate, PASSWORD }

export const DEVICE = 'JKT-01/POS-1'
export const OTHER_DEVICE = 'SBY-02/POS-9'
/** The topics of `DEVICE`. */
export const SALE = `hub/v1/${DEVICE}/sale`
export const HEALTH = `hub/v1/${DEVICE}/health`
export const RECEIPT = `hub/v1/${DEVICE}/receipt`
export const COMMAND = `hub/v1/${DEVICE}/command`

export interface TestBroker {
  readonly broker: EmbeddedBroker
  readonly port: number
  /** What the gateway was handed, and which mailboxes it heard of, in order. */
  readonly accepted: Message[]
  readonly listening: string[]
}

/** Closed when the test is finished. */
export async function openBroker(
  options: Partial<BrokerHandlers> & Partial<Pick<EmbeddedBrokerOptions, 'limits' | 'tls'>> = {},
): Promise<TestBroker> {
  const accepted: Message[] = []
  const listening: string[] = []
  const broker = await openEmbeddedBroker({
    host: '127.0.0.1',
    port: 0,
    tls: null,
    log: pino({ enabled: false }),
    authenticate,
    ...options,
    // A test may end with messages in its gateway's hands.
    limits: { closeTimeoutMs: 100, ...options.limits },
    accept: (message) => {
      accepted.push(message)
      return options.accept === undefined ? Promise.resolve() : options.accept(message)
    },
    listening: (topic) => {
      listening.push(topic)
      options.listening?.(topic)
    },
  })
  onTestFinished(() => broker.close())
  return { broker, port: broker.addresses.plainPort as number, accepted, listening }
}

/** Aedes with nothing around it. */
export async function openBareAedes(options: AedesOptions = {}): Promise<{ aedes: Aedes; port: number }> {
  const aedes = await Aedes.createBroker(options)
  const server = createServer(aedes.handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.close()
    await new Promise<void>((resolve) => aedes.close(resolve))
  })
  return { aedes, port: (server.address() as { port: number }).port }
}

/** A TCP connection that speaks MQTT packet by packet, or byte by byte. */
export class RawClient {
  readonly socket: Socket
  /** Resolves when the connection is closed, with what had come and nobody asked for. */
  readonly closed: Promise<Packet[]>
  /** Everything that came, for counting. */
  readonly seen: Packet[] = []
  readonly #packets: Packet[] = []
  #arrived: (() => void) | null = null
  #isClosed = false

  constructor(socket: Socket) {
    this.socket = socket
    const incoming = parser({ protocolVersion: 4 })
    incoming.on('packet', (packet) => {
      this.seen.push(packet)
      this.#packets.push(packet)
      this.#arrived?.()
    })
    socket.on('data', (bytes) => incoming.parse(bytes as Buffer))
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#isClosed = true
        this.#arrived?.()
        resolve(this.#packets)
      })
    })
  }

  static async open(port: number): Promise<RawClient> {
    const socket = openSocket({ host: '127.0.0.1', port, noDelay: true })
    onTestFinished(() => {
      socket.destroy()
    })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawClient(socket)
  }

  send(...packets: (Packet | Buffer | number[])[]): void {
    this.socket.write(
      Buffer.concat(
        packets.map((packet) => {
          if (Array.isArray(packet)) return Buffer.from(packet)
          return Buffer.isBuffer(packet) ? packet : generate(packet)
        }),
      ),
    )
  }

  /** The next packet, which must be of that kind. */
  async next<Cmd extends Packet['cmd']>(cmd: Cmd): Promise<Extract<Packet, { cmd: Cmd }>> {
    while (this.#packets.length === 0) {
      if (this.#isClosed) throw new Error(`closed while waiting for ${cmd}`)
      await new Promise<void>((resolve) => {
        this.#arrived = resolve
      })
    }
    const packet = this.#packets.shift() as Packet
    if (packet.cmd !== cmd) throw new Error(`expected ${cmd}, got ${JSON.stringify(packet)}`)
    return packet as Extract<Packet, { cmd: Cmd }>
  }

  async connect(options: Partial<IConnectPacket>): Promise<IConnackPacket> {
    this.send(connectPacket(options))
    return this.next('connack')
  }

  publish(topic: string, payload: string | Buffer, options: Partial<IPublishPacket> = {}): void {
    this.send({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false, ...options })
  }

  /** @returns the granted QoS of each, 128 for refused */
  async subscribe(...filters: [filter: string, qos: 0 | 1 | 2][]): Promise<ISubackPacket['granted']> {
    const subscriptions = filters.map(([topic, qos]) => ({ topic, qos }))
    this.send({ cmd: 'subscribe', messageId: 1, subscriptions })
    return (await this.next('suback')).granted
  }

  /** The next message, acknowledged as its QoS asks. */
  async message(): Promise<IPublishPacket> {
    const message = await this.next('publish')
    if (message.qos === 1) this.send({ cmd: 'puback', messageId: message.messageId })
    if (message.qos === 2) {
      this.send({ cmd: 'pubrec', messageId: message.messageId })
      await this.next('pubrel')
      this.send({ cmd: 'pubcomp', messageId: message.messageId })
    }
    return message
  }

  /** Answered once all before it was dealt with: a broker works off one connection's packets in order. */
  async ping(): Promise<void> {
    this.send({ cmd: 'pingreq' })
    await this.next('pingresp')
  }

  /** Leaves as MQTT wants it. */
  async disconnect(): Promise<void> {
    this.send({ cmd: 'disconnect' })
    await this.closed
  }

  /** Leaves as a device does that lost its network. */
  async vanish(): Promise<void> {
    this.socket.destroy()
    await this.closed
  }
}

export function connectPacket(options: Partial<IConnectPacket>): IConnectPacket {
  return { cmd: 'connect', clientId: '', clean: true, keepalive: 0, ...options }
}

export const deviceLogin = (id: string = DEVICE): Partial<IConnectPacket> => ({
  clientId: id,
  username: id,
  password: Buffer.from(PASSWORD),
})

export const apiLogin = (role: string, clientId = ''): Partial<IConnectPacket> => ({
  clientId,
  username: 'api',
  password: Buffer.from(role),
})

async function connected(port: number, options: Partial<IConnectPacket>): Promise<RawClient> {
  const client = await RawClient.open(port)
  const { returnCode } = await client.connect(options)
  if (returnCode !== 0) throw new Error(`CONNACK ${returnCode}`)
  return client
}

export const connectDevice = (
  port: number,
  id: string = DEVICE,
  options: Partial<IConnectPacket> = {},
): Promise<RawClient> => connected(port, { ...deviceLogin(id), ...options })

export const connectApi = (
  port: number,
  role: string,
  options: Partial<IConnectPacket> = {},
): Promise<RawClient> => connected(port, { ...apiLogin(role, options.clientId), ...options })

/** A promise to be settled from outside. */
export function deferred<Value = void>(): {
  promise: Promise<Value>
  resolve: (value: Value) => void
  reject: (error: Error) => void
} {
  return Promise.withResolvers<Value>()
}
