/**
 * Real Redis, Redis Cluster, InfluxDB and Mosquitto for tests: each on free loopback ports with a folder of its own,
 * ready when started. See `server-process.ts` for what can be done to them.
 *
 *     await using redis = await startRedis()
 */
import { writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { binary } from './binaries.ts'
import { CLUSTER_BUS_OFFSET, freePort } from './ports.ts'
import { ServerProcess } from './server-process.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { until } from './until.ts'

export interface Listening {
  readonly port: number
  readonly url: string
  /** Where it keeps its data; removed at the end of the run. */
  readonly folder: string
}

export type RedisServer = ServerProcess & Listening
export type InfluxServer = ServerProcess & Listening
export type MosquittoServer = ServerProcess & Listening

export interface RedisOptions {
  /** When the append-only file is synced to disk. Default `everysec`, as Redis has it. */
  readonly appendfsync?: 'always' | 'everysec' | 'no'
  /** Further settings by their names in redis.conf, e.g. `{ maxmemory: '1mb' }`. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A Redis with an append-only file: what it has answered survives `kill`. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  return startRedisOn(await freePort(), options)
}

async function startRedisOn(
  port: number,
  { appendfsync = 'everysec', settings = {} }: RedisOptions,
): Promise<RedisServer> {
  const folder = temporaryFolder('redis').path
  const given = {
    bind: '127.0.0.1',
    port,
    dir: folder,
    save: '',
    appendonly: 'yes',
    appendfsync,
    ...settings,
  }
  const words = Object.entries(given).flatMap(([name, value]) => [`--${name}`, String(value)])
  const server = await ServerProcess.start({
    name: `redis-server on port ${port}`,
    command: [binary('redis-server'), ...words],
    cwd: folder,
    // While it still loads its file it answers -LOADING.
    ready: async () => (await ask(port, 'PING\r\n')).startsWith('+PONG'),
  })
  return Object.assign(server, { port, url: `redis://127.0.0.1:${port}`, folder })
}

export interface RedisCluster extends AsyncDisposable {
  /** The three masters. */
  readonly nodes: readonly RedisServer[]
  /** `redis+cluster://127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003` */
  readonly url: string
  stop(): Promise<void>
}

const CLUSTER_MASTERS = 3
const CLUSTER_SLOTS = 16_384

/** Three masters without replicas that share all slots; every node agrees that the cluster is up. */
export async function startRedisCluster({ settings, ...options }: RedisOptions = {}): Promise<RedisCluster> {
  await using started = new AsyncDisposableStack()
  const nodes = await Promise.all(
    Array.from({ length: CLUSTER_MASTERS }, async () => {
      const port = await freePort(CLUSTER_BUS_OFFSET)
      const cluster = { 'cluster-enabled': 'yes', 'cluster-node-timeout': '2000' }
      return started.use(await startRedisOn(port, { ...options, settings: { ...cluster, ...settings } }))
    }),
  )
  await formCluster(nodes)
  const servers = started.move()
  return {
    nodes,
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()))
    },
    [Symbol.asyncDispose]: () => servers.disposeAsync(),
  }
}

async function formCluster(nodes: readonly RedisServer[]): Promise<void> {
  const clients = nodes.map(({ port }) => new Redis(port, '127.0.0.1', { retryStrategy: null }))
  try {
    await Promise.all(
      clients.map(async (client, index) => {
        // Different epochs from the start, or the nodes must first settle which configuration is newer.
        await client.cluster('SET-CONFIG-EPOCH', index + 1)
        await client.cluster('ADDSLOTS', ...slotsOf(index))
      }),
    )
    const [first, ...others] = clients
    await Promise.all(
      others.map((_, index) => first?.cluster('MEET', '127.0.0.1', nodes[index + 1]?.port ?? 0)),
    )
    await until('every cluster node sees the cluster up', async () => {
      const infos = await Promise.all(clients.map((client) => client.cluster('INFO')))
      return infos.every(
        (info) =>
          info.includes('cluster_state:ok') &&
          info.includes(`cluster_slots_ok:${CLUSTER_SLOTS}`) &&
          info.includes(`cluster_known_nodes:${CLUSTER_MASTERS}`),
      )
    })
  } finally {
    for (const client of clients) client.disconnect()
  }
}

/** The slots of one of the masters: a third each, in order. */
function slotsOf(index: number): number[] {
  const begin = Math.floor((index * CLUSTER_SLOTS) / CLUSTER_MASTERS)
  const end = Math.floor(((index + 1) * CLUSTER_SLOTS) / CLUSTER_MASTERS)
  return Array.from({ length: end - begin }, (_, offset) => begin + offset)
}

/**
 * InfluxDB 1.x without any database. With `auth`, it lets nobody in but the first user, who is made by
 * `CREATE USER … WITH ALL PRIVILEGES`.
 */
export async function startInflux({ auth = false } = {}): Promise<InfluxServer> {
  const port = await freePort()
  const backupPort = await freePort()
  const folder = temporaryFolder('influxdb').path
  const configFile = join(folder, 'influxdb.conf')
  writeFileSync(
    configFile,
    `reporting-disabled = true
bind-address = "127.0.0.1:${backupPort}"

[meta]
  dir = "${folder}/meta"

[data]
  dir = "${folder}/data"
  wal-dir = "${folder}/wal"

[monitor]
  store-enabled = false

[subscriber]
  enabled = false

[http]
  bind-address = "127.0.0.1:${port}"
  auth-enabled = ${auth}
  log-enabled = false
`,
  )
  const url = `http://127.0.0.1:${port}`
  const server = await ServerProcess.start({
    name: `influxd on port ${port}`,
    command: [binary('influxd'), 'run', '-config', configFile],
    cwd: folder,
    ready: async () => (await fetch(`${url}/ping`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })).ok,
  })
  return Object.assign(server, { port, url, folder })
}

/** A Mosquitto that lets everybody in: an MQTT broker that is not ours. */
export async function startMosquitto(): Promise<MosquittoServer> {
  const port = await freePort()
  const folder = temporaryFolder('mosquitto').path
  const configFile = join(folder, 'mosquitto.conf')
  writeFileSync(configFile, `listener ${port} 127.0.0.1\nallow_anonymous true\n`)
  const server = await ServerProcess.start({
    name: `mosquitto on port ${port}`,
    command: [binary('mosquitto'), '-c', configFile],
    cwd: folder,
    ready: async () => (await ask(port, MQTT_CONNECT)).startsWith(MQTT_CONNECTED),
  })
  return Object.assign(server, { port, url: `mqtt://127.0.0.1:${port}`, folder })
}

/** CONNECT of MQTT 3.1.1: a clean session, no keepalive, an empty client id; and its CONNACK. */
const MQTT_CONNECT = '\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00'
const MQTT_CONNECTED = '\x20\x02\x00\x00'

const PROBE_TIMEOUT_MS = 1000

/** What a server answers first to these bytes (one character a byte). @throws when it does not. */
async function ask(port: number, bytes: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = createConnection({ host: '127.0.0.1', port, timeout: PROBE_TIMEOUT_MS })
  socket.once('error', reject)
  socket.once('timeout', () => reject(new Error(`port ${port} did not answer in ${PROBE_TIMEOUT_MS} ms`)))
  socket.once('end', () => reject(new Error(`port ${port} closed the connection`)))
  socket.once('data', (data) => resolve(data.toString('latin1')))
  socket.write(bytes, 'latin1')
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}
