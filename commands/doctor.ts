/** `hub doctor`: the settings that count, and whether what they point at works. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statfsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { Command } from 'commander'
import { METRICS_FILE } from '../analytics/sqlite.ts'
import {
  type Config,
  describeSettings,
  environment,
  environmentFile,
  isSetting,
  loadConfig,
  maskUrl,
} from '../config.ts'
import { openMetrics } from '../gateway/gateway.ts'
import { isStoreInUse, loadSecret } from '../gateway/secrets.ts'
import { openStore } from '../gateway/store/open.ts'
import { EMBEDDED_DURABILITY, STORE_FILE } from '../gateway/store/sqlite.ts'
import type { Store } from '../gateway/store/store.ts'
import { count, jsonLine, print, table } from './output.ts'

type State = 'ok' | 'warning' | 'wrong'

interface Finding {
  readonly what: string
  readonly state: State
  /** What was found; of what is wrong also what to do about it. */
  readonly detail: string
}

const ok = (detail: string) => ({ state: 'ok' as const, detail })
const warning = (detail: string) => ({ state: 'warning' as const, detail })
const wrong = (detail: string) => ({ state: 'wrong' as const, detail })
type Verdict = Omit<Finding, 'what'>

export const doctorCommand = (): Command =>
  new Command('doctor')
    .summary('the settings that count, and whether all works')
    .description(
      'The settings that count, and whether what they point at answers. Exit code 1 when something is wrong.',
    )
    .option('--json', '{"ok","puback","settings","checks"}')
    .addHelpText('after', EXAMPLES)
    .action(doctor)

const EXAMPLES = `
May be run before the first start and beside a running hub.

Examples:
  $ hub doctor
  $ hub doctor --json | jq '.checks[] | select(.state != "ok")'`

async function doctor({ json }: { json?: true }): Promise<void> {
  const env = environment()
  const config = loadConfig(env)
  const settings = describeSettings(env)
  const store = await checkStore(config)
  const isHubHere = await answersAsHub(config)
  const findings: Finding[] = [
    { what: 'Node', ...ok(process.versions.node) },
    { what: '.env', ...checkEnvironmentFile() },
    { what: 'data folder', ...checkFolder(config.dataDir) },
    { what: 'store', ...store.verdict },
    { what: 'secret', ...store.secret },
    { what: 'metrics', ...(await checkMetrics(config)) },
    ...(await checkPorts(config, isHubHere)),
    ...checkCertificate(config),
  ]
  const isWell = findings.every(({ state }) => state !== 'wrong')
  if (!isWell) process.exitCode = 1
  if (json) return print(jsonLine({ ok: isWell, puback: store.promise, settings, checks: findings }))
  await print(
    table(
      settings.map(({ setting, value, isDefault, meaning }) => [
        setting,
        value ?? '(unset)',
        isDefault ? '' : 'set',
        styleText('dim', meaning),
      ]),
    ),
  )
  await print(`\n${table(findings.map(({ what, state, detail }) => [`${MARKS[state]} ${what}`, detail]))}`)
  if (store.promise !== null) await print(`\nA PUBACK here means: ${store.promise}.\n`)
}

const MARKS: Record<State, string> = {
  ok: styleText('green', '✔'),
  warning: styleText('yellow', '!'),
  wrong: styleText('red', '✖'),
}

function checkEnvironmentFile(): Verdict {
  const names = Object.keys(environmentFile())
  const unknown = names.filter((name) => !isSetting(name))
  if (unknown.length > 0) return warning(`no setting is called ${unknown.join(', ')}`)
  return ok(names.length === 0 ? 'none in this folder, or nothing in it' : count(names.length, 'setting'))
}

function checkFolder(dataDir: string): Verdict {
  try {
    mkdirSync(dataDir, { recursive: true })
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    return wrong(`${dataDir} can't be written: ${(error as Error).message}`)
  }
  const { bavail, bsize } = statfsSync(dataDir)
  const detail = `${dataDir}, ${((bavail * bsize) / 1e9).toFixed(1)} GB free`
  return bavail * bsize < FREE_BYTES_MIN ? warning(`${detail}: make room`) : ok(detail)
}

/** Two million sales. */
const FREE_BYTES_MIN = 1e9

interface StoreFindings {
  readonly verdict: Verdict
  readonly secret: Verdict
  /** What a PUBACK is worth; null when that can't be told. */
  readonly promise: string | null
}

async function checkStore(config: Config): Promise<StoreFindings> {
  const { redisUrl, dataDir, secret } = config
  const where = redisUrl === null ? join(dataDir, STORE_FILE) : maskUrl(redisUrl)
  // Opening the embedded store would make it.
  if (redisUrl === null && !existsSync(where)) {
    const later = secret === null ? 'made at the first start' : 'HUB_SECRET'
    return {
      verdict: ok(`${where}, made at the first start`),
      secret: ok(later),
      promise: EMBEDDED_DURABILITY.promise,
    }
  }
  try {
    await using stack = new AsyncDisposableStack()
    const store = stack.adopt(await openStore(config), (it) => it.close())
    await store.ping()
    const heads = await store.heads('ledger')
    const entries = heads.reduce((sum, { number }) => sum + number, 0)
    const detail = `${where}, ${count(entries, 'ledger entry', 'ledger entries')}`
    const { promise, powerCut } = store.durability
    return {
      verdict: powerCut ? ok(detail) : warning(`${detail}; a power cut may take acknowledged events`),
      secret: (await isStoreInUse(store)) ? await checkSecret(config, store) : ok('made at the first start'),
      promise,
    }
  } catch (error) {
    return {
      verdict: wrong((error as Error).message),
      secret: warning('not known while the store does not answer'),
      promise: null,
    }
  }
}

const checkSecret = (config: Config, store: Store): Promise<Verdict> =>
  loadSecret(config, store).then(
    () => ok('the one that this store was made with'),
    (error: Error) => wrong(error.message),
  )

async function checkMetrics(config: Config): Promise<Verdict> {
  const where = config.influx === null ? join(config.dataDir, METRICS_FILE) : maskUrl(config.influx.url)
  if (config.influx === null && !existsSync(where)) return ok(`${where}, made at the first start`)
  try {
    await using stack = new AsyncDisposableStack()
    const metrics = stack.adopt(await openMetrics(config), (it) => it.close())
    await metrics.ping()
    return ok(config.influx === null ? where : `${where}, ${config.influx.bucket}`)
  } catch (error) {
    return wrong((error as Error).message)
  }
}

async function checkPorts({ mqtt, http }: Config, isHubHere: boolean): Promise<Finding[]> {
  const check = async (what: string, host: string, port: number | null): Promise<Finding> => {
    if (port === null) return { what, ...ok('off') }
    const taken = await whyNotFree(host, port)
    if (taken === null) return { what, ...ok(`${host}:${port} is free`) }
    return {
      what,
      ...(isHubHere ? ok(`${host}:${port}, where a hub runs`) : wrong(`${host}:${port}: ${taken}`)),
    }
  }
  return [
    await check('MQTT port', mqtt.host, mqtt.port),
    await check('MQTT TLS port', mqtt.host, mqtt.tls?.port ?? null),
    await check('HTTP port', http.host, http.port),
  ]
}

async function whyNotFree(host: string, port: number): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>()
  const server = createServer()
  server.once('error', ({ code, message }: NodeJS.ErrnoException) =>
    resolve(code === 'EADDRINUSE' ? 'another program listens there' : message),
  )
  server.listen(port, host, () => server.close(() => resolve(null)))
  return promise
}

const ANSWER_TIMEOUT_MS = 2000

/** Whether what listens on the HTTP port is a hub: ready or not, it says what a PUBACK is worth. */
async function answersAsHub({ http: { host, port } }: Config): Promise<boolean> {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  try {
    const response = await fetch(`http://${name}:${port}/readyz`, {
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    })
    return 'puback' in ((await response.json()) as object)
  } catch {
    return false
  }
}

function checkCertificate({ mqtt: { tls } }: Config): Finding[] {
  if (tls === null) return []
  const what = 'certificate'
  try {
    const certificate = new X509Certificate(readFileSync(tls.cert))
    const until = `${tls.cert}, valid until ${certificate.validTo}`
    if (!certificate.checkPrivateKey(createPrivateKey(readFileSync(tls.key)))) {
      return [{ what, ...wrong(`${tls.key} is not the key of ${tls.cert}`) }]
    }
    const isValid = certificate.validFromDate <= new Date() && new Date() <= certificate.validToDate
    return [{ what, ...(isValid ? ok(until) : wrong(`${until}, from ${certificate.validFrom}`)) }]
  } catch (error) {
    return [{ what, ...wrong((error as Error).message) }]
  }
}
