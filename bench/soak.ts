/** Whether the hub's memory stays what it is under hours of work, as far as minutes can tell. */
import { setTimeout as delay } from 'node:timers/promises'
import { table, whole } from './markdown.ts'
import { memoryOf } from './process-usage.ts'
import { slopeOf } from './statistics.ts'
import { type StartOptions, startTarget, TARGETS, type TargetName } from './targets.ts'
import { planLoad, runLoad } from './workload.ts'

export interface SoakOptions {
  readonly targets: readonly TargetName[]
  readonly durationMs: number
  readonly ratePerSecond: number
  /** Unacknowledged sales of one terminal. */
  readonly window: number
  readonly appendfsync: StartOptions['appendfsync']
  readonly progress: (what: string) => void
}

export interface SoakRun {
  readonly target: TargetName
  readonly durationMs: number
  readonly sales: number
  /** Resident memory of the hub, once a second from the first sale on. */
  readonly rssMiB: readonly number[]
  /** Over the second half: by then caches are full and code is compiled. */
  readonly slopeMiBPerMinute: number
  readonly p99Ms: number
}

const SAMPLE_MS = 1000

export async function measureSoak(options: SoakOptions): Promise<SoakRun[]> {
  const runs: SoakRun[] = []
  for (const target of options.targets) {
    options.progress(`soak, ${options.durationMs / 1000} s: ${TARGETS[target]}`)
    runs.push(await measureOnce(target, options))
  }
  return runs
}

async function measureOnce(
  name: TargetName,
  { durationMs, ratePerSecond, window, appendfsync }: SoakOptions,
): Promise<SoakRun> {
  const plan = planLoad({ window, ratePerSecond, warmUpMs: 0, durationMs })
  await using target = await startTarget(name, { loads: [plan], appendfsync })
  const pid = target.pids.hub ?? (target.pids.broker as number)
  const rssMiB: number[] = []
  const sampling = new AbortController()
  const sampled = (async () => {
    while (!sampling.signal.aborted) {
      rssMiB.push(memoryOf(pid).rssMiB)
      await delay(SAMPLE_MS, undefined, { signal: sampling.signal }).catch(() => {})
    }
  })()
  const load = await runLoad(target, plan)
  sampling.abort()
  await sampled
  const sales = load.total.acknowledged
  await target.caughtUp(sales)
  await target.verify(sales)
  const half = rssMiB.length >> 1
  const slope = slopeOf(rssMiB.slice(half).map((y, x) => ({ x, y })))
  const samplesPerMinute = 60_000 / SAMPLE_MS
  return {
    target: name,
    durationMs,
    sales,
    rssMiB,
    slopeMiBPerMinute: slope * samplesPerMinute,
    p99Ms: load.puback.p99Ms,
  }
}

export function soakMarkdown(runs: readonly SoakRun[]): string {
  const rows = runs.map(({ target, durationMs, sales, rssMiB, slopeMiBPerMinute, p99Ms }) => {
    const at = (share: number) => whole(rssMiB[Math.floor((rssMiB.length - 1) * share)] as number)
    return [
      `${durationMs / 1000} s, ${whole(sales)} sales: ${TARGETS[target]}`,
      at(0),
      at(0.25),
      at(0.5),
      at(0.75),
      at(1),
      whole(Math.max(...rssMiB)),
      `**${slopeMiBPerMinute.toFixed(2)}**`,
      p99Ms.toFixed(1),
    ]
  })
  const header = ['', 'RSS MiB at 0 %', '25 %', '50 %', '75 %', '100 %', 'max']
  return `## Memory over time

Resident memory of the hub while it takes sales at a steady pace, with receipts and metrics. Caches of the embedded
store grow until they are full.

${table([...header, 'MiB a minute, second half', 'PUBACK p99 ms'], rows)}`
}
