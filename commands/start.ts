/** `hub start`: the hub, until it is told to stop. */
import { Command, InvalidArgumentError } from 'commander'
import type { Logger } from 'pino'
import { type Config, ConfigError, environment, loadConfig } from '../config.ts'
import { startBridgeProcess } from '../gateway/bridge-process.ts'
import { lockDataFolder } from '../gateway/data-folder-lock.ts'
import { startHub, startProjectorProcess } from '../gateway/gateway.ts'
import { openLog } from './log.ts'
import { untilStopped } from './signals.ts'

export const startCommand = (): Command =>
  new Command('start')
    .summary('the hub')
    .description(
      'The hub: broker, gateway, bridges, projector and HTTP in one process, until it is told to stop.',
    )
    .option('--role <roles>', `only these of ${ROLES.join(', ')}, separated by commas`, rolesOf)
    .addHelpText('after', EXAMPLES)
    .action(start)

const EXAMPLES = `
Roles. broker and gateway go together: a message is acknowledged after its commit. Beside them bridge, projector and web
may run, or not. On Redis, projector may run alone. bridge may run alone anywhere: it finds the hub by HUB_MQTT_URL.

The first SIGINT (Ctrl-C) or SIGTERM drains and ends with exit code 0, a second one ends at once with 1.

Examples:
  $ hub start
  $ REDIS_URL=redis://127.0.0.1:6379 INFLUX_URL=http://127.0.0.1:8086 hub start
  $ hub start --role broker,gateway,web
  $ HUB_MQTT_URL=mqtts://hub.example:8883 META_BRIDGE_TOKEN=… hub start --role bridge
  $ HUB_DATA_DIR=/var/lib/hub MQTT_PORT=1884 HTTP_PORT=8081 hub start`

const ROLES = ['broker', 'gateway', 'bridge', 'projector', 'web'] as const
type Role = (typeof ROLES)[number]

function rolesOf(text: string): ReadonlySet<Role> {
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.filter((name) => !(ROLES as readonly string[]).includes(name))
  if (unknown.length > 0)
    throw new InvalidArgumentError(`Roles are ${ROLES.join(', ')}; not ${unknown.join(', ')}.`)
  const roles = new Set(names as Role[])
  const isHub = roles.has('broker') && roles.has('gateway')
  const isAlone = roles.size === 1 && (roles.has('bridge') || roles.has('projector'))
  if (isHub || isAlone) return roles
  throw new InvalidArgumentError('Name broker and gateway together, or bridge alone, or projector alone.')
}

async function start({ role = new Set(ROLES) }: { role?: ReadonlySet<Role> }): Promise<void> {
  const config = loadConfig(environment())
  const stopped = untilStopped()
  const log = openLog(config.logLevel)
  await using _running = await startRoles(config, log, role)
  const signal = await stopped
  log.info({ signal }, 'stopping: what was taken is answered first')
}

async function startRoles(config: Config, log: Logger, roles: ReadonlySet<Role>): Promise<AsyncDisposable> {
  if (roles.has('gateway')) {
    await using opened = new AsyncDisposableStack()
    opened.use(lockFolder(config))
    const hub = opened.use(
      await startHub(config, log, {
        bridge: roles.has('bridge'),
        projector: roles.has('projector'),
        web: roles.has('web'),
      }),
    )
    log.info({ ...hub.addresses, puback: hub.promise }, 'ready')
    return opened.move()
  }
  if (roles.has('bridge')) {
    const bridges = await startBridgeProcess(config, log)
    log.info({ ...bridges.addresses }, 'ready')
    return bridges
  }
  if (config.redisUrl === null) {
    const message = 'expected the store of the hub for --role projector, received nothing'
    throw new ConfigError([{ setting: 'REDIS_URL', message }])
  }
  const projector = await startProjectorProcess(config, log)
  log.info('ready')
  return projector
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
