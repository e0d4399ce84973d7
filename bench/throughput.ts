/** How many sales a second each target acknowledges when terminals send as fast as it lets them, and at what cost. */
import type { GeneratorResult } from './generator.ts'
import { short, table, whole } from './markdown.ts'
import { cpuSecondsOf, memoryOf } from './process-usage.ts'
import { median, medianBy } from './statistics.ts'
import { type StartOptions, startTarget, TARGETS, type TargetName } from './targets.ts'
import { planLoad, runLoad } from './workload.ts'

export interface ThroughputOptions {
  readonly targets: readonly TargetName[]
  readonly repetitions: number
  readonly warmUpMs: number
  readonly durationMs: number
  readonly appendfsync: StartOptions['appendfsync']
  readonly progress: (what: string) => void
}

export interface ThroughputRun {
  readonly target: TargetName
  readonly repetition: number
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
  { warmUpMs, durationMs, appendfsync }: ThroughputOptions,
): Promise<ThroughputRun> {
  const plan = planLoad({ ratePerSecond: null, warmUpMs, durationMs })
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
    load,
    cpuPerSaleUs: {
      ...Object.fromEntries(used),
      generator: (load.cores * 1e6) / load.acknowledgedPerSecond,
    },
    peakRssMiB,
    metricsBehindMs,
  }
}

/** The first two columns of figures are medians; what follows is of the run that made the median. */
export function throughputMarkdown(runs: readonly ThroughputRun[]): string {
  const of = (target: TargetName) => runs.filter((run) => run.target === target)
  const rate = ({ load }: ThroughputRun) => load.acknowledgedPerSecond
  /** Of each round, since the machine may change between rounds; then the median. */
  const ratio = (target: TargetName, baseline: TargetName) => {
    const ratios = of(target).flatMap((run) => {
      const other = of(baseline).find(({ repetition }) => repetition === run.repetition)
      return other === undefined ? [] : [rate(run) / rate(other)]
    })
    return ratios.length === 0 ? '–' : median(ratios).toFixed(2)
  }
  const targets = [...new Set(runs.map(({ target }) => target))]
  const rows = targets.map((target) => {
    const run = medianBy(of(target), rate)
    const rates = of(target).map(rate)
    const cpu = (name: string) => {
      const us = run.cpuPerSaleUs[name]
      return us === undefined ? '–' : short(us)
    }
    return [
      TARGETS[target],
      `**${whole(rate(run))}**`,
      `${whole(Math.min(...rates))}–${whole(Math.max(...rates))}`,
      ratio(target, 'bare'),
      ratio(target, 'naive'),
      target.startsWith('hub') ? whole(run.load.receiptsPerSecond) : '–',
      cpu(target.startsWith('hub') ? 'hub' : 'broker'),
      cpu('redis'),
      cpu('influxdb'),
      cpu('generator'),
      run.load.cores.toFixed(2),
      whole(run.peakRssMiB),
      run.metricsBehindMs === null ? '–' : `${(run.metricsBehindMs / 1000).toFixed(1)} s`,
    ]
  })
  const header = [
    'as fast as it goes',
    'PUBACKs/s',
    'min–max',
    '× bare',
    '× naive',
    'receipts/s',
    'CPU µs a sale: broker or hub',
    'Redis',
    'InfluxDB',
    'generator',
    'generator’s cores',
    'peak RSS MiB',
    'metrics complete after',
  ]
  return table(header, rows)
}
