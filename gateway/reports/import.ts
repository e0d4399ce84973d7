/**
 * Imports spend or activities: reads and checks the whole file, then hands each row to the intake as the report that a
 * portal would have sent. Nothing is reported of a file with an error in it. Rows are known by their id: the same file
 * again changes nothing, a changed row corrects, and an import that was killed is completed by running it again.
 */
import { type ReportAnswer, reportAnswer } from '../contract/economics.ts'
import { HEAD_OFFICE, portalTopic } from '../contract/topics.ts'
import type { Inbound } from '../decode.ts'
import type { ImportProgress } from '../reference/import.ts'
import { type ReadErrors, readRows } from '../reference/read.ts'
import { openSheet } from '../reference/sheet.ts'
import type { Comparison } from '../reference/stage.ts'
import type { Json } from '../store/store.ts'
import { type ReportKind, reportForm } from './files.ts'

/** Rows under way at the same time: what the intake takes as one batch. */
const ROWS_AT_ONCE = 512

export interface ReportImportOptions {
  /** What would become of a report, or what has; see `deciders/report.ts`. */
  readonly submit: (message: Inbound) => Promise<object | null>
  readonly onProgress?: (progress: ImportProgress) => void
}

export type ReportImportResult =
  | ({ readonly outcome: 'imported'; readonly rows: number } & Comparison)
  /** Nothing was reported. */
  | ({ readonly outcome: 'invalid' } & ReadErrors)

/** @throws what the source throws, and when the store is away; it may be run again then */
export async function importReports(
  kind: ReportKind,
  source: AsyncIterable<Uint8Array>,
  { submit, onProgress = () => {} }: ReportImportOptions,
): Promise<ReportImportResult> {
  using sheet = openSheet()
  const read = await readRows(source, reportForm(kind), sheet, (rows) =>
    onProgress({ phase: 'reading', rows }),
  )
  if (read.errorsTotal > 0) return { outcome: 'invalid', ...read }
  const total = { added: 0, changed: 0, same: 0 }
  let rows = 0
  for (const batch of inBatches(sheet.all())) {
    const answers = await Promise.all(batch.map((report) => submit(messageOf(kind, report))))
    for (const answer of answers) total[COUNTED[reportAnswer.parse(answer).outcome]]++
    rows += batch.length
    onProgress({ phase: 'applying', rows, rowsTotal: sheet.rows })
  }
  return { outcome: 'imported', rows: sheet.rows, ...total }
}

const COUNTED: Readonly<Record<ReportAnswer['outcome'], keyof Comparison>> = {
  recorded: 'added',
  corrected: 'changed',
  voided: 'changed',
  unchanged: 'same',
}

const messageOf = (kind: ReportKind, report: Json): Inbound => ({
  topic: portalTopic(HEAD_OFFICE, kind === 'spend' ? 'spend' : 'activity'),
  sender: 'hub import',
  payload: Buffer.from(JSON.stringify(report)),
})

function* inBatches(rows: Iterable<{ value: Json }>): Generator<Json[]> {
  let batch: Json[] = []
  for (const { value } of rows) {
    if (batch.push(value) < ROWS_AT_ONCE) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
