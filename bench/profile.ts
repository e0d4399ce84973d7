/**
 * Where a hub's time goes: each thread's processor time per sale, the functions that take it, and what Redis does. For
 * those who want to make it faster; profiling itself slows the hub down, so its rate is not a result.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { temporaryFolder } from '../test/support/temporary-folder.ts'
import { short, table, whole } from './markdown.ts'
import { type Thread, threadsOf } from './process-usage.ts'
import { type StartOptions, startTarget, TARGETS, type Target, type TargetName } from './targets.ts'
import { planLoad, runLoad } from './workload.ts'

export interface ProfileOptions {
  readonly targets: readonly TargetName[]
  /** Before anything counts: code is compiled by then. */
  readonly heatMs: number
  readonly durationMs: number
  readonly appendfsync: StartOptions['appendfsync']
  readonly progress: (what: string) => void
}

export interface Profile {
  readonly target: TargetName
  readonly sales: number
  /** Of all processes, in microseconds of processor time per sale; `threads` are those of the hub. */
  readonly threads: readonly { readonly name: string; readonly cpuPerSaleUs: number }[]
  readonly functions: readonly { readonly thread: string; readonly top: readonly FunctionCost[] }[]
  /** Empty without Redis. */
  readonly redis: readonly CommandCost[]
}

export interface FunctionCost {
  readonly name: string
  /** `gateway/intake.ts:120`, `node:net`, or empty for what is not JavaScript. */
  readonly place: string
  /** Its own time without that of what it calls, per sale. */
  readonly selfUs: number
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
  { heatMs, durationMs, appendfsync }: ProfileOptions,
): Promise<Profile> {
  using folder = temporaryFolder('profile')
  const heat = planLoad({ ratePerSecond: null, warmUpMs: 0, durationMs: heatMs })
  const plan = planLoad({ ratePerSecond: null, warmUpMs: 0, durationMs })
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
  const threadsBefore = threadsOf(pid)
  const span = { beginUs: monotonicUs(), endUs: 0 }
  const sales = (await runLoad(target, plan)).total.acknowledged
  await target.caughtUp(heated + sales)
  span.endUs = monotonicUs()
  const threads = difference(threadsBefore, threadsOf(pid), sales)
  const redis = costsOf(redisBefore, await commandsOf(target), sales)
  await target.verify(heated + sales)
  // It writes the profiles when it ends.
  await hub.stop()
  return {
    target: name,
    sales,
    threads: threads.filter(({ cpuPerSaleUs }) => cpuPerSaleUs >= NEGLIGIBLE_US),
    functions: functionsOf(folder.path, pid, span, threads),
    redis,
  }
}

/** The clock of V8's samples, the same in all processes. */
const monotonicUs = (): number => Number(process.hrtime.bigint() / 1000n)

// — threads —

type ThreadCost = Pick<Thread, 'id' | 'name'> & { readonly cpuPerSaleUs: number }

function difference(before: readonly Thread[], after: readonly Thread[], sales: number): ThreadCost[] {
  return after.map(({ id, name, cpuSeconds }) => {
    const earlier = before.find((thread) => thread.id === id)?.cpuSeconds ?? 0
    return { id, name, cpuPerSaleUs: ((cpuSeconds - earlier) * 1e6) / sales }
  })
}

/** What Node calls the operating system's threads that run JavaScript: the first one, and workers. */
const MAIN = 'node-MainThread'
const WORKER = 'WorkerThread'

// — functions —

interface CpuProfile {
  readonly startTime: number
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

interface CallFrame {
  readonly functionName: string
  readonly url: string
  /** From 0. */
  readonly lineNumber: number
}

const FUNCTIONS_MAX = 40
/** Where a thread that has nothing to do is; the second one is Piscina's. */
const WAITING: ReadonlySet<string> = new Set(['(idle)', 'atomicsWaitLoop'])

/** One profile a thread, in files named `CPU.{date}.{time}.{pid}.{thread}.{n}.cpuprofile`. */
function functionsOf(
  folder: string,
  pid: number,
  span: { readonly beginUs: number; readonly endUs: number },
  threads: readonly ThreadCost[],
): Profile['functions'] {
  const files = readdirSync(folder)
    .map((file) => ({ file, parts: file.split('.') }))
    .filter(({ parts }) => parts[3] === String(pid))
    .sort((a, b) => Number(a.parts[4]) - Number(b.parts[4]))
  const main = threads.find(({ name }) => name === MAIN)
  // Node numbers its workers as they are started, and so does the system.
  const workers = threads.filter(({ name }) => name === WORKER).sort((a, b) => a.id - b.id)
  return files.map(({ file }, i) => {
    const profile = JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile
    const thread = i === 0 ? main : workers[i - 1]
    return topOf(profile, i, span, thread?.cpuPerSaleUs ?? 0)
  })
}

function topOf(
  { startTime, nodes, samples, timeDeltas }: CpuProfile,
  thread: number,
  { beginUs, endUs }: { readonly beginUs: number; readonly endUs: number },
  cpuPerSaleUs: number,
): Profile['functions'][number] {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const selfUs = new Map<string, { frame: CallFrame; us: number }>()
  let atUs = startTime
  let totalUs = 0
  for (const [i, deltaUs] of timeDeltas.entries()) {
    atUs += deltaUs
    const frame = frames.get(samples[i] as number)
    if (frame === undefined || WAITING.has(frame.functionName) || atUs < beginUs || atUs > endUs) continue
    const key = `${frame.functionName} ${frame.url} ${frame.lineNumber}`
    const found = selfUs.get(key)
    if (found === undefined) selfUs.set(key, { frame, us: deltaUs })
    else found.us += deltaUs
    totalUs += deltaUs
  }
  const sorted = [...selfUs.values()].sort((a, b) => b.us - a.us).slice(0, FUNCTIONS_MAX)
  const top = sorted.map(({ frame, us }) => ({
    name: frame.functionName || '(anonymous)',
    place: placeOf(frame),
    // Samples are of time that went by, also while others had the processor or a disk was waited for; the thread's
    // own time is known.
    selfUs: (us / totalUs) * cpuPerSaleUs,
  }))
  const busiestModule = top.find(({ place }) => place.includes('.ts:'))?.place.replace(/:\d+$/, '') ?? ''
  return { thread: thread === 0 ? 'main thread' : `worker ${thread} (${busiestModule})`, top }
}

const ROOT = join(import.meta.dirname, '..')

function placeOf({ url, lineNumber }: CallFrame): string {
  const path = url.startsWith('file:') ? fileURLToPath(url) : url
  if (!path.startsWith('/')) return path
  return `${relative(ROOT, path).replace('node_modules/', '')}:${lineNumber + 1}`
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

export function profileMarkdown(profiles: readonly Profile[]): string {
  const sections = profiles.flatMap(({ target, sales, threads, functions, redis }) => [
    `### ${TARGETS[target]}, ${whole(sales)} sales`,
    table(
      ['thread', 'CPU µs a sale'],
      threads.map(({ name, cpuPerSaleUs }) => [name, short(cpuPerSaleUs)]),
    ),
    ...functions.map(({ thread, top }) =>
      table(
        [`own time on ${thread}`, 'where', 'CPU µs a sale'],
        top.map(({ name, place, selfUs }) => [`\`${name}\``, place, short(selfUs)]),
      ),
    ),
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
