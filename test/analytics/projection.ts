/**
 * What the projector's tests share: a real embedded store as the ledger, and the audit that judges the metrics by the
 * store's entries alone.
 */
import { randomUUID } from 'node:crypto'
import { openInfluxMetrics } from '../../analytics/influx.ts'
import { ALL_MEASUREMENTS, designOf, type Measurement } from '../../analytics/measurements.ts'
import type { Metrics } from '../../analytics/metrics.ts'
import {
  type Projector,
  type ProjectorOptions,
  startProjector,
  type Timing,
} from '../../analytics/projector.ts'
import { openSqliteMetrics } from '../../analytics/sqlite.ts'
import type { Entry, Stream } from '../../gateway/contract/ledger.ts'
import { keyIn, SHARDS } from '../../gateway/store/keys.ts'
import { openSqliteStore } from '../../gateway/store/sqlite.ts'
import type { Store } from '../../gateway/store/store.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { type Body, figuresOf, totalsOf } from './random-ledger.ts'

export const TIMEZONE = 'Asia/Jakarta'
const EVER = { firstDay: '2000-01-01', lastDay: '2199-12-31' }
const COMMIT_BATCH = 500

const streamOf = (type: string): Stream => (/^(vehicle|device)\./.test(type) ? 'telemetry' : 'ledger')

/** Appends these to the store, spread over all lanes. */
export async function commit(store: Store, bodies: readonly Body[]): Promise<void> {
  for (let begin = 0; begin < bodies.length; begin += COMMIT_BATCH) {
    await store.commit(
      bodies.slice(begin, begin + COMMIT_BATCH).map(({ type, data }, index) => {
        const token = randomUUID()
        const shard = SHARDS[index % SHARDS.length] as number
        const once = [{ key: keyIn(shard, `test:${token}`), value: 1 }]
        return { shard, token, once, append: [{ stream: streamOf(type), type, data }] }
      }),
    )
  }
}

/** Every entry of the store, read to the end. */
export async function entriesOf(store: Store): Promise<Entry[]> {
  const found: Entry[] = []
  for (const stream of ['ledger', 'telemetry'] as const) {
    let position = ''
    for (;;) {
      const page = await store.entriesAfter(stream, position, 5000)
      if (page.entries.length === 0) break
      found.push(...page.entries)
      position = page.position
    }
  }
  return found
}

/** All figures by day and every tag: as the metrics have them, and as the ledger says they must be. */
export async function audit(
  metrics: Metrics,
  store: Store,
  measurements: readonly Measurement[] = ALL_MEASUREMENTS,
) {
  const figures = figuresOf(await entriesOf(store), TIMEZONE)
  const metered: Record<string, unknown> = {}
  const expected: Record<string, unknown> = {}
  for (const measurement of measurements) {
    const by = ['day', ...designOf(measurement).tags] as 'day'[]
    metered[measurement] = await metrics.totals({ measurement, by, ...EVER })
    expected[measurement] = totalsOf(figures, { measurement, by })
  }
  return { metered, expected }
}

/** Quick to try again, so that no test waits for long. */
const TIMING: Partial<Timing> = { pollMs: 50, lingerMs: 5, backoffMinMs: 5, backoffMaxMs: 50 }

export const ALWAYS = { hold: async () => true }
export const SILENT = { info: () => {}, warn: () => {} }

/** A projector that stops with the test. */
export function project(
  test: AsyncDisposableStack,
  options: Pick<ProjectorOptions, 'source' | 'metrics'> & Partial<ProjectorOptions>,
): Projector {
  const timing = { ...TIMING, ...options.timing }
  const projector = startProjector({ lease: ALWAYS, log: SILENT, ...options, timing })
  test.defer(() => projector.stop())
  return projector
}

export async function openStore(test: AsyncDisposableStack, dataDir = temporaryFolder('ledger').path) {
  return test.adopt(await openSqliteStore({ dataDir }), (store) => store.close())
}

export async function openEmbedded(test: AsyncDisposableStack, dataDir = temporaryFolder('metrics').path) {
  return test.adopt(await openSqliteMetrics({ dataDir, timezone: TIMEZONE }), (metrics) => metrics.close())
}

export function openInflux(test: AsyncDisposableStack, url: string, bucket = 'hub') {
  const metrics = openInfluxMetrics({ url, token: null, org: null, bucket, timezone: TIMEZONE })
  return test.adopt(metrics, () => metrics.close())
}
