/** Starts and watches the load generator, `load.ts`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LoadOptions, LoadProgress } from './load.ts'
import { ServerProcess } from './server-process.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { until } from './until.ts'

const LOAD = join(import.meta.dirname, 'load.ts')

export type LoadProcess = ServerProcess & {
  /** The path of its journal; complete when it has finished. */
  readonly journal: string
  /** How many there are. */
  readonly devices: number
  progress(): LoadProgress
  /** Waits until what it reports is so. */
  until(what: string, condition: (progress: LoadProgress) => boolean): Promise<LoadProgress>
  /**
   * No new sales; every one sent gets its receipt, or nothing more comes. The last report: `outstanding` is 0 when all
   * have theirs.
   */
  finish(): Promise<LoadProgress>
}

type Given = Pick<LoadOptions, 'mqttPort' | 'devices' | 'seed'> & Partial<Omit<LoadOptions, 'journal'>>

const DEFAULTS = {
  window: 20,
  salesPerSecond: null,
  duplicateShare: 0.02,
  resend: 'unacknowledged',
  patienceMs: 20_000,
} as const satisfies Partial<LoadOptions>

/** Ready when every device is connected. */
export async function startLoad(given: Given): Promise<LoadProcess> {
  const folder = temporaryFolder('load').path
  const options: LoadOptions = { ...DEFAULTS, ...given, journal: join(folder, 'journal') }
  const file = join(folder, 'options.json')
  writeFileSync(file, JSON.stringify(options))
  const server = await ServerProcess.start({
    name: 'load generator',
    command: [process.execPath, LOAD, file],
    cwd: folder,
    ready: async ({ stdout }) => lastProgress(stdout).connected === given.devices.length,
  })
  const progress = () => lastProgress(server.stdout)
  return Object.assign(server, {
    journal: options.journal,
    devices: options.devices.length,
    progress,
    until: (what: string, condition: (progress: LoadProgress) => boolean) =>
      until(what, () => {
        const now = progress()
        return condition(now) && now
      }),
    finish: async () => {
      process.kill(server.pid, 'SIGTERM')
      const { code } = await server.exited
      if (code !== 0) throw new Error(`the load generator failed:\n${server.stderr.join('\n')}`)
      return progress()
    },
  })
}

/** @throws when it has not reported yet */
function lastProgress(stdout: readonly string[]): LoadProgress {
  const line = stdout.at(-1)
  if (line === undefined) throw new Error('the load generator has not reported yet')
  return JSON.parse(line) as LoadProgress
}
