/** What figures are worth nothing without: when, what, on which machine. */
import { execFileSync } from 'node:child_process'
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { binary } from '../test/support/binaries.ts'
import { temporaryFolder } from '../test/support/temporary-folder.ts'
import { short, whole } from './markdown.ts'
import { median } from './statistics.ts'

export interface Machine {
  /** ISO 8601. */
  readonly startedAt: string
  readonly command: string
  /** Null outside a git checkout. */
  readonly commit: string | null
  readonly cpu: string
  /** That this process may use. */
  readonly cores: number
  readonly memoryGiB: number
  readonly linux: string
  readonly node: string
  readonly redis: string
  readonly influxdb: string
  /** Median time to write 4 KiB and have it on disk, where the stores keep their data. */
  readonly syncMs: number
}

export function describeMachine(): Machine {
  return {
    startedAt: new Date().toISOString(),
    command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
    commit: versionOf('git', ['describe', '--always', '--dirty'], /(\S+)/),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    linux: release(),
    node: process.versions.node,
    redis: versionOf(binary('redis-server'), ['--version'], /v=(\S+)/) ?? 'unknown',
    influxdb: versionOf(binary('influxd'), ['version'], /v?(\d\S*)/) ?? 'unknown',
    syncMs: syncMs(),
  }
}

function versionOf(program: string, words: readonly string[], pattern: RegExp): string | null {
  try {
    const cwd = import.meta.dirname
    const said = execFileSync(program, words, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return pattern.exec(said)?.[1] ?? null
  } catch {
    return null
  }
}

const SYNCS = 100

function syncMs(): number {
  using folder = temporaryFolder('sync')
  const file = openSync(join(folder.path, 'file'), 'w')
  const page = Buffer.alloc(4096, 1)
  const durationsMs = Array.from({ length: SYNCS }, () => {
    const begin = performance.now()
    writeSync(file, page)
    fdatasyncSync(file)
    return performance.now() - begin
  })
  closeSync(file)
  return median(durationsMs)
}

export function machineMarkdown(machine: Machine): string {
  const { startedAt, command, commit, cpu, cores, memoryGiB, linux, node, redis, influxdb, syncMs } = machine
  return `# Bench

\`${command}\`, ${startedAt.slice(0, 16).replace('T', ' ')} UTC${commit === null ? '' : `, commit ${commit}`}

${cores} cores of ${cpu}, shared by everything below, the load generator included; ${whole(memoryGiB)} GiB, Linux ${linux},
Node ${node}, Redis ${redis}, InfluxDB ${influxdb}; 4 KiB are on disk in ${short(syncMs)} ms.

Every figure is of a run after which the ledger held exactly the acknowledged sales, once each, and so did InfluxDB.
Figures of different machines do not compare; ratios within one run do.`
}
