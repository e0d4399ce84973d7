/**
 * The embedded broker: Aedes behind the broker port. Aedes speaks MQTT with what comes in (connecting, keep alive, wills,
 * subscribing, acknowledging); this file answers its questions, and each answer has a file of its own:
 *
 *   listeners.ts      who gets as far as a socket
 *   read-gate.ts      when sockets are read
 *   short-way.ts      PUBLISH and PUBACK of devices, past Aedes
 *   packet-guard.ts   which packets reach Aedes at all
 *   connect-rules.ts  what a CONNECT must look like
 *   logins.ts         who a client is, and what happens to the one that was there before
 *   access.ts         who may do what
 *   acknowledge.ts    when a message is acknowledged
 *   subscriptions.ts  what a subscription leads to:
 *   mailboxes.ts      what the hub sends to one client
 *   fan-out.ts        what one client publishes to others; subscriber.ts, what each of them still has to get
 *   sessions.ts       what is remembered of a client that is away
 *   limits.ts         how much of everything
 */
import type { IncomingMessage } from 'node:http'
import { type Duplex, duplexPair } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { Aedes, type Client, type ConnectPacket, type PublishPacket, type Subscription } from 'aedes'
import type { Logger } from 'pino'
import { ROOT } from '../gateway/contract/topics.ts'
import { Acknowledger, SenderQueue } from './acknowledge.ts'
import { isWill, pause, readOn, readWhole, reasonOf, resume } from './aedes-internals.ts'
import type { Broker, BrokerHandlers, BrokerStats, Message } from './broker.ts'
import { checkConnect } from './connect-rules.ts'
import { type Connection, closeFlushed, type Login } from './connection.ts'
import { FanOut } from './fan-out.ts'
import { gatherWrites } from './gather-writes.ts'
import { LIMITS, type Limits } from './limits.ts'
import { type Entrance, openListeners, type TlsFiles } from './listeners.ts'
import { Logins } from './logins.ts'
import { Mailboxes } from './mailboxes.ts'
import { guardPackets } from './packet-guard.ts'
import { ReadGate } from './read-gate.ts'
import { CONNACK, ConnectRefusal, Refusal, type RefusalReason } from './refusal.ts'
import { persistenceOf, Sessions } from './sessions.ts'
import { encodePuback, openShortWay, type ShortWay } from './short-way.ts'
import { SocketWriter } from './socket-writer.ts'
import { Subscriptions } from './subscriptions.ts'
import { isFilter, isTopic } from './topic-filters.ts'

export interface EmbeddedBrokerOptions extends BrokerHandlers {
  readonly host: string
  /** Of the plain listener; 0: chosen by the system, null: none. */
  readonly port: number | null
  readonly tls: TlsFiles | null
  readonly log: Pick<Logger, 'info' | 'error'>
  /** Instead of some of `LIMITS`, for tests. */
  readonly limits?: Partial<Limits>
}

export interface EmbeddedBroker extends Broker {
  /** For an HTTP server's `upgrade` event. */
  acceptWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** The client's end of a connection within this process; it speaks MQTT and logs in like any other. */
  connectLocal(): Duplex
}

/** Below it lies what the gateway takes in; all else is passed on to subscribers and nothing more. */
const INTAKE = `${ROOT.slice(0, ROOT.indexOf('/'))}/`

/** The variable header of a PUBLISH: two bytes of length, a topic, a packet identifier; no topic here is longer. */
const PUBLISH_HEADER_BYTES = 1_024

/** @throws when a port is taken or a TLS file cannot be read */
export async function openEmbeddedBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  const { log } = options
  const limits: Limits = Object.freeze({ ...LIMITS, ...options.limits })
  const stats: BrokerStats = { connections: 0, pending: 0, received: 0, acknowledged: 0, refused: new Map() }
  const count = (reason: RefusalReason) => {
    stats.refused.set(reason, (stats.refused.get(reason) ?? 0) + 1)
  }

  const connections = new Map<Client, Connection>()
  const mailboxes = new Mailboxes()
  const fanOut = new FanOut(limits, count)
  const sessions = new Sessions(fanOut, limits)
  const logins = new Logins({
    authenticate: (credentials) => options.authenticate(credentials),
    sessions,
    limits,
    count,
  })
  const subscriptions = new Subscriptions({ fanOut, mailboxes, limits, listening })
  const acknowledger = new Acknowledger({
    accept: (message) => options.accept(message),
    stats,
    count,
    limits,
    settled: () => gate.check(),
  })
  const gate = new ReadGate<Client>({ isFull: () => stats.pending >= limits.messagesInHand, readOn })
  let closing = false
  let closed: Promise<void> | null = null

  const aedes = await Aedes.createBroker({
    mq: fanOut.emitter,
    persistence: persistenceOf(sessions, fanOut, acknowledged, received),
    connectTimeout: limits.connectTimeoutMs,
    drainTimeout: limits.drainTimeoutMs,
    queueLimit: limits.packetsBeforeConnack,
    preConnect,
    authenticate: logIn,
    authorizePublish,
    authorizeSubscribe,
  })

  aedes.on('clientReady', ready)
  aedes.on('subscribe', subscribed)
  aedes.on('unsubscribe', unsubscribed)
  aedes.on('clientError', failed)
  aedes.on('connectionError', failed)
  const logError = (error: Error) => log.error({ err: error }, 'broker error')
  // Without a listener an error inside Aedes would end the process; its types do not know the event.
  aedes.on('error' as 'closed', logError as () => void)

  const opening = openListeners({ ...options, limits, count, enter, failed: logError })
  opening.catch(stopAedes)
  const listeners = await opening

  return {
    addresses: listeners.addresses,
    stats,
    acceptWebSocket: listeners.acceptWebSocket,
    connectLocal() {
      const [ours, theirs] = duplexPair()
      // Unlike a socket's, one end of a pair does not hear when the other is destroyed.
      ours.once('close', () => theirs.destroy())
      theirs.once('close', () => ours.destroy())
      enter({ stream: ours, address: 'local', certificateName: null, loggedIn: () => {} })
      return theirs
    },
    isConnected: (clientId) => logins.has(clientId),
    deliver: (topic, payload) => mailboxes.deliver(topic, payload),
    publish: (topic, payload) => fanOut.publish(topic, payload, 0),
    hasListeners: (topic) => fanOut.hasListeners(topic),
    close() {
      closed ??= close()
      return closed
    },
  }

  function enter(entrance: Entrance): void {
    const { stream } = entrance
    readWhole(stream, () => gate.ask(client))
    gatherWrites(stream)
    const client = aedes.handle(stream)
    const connection: Connection = {
      client,
      entrance,
      closed: new Promise((resolve) => stream.once('close', resolve)),
      queue: new SenderQueue({
        pause: () => pause(client),
        resume: () => {
          if (!closing) resume(client)
        },
      }),
      connect: null,
      login: null,
      shortWay: null,
    }
    connections.set(client, connection)
    stats.connections++
    stream.once('close', () => left(connection))
    guardPackets(client, (cmd) =>
      cmd === 'publish'
        ? (connection.login?.rights.payloadBytesMax ?? 0) + PUBLISH_HEADER_BYTES
        : limits.controlPacketBytes,
    )
    openShortWay(client, () => connection.shortWay)
  }

  function left(connection: Connection): void {
    connections.delete(connection.client)
    gate.forget(connection.client)
    connection.shortWay = null
    stats.connections--
    acknowledger.drop(connection.queue)
    gate.check()
    if (connection.login === null) return
    subscriptions.left(connection.login)
    logins.left(connection, connection.login)
  }

  function preConnect(
    client: Client,
    packet: ConnectPacket,
    done: (error: Error | null, go: boolean) => void,
  ): void {
    const connection = connections.get(client)
    if (connection === undefined || closing) {
      done(new Refusal('unavailable', 'closing'), false)
      return
    }
    connection.connect = packet
    const refusal = checkConnect(packet)
    if (refusal instanceof ConnectRefusal) {
      refused(connection, refusal)
      const { conn } = client
      conn.end(Buffer.from([CONNACK, 2, 0, refusal.returnCode]), () => conn.destroy())
      done(null, false)
      return
    }
    // Aedes would refuse what is above its own limit, with a return code that MQTT 3.1.1 does not know.
    const { keepAliveSeconds } = limits
    packet.keepalive = Math.min(packet.keepalive || keepAliveSeconds, keepAliveSeconds)
    done(refusal, refusal === null)
  }

  function logIn(
    client: Client,
    username: string | undefined,
    password: Buffer | undefined,
    done: (error: ConnectRefusal | null, success: boolean) => void,
  ): void {
    const connection = connections.get(client)
    if (connection === undefined) {
      done(new ConnectRefusal('unavailable', 'connection lost'), false)
      return
    }
    logins.logIn(connection, username ?? null, password ?? null).then(
      () => done(null, true),
      (error: Error) => {
        const unknown = () => new ConnectRefusal('unavailable', 'cannot tell who this is', { cause: error })
        done(error instanceof ConnectRefusal ? error : unknown(), false)
      },
    )
  }

  /** After the CONNACK, and before what came behind the CONNECT is handled. */
  function ready(client: Client): void {
    const connection = connections.get(client)
    if (!connection?.login) return
    const { login } = connection
    login.session.subscriber?.attach(client)
    subscriptions.restored(login)
    if (login.principal.kind === 'device') {
      client.once('connected', () => {
        if (connections.has(client)) connection.shortWay = shortWayOf(connection, login)
      })
    }
  }

  function shortWayOf(connection: Connection, login: Login): ShortWay {
    const { client, queue } = connection
    const { principal, rights, window } = login
    const writer = new SocketWriter(client, () => {})
    return {
      takes: (topic) => topic.startsWith(INTAKE) && rights.may('publish', topic),
      payloadBytesMax: rights.payloadBytesMax,
      publish(topic, payload, id) {
        stats.received++
        acknowledger.push(queue, { topic, payload, sender: principal }, (error) => {
          if (error) {
            client.emit('error', error)
            return
          }
          if (!client.closed) writer.write(encodePuback(id))
          fanOut.publish(topic, payload, 1)
        })
      },
      acknowledged: (id) => window?.acknowledged(id),
    }
  }

  function authorizePublish(
    client: Client | null,
    packet: PublishPacket,
    done: (error?: Error | null) => void,
  ): void {
    const connection = client === null ? undefined : connections.get(client)
    const will = client !== null && isWill(client, packet)
    const refusal = checkPublish(connection, packet, will)
    if (refusal !== null || !connection?.login) {
      done(refusal)
      return
    }
    stats.received++
    const { topic, payload } = packet
    if (!topic.startsWith(INTAKE)) {
      stats.acknowledged++
      done()
      return
    }
    const message: Message = { topic, payload: payload as Buffer, sender: connection.login.principal }
    // A will has no connection any more to be acknowledged on, nor to be in order with.
    acknowledger.push(will ? new SenderQueue(null) : connection.queue, message, done)
  }

  function checkPublish(
    connection: Connection | undefined,
    { topic, payload, retain }: PublishPacket,
    will: boolean,
  ): Refusal | null {
    if (!connection?.login) return new Refusal('not_allowed', 'publish by nobody')
    if (will && closing) return new Refusal('unavailable', 'the hub stops; its clients are not lost')
    const { rights } = connection.login
    if (!rights.may(will ? 'will' : 'publish', topic)) {
      return new Refusal('not_allowed', `publish on ${topic} is not allowed`)
    }
    // A topic that the table names has been looked at by whoever wrote the table.
    if (!topic.startsWith(INTAKE) && !isTopic(topic)) {
      return new Refusal('protocol', 'topic has control characters or is no UTF-8')
    }
    if (retain && !rights.retain) {
      return new Refusal('not_allowed', `a retained message on ${topic} is not allowed`)
    }
    if (payload.length > rights.payloadBytesMax) {
      return new Refusal('packet_too_large', `payload of ${payload.length} bytes`)
    }
    return null
  }

  function authorizeSubscribe(
    client: Client,
    subscription: Subscription,
    done: (error: Error | null, subscription?: Subscription | null) => void,
  ): void {
    const login = connections.get(client)?.login
    const { topic: filter, qos } = subscription
    if (!login || !isFilter(filter)) {
      done(new Refusal('protocol', 'subscription to what is no filter'))
      return
    }
    const reason = subscriptions.add(login, filter, qos)
    if (reason !== null) count(reason)
    done(null, reason === null ? subscription : null) // null: answered with 0x80
  }

  /** After the SUBACK; a QoS of 128 means refused. */
  function subscribed(answered: Subscription[], client: Client): void {
    const login = connections.get(client)?.login
    if (!login) return
    const granted = answered.filter(({ qos }) => qos <= 2)
    subscriptions.granted(login, granted)
  }

  function unsubscribed(filters: string[], client: Client): void {
    const login = connections.get(client)?.login
    if (login) subscriptions.removed(login, filters)
  }

  /** PUBACK, PUBCOMP. */
  function acknowledged(client: Client, id: number): void {
    const login = connections.get(client)?.login
    if (!login) return
    if (login.window !== null) login.window.acknowledged(id)
    else login.session.subscriber?.acknowledged(id)
  }

  /** PUBREC. */
  function received(client: Client, id: number): void {
    connections.get(client)?.login?.session.subscriber?.received(id)
  }

  function listening(topic: string): void {
    try {
      options.listening(topic)
    } catch (error) {
      log.error({ err: error, topic }, 'what waits for a mailbox could not be looked for')
    }
  }

  /** Aedes drops a connection. */
  function failed(client: Client, error: Error): void {
    const connection = connections.get(client)
    if (connection === undefined || closing) return
    const reason = error instanceof Refusal ? error.reason : reasonOf(error)
    if (reason === null) return
    refused(connection, error instanceof Refusal ? error : new Refusal(reason, error.message))
  }

  function refused({ client, entrance, connect }: Connection, { reason, message, cause }: Refusal): void {
    count(reason)
    const { address } = entrance
    log.info({ client: client.id ?? connect?.clientId, address, reason, cause }, message)
  }

  async function close(): Promise<void> {
    closing = true
    listeners.stop()
    for (const { client } of connections.values()) pause(client)
    await Promise.race([acknowledger.idle(), delay(limits.closeTimeoutMs, null, { ref: false })])
    await Promise.all([...connections.values()].map(closeFlushed))
    await stopAedes()
  }

  async function stopAedes(): Promise<void> {
    acknowledger.close()
    await new Promise<void>((resolve) => aedes.close(resolve))
  }
}
