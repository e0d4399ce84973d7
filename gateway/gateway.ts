/**
 * The composition root: the architecture as code. Every part gets exactly what it uses, as an argument; what is opened
 * here is closed here, in reverse order.
 *
 *   broker ──► intake ──► store ──► receipts ──► broker          a device's message and its answer
 *                           │
 *                           ├──► projector ──► metrics           figures
 *                           ├──► live ──► broker                 feeds for pages
 *   broker ◄── bridges ◄──► WhatsApp                           people; each an MQTT client like any other
 *   ledger ──► crm                                             handoffs, outcomes, registrations
 *   timers, sold ──► intake ──► messages ──► broker ──► bridges    the race, and what people are told of it
 *                           └──► sequences                       what devices sent and the ledger does not have
 */
import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import { createEconomics } from '../analytics/economics.ts'
import { createVariablesTable } from '../analytics/exports/variables-table.ts'
import { openInfluxMetrics } from '../analytics/influx.ts'
import type { Metrics } from '../analytics/metrics.ts'
import { startProjector } from '../analytics/projector.ts'
import { openSqliteMetrics } from '../analytics/sqlite.ts'
import type { Credentials, Principal } from '../broker/broker.ts'
import { openEmbeddedBroker } from '../broker/embedded.ts'
import type { Config } from '../config.ts'
import { dialStream } from './bridges/bridge.ts'
import { openBridges } from './bridges/open.ts'
import type { ExportSource } from './contract/export-table.ts'
import { deviceId } from './contract/topics.ts'
import { createPeople } from './customers.ts'
import { DEFAULT_RACE_RULES, type RaceRules } from './deciders/decision.ts'
import { createDecode, type Decode } from './decode.ts'
import { authenticateDevice } from './devices.ts'
import { startCrm } from './effects/crm.ts'
import { crmTargets } from './effects/crm-targets.ts'
import { startLive } from './effects/live.ts'
import { startMessages } from './effects/messages.ts'
import { startReceiptMarks } from './effects/receipt-marks.ts'
import { startReceipts } from './effects/receipts.ts'
import { startSequences } from './effects/sequences.ts'
import { startSold } from './effects/sold.ts'
import { startTimers } from './effects/timers.ts'
import { createDescribe } from './handoff-details.ts'
import { buildApp } from './http/app.ts'
import { createMonitoring } from './http/monitoring.ts'
import { startIntake } from './intake.ts'
import { createLease, type Lease } from './lease.ts'
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

/** What runs in this process beside broker and gateway. */
export interface HubParts {
  readonly bridge: boolean
  readonly projector: boolean
  /** The API and its documentation; what monitors ask is always there. */
  readonly web: boolean
}

const ALL_PARTS: HubParts = { bridge: true, projector: true, web: true }

/** @throws when a setting can't be used: a port taken, a store that may evict, a secret that is not the store's. */
export async function startHub(config: Config, log: Logger, parts: HubParts = ALL_PARTS): Promise<Hub> {
  await using opened = new AsyncDisposableStack()

  const store = opened.adopt(await openStore(config, { onState: logStoreState(log) }), (it) => it.close())
  const metrics = opened.adopt(await openMetrics(config), (it) => it.close())
  const decode = await openDecode(config, store, (count) => monitoring.countUnknownFields(count))

  const tail = { ...store, ...sharePages(store) }
  const lease = parts.projector ? createLease(store, 'projector') : NO_LEASE
  opened.defer(() => lease.release().catch(() => {}))
  const projector = opened.adopt(startProjector({ source: tail, metrics, lease, log }), (it) => it.stop())
  opened.adopt(startSequences({ store: tail, log }), (it) => it.stop())

  const intake = startIntake({
    store,
    decode,
    timezone: config.timezone,
    rules: raceRulesOf(config),
    now: Date.now,
    onReceipt: (receipt) => receipts.send(receipt),
    onJobs: (jobs) => messages.send(jobs),
    onBatch: (batch) => {
      monitoring.observeBatch(batch)
      projector.wake()
      live.wake()
    },
  })
  const marks = opened.adopt(
    await startReceiptMarks({
      store,
      alone: config.redisUrl === null,
      committed: () => intake.answered(),
      settled: () => receipts.settled(),
      isSettled: () => receipts.isSettled,
      onFound: (devices) => receipts.lookAgain(devices),
      log,
    }),
    (it) => it.stop(),
  )
  // Closed after the broker, when no receipt is on its way to a device any more.
  const receipts = opened.adopt(
    startReceipts({
      store,
      deliver: (topic, payload) => broker.deliver(topic, payload),
      onLate: () => marks.ring(),
      log,
    }),
    (it) => it.stop(),
  )
  const messages = opened.adopt(
    startMessages({
      store,
      deliver: (topic, payload) => broker.deliver(topic, payload),
      accept: intake.accept,
      log,
    }),
    (it) => it.stop(),
  )
  const local = createLocalTokens()
  const broker = opened.adopt(
    await openEmbeddedBroker({
      host: config.mqtt.host,
      port: config.mqtt.port,
      tls: config.mqtt.tls,
      log,
      authenticate: async (credentials) => local.find(credentials) ?? authenticate(store, credentials),
      async accept({ topic, payload, sender }) {
        await intake.accept({ topic, payload, sender: sender.id })
      },
      listening(topic) {
        receipts.listening(topic)
        messages.listening(topic)
      },
    }),
    (it) => it.close(),
  )
  const live = opened.adopt(startLive({ store, broker, log }), (it) => it.stop())
  opened.adopt(startTimers({ store, accept: intake.accept, log }), (it) => it.stop())
  opened.adopt(startSold({ store: tail, accept: intake.accept, log }), (it) => it.stop())
  const dial = (bridge: string) => dialStream(() => broker.connectLocal(), local.tokenFor(`bridge:${bridge}`))
  const bridges = opened.adopt(await openBridges(parts.bridge ? config : NO_BRIDGES, dial, log), (it) =>
    it.close(),
  )
  const crm = opened.adopt(
    await startCrm({
      store,
      targets: crmTargets(config, store),
      describe: createDescribe(store),
      log,
    }),
    (it) => it.stop(),
  )

  const monitoring = createMonitoring({ broker, intake, receipts, projector, messages, bridges, crm })
  const app = buildApp({
    store,
    broker,
    metrics,
    projector,
    monitoring,
    bridges,
    accept: intake.accept,
    decode,
    replay: (id) => replayQuarantine({ store, decode, accept: intake.accept }, id),
    economics: createEconomics({ metrics, timezone: config.timezone }),
    exports: openExportSource(config, metrics),
    timezone: config.timezone,
    isWeb: parts.web,
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

/** Somebody else projects. */
const NO_LEASE: Lease = { hold: async () => false, release: async () => {} }
const NO_BRIDGES = { meta: null, qontak: null }

/** The projector alone (`hub start --role projector`). */
export async function startProjectorProcess(config: Config, log: Logger): Promise<AsyncDisposable> {
  await using opened = new AsyncDisposableStack()
  const store = opened.adopt(await openStore(config, { onState: logStoreState(log) }), (it) => it.close())
  const metrics = opened.adopt(await openMetrics(config), (it) => it.close())
  const lease = createLease(store, 'projector')
  opened.defer(() => lease.release().catch(() => {}))
  opened.adopt(startProjector({ source: store, metrics, lease, log }), (it) => it.stop())
  const closing = opened.move()
  return { [Symbol.asyncDispose]: () => closing.disposeAsync() }
}

/** The settings of the race, as deciders take them. */
export const raceRulesOf = ({ race, meta, qontak }: Config): RaceRules => ({
  ...DEFAULT_RACE_RULES,
  claimSlaMs: race.claimSlaSeconds * 1000,
  contactSlaMs: race.contactSlaSeconds * 1000,
  oneLeadMs: race.leadWindowDays * 86_400_000,
  bridge: meta === null && qontak !== null ? 'qontak' : 'meta',
})

/** The metrics database that the settings name. */
export async function openMetrics({ influx, dataDir, timezone }: Config): Promise<Metrics> {
  return influx === null
    ? openSqliteMetrics({ dataDir, timezone })
    : openInfluxMetrics({ ...influx, timezone })
}

/** The table that every export shows. */
export const openExportSource = ({ timezone }: Pick<Config, 'timezone'>, metrics: Metrics): ExportSource =>
  createVariablesTable(createEconomics({ metrics, timezone }), {
    currency: 'IDR',
    attribution: 'first_touch',
  })

/** How this hub reads messages; a command that replays one reads it in the same way. */
export async function openDecode(
  config: Config,
  store: Store,
  onUnknownFields: (count: number) => void,
): Promise<Decode> {
  const people = createPeople(await loadSecret(config, store))
  return createDecode({ serialPattern: config.serialPattern, people, onUnknownFields })
}

/** What runs in this process logs in with a token that is nowhere else. */
function createLocalTokens() {
  const roles = new Map<string, string>()
  return {
    tokenFor(role: string): string {
      const token = randomBytes(32).toString('base64url')
      roles.set(token, role)
      return token
    },
    find({ clientId, username, password }: Credentials): Principal | null {
      const role = username === 'api' && password !== null && roles.get(Buffer.from(password).toString())
      return role ? { kind: 'api', id: clientId, role } : null
    },
  }
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
