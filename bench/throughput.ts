/** How many sales a second each target acknowledges when terminals send as fast as it lets them, and at what cost. */
import type { GeneratorResult } from './generator.ts'
import { short, table, whole } from './markdown.ts'
import { cpuSecondsOf, memoryOf } from './process-usage.ts'
import { median, medianBy } from './statistics.ts'
import { isHub, type StartOptions, startTarget, TARGETS, type TargetName } from './targets.ts'
import { planLoad, runLoad, TERMINALS } from './workload.ts'

export interface ThroughputOptions {
  readonly targets: readonly TargetName[]
  readonly repetitions: number
  readonly warmUpMs: number
  readonly durationMs: number
  /** Unacknowledged sales of one terminal. */
  readonly window: number
  readonly appendfsync: StartOptions['appendfsync']
  readonly progress: (what: string) => void
}

export interface ThroughputRun {
  readonly target: TargetName
  readonly repetition: number
  readonly window: number
  readonly load: GeneratorResult
  /** By process, the generator among them; of the whole run until the metrics have all of it, in microseconds. */
  readonly cpuPerSaleUs: Readonly<Record<string, number>>
  readonly peakRssMiB: number
  /** From the last receipt until InfluxDB had all sales; null where there are no metrics. */
  readonly metricsBehindMs: number | null
}

/** One after the other, again and again, so that whatever else the machine does befalls all of them. */
export async function measureThroughput(options: ThroughputOptions): Promise<ThroughputRun[]> {
  const runs: ThroughputRun[] = []
  for (let repetition = 1; repetition <= options.repetitions; repetition++) {
    for (const target of options.targets) {
      options.progress(`throughput, ${repetition} of ${options.repetitions}: ${TARGETS[target]}`)
      runs.push(await measureOnce(target, repetition, options))
    }
  }
  return runs
}

async function measureOnce(
  name: TargetName,
  repetition: number,
  { warmUpMs, durationMs, window, appendfsync }: ThroughputOptions,
): Promise<ThroughputRun> {
  const plan = planLoad({ window, ratePerSecond: null, warmUpMs, durationMs })
  await using target = await startTarget(name, { loads: [plan], appendfsync })
  const cpu = () => Object.entries(target.pids).map(([process, pid]) => [process, cpuSecondsOf(pid)] as const)
  const before = new Map(cpu())
  const load = await runLoad(target, plan)
  const sales = load.total.acknowledged
  const loadedAtMs = performance.now()
  await target.caughtUp(sales)
  const metricsBehindMs = target.hub === null ? null : performance.now() - loadedAtMs
  const perSaleUs = (seconds: number) => (seconds * 1e6) / sales
  const used = cpu().map(([process, seconds]) => [process, perSaleUs(seconds - (before.get(process) ?? 0))])
  const peakRssMiB = memoryOf(target.pids.hub ?? (target.pids.broker as number)).peakRssMiB
  await target.verify(sales)
  return {
    target: name,
    repetition,
    window,
    load,
    cpuPerSaleUs: {
      ...Object.fromEntries(used),
      generator: (load.cores * 1e6) / load.acknowledgedPerSecond,
    },
    peakRssMiB,
    metricsBehindMs,
  }
}

/** Two tables: how many, and at what cost. Of each target, the run with the median rate. */
export function throughputMarkdown(runs: readonly ThroughputRun[]): string {
  const targets = [...new Set(runs.map(({ target }) => target))]
  return `## As fast as it goes

${TERMINALS} terminals sell at QoS 1, each with at most ${runs[0]?.window} sales unacknowledged; from the hubs they also get and
acknowledge a receipt for each. Targets took turns; of each, the run with the median rate. Ratios are of runs of one
turn, the median of all turns. A generator whose share of a core comes near 1 is the limit itself.

${rates(runs, targets)}

Processor time is of the whole run until InfluxDB had every sale, compiling and warming up included.

${costs(runs, targets)}`
}

const rateOf = ({ load }: ThroughputRun): number => load.acknowledgedPerSecond

const runsOf = (runs: readonly ThroughputRun[], target: TargetName) =>
  runs.filter((run) => run.target === target)

function rates(runs: readonly ThroughputRun[], targets: readonly TargetName[]): string {
  const rows = targets.map((target) => {
    const all = runsOf(runs, target).map(rateOf)
    const { load } = medianBy(runsOf(runs, target), rateOf)
    return [
      TARGETS[target],
      `**${whole(load.acknowledgedPerSecond)}**`,
      `${whole(Math.min(...all))} – ${whole(Math.max(...all))}`,
      ratio(runs, target, 'bare'),
      ratio(runs, target, 'naive'),
      isHub(target) ? whole(load.receiptsPerSecond) : NOTHING,
      load.cores.toFixed(2),
    ]
  })
  const header = ['', 'PUBACKs/s', 'min – max', '× bare', '× naive', 'receipts/s']
  return table([...header, 'generator’s cores'], rows)
}

/** Of each round by itself, since the machine may change between rounds; then the median. */
function ratio(runs: readonly ThroughputRun[], target: TargetName, baseline: TargetName): string {
  const ratios = runsOf(runs, target).flatMap((run) => {
    const other = runsOf(runs, baseline).find(({ repetition }) => repetition === run.repetition)
    return other === undefined ? [] : [rateOf(run) / rateOf(other)]
  })
  return ratios.length === 0 ? NOTHING : median(ratios).toFixed(2)
}

function costs(runs: readonly ThroughputRun[], targets: readonly TargetName[]): string {
  const rows = targets.map((target) => {
    const { cpuPerSaleUs, peakRssMiB, metricsBehindMs } = medianBy(runsOf(runs, target), rateOf)
    const { broker, hub, redis, influxdb, generator } = cpuPerSaleUs
    const cpu = (us: number | undefined) => (us === undefined ? NOTHING : short(us))
    return [
      TARGETS[target],
      ...[broker ?? hub, redis, influxdb, generator].map(cpu),
      whole(peakRssMiB),
      metricsBehindMs === null ? NOTHING : `${(metricsBehindMs / 1000).toFixed(1)} s`,
    ]
  })
  const processes = ['CPU µs a sale: broker', 'Redis', 'InfluxDB', 'generator']
  return table(['', ...processes, 'peak RSS MiB', 'metrics complete after'], rows)
}

const NOTHING = '–'
