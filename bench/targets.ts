/**
 * What is measured, each started afresh for each measurement: servers, processes and folders of its own.
 *
 *   bare            Aedes as it comes, acknowledging and forgetting       (`bare.ts`)
 *   naive           Aedes, then SET NX, then XADD, then the PUBACK        (`naive.ts`)
 *   hub-sqlite      the hub on its embedded store                         receipts on, metrics to InfluxDB
 *   hub-redis       the hub on Redis                                      receipts on, metrics to InfluxDB
 *   …-reference     the same, with dealers, prices and a registration ledger imported
 */
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { deviceNames, provision } from '../test/support/devices.ts'
import { type HubProcess, startHub } from '../test/support/hub-process.ts'
import { freePort } from '../test/support/ports.ts'
import { ServerProcess } from '../test/support/server-process.ts'
import { type RedisOptions, startInflux, startRedis } from '../test/support/services.ts'
import { importReferenceData } from './reference-data.ts'
import { temporaryRoot } from './temporary-root.ts'
import { untilInfluxHas, verifyLedger } from './verify.ts'
import { type Load, type Loaded, TERMINALS } from './workload.ts'

export const TARGETS = {
  bare: 'bare Aedes',
  naive: 'naive hub on Redis',
  'hub-sqlite': 'hub on SQLite',
  'hub-redis': 'hub on Redis',
  'hub-sqlite-reference': 'hub on SQLite, reference data',
  'hub-redis-reference': 'hub on Redis, reference data',
} as const

export type TargetName = keyof typeof TARGETS

export const TARGET_NAMES = Object.keys(TARGETS) as readonly TargetName[]

export const isHub = (name: TargetName): boolean => name.startsWith('hub')

export interface StartOptions {
  /** What will be sold: reference data must know the serials. */
  readonly loads: readonly Load[]
  readonly appendfsync: NonNullable<RedisOptions['appendfsync']>
  /** Over the hub's own. */
  readonly hubSettings?: Readonly<Record<string, string>>
}

export interface Target extends Loaded, AsyncDisposable {
  readonly name: TargetName
  /** Process ids: `broker` or `hub`, `redis`, `influxdb`. */
  readonly pids: Readonly<Record<string, number>>
  readonly hub: HubProcess | null
  readonly redisUrl: string | null
  /** Resolves when all that was acknowledged has also reached the metrics. */
  caughtUp(sales: number): Promise<void>
  /** @throws unless it holds each of so many acknowledged sales once, and nothing else */
  verify(sales: number): Promise<void>
}

export async function startTarget(name: TargetName, options: StartOptions): Promise<Target> {
  await using started = new AsyncDisposableStack()
  started.use(temporaryRoot())
  const target = await (isHub(name)
    ? startHubTarget(name, options, started)
    : startBroker(name, options, started))
  const all = started.move()
  return { ...target, name, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

type Started = Omit<Target, 'name' | typeof Symbol.asyncDispose>

/** `bare.ts` or `naive.ts`, which ask nobody for a password. */
async function startBroker(
  name: TargetName,
  { appendfsync }: StartOptions,
  started: AsyncDisposableStack,
): Promise<Started> {
  const redis = name === 'naive' ? started.use(await startRedis({ appendfsync })) : null
  const mqttPort = await freePort()
  const broker = started.use(
    await ServerProcess.start({
      name,
      command: [process.execPath, join(import.meta.dirname, `${name}.ts`)],
      cwd: import.meta.dirname,
      env: { PATH: process.env.PATH, MQTT_PORT: String(mqttPort), ...(redis && { REDIS_URL: redis.url }) },
      ready: async ({ stdout }) => stdout.includes('ready'),
    }),
  )
  return {
    mqttPort,
    terminals: deviceNames(TERMINALS).map(({ dealer, device }) => ({
      clientId: `${dealer}/${device}`,
      password: '',
    })),
    receipts: false,
    pids: { broker: broker.pid, ...(redis && { redis: redis.pid }) },
    hub: null,
    redisUrl: redis?.url ?? null,
    caughtUp: async () => {},
    verify: async (sales) => {
      if (redis === null) return
      const client = new Redis(redis.url)
      const found = await client.xlen('sales')
      client.disconnect()
      if (found !== sales) throw new Error(`${sales} sales were acknowledged, but the stream holds ${found}`)
    },
  }
}

/** Projecting may be slower than selling; what makes no progress for so long hangs. */
const METRICS_PATIENCE_MS = 60_000

async function startHubTarget(
  name: TargetName,
  { loads, appendfsync, hubSettings }: StartOptions,
  started: AsyncDisposableStack,
): Promise<Started> {
  const redis = name.includes('redis') ? started.use(await startRedis({ appendfsync })) : null
  const influx = started.use(await startInflux())
  const bucket = 'hub'
  const settings = {
    INFLUX_URL: influx.url,
    INFLUX_BUCKET: bucket,
    ...(redis && { REDIS_URL: redis.url }),
    ...hubSettings,
  }
  const hub = started.use(await startHub({ settings }))
  const names = deviceNames(TERMINALS)
  const credentials = await provision(hub, names)
  if (name.endsWith('-reference')) {
    await importReferenceData(
      hub,
      names.map(({ dealer }) => dealer),
      loads,
    )
  }
  return {
    mqttPort: hub.mqttPort,
    terminals: credentials.map(({ client_id, password }) => ({ clientId: client_id, password })),
    receipts: true,
    pids: { hub: hub.pid, ...(redis && { redis: redis.pid }), influxdb: influx.pid },
    hub,
    redisUrl: redis?.url ?? null,
    caughtUp: (sales) => untilInfluxHas({ url: influx.url, bucket }, sales, METRICS_PATIENCE_MS),
    verify: async (sales) => verifyLedger(await hub.exportLedger(), sales),
  }
}
