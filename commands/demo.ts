/**
 * `hub demo`: a hub with embedded defaults and a simulated network of dealers, in one process, to look at. Its data are
 * in a folder of their own; a second run goes on with them.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { type Config, environment, loadConfig } from '../config.ts'
import { startHub } from '../gateway/gateway.ts'
import { openStore } from '../gateway/store/open.ts'
import { addToken } from '../gateway/tokens.ts'
import { writeWorldFiles } from '../simulator/files.ts'
import { runSimulation, type SimulationTarget } from '../simulator/simulate.ts'
import { createView } from '../simulator/terminal-view.ts'
import { SEED_MAX, World } from '../simulator/world.ts'
import { settle } from './local-hub.ts'
import { openLogFile } from './log.ts'
import { count } from './output.ts'
import { untilStopped } from './signals.ts'
import { lockFolder } from './start.ts'

const DEALERS = 110
/** Seconds of the world in one of ours. */
const SPEED = 60
/** A day of trading, from ten in the morning in Jakarta: eight minutes of ours. */
const DAY_BEGINS = 'T10:00:00+07:00'
const TRADING_MS = 8 * 3_600_000
const DAY_MS = 86_400_000
/** The days that are played, the last of them today: then they begin again, with other sales. */
const DAYS = 7

export const demoCommand = (): Command =>
  new Command('demo')
    .summary('a hub at work, to look at')
    .description(`A hub at work: embedded defaults and ${DEALERS} simulated dealers, until Ctrl-C.`)
    .addHelpText('after', EXAMPLES)
    .action(demo)

const EXAMPLES = `
It keeps its data in the folder demo of HUB_DATA_DIR, apart from those of hub start, and goes on with them when it is
run again; delete that folder to begin anew. When a port is taken it takes a free one.

Examples:
  $ hub demo
  $ HTTP_PORT=9090 hub demo`

async function demo(): Promise<void> {
  const stopped = new AbortController()
  void untilStopped().then(() => stopped.abort())
  const config = await demoConfig()
  using _lock = lockFolder(config)
  console.error('Starting the hub …')
  const logFile = join(config.dataDir, 'hub.log')
  await using hub = await startHub(config, openLogFile(config.logLevel, logFile))
  const { http, mqtt } = hub.addresses
  await using stack = new AsyncDisposableStack()
  const store = stack.adopt(await openStore(config), (it) => it.close())
  console.error(`
Dealer Hub is running, with ${DEALERS} simulated dealers. Open

    http://localhost:${http}

  API         http://localhost:${http}/docs   token ${await addToken(store, 'admin')}
  MQTT        ${mqtt === null ? `ws://localhost:${http}/mqtt` : `mqtt://localhost:${mqtt}`}
  data, log   ${config.dataDir}
  end         Ctrl-C
`)
  for (let day = 0; !stopped.signal.aborted; day = (day + 1) % DAYS) {
    const world = new World({
      seed: Math.floor(Math.random() * (SEED_MAX + 1)),
      dealers: DEALERS,
      unitsPerDealer: 2,
      stockPerTerminal: 200,
    })
    console.error(`Preparing a day: ${count(world.devices.length, 'device')} and their vehicles …`)
    const target = await inFolder((folder) => prepare(world, folder))
    await runSimulation({
      world,
      plan: {
        startAtMs: beginOf(day),
        spanMs: TRADING_MS,
        salesMax: null,
        salesPerDealerHour: 12,
      },
      speed: SPEED,
      target,
      verify: false,
      journalPath: null,
      settleMs: 5000,
      onProgress: createView(process.stderr),
      signal: stopped.signal,
    })
  }
  console.error('Stopping …')

  async function prepare(world: World, folder: string): Promise<SimulationTarget> {
    return settle(store, config, await writeWorldFiles(world, folder), { http, mqtt })
  }
}

/** Embedded defaults whatever the environment names, so that a demo never reaches anybody's servers. */
async function demoConfig(): Promise<Config> {
  const env = environment()
  const { dataDir, mqtt, http } = loadConfig(env)
  return loadConfig({
    LOG_LEVEL: env.LOG_LEVEL,
    HUB_DATA_DIR: join(dataDir, 'demo'),
    MQTT_HOST: mqtt.host,
    MQTT_PORT: String(mqtt.port === null ? 0 : await freePort(mqtt.host, mqtt.port)),
    HTTP_HOST: http.host,
    HTTP_PORT: String(await freePort(http.host, http.port)),
  })
}

/** The port preferred, or another one when that is taken. */
async function freePort(host: string, preferred: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const server = createServer()
  server.once('error', (error: NodeJS.ErrnoException) =>
    error.code === 'EADDRINUSE' ? resolve(freePort(host, 0)) : reject(error),
  )
  server.listen(preferred, host, () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resolve(port))
  })
  return promise
}

/** Ten in the morning of one of the last days. */
function beginOf(day: number): number {
  const date = new Date(Date.now() - (DAYS - 1 - day) * DAY_MS)
  return Date.parse(`${date.toISOString().slice(0, 10)}${DAY_BEGINS}`)
}

async function inFolder<Result>(use: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'hub-demo-'))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}
