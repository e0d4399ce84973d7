/**
 * The unit economics as one flat table, as every export has it: Feishu Base, Looker Studio, spreadsheets, JSON.
 *
 * Glossary
 *   dimension  what rows are grouped by: `day`, `month`, `dealer`, `region`, `initiative`, `channel`
 *   metric     a figure of a group; null where it is undefined (a cost per lead without leads)
 *   adds       a metric's sum over groups is the whole's; of the others (ratios, distinct days) no sum may be taken
 */

export const EXPORT_TYPES = ['day', 'month', 'text', 'count', 'money', 'ratio'] as const
/**
 *   day     `YYYY-MM-DD`, business day of the hub's time zone
 *   month   `YYYY-MM`
 *   text    an id or a name
 *   count   a whole number
 *   money   whole units of `unit`, at most two decimals
 *   ratio   a number, of `unit`
 */
export type ExportType = (typeof EXPORT_TYPES)[number]

export interface ExportColumn {
  /** What programs know it by; stable. */
  readonly name: string
  readonly label: string
  readonly type: ExportType
  /** `IDR`, `IDR per lead`, `days`, …; null: none. */
  readonly unit: string | null
  readonly concept: 'dimension' | 'metric'
  readonly adds: boolean
}

export type ExportCell = string | number | null

export interface ExportTable {
  readonly columns: readonly ExportColumn[]
  readonly rows: readonly (readonly ExportCell[])[]
}

export interface ExportRequest {
  /** Business days `YYYY-MM-DD`, both inclusive. */
  readonly from: string
  readonly to: string
  /** Names of dimensions; empty: one row for all. */
  readonly by: readonly string[]
}

/** Where tables come from. */
export interface ExportSource {
  /** Every dimension and metric there is. */
  readonly columns: readonly ExportColumn[]
  /** The dimensions of `by` in that order, then every metric; groups without any figure are left out. */
  read(request: ExportRequest): Promise<ExportTable>
}

/** What a table may hold: more is refused, so that no export is a part of one. */
export const EXPORT_ROWS_MAX = 100_000
export const EXPORT_DAYS_MAX = 1_100

/** These columns of a table, in this order. @throws RangeError for a name that it does not have */
export function selectColumns({ columns, rows }: ExportTable, names: readonly string[]): ExportTable {
  const places = names.map((name) => {
    const place = columns.findIndex((column) => column.name === name)
    if (place < 0) throw new RangeError(`the table has no column ${name}`)
    return place
  })
  return {
    columns: places.map((place) => columns[place] as ExportColumn),
    rows: rows.map((row) => places.map((place) => row[place] as ExportCell)),
  }
}

/** A column's name for people: `Total event spend (IDR)`. */
export const headingOf = ({ label, unit }: ExportColumn): string =>
  unit === null ? label : `${label} (${unit})`
