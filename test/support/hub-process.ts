/**
 * The real hub as a process of its own: `node hub.ts start` on free ports with a data folder of its own, ready when
 * `/readyz` says so. See `server-process.ts` for what can be done to it; `restart` keeps ports and data.
 *
 *     await using redis = await startRedis()
 *     await using hub = await startHub({ settings: { REDIS_URL: redis.url } })
 *     expect(await hub.run('ledger', 'verify')).toMatchObject({ code: 0 })
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { freePort } from './ports.ts'
import { REPLACED_MODULES } from './replace-modules.ts'
import { ServerProcess } from './server-process.ts'
import { temporaryFolder } from './temporary-folder.ts'

const HUB = join(import.meta.dirname, '../../hub.ts')
const REPLACE = join(import.meta.dirname, 'replace-modules.ts')

export interface HubOptions {
  /** Over the defaults: free ports on 127.0.0.1, a new data folder. Nothing comes from the tests' own environment. */
  readonly settings?: Readonly<Record<string, string>>
  /** More words of the command: `--role`, `bridge`. */
  readonly words?: readonly string[]
  /** What is run instead of `hub.ts`. */
  readonly program?: string
  /**
   * Modules of the started hub that are exchanged for others, path in the tree → path of the file to take instead: a
   * fault, or what makes of the hub a control that must fail. Commands have the real ones.
   */
  readonly replace?: Readonly<Record<string, string>>
  /** The path of a module that the started hub loads before itself in each of its threads, for the same purpose. */
  readonly preload?: string
}

export interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export type LogLine = { readonly level: number; readonly msg?: string } & Readonly<Record<string, unknown>>

export type HubProcess = ServerProcess & {
  readonly mqttPort: number
  /** `mqtt://127.0.0.1:…` */
  readonly mqttUrl: string
  readonly httpPort: number
  /** `http://127.0.0.1:…` */
  readonly httpUrl: string
  readonly dataDir: string
  /** What it has logged so far, in all its lives. */
  logLines(): LogLine[]
  /** `hub <words>` with the settings of this hub, whether it runs or not. */
  run(...words: string[]): Promise<CommandResult>
  /** The path of a new file with what `hub ledger export` prints. @throws when that fails. */
  exportLedger(): Promise<string>
}

/** @throws when it ends or is not ready in time, with the end of its log. */
export async function startHub({
  settings = {},
  words = [],
  program = HUB,
  replace = {},
  preload,
}: HubOptions = {}): Promise<HubProcess> {
  const folder = temporaryFolder('hub').path
  const mqttPort = await freePort()
  const httpPort = await freePort()
  const dataDir = settings.HUB_DATA_DIR ?? join(folder, 'data')
  const env = {
    PATH: process.env.PATH,
    HUB_DATA_DIR: dataDir,
    MQTT_HOST: '127.0.0.1',
    MQTT_PORT: String(mqttPort),
    HTTP_HOST: '127.0.0.1',
    HTTP_PORT: String(httpPort),
    ...settings,
  }
  const httpUrl = `http://127.0.0.1:${httpPort}`
  const preloads = [...(preload ? [preload] : []), ...(Object.keys(replace).length > 0 ? [REPLACE] : [])]
  const server = await ServerProcess.start({
    name: `hub on ports ${mqttPort} and ${httpPort}`,
    command: [
      process.execPath,
      ...preloads.flatMap((path) => ['--import', path]),
      program,
      'start',
      ...words,
    ],
    // Not the repository: the hub reads `.env` where it is started, and a developer may have one.
    cwd: folder,
    env: preloads.includes(REPLACE) ? { ...env, [REPLACED_MODULES]: JSON.stringify(replace) } : env,
    ready: async () => (await fetch(`${httpUrl}/readyz`, { signal: AbortSignal.timeout(1000) })).ok,
  })

  const command = (words: readonly string[]) => {
    const child = spawn(process.execPath, [program, ...words], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    // Listened for from the start: it may end while its output is still read.
    const closed = once(child, 'close')
    return { child, closed }
  }

  const run = async (...words: string[]): Promise<CommandResult> => {
    const { child, closed } = command(words)
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
    const [code] = (await closed) as [number | null]
    return { code, stdout, stderr }
  }

  const exportLedger = async (): Promise<string> => {
    const file = join(temporaryFolder('ledger').path, 'ledger.jsonl')
    // Not through a string: it may be hundreds of megabytes.
    const { child, closed } = command(['ledger', 'export'])
    const [stderr] = await Promise.all([text(child.stderr), pipeline(child.stdout, createWriteStream(file))])
    const [code] = (await closed) as [number | null]
    if (code !== 0) throw new Error(`hub ledger export ended with exit code ${code}: ${stderr}`)
    return file
  }

  const logLines = (): LogLine[] =>
    server.stderr.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine)

  return Object.assign(server, {
    mqttPort,
    mqttUrl: `mqtt://127.0.0.1:${mqttPort}`,
    httpPort,
    httpUrl,
    dataDir,
    logLines,
    run,
    exportLedger,
  })
}
