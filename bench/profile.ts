/**
 * Where a hub's time goes: each thread's processor time per sale, the functions that take it, and what Redis does. For
 * those who want to make it faster; profiling itself slows the hub down, so its rate is not a result.
 */
import { Redis } from 'ioredis'
import { temporaryFolder } from '../test/support/temporary-folder.ts'
import { type FunctionShare, functionShares, readCpuProfiles, type Span } from './cpu-profile.ts'
import { short, table, whole } from './markdown.ts'
import { cpuSecondsOf, type Thread, threadsOf } from './process-usage.ts'
import { type StartOptions, startTarget, TARGETS, type Target, type TargetName } from './targets.ts'
import { planLoad, runLoad } from './workload.ts'

export interface ProfileOptions {
  readonly targets: readonly TargetName[]
  /** Before anything counts: code is compiled by then. */
  readonly heatMs: number
  readonly durationMs: number
  /** Unacknowledged sales of one terminal. */
  readonly window: number
  readonly appendfsync: StartOptions['appendfsync']
  readonly progress: (what: string) => void
}

export interface Profile {
  readonly target: TargetName
  readonly sales: number
  /** Microseconds of processor time per sale. */
  readonly processes: readonly { readonly name: string; readonly cpuPerSaleUs: number }[]
  /** Of the hub. */
  readonly threads: readonly { readonly name: string; readonly cpuPerSaleUs: number }[]
  /** Shares of the time in which its thread was not waiting. */
  readonly functions: readonly {
    readonly thread: string
    readonly cpuPerSaleUs: number
    readonly functions: readonly FunctionShare[]
  }[]
  /** Empty without Redis. */
  readonly redis: readonly CommandCost[]
}

/** `evalsha` includes the commands of its script. */
export interface CommandCost {
  readonly command: string
  readonly callsPerSale: number
  readonly usPerSale: number
}

const SAMPLING_INTERVAL_US = 500
/** Per sale: what takes less is left out. */
const NEGLIGIBLE_US = 0.02

export async function measureProfile(options: ProfileOptions): Promise<Profile[]> {
  const profiles: Profile[] = []
  for (const target of options.targets) {
    options.progress(`profile: ${TARGETS[target]}`)
    profiles.push(await profileOnce(target, options))
  }
  return profiles
}

async function profileOnce(
  name: TargetName,
  { heatMs, durationMs, window, appendfsync }: ProfileOptions,
): Promise<Profile> {
  using folder = temporaryFolder('profile')
  const heat = planLoad({ window, ratePerSecond: null, warmUpMs: 0, durationMs: heatMs })
  const plan = planLoad({ window, ratePerSecond: null, warmUpMs: 0, durationMs })
  const flags = ['--cpu-prof', `--cpu-prof-dir=${folder.path}`, `--cpu-prof-interval=${SAMPLING_INTERVAL_US}`]
  await using target = await startTarget(name, {
    loads: [heat, plan],
    appendfsync,
    hubSettings: { NODE_OPTIONS: flags.join(' ') },
  })
  const { hub } = target
  if (hub === null) throw new Error(`${name} is not a hub`)
  const heated = (await runLoad(target, heat)).total.acknowledged
  await target.caughtUp(heated)

  const { pid } = hub
  const redisBefore = await commandsOf(target)
  const processesBefore = processesOf(target)
  const threadsBefore = threadsOf(pid)
  const span = { beginUs: monotonicUs(), endUs: 0 }
  const sales = (await runLoad(target, plan)).total.acknowledged
  await target.caughtUp(heated + sales)
  span.endUs = monotonicUs()
  const threads = difference(threadsBefore, threadsOf(pid), sales)
  const processes = difference(processesBefore, processesOf(target), sales)
  const redis = costsOf(redisBefore, await commandsOf(target), sales)
  await target.verify(heated + sales)
  // It writes the profiles when it ends.
  await hub.stop()
  return {
    target: name,
    sales,
    processes,
    threads: threads.filter(({ cpuPerSaleUs }) => cpuPerSaleUs >= NEGLIGIBLE_US),
    functions: functionsOf(folder.path, pid, span, threads),
    redis,
  }
}

type ThreadCost = Profile['threads'][number] & { readonly id: number }

/** What Node calls the operating system's threads that run JavaScript: the first one, and workers. */
const MAIN = 'node-MainThread'
const WORKER = 'WorkerThread'

function functionsOf(
  folder: string,
  pid: number,
  span: Span,
  threads: readonly ThreadCost[],
): Profile['functions'] {
  const main = threads.filter(({ name }) => name === MAIN)
  // Node numbers its workers as they are started, and so does the system.
  const workers = threads.filter(({ name }) => name === WORKER).sort((a, b) => a.id - b.id)
  return readCpuProfiles(folder, pid).map((profile, i) => {
    const functions = functionShares(profile, span)
    const cpuPerSaleUs = [...main, ...workers][i]?.cpuPerSaleUs ?? 0
    const place = functions.find(({ place }) => place.includes('.ts:'))?.place.replace(/:.*/, '')
    return { thread: i === 0 ? 'main thread' : `worker ${i} (${place})`, cpuPerSaleUs, functions }
  })
}

/** The clock of V8's samples, the same in all processes. */
const monotonicUs = (): number => Number(process.hrtime.bigint() / 1000n)

function processesOf({ pids }: Target): Thread[] {
  return Object.entries(pids).map(([name, id]) => ({ id, name, cpuSeconds: cpuSecondsOf(id) }))
}

function difference(before: readonly Thread[], after: readonly Thread[], sales: number): ThreadCost[] {
  return after.map(({ id, name, cpuSeconds }) => {
    const earlier = before.find((thread) => thread.id === id)?.cpuSeconds ?? 0
    return { id, name, cpuPerSaleUs: ((cpuSeconds - earlier) * 1e6) / sales }
  })
}

// — Redis —

type CommandCounts = Map<string, { calls: number; us: number }>

async function commandsOf({ redisUrl }: Target): Promise<CommandCounts> {
  if (redisUrl === null) return new Map()
  const client = new Redis(redisUrl)
  const info = await client.info('commandstats')
  client.disconnect()
  const lines = info.matchAll(/^cmdstat_(.+):calls=(\d+),usec=(\d+)/gm)
  return new Map(
    [...lines].map(([, command = '', calls, us]) => [command, { calls: Number(calls), us: Number(us) }]),
  )
}

function costsOf(before: CommandCounts, after: CommandCounts, sales: number): CommandCost[] {
  return [...after]
    .map(([command, { calls, us }]) => {
      const earlier = before.get(command) ?? { calls: 0, us: 0 }
      return { command, callsPerSale: (calls - earlier.calls) / sales, usPerSale: (us - earlier.us) / sales }
    })
    .filter(({ usPerSale }) => usPerSale >= NEGLIGIBLE_US)
    .sort((a, b) => b.usPerSale - a.usPerSale)
}

const ROWS_MAX = 40

export function profileMarkdown(profiles: readonly Profile[]): string {
  const sections = profiles.flatMap(({ target, sales, processes, threads, functions, redis }) => [
    `### ${TARGETS[target]}, ${whole(sales)} sales`,
    costTable('process', processes),
    costTable('thread of the hub', threads),
    ...functions.flatMap(functionTables),
    table(
      ['Redis command', 'calls a sale', 'µs a sale'],
      redis.map(({ command, callsPerSale, usPerSale }) => [
        command,
        callsPerSale.toFixed(3),
        short(usPerSale),
      ]),
    ),
  ])
  return `## Where the time goes

Profiling slows a hub down; parts of it compare.

${sections.join('\n\n')}`
}

const costTable = (what: string, costs: Profile['threads']): string =>
  table(
    [what, 'CPU µs a sale'],
    costs.map(({ name, cpuPerSaleUs }) => [name, short(cpuPerSaleUs)]),
  )

/** By their own time; and the hub's own functions by their time with all that they call. */
function functionTables({ thread, cpuPerSaleUs, functions }: Profile['functions'][number]): string[] {
  // Samples are of time that went by, also while others had the processor; what the thread itself had is known.
  const us = (share: number) => share * cpuPerSaleUs
  const tableBy = (measure: 'self' | 'total', what: string, among: readonly FunctionShare[]) =>
    table(
      [`${thread}: ${what}`, 'where', 'own µs a sale', 'with what they call'],
      [...among]
        .sort((a, b) => b[measure] - a[measure])
        .filter((share) => us(share[measure]) >= NEGLIGIBLE_US)
        .slice(0, ROWS_MAX)
        .map(({ name, place, self, total }) => [`\`${name}\``, place, short(us(self)), short(us(total))]),
    )
  const own = functions.filter(({ place }) => place.includes('.ts:'))
  return [tableBy('self', 'functions', functions), tableBy('total', 'the hub’s functions', own)]
}
