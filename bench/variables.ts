/**
 * The unit economics over two years of a network: how long a table of the ten variables takes on each metrics database,
 * and how fast the metrics are made again from the ledger.
 */
import { createEconomics } from '../analytics/economics.ts'
import { openInfluxMetrics } from '../analytics/influx.ts'
import type { Metrics } from '../analytics/metrics.ts'
import { pointsFor } from '../analytics/points.ts'
import { startProjector } from '../analytics/projector.ts'
import { openSqliteMetrics } from '../analytics/sqlite.ts'
import type { AskedVariables, Dimension } from '../gateway/contract/figures.ts'
import { type Entry, entryId, LANES } from '../gateway/contract/ledger.ts'
import { startInflux } from '../test/support/services.ts'
import { DEALERS, economicsLedger, FIRST_DAY, LAST_DAY } from './economics-ledger.ts'
import { short, table, whole } from './markdown.ts'
import { temporaryRoot } from './temporary-root.ts'

export interface VariablesOptions {
  /** Of the ledger. */
  readonly entries: number
  readonly progress: (what: string) => void
}

interface Timing {
  readonly what: string
  readonly rows: number
  /** The first time it was asked. */
  readonly firstMs: number
  readonly p50Ms: number
  readonly p95Ms: number
}

export interface VariablesResult {
  readonly driver: string
  readonly entries: number
  readonly points: number
  readonly rebuildMs: number
  readonly timings: readonly Timing[]
}

/** Without a number: a tenth of a large network’s two years. */
export const VARIABLES_ENTRIES = 100_000

const TIMEZONE = 'Asia/Jakarta'
const REPETITIONS = 40
/** What changes a month takes longer: fewer. */
const REPETITIONS_CHANGING = 10

const asked: AskedVariables = {
  from: FIRST_DAY,
  to: LAST_DAY,
  by: [],
  where: {},
  currency: 'IDR',
  attribution: 'first_touch',
  knownAt: null,
  compare: false,
  explain: false,
}

const TABLES: readonly { what: string; by: readonly Dimension[]; more?: Partial<AskedVariables> }[] = [
  { what: 'by month', by: ['month'] },
  { what: 'by month and channel', by: ['month', 'channel'] },
  { what: 'by month and dealer', by: ['month', 'dealer'] },
  { what: 'by month, dealer and channel', by: ['month', 'dealer', 'channel'] },
  { what: 'by month, of one dealer', by: ['month'], more: { where: { dealer: ['dealer-7'] } } },
  {
    what: 'a month by dealer and channel',
    by: ['dealer', 'channel'],
    more: { from: '2026-10-01', to: '2026-10-31' },
  },
  { what: 'a month by day', by: ['day'], more: { from: '2026-10-01', to: '2026-10-31' } },
]

export async function measureVariables({ entries, progress }: VariablesOptions): Promise<VariablesResult[]> {
  progress(`a ledger of ${whole(entries)} entries`)
  const ledger = economicsLedger(entries)
  const results: VariablesResult[] = []
  for (const driver of ['SQLite', 'InfluxDB'] as const) {
    using root = temporaryRoot()
    await using opened = new AsyncDisposableStack()
    const influx = driver === 'InfluxDB' ? opened.use(await startInflux()) : null
    const metrics = opened.adopt(
      influx === null
        ? await openSqliteMetrics({ dataDir: root.path, timezone: TIMEZONE })
        : openInfluxMetrics({ url: influx.url, token: null, org: null, bucket: 'hub', timezone: TIMEZONE }),
      (it) => it.close(),
    )
    progress(`${driver}: made again from the ledger`)
    const { rebuildMs, points } = await rebuild(metrics, ledger)
    const timings = await askAll(metrics, ledger, progress, driver)
    results.push({ driver, entries: ledger.length, points, rebuildMs, timings })
  }
  return results
}

/** The projector over a ledger that is in memory: what making, sending and keeping points takes. */
async function rebuild(metrics: Metrics, ledger: readonly Entry[]) {
  const beganAt = performance.now()
  const projector = startProjector({
    source: {
      async entriesAfter(stream, position, limit) {
        const from = position === '' ? 0 : Number(position)
        const entries = stream === 'ledger' ? ledger.slice(from, from + limit) : []
        return { entries, position: stream === 'ledger' ? String(from + entries.length) : '' }
      },
      entry: async () => null,
    },
    metrics,
    lease: { hold: async () => true },
    log: { info: () => {}, warn: (_, message) => console.error(message) },
    // The source can't find an entry by its id; nobody else writes.
    timing: { reloadMs: Number.MAX_SAFE_INTEGER },
  })
  await projector.caughtUp()
  const rebuildMs = performance.now() - beganAt
  const { points } = projector.state
  await projector.stop()
  return { rebuildMs, points }
}

async function askAll(
  metrics: Metrics,
  ledger: readonly Entry[],
  progress: VariablesOptions['progress'],
  driver: string,
): Promise<Timing[]> {
  const economics = createEconomics({ metrics, timezone: TIMEZONE })
  const timings: Timing[] = []
  for (const { what, by, more } of TABLES) {
    progress(`${driver}: ${what}`)
    timings.push(await time(what, () => economics.variables({ ...asked, ...more, by }), REPETITIONS))
  }
  progress(`${driver}: by month, while the last month changes`)
  const changes = changesOf(ledger)
  const changed = await time(
    'by month, the last month changed before each',
    () => economics.variables({ ...asked, by: ['month'] }),
    REPETITIONS_CHANGING,
    async () => metrics.write(pointsFor(changes.next().value as Entry), await metrics.checkpoint()),
  )
  progress(`${driver}: by month, as known a year before`)
  const knownAt = Date.parse(LAST_DAY) - 365 * 86_400_000
  const to = '2025-11-30'
  const then = await time(
    'a year by month, as known at its end',
    () => economics.variables({ ...asked, by: ['month'], to, knownAt }),
    3,
  )
  return [...timings, changed, then]
}

/** New leads of the last month, one after the other. */
function* changesOf(ledger: readonly Entry[]): Generator<Entry> {
  const lead = ledger.findLast(({ type }) => type === 'lead.created') as Entry
  for (let number = ledger.length; ; number++) {
    yield { ...lead, entry: entryId(number % LANES, number) }
  }
}

async function time(
  what: string,
  ask: () => Promise<{ rows: readonly unknown[] }>,
  repetitions: number,
  before: () => Promise<unknown> = async () => {},
): Promise<Timing> {
  const durations: number[] = []
  let rows = 0
  for (let repetition = 0; repetition <= repetitions; repetition++) {
    await before()
    const beganAt = performance.now()
    rows = (await ask()).rows.length
    durations.push(performance.now() - beganAt)
  }
  const [firstMs = 0, ...others] = durations
  const sorted = others.sort((a, b) => a - b)
  const percentile = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] as number
  return { what, rows, firstMs, p50Ms: percentile(0.5), p95Ms: percentile(0.95) }
}

export function variablesMarkdown(results: readonly VariablesResult[]): string {
  const rebuilt = results.map(({ driver, entries, points, rebuildMs }) => [
    driver,
    whole(entries),
    whole(points),
    short(rebuildMs / 1000),
    whole((entries * 1000) / rebuildMs),
  ])
  const timings = results.flatMap(({ driver, timings: all }) =>
    all.map(({ what, rows, firstMs, p50Ms, p95Ms }) => [
      `${driver}: ${what}`,
      whole(rows),
      short(firstMs),
      short(p50Ms),
      `**${short(p95Ms)}**`,
    ]),
  )
  return `## The unit economics

Two years of ${DEALERS} dealers and 7 channels, the ten variables of each group; milliseconds from the question to the figures,
without HTTP. «First» has to read what is kept in memory after it: on InfluxDB the sums of each month.

${table(['', 'rows', 'first', 'p50', 'p95'], timings)}

The metrics made again from a ledger that is in memory: what making, sending and keeping the points takes.

${table(['', 'entries', 'points', 'seconds', 'entries/s'], rebuilt)}`
}
