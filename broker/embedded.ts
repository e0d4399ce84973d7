/**
 * The embedded broker: Aedes behind the broker port. Aedes speaks MQTT with what comes in (connecting, keep alive, wills,
 * subscribing, acknowledging); this file answers its questions, and each answer has a file of its own:
 *
 *   listeners.ts      who gets as far as a socket
 *   packet-guard.ts   which packets reach Aedes at all
 *   connect-rules.ts  what a CONNECT must look like
 *   access.ts         who may do what
 *   acknowledge.ts    when a message is acknowledged
 *   mailboxes.ts      what the hub sends to one client
 *   fan-out.ts        what one client publishes to others; subscriber.ts, what each of them still has to get
 *   sessions.ts       what is remembered of a client that is away
 *   limits.ts         how much of everything
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { Aedes, type Client, type ConnectPacket, type PublishPacket, type Subscription } from 'aedes'
import type { Logger } from 'pino'
import { ROOT } from '../gateway/contract/topics.ts'
import { checkLogin, type Rights, rightsOf } from './access.ts'
import { Acknowledger, SenderQueue } from './acknowledge.ts'
import { isWill, pause, readWhole, reasonOf, resume } from './aedes-internals.ts'
import type { Broker, BrokerHandlers, BrokerStats, Credentials, Message, Principal } from './broker.ts'
import { checkConnect } from './connect-rules.ts'
import { FanOut } from './fan-out.ts'
import { LIMITS, type Limits } from './limits.ts'
import { type Entrance, openListeners, type TlsFiles } from './listeners.ts'
import { Mailboxes, MailboxWindow } from './mailboxes.ts'
import { guardPackets } from './packet-guard.ts'
import { ConnectRefusal, Refusal, type RefusalReason } from './refusal.ts'
import { persistenceOf, type Session, Sessions } from './sessions.ts'
import type { Qos } from './socket-writer.ts'
import { Subscriber } from './subscriber.ts'
import { isFilter, isTopic, matches } from './topic-filters.ts'

export interface EmbeddedBrokerOptions extends BrokerHandlers {
  readonly host: string
  /** Of the plain listener; 0: chosen by the system, null: none. */
  readonly port: number | null
  readonly tls: TlsFiles | null
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Instead of some of `LIMITS`, for tests. */
  readonly limits?: Partial<Limits>
}

export interface EmbeddedBroker extends Broker {
  /** For an HTTP server's `upgrade` event. */
  acceptWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** One client, from its socket to its end. */
interface Connection {
  readonly client: Client
  readonly entrance: Entrance
  /** Resolves when its socket is closed. */
  readonly closed: Promise<void>
  readonly queue: SenderQueue
  connect: ConnectPacket | null
  login: Login | null
}

/** Who a connection is, once that is known. */
interface Login {
  readonly principal: Principal
  readonly rights: Rights
  readonly session: Session
  /** Null for who has no mailbox. */
  readonly window: MailboxWindow | null
}

/** Below it lies what the gateway takes in; all else is passed on to subscribers and nothing more. */
const INTAKE = `${ROOT.slice(0, ROOT.indexOf('/'))}/`

/** @throws when a port is taken or a TLS file cannot be read */
export async function openEmbeddedBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  const { log } = options
  const limits: Limits = Object.freeze({ ...LIMITS, ...options.limits })
  const stats: BrokerStats = { connections: 0, pending: 0, received: 0, acknowledged: 0, refused: new Map() }
  const count = (reason: RefusalReason) => {
    stats.refused.set(reason, (stats.refused.get(reason) ?? 0) + 1)
  }

  const connections = new Map<Client, Connection>()
  /** By client id, from logging in on: at most one each. */
  const loggedIn = new Map<string, Connection>()
  const mailboxes = new Mailboxes()
  const fanOut = new FanOut(limits, count)
  const offlineBudget = { bytesLeft: limits.offlineBytes }
  const sessions = new Sessions(fanOut, limits)
  const acknowledger = new Acknowledger({ accept: options.accept, stats, count, limits })
  let closing = false
  let closed: Promise<void> | null = null

  const aedes = await Aedes.createBroker({
    mq: fanOut.emitter,
    persistence: persistenceOf(sessions, fanOut, acknowledged, received),
    connectTimeout: limits.connectTimeoutMs,
    drainTimeout: limits.drainTimeoutMs,
    queueLimit: limits.packetsBeforeConnack,
    preConnect,
    authenticate,
    authorizePublish,
    authorizeSubscribe,
  })

  aedes.on('clientReady', ready)
  aedes.on('subscribe', subscribed)
  aedes.on('unsubscribe', unsubscribed)
  aedes.on('clientError', failed)
  aedes.on('connectionError', failed)
  // Without a listener an error inside Aedes would end the process.
  aedes.on('error' as 'closed', ((error: Error) => log.error({ err: error }, 'broker error')) as () => void)

  const listeners = await openListeners({ ...options, limits, count, enter }).catch(
    async (error: unknown) => {
      await stopAedes()
      throw error
    },
  )

  function enter(entrance: Entrance): void {
    const { stream } = entrance
    readWhole(stream)
    const client = aedes.handle(stream)
    const closed = new Promise<void>((resolve) => stream.once('close', resolve))
    const connection: Connection = {
      client,
      entrance,
      closed,
      queue: new SenderQueue({ pause: () => pause(client), resume: () => resume(client) }),
      connect: null,
      login: null,
    }
    connections.set(client, connection)
    stats.connections++
    guardPackets(client, (cmd) =>
      cmd === 'publish'
        ? (connection.login?.rights.payloadBytesMax ?? 0) + PUBLISH_HEADER_BYTES
        : limits.controlPacketBytes,
    )
    stream.once('close', () => left(connection))
  }

  function left(connection: Connection): void {
    connections.delete(connection.client)
    stats.connections--
    acknowledger.drop(connection.queue)
    const { login } = connection
    if (login === null) return
    const { session, window, rights } = login
    if (loggedIn.get(session.clientId) === connection) loggedIn.delete(session.clientId)
    if (window !== null) {
      for (const topic of rights.mailboxes) mailboxes.leave(topic, window)
      window.close()
    }
    sessions.leave(session, connection.connect?.clean === false)
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
      conn.end(Buffer.from([0x20, 2, 0, refusal.returnCode]), () => conn.destroy())
      done(null, false)
      return
    }
    // Aedes would refuse what is above its own limit, with a return code that MQTT 3.1.1 does not know.
    const { keepAliveSeconds } = limits
    packet.keepalive = Math.min(packet.keepalive || keepAliveSeconds, keepAliveSeconds)
    done(refusal, refusal === null)
  }

  function authenticate(
    client: Client,
    username: string | undefined,
    password: Buffer | undefined,
    done: (error: (Error & { returnCode: number }) | null, success: boolean) => void,
  ): void {
    logIn(client, username ?? null, password ?? null).then(
      () => done(null, true),
      (error: Error) => {
        const unavailable = () =>
          new ConnectRefusal('unavailable', 'cannot tell who this is', { cause: error })
        done(error instanceof ConnectRefusal ? error : unavailable(), false)
      },
    )
  }

  /** @throws ConnectRefusal when it is known to be refused; anything else when that cannot be known now */
  async function logIn(client: Client, username: string | null, password: Uint8Array | null): Promise<void> {
    const connection = connections.get(client)
    if (connection === undefined) throw new ConnectRefusal('unavailable', 'connection lost')
    const { entrance, connect } = connection
    const credentials: Credentials = {
      clientId: connect?.clientId ?? '',
      username,
      password,
      certificateName: entrance.certificateName,
    }
    const refusal = checkLogin(credentials)
    if (refusal !== null) throw refusal
    const principal = await withinMs(limits.authenticateTimeoutMs, options.authenticate(credentials))
    if (principal === null) throw new ConnectRefusal('credentials', 'credentials not known')
    const rights = rightsOf(principal, limits)
    if (rights === null) throw new ConnectRefusal('not_authorized', 'no rights on MQTT')
    if (principal.kind === 'device' && principal.id !== credentials.clientId) {
      throw new ConnectRefusal('identifier', `client id is not ${principal.id}`)
    }
    const will = connect?.will
    if (will && !(rights.may('will', will.topic) && (rights.retain || !will.retain))) {
      throw new ConnectRefusal('not_authorized', `a will on ${will.topic} is not allowed`)
    }

    for (let other = loggedIn.get(client.id); other !== undefined; other = loggedIn.get(client.id)) {
      if (other.login?.session.owner !== ownerOf(principal)) {
        throw new ConnectRefusal('identifier', 'client id is in use by somebody else')
      }
      // [MQTT-3.1.4-2]; waited for, since Aedes loses track of who is who when both are on their way.
      other.client.conn.destroy()
      await other.closed
    }
    if (client.closed || closing) throw new ConnectRefusal('unavailable', 'connection closed')
    const session = sessions.open({
      clientId: client.id,
      owner: ownerOf(principal),
      clean: connect?.clean !== false,
      subscriber: () =>
        rights.hearsOthers ? new Subscriber({ limits, count, budget: offlineBudget }) : null,
    })
    const window = rights.mailboxes.length > 0 ? new MailboxWindow(client, limits) : null
    connection.login = { principal, rights, session, window }
    loggedIn.set(client.id, connection)
    entrance.loggedIn()
  }

  /** After the CONNACK. What a persistent session had subscribed is subscribed again. */
  function ready(client: Client): void {
    const login = connections.get(client)?.login
    if (!login) return
    login.session.subscriber?.attach(client)
    refreshMailboxes(login, [...login.session.subscriptions.keys()])
  }

  function authorizePublish(
    client: Client | null,
    packet: PublishPacket,
    done: (error?: Error | null) => void,
  ): void {
    const connection = client === null ? undefined : connections.get(client)
    if (client === null || !connection?.login) {
      done(new Refusal('not_allowed', 'publish by nobody'))
      return
    }
    const { principal, rights } = connection.login
    const will = isWill(client, packet)
    const refusal = checkPublish(rights, packet, will)
    if (refusal !== null) {
      done(refusal)
      return
    }
    stats.received++
    if (!packet.topic.startsWith(INTAKE)) {
      stats.acknowledged++
      done()
      return
    }
    const message: Message = { topic: packet.topic, payload: packet.payload as Buffer, sender: principal }
    // A will has no connection any more to be acknowledged on, nor to be in order with.
    acknowledger.push(will ? new SenderQueue(null) : connection.queue, message, done)
  }

  function checkPublish(
    rights: Rights,
    { topic, payload, retain }: PublishPacket,
    will: boolean,
  ): Refusal | null {
    if (will && closing) return new Refusal('unavailable', 'the hub stops; its clients are not lost')
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
    if (!isFilter(filter)) {
      done(new Refusal('protocol', 'subscription to what is no filter'))
      return
    }
    const reason = login ? checkSubscribe(login, filter) : 'not_allowed'
    if (reason === null) {
      login?.session.subscriptions.set(filter, qos)
      if (login?.session.subscriber) fanOut.subscribe(filter, login.session.subscriber, qos)
      done(null, subscription)
    } else {
      count(reason)
      if (login) drop(login, filter)
      done(null, null)
    }
  }

  function checkSubscribe({ rights, session }: Login, filter: string): RefusalReason | null {
    if (!rights.may('subscribe', filter)) return 'not_allowed'
    const { subscriptions } = session
    if (subscriptions.has(filter) || subscriptions.size < limits.subscriptionsPerClient) return null
    return 'too_many_subscriptions'
  }

  function drop({ session }: Login, filter: string): void {
    session.subscriptions.delete(filter)
    if (session.subscriber !== null) fanOut.unsubscribe(filter, session.subscriber)
  }

  /** After the SUBACK; a QoS of 128 means refused. */
  function subscribed(subscriptions: Subscription[], client: Client): void {
    const login = connections.get(client)?.login
    if (!login) return
    const granted = subscriptions.filter(({ qos }) => qos <= 2)
    const { subscriber } = login.session
    if (subscriber !== null) {
      for (const { topic, qos } of granted) fanOut.sendRetained(topic, subscriber, qos)
    }
    refreshMailboxes(
      login,
      granted.map(({ topic }) => topic),
    )
  }

  function unsubscribed(filters: string[], client: Client): void {
    const login = connections.get(client)?.login
    if (!login) return
    for (const filter of filters) drop(login, filter)
    refreshMailboxes(login, [])
  }

  /** Mailboxes are where the granted filters say; who has just subscribed one is told of. */
  function refreshMailboxes({ rights, session, window }: Login, newFilters: readonly string[]): void {
    if (window === null) return
    for (const topic of rights.mailboxes) {
      const granted = [...session.subscriptions].filter(([filter]) => matches(filter, topic))
      if (granted.length === 0) {
        mailboxes.leave(topic, window)
        continue
      }
      mailboxes.listen(topic, window, Math.max(...granted.map(([, qos]) => qos)) as Qos)
      if (newFilters.some((filter) => matches(filter, topic))) tellListening(topic)
    }
  }

  function tellListening(topic: string): void {
    try {
      options.listening(topic)
    } catch (error) {
      log.error({ err: error, topic }, 'what waits for a mailbox could not be looked for')
    }
  }

  function acknowledged(client: Client, id: number): void {
    const login = connections.get(client)?.login
    if (!login) return
    if (login.window !== null) login.window.acknowledged(id)
    else login.session.subscriber?.acknowledged(id)
  }

  function received(client: Client, id: number): void {
    connections.get(client)?.login?.session.subscriber?.received(id)
  }

  /** Aedes is about to drop, or has dropped, a connection. */
  function failed(client: Client, error: Error): void {
    const connection = connections.get(client)
    if (connection === undefined || closing) return
    const reason = error instanceof Refusal ? error.reason : reasonOf(error)
    if (reason === null) return
    refused(connection, error instanceof Refusal ? error : new Refusal(reason, error.message))
  }

  function refused({ client, entrance, connect }: Connection, refusal: Refusal): void {
    count(refusal.reason)
    log.info(
      {
        client: client.id ?? connect?.clientId,
        address: entrance.address,
        reason: refusal.reason,
        cause: refusal.cause,
      },
      refusal.message,
    )
  }

  return {
    addresses: listeners.addresses,
    stats,
    acceptWebSocket: listeners.acceptWebSocket,
    isConnected: (clientId) => loggedIn.has(clientId),
    deliver: (topic, payload) => mailboxes.deliver(topic, payload),
    publish: (topic, payload) => fanOut.publish(topic, payload, 0),
    hasListeners: (topic) => fanOut.hasListeners(topic),

    close() {
      closed ??= close()
      return closed
    },
  }

  async function close(): Promise<void> {
    closing = true
    listeners.stop()
    for (const { client } of connections.values()) pause(client)
    await Promise.race([acknowledger.idle(), delay(limits.closeTimeoutMs, null, { ref: false })])
    await Promise.all([...connections.values()].map(flush))
    await stopAedes()
  }

  async function stopAedes(): Promise<void> {
    acknowledger.close()
    await new Promise<void>((resolve) => aedes.close(resolve))
  }
}

/** The variable header of a PUBLISH: two bytes of length, a topic, a packet identifier; no topic here is longer. */
const PUBLISH_HEADER_BYTES = 1_024

/** For what a client is still to be sent when the broker closes. */
const FLUSH_MS = 1_000

async function flush({ client, closed }: Connection): Promise<void> {
  const { conn } = client
  const flushed = new Promise<void>((resolve) => conn.end(() => resolve()))
  await Promise.race([flushed, closed, delay(FLUSH_MS, null, { ref: false })])
  conn.destroy()
  await closed
}

/** Tells a principal from others, also after its token was changed. */
const ownerOf = (principal: Principal): string =>
  principal.kind === 'device' ? principal.id : `${principal.role} ${principal.id}`

async function withinMs<Value>(timeoutMs: number, promise: Promise<Value>): Promise<Value> {
  const timeout = new AbortController()
  try {
    return await Promise.race([
      promise,
      delay(timeoutMs, null, { signal: timeout.signal, ref: false }).then(() => {
        throw new Error(`no answer within ${timeoutMs} ms`)
      }),
    ])
  } finally {
    timeout.abort()
  }
}
