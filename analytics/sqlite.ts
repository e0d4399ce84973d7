/**
 * The embedded metrics: one SQLite file of their own in the data folder, facts and checkpoint in one transaction. All
 * of it happens on a thread (`sqlite-worker.ts`); the event loop only serialises points.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Piscina } from 'piscina'
import { spansOf } from './business-days.ts'
import { answer, checkQuestion, entriesOf, type Metrics, MetricsError } from './metrics.ts'
import type { EntriesRequest, TotalsRequest } from './sqlite-worker.ts'

export const METRICS_FILE = 'metrics.db'

export interface SqliteMetricsOptions {
  /** Folder of the file; made when missing. */
  readonly dataDir: string
  /** Of business days. */
  readonly timezone: string
}

/** @throws when the file can't be opened. */
export async function openSqliteMetrics({ dataDir, timezone }: SqliteMetricsOptions): Promise<Metrics> {
  mkdirSync(dataDir, { recursive: true })
  // One thread, so that calls are answered in the order they were made.
  const pool = new Piscina({
    filename: new URL('./sqlite-worker.ts', import.meta.url).href,
    workerData: { file: join(dataDir, METRICS_FILE), timezone },
    minThreads: 1,
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
  })

  async function run(name: string, request?: unknown) {
    try {
      return await pool.run(request, { name })
    } catch (cause) {
      throw new MetricsError(`the embedded metrics failed (${name}): ${(cause as Error).message}`, { cause })
    }
  }

  await run('ping')
  return {
    checkpoint: () => run('checkpoint'),
    async write(points, checkpoint) {
      // As one text: a structured clone of five thousand objects would hold up the event loop three times as long.
      await run('write', { points: JSON.stringify(points), checkpoint })
    },
    async reset() {
      await run('reset')
    },
    async totals(question) {
      checkQuestion(question)
      // What is no range of days is refused here, not by the thread.
      spansOf(question, timezone)
      const groups: string = await run('totals', { question } satisfies TotalsRequest)
      return answer(question, JSON.parse(groups))
    },
    async entriesBehind(question, limit) {
      checkQuestion(question)
      spansOf(question, timezone)
      const request: EntriesRequest = { question, limit: limit + 1 }
      return entriesOf(await run('entries', request), limit)
    },
    async ping() {
      await run('ping')
    },
    async close() {
      await run('close')
      await pool.close()
    },
  }
}
