/** How long a terminal waits at a steady pace: for its PUBACK, and for its receipt. */
import type { GeneratorResult } from './generator.ts'
import { short, table, whole } from './markdown.ts'
import { medianBy } from './statistics.ts'
import { type StartOptions, startTarget, TARGETS, type TargetName } from './targets.ts'
import { planLoad, runLoad } from './workload.ts'

export interface PacedOptions {
  readonly targets: readonly TargetName[]
  readonly repetitions: number
  /** Sales a second. */
  readonly paces: readonly number[]
  /** As fast as it goes, before the first pace: figures are those of a hub that has been running. */
  readonly heatMs: number
  readonly durationMs: number
  /** Unacknowledged sales of one terminal. */
  readonly window: number
  readonly appendfsync: StartOptions['appendfsync']
  readonly progress: (what: string) => void
}

export interface PacedRun {
  readonly target: TargetName
  readonly repetition: number
  readonly pace: number
  readonly load: GeneratorResult
}

/** From the pace before, or none, to this one. */
const SETTLE_MS = 1000

export async function measurePaced(options: PacedOptions): Promise<PacedRun[]> {
  const runs: PacedRun[] = []
  for (let repetition = 1; repetition <= options.repetitions; repetition++) {
    for (const target of options.targets) {
      options.progress(`paced, ${repetition} of ${options.repetitions}: ${TARGETS[target]}`)
      runs.push(...(await measureOnce(target, repetition, options)))
    }
  }
  return runs
}

async function measureOnce(
  name: TargetName,
  repetition: number,
  { paces, heatMs, durationMs, window, appendfsync }: PacedOptions,
): Promise<PacedRun[]> {
  const heat = planLoad({ window, ratePerSecond: null, warmUpMs: 0, durationMs: heatMs })
  const plans = paces.map((pace) =>
    planLoad({ window, ratePerSecond: pace, warmUpMs: SETTLE_MS, durationMs }),
  )
  await using target = await startTarget(name, { loads: [heat, ...plans], appendfsync })
  let sales = (await runLoad(target, heat)).total.acknowledged
  const runs: PacedRun[] = []
  for (const [i, plan] of plans.entries()) {
    await target.caughtUp(sales)
    const load = await runLoad(target, plan)
    sales += load.total.acknowledged
    runs.push({ target: name, repetition, pace: paces[i] as number, load })
  }
  await target.caughtUp(sales)
  await target.verify(sales)
  return runs
}

/** Of each target and pace, the run with the median p99. */
export function pacedMarkdown(runs: readonly PacedRun[]): string {
  const targets = [...new Set(runs.map(({ target }) => target))]
  const paces = [...new Set(runs.map(({ pace }) => pace))]
  const rows = paces.flatMap((pace) =>
    targets.map((target) => {
      const { load } = medianBy(
        runs.filter((run) => run.target === target && run.pace === pace),
        (run) => run.load.puback.p99Ms,
      )
      const { puback, receipt } = load
      const receipts =
        load.receipts === 0 ? ['–', '–', '–'] : [receipt.p50Ms, receipt.p99Ms, receipt.p999Ms].map(short)
      return [
        `${whole(pace)}/s: ${TARGETS[target]}`,
        load.unsent === 0
          ? whole(load.acknowledgedPerSecond)
          : `${whole(load.acknowledgedPerSecond)}, overloaded`,
        short(puback.p50Ms),
        `**${short(puback.p99Ms)}**`,
        short(puback.p999Ms),
        short(puback.maxMs),
        ...receipts,
        load.cores.toFixed(2),
      ]
    }),
  )
  const header = [
    '',
    'done/s',
    'PUBACK ms p50',
    'p99',
    'p99.9',
    'max',
    'receipt ms p50',
    'p99',
    'p99.9',
    'generator’s cores',
  ]
  return `## At a steady pace

Milliseconds from when a sale was due, not from when it could be sent; all terminals together, on targets that have been
busy before. Bare Aedes shows what machine and generator add. Of each, the run with the median p99.

${table(header, rows)}`
}
