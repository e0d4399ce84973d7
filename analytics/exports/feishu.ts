/**
 * The unit economics into a table of a Feishu Base: each row by a key of its own, so that the same export again changes
 * the same records. Nothing is deleted, and records and fields that people add are left alone.
 *
 *   key       `day:2026-11-01/dealer:jkt-01/channel:tiktok`, in the field `key`
 *   batch     up to RECORDS_MAX records that are created or updated in one call
 *   run       one export until it is finished; its id is in every batch's token, so that repeating a batch creates
 *             nothing twice, and a later run may write the same figures again
 *   progress  run, digest of the table, batches done: saved after each. A run that was cut short goes on after them
 *             when the figures are still the same; otherwise a new one begins
 *   lease     held while writing: a Base takes one write at a time per table
 */
import { createHash } from 'node:crypto'
import type { ExportCell, ExportColumn, ExportTable } from '../../gateway/contract/export-table.ts'
import { headingOf } from '../../gateway/contract/export-table.ts'
import { type FeishuBase, FIELD_TYPES, type Field, type Fields, RECORDS_MAX } from './feishu-base.ts'

export const KEY_FIELD = 'key'

export interface FeishuProgress {
  readonly run: string
  /** Of all that this run writes. */
  readonly digest: string
  /** Rows that are written. */
  readonly done: number
}

export interface FeishuExport {
  readonly base: FeishuBase
  /** Name of the table in the Base; made when there is none. */
  readonly name: string
  /** Has a dimension of type day, or `month`: a figure stands in its time. */
  readonly table: ExportTable
  /** In which days begin. */
  readonly timezone: string
  readonly lease: { hold(): Promise<boolean> }
  readonly recall: () => Promise<FeishuProgress | null>
  readonly remember: (progress: FeishuProgress | null) => Promise<void>
  /** A new run's id. */
  readonly newRun: () => string
  readonly onProgress?: (done: number, rows: number) => void
}

export interface FeishuResult {
  readonly created: number
  readonly updated: number
  /** Written by an earlier attempt at this run. */
  readonly resumed: number
}

/** Often enough that a lease of 15 s does not run out during a call. */
const RENEW_MS = 4_000

/** @throws FeishuError; Error when another export writes this table, or a field has another type */
export async function exportToFeishu(options: FeishuExport): Promise<FeishuResult> {
  const { base, name, table, timezone, lease, remember, onProgress = () => {} } = options
  const rows = recordsOf(table, timezone)
  await holdLease(lease, name)
  const renewing = setInterval(() => void lease.hold().catch(() => {}), RENEW_MS)
  try {
    const tableId = await ensureTable(base, name, fieldsOf(table.columns))
    const ids = await recordIds(base, tableId)
    const progress = await resume(digestOf(name, rows), options)
    let created = 0
    let updated = 0
    for (let done = progress.done; done < rows.length; done += RECORDS_MAX) {
      const batch = rows.slice(done, done + RECORDS_MAX)
      const fresh = batch.filter(({ key }) => !ids.has(key)).map(({ fields }) => fields)
      const known = batch.flatMap(({ key, fields }) => {
        const id = ids.get(key)
        return id === undefined ? [] : [{ id, fields }]
      })
      await holdLease(lease, name)
      if (fresh.length > 0) await base.createRecords(tableId, tokenOf(progress.run, fresh), fresh)
      if (known.length > 0) await base.updateRecords(tableId, known)
      created += fresh.length
      updated += known.length
      await remember({ ...progress, done: done + batch.length })
      onProgress(done + batch.length, rows.length)
    }
    await remember(null)
    return { created, updated, resumed: progress.done }
  } finally {
    clearInterval(renewing)
  }
}

async function holdLease(lease: FeishuExport['lease'], name: string): Promise<void> {
  if (!(await lease.hold()))
    throw new Error(`another export is writing the table ${name}: wait until it is done`)
}

interface Row {
  readonly key: string
  readonly fields: Fields
}

/** In the order of their keys: the same figures make the same batches. */
function recordsOf({ columns, rows }: ExportTable, timezone: string): Row[] {
  if (!columns.some(({ name, concept }) => concept === 'dimension' && (name === 'day' || name === 'month'))) {
    throw new RangeError('rows need their time in their key: group by day or month')
  }
  const records = rows.map((row): Row => {
    const key = keyOf(columns, row)
    const cells = columns.map((column, i) => [
      headingOf(column),
      cellOf(column, row[i] as ExportCell, timezone),
    ])
    return { key, fields: { [KEY_FIELD]: key, ...Object.fromEntries(cells) } }
  })
  return records.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
}

/** What stands between names and values is escaped in them: two groups never have one key. */
export const keyOf = (columns: readonly ExportColumn[], row: readonly ExportCell[]): string =>
  columns
    .flatMap(({ name, concept }, i) =>
      concept === 'dimension' ? [`${name}:${String(row[i]).replace(/[%/]/g, encodeURIComponent)}`] : [],
    )
    .join('/')

function cellOf({ type }: ExportColumn, cell: ExportCell, timezone: string): ExportCell {
  if (type !== 'day' || cell === null) return cell
  return Temporal.PlainDate.from(String(cell)).toZonedDateTime(timezone).epochMilliseconds
}

const fieldsOf = (columns: readonly ExportColumn[]): Field[] => [
  { name: KEY_FIELD, type: FIELD_TYPES.text },
  ...columns.map((column) => ({ name: headingOf(column), type: fieldTypeOf(column) })),
]

function fieldTypeOf({ type }: ExportColumn): number {
  if (type === 'day') return FIELD_TYPES.date
  return type === 'text' || type === 'month' ? FIELD_TYPES.text : FIELD_TYPES.number
}

/** The table with at least these fields. @returns its id */
async function ensureTable(base: FeishuBase, name: string, wanted: readonly Field[]): Promise<string> {
  const tableId = (await base.tables()).get(name)
  if (tableId === undefined) return base.createTable(name, wanted)
  const types = new Map((await base.fields(tableId)).map((field) => [field.name, field.type]))
  for (const { name: field, type } of wanted) {
    const found = types.get(field)
    if (found !== undefined && found !== type) {
      throw new Error(
        `the field ${field} of the table ${name} should be of type ${nameOfType(type)}, and is of type ${nameOfType(found)}`,
      )
    }
  }
  for (const field of wanted) if (!types.has(field.name)) await base.addField(tableId, field)
  return tableId
}

const nameOfType = (type: number): string =>
  Object.entries(FIELD_TYPES).find(([, number]) => number === type)?.[0] ?? `number ${type} of the API`

/** Of records that have a key; of two with one key the first. */
async function recordIds(base: FeishuBase, tableId: string): Promise<ReadonlyMap<string, string>> {
  const ids = new Map<string, string>()
  for await (const { id, text } of base.texts(tableId, KEY_FIELD)) {
    if (text !== '' && !ids.has(text)) ids.set(text, id)
  }
  return ids
}

/** A new run is remembered before its first batch: its tokens must be the same when that is written again. */
async function resume(
  digest: string,
  { recall, remember, newRun }: Pick<FeishuExport, 'recall' | 'remember' | 'newRun'>,
): Promise<FeishuProgress> {
  const found = await recall()
  if (found?.digest === digest) return found
  const fresh = { run: newRun(), digest, done: 0 }
  await remember(fresh)
  return fresh
}

const digestOf = (name: string, rows: readonly Row[]): string => {
  const hash = createHash('sha256').update(name)
  for (const { fields } of rows) hash.update(JSON.stringify(fields))
  return hash.digest('hex')
}

/** A UUID, in the form of version 4 as Feishu wants it, of a batch: the same for the same batch of the same run. */
function tokenOf(run: string, records: readonly Fields[]): string {
  const hash = createHash('sha256').update(run).update(JSON.stringify(records)).digest('hex')
  const [a, b, c, d, e] = [
    hash.slice(0, 8),
    hash.slice(8, 12),
    hash.slice(13, 16),
    hash.slice(17, 20),
    hash.slice(20, 32),
  ]
  return `${a}-${b}-4${c}-8${d}-${e}`
}
