/**
 * The composition root: the architecture as code. Every part gets exactly what it uses, as an argument; what is opened
 * here is closed here, in reverse order.
 *
 *   broker ──► intake ──► store ──► receipts ──► broker          a device's message and its answer
 *                           │
 *                           ├──► projector ──► metrics           figures
 *                           ├──► live ──► broker                 feeds for pages
 *                           └──► sequences                       what devices sent and the ledger does not have
 */
import type { Logger } from 'pino'
import { openInfluxMetrics } from '../analytics/influx.ts'
import type { Metrics } from '../analytics/metrics.ts'
import { startProjector } from '../analytics/projector.ts'
import { openSqliteMetrics } from '../analytics/sqlite.ts'
import type { Credentials, Principal } from '../broker/broker.ts'
import { openEmbeddedBroker } from '../broker/embedded.ts'
import type { Config } from '../config.ts'
import { deviceId } from './contract/topics.ts'
import { createIdentify } from './customers.ts'
import { createDecode, type Decode } from './decode.ts'
import { authenticateDevice } from './devices.ts'
import { startLive } from './effects/live.ts'
import { startReceipts } from './effects/receipts.ts'
import { startSequences } from './effects/sequences.ts'
import { buildApp } from './http/app.ts'
import { createMonitoring } from './http/monitoring.ts'
import { startIntake } from './intake.ts'
import { createLease } from './lease.ts'
import { replayQuarantine } from './quarantine.ts'
import { loadSecret } from './secrets.ts'
import { openStore } from './store/open.ts'
import { sharePages } from './store/shared-pages.ts'
import type { Store } from './store/store.ts'
import { findToken } from './tokens.ts'

export interface Hub extends AsyncDisposable {
  readonly addresses: { readonly http: number; readonly mqtt: number | null; readonly mqttTls: number | null }
  /** What an acknowledgement is worth on this store, in one plain line. */
  readonly promise: string
  /** Stops taking, answers what was taken, then closes everything. */
  close(): Promise<void>
}

/** @throws when a setting can't be used: a port taken, a store that may evict, a secret that is not the store's. */
export async function startHub(config: Config, log: Logger): Promise<Hub> {
  await using opened = new AsyncDisposableStack()

  const store = opened.adopt(await openStore(config, { onState: logStoreState(log) }), (it) => it.close())
  const metrics = opened.adopt(await openMetrics(config), (it) => it.close())
  const decode = await openDecode(config, store, (count) => monitoring.countUnknownFields(count))

  const tail = { ...store, ...sharePages(store) }
  const lease = createLease(store, 'projector')
  opened.defer(() => lease.release().catch(() => {}))
  const projector = opened.adopt(startProjector({ source: tail, metrics, lease, log }), (it) => it.stop())
  opened.adopt(startSequences({ store: tail, log }), (it) => it.stop())

  const intake = startIntake({
    store,
    decode,
    timezone: config.timezone,
    now: Date.now,
    onReceipt: (receipt) => receipts.send(receipt),
    onBatch: (batch) => {
      monitoring.observeBatch(batch)
      projector.wake()
      live.wake()
    },
  })
  // Closed after the broker: what is acknowledged while it drains is still removed from the outbox.
  const receipts = opened.adopt(
    startReceipts({ store, deliver: (topic, payload) => broker.deliver(topic, payload), log }),
    (it) => it.stop(),
  )
  const broker = opened.adopt(
    await openEmbeddedBroker({
      host: config.mqtt.host,
      port: config.mqtt.port,
      tls: config.mqtt.tls,
      log,
      authenticate: (credentials) => authenticate(store, credentials),
      accept: ({ topic, payload, sender }) => intake.accept({ topic, payload, sender: sender.id }),
      listening: (topic) => receipts.listening(topic),
    }),
    (it) => it.close(),
  )
  const live = opened.adopt(startLive({ store, broker, log }), (it) => it.stop())

  const monitoring = createMonitoring({ broker, intake, receipts, projector })
  const app = buildApp({
    store,
    broker,
    metrics,
    projector,
    monitoring,
    replay: (id) => replayQuarantine({ store, decode, accept: intake.accept }, id),
    timezone: config.timezone,
    log,
  })
  opened.defer(() => app.close())
  app.server.on('upgrade', (request, socket, head) => broker.acceptWebSocket(request, socket, head))
  await app.listen({ host: config.http.host, port: config.http.port })

  const address = app.server.address()
  const closing = opened.move()
  return {
    addresses: {
      http: typeof address === 'object' && address !== null ? address.port : config.http.port,
      mqtt: broker.addresses.plainPort,
      mqttTls: broker.addresses.tlsPort,
    },
    promise: store.durability.promise,
    close: () => closing.disposeAsync(),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** The metrics database that the settings name. */
export async function openMetrics({ influx, dataDir, timezone }: Config): Promise<Metrics> {
  return influx === null
    ? openSqliteMetrics({ dataDir, timezone })
    : openInfluxMetrics({ ...influx, timezone })
}

/** How this hub reads messages; a command that replays one reads it in the same way. */
export async function openDecode(
  config: Config,
  store: Store,
  onUnknownFields: (count: number) => void,
): Promise<Decode> {
  const identify = createIdentify(await loadSecret(config, store))
  return createDecode({ serialPattern: config.serialPattern, identify, onUnknownFields })
}

/** A device by its credential or certificate; people and programs as `api`, with a token. */
async function authenticate(store: Store, credentials: Credentials): Promise<Principal | null> {
  if (credentials.username === 'api') {
    const token = credentials.password === null ? '' : Buffer.from(credentials.password).toString()
    const found = await findToken(store, token)
    return found && { kind: 'api', id: credentials.clientId, role: found.role }
  }
  const name = await authenticateDevice(store, credentials)
  return name && { kind: 'device', id: deviceId(name), ...name }
}

const logStoreState =
  (log: Logger) =>
  (state: 'ready' | 'lost', reason: string | null): void => {
    if (state === 'ready') log.info('the store answers again')
    else log.warn({ reason }, 'the store is away: sales are held, then refused, and sent again')
  }
