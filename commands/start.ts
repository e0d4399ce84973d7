/** `hub start`: the hub, until it is told to stop. */
import { Command } from 'commander'
import { type Config, environment, loadConfig } from '../config.ts'
import { lockDataFolder } from '../gateway/data-folder-lock.ts'
import { startHub } from '../gateway/gateway.ts'
import { openLog } from './log.ts'
import { untilStopped } from './signals.ts'

export const startCommand = (): Command =>
  new Command('start')
    .summary('the hub')
    .description('The hub: broker, gateway, projector and HTTP in one process, until it is told to stop.')
    .addHelpText('after', EXAMPLES)
    .action(start)

const EXAMPLES = `
The first SIGINT (Ctrl-C) or SIGTERM drains and ends with exit code 0, a second one ends at once with 1.

Examples:
  $ hub start
  $ REDIS_URL=redis://127.0.0.1:6379 INFLUX_URL=http://127.0.0.1:8086 hub start
  $ HUB_DATA_DIR=/var/lib/hub MQTT_PORT=1884 HTTP_PORT=8081 hub start`

async function start(): Promise<void> {
  const config = loadConfig(environment())
  const stopped = untilStopped()
  using _lock = lockFolder(config)
  const log = openLog(config.logLevel)
  await using hub = await startHub(config, log)
  log.info({ ...hub.addresses, puback: hub.promise }, 'ready')
  const signal = await stopped
  log.info({ signal }, 'stopping: what was taken is answered first')
}

/**
 * One hub to a folder, where its store is in there.
 * @throws when another hub has it
 */
export function lockFolder({ redisUrl, dataDir }: Pick<Config, 'redisUrl' | 'dataDir'>): Disposable | null {
  if (redisUrl !== null) return null
  const lock = lockDataFolder(dataDir)
  if (lock !== null) return lock
  throw new Error(`another hub runs on ${dataDir}; HUB_DATA_DIR chooses another folder`)
}
