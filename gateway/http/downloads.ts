/**
 * A table as bytes: JSON, CSV (RFC 4180, UTF-8) or a workbook (XLSX). All of them are made as they are sent, so that
 * the largest table holds neither the process's memory nor its event loop.
 *
 * Texts are what people reported. In a CSV, one that a spreadsheet would take for a formula is given an apostrophe; in
 * a workbook it is a text by its type.
 */
import { Readable } from 'node:stream'
import { setImmediate as immediate } from 'node:timers/promises'
import { writeCsvStream } from 'hucre/csv'
import { writeXlsxStream } from 'hucre/xlsx'
import {
  type ExportCell,
  type ExportColumn,
  type ExportTable,
  type ExportType,
  headingOf,
} from '../contract/export-table.ts'

/** Some milliseconds of work; then others get their turn, even when whoever reads is never behind. */
const ROWS_PER_TURN = 500
/** As wide as a day, a name, or a figure in rupiah. */
const COLUMN_CHARACTERS = 18

const NUMBER_FORMATS: Readonly<Record<ExportType, string | null>> = {
  day: 'yyyy-mm-dd',
  month: null,
  text: null,
  count: '#,##0',
  money: '#,##0.00',
  ratio: '#,##0.00##',
}

/** @param head what stands beside `columns` and `rows` */
export function jsonOf(table: ExportTable, head: object): Readable {
  async function* chunks(): AsyncGenerator<string> {
    const { columns, rows } = table
    yield `${JSON.stringify({ ...head, columns }).slice(0, -1)},"rows":[`
    for (let start = 0; start < rows.length; start += ROWS_PER_TURN) {
      const chunk = rows.slice(start, start + ROWS_PER_TURN)
      yield `${start === 0 ? '' : ','}${chunk.map((row) => JSON.stringify(row)).join(',')}`
      await immediate()
    }
    yield ']}'
  }
  return Readable.from(chunks())
}

export const csvOf = (table: ExportTable): ReadableStream<Uint8Array> =>
  writeCsvStream(
    turns(table, (_, cell) => cell),
    { headers: table.columns.map(headingOf), escapeFormulae: true },
  )

export const xlsxOf = (table: ExportTable): ReadableStream<Uint8Array> =>
  writeXlsxStream(turns(table, workbookCell), {
    name: 'Unit economics',
    freezePane: { rows: 1 },
    columns: table.columns.map((column) => {
      const numFmt = NUMBER_FORMATS[column.type]
      return { header: headingOf(column), width: COLUMN_CHARACTERS, ...(numFmt !== null && { numFmt }) }
    }),
  })

async function* turns<Cell>(
  { columns, rows }: ExportTable,
  cellOf: (column: ExportColumn, cell: ExportCell) => Cell,
): AsyncGenerator<Cell[]> {
  for (const [i, row] of rows.entries()) {
    if (i % ROWS_PER_TURN === 0) await immediate()
    yield row.map((cell, place) => cellOf(columns[place] as ExportColumn, cell))
  }
}

const workbookCell = ({ type }: ExportColumn, cell: ExportCell): ExportCell | Date =>
  type === 'day' && typeof cell === 'string' ? new Date(cell) : cell
