/**
 * A table as bytes: JSON, CSV (RFC 4180, UTF-8) or a workbook (XLSX). All of them are made as they are sent, so that
 * the largest table holds neither the process's memory nor its event loop.
 *
 * Texts are what people reported. In a CSV, one that a spreadsheet would take for a formula is given an apostrophe; in
 * a workbook it is a text by its type.
 */
import { Readable } from 'node:stream'
import { writeCsvStream } from 'hucre/csv'
import { writeXlsxStream } from 'hucre/xlsx'
import {
  type ExportCell,
  type ExportColumn,
  type ExportTable,
  type ExportType,
  headingOf,
} from '../contract/export-table.ts'

const JSON_ROWS_PER_CHUNK = 1000
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
  function* chunks(): Generator<string> {
    const { columns, rows } = table
    yield `${JSON.stringify({ ...head, columns }).slice(0, -1)},"rows":[`
    for (let start = 0; start < rows.length; start += JSON_ROWS_PER_CHUNK) {
      const chunk = rows.slice(start, start + JSON_ROWS_PER_CHUNK)
      yield `${start === 0 ? '' : ','}${chunk.map((row) => JSON.stringify(row)).join(',')}`
    }
    yield ']}'
  }
  return Readable.from(chunks())
}

export const csvOf = ({ columns, rows }: ExportTable): ReadableStream<Uint8Array> =>
  writeCsvStream(
    rows.map((row) => [...row]),
    { headers: columns.map(headingOf), escapeFormulae: true },
  )

export const xlsxOf = ({ columns, rows }: ExportTable): ReadableStream<Uint8Array> =>
  writeXlsxStream(
    rows.map((row) => row.map((cell, i) => workbookCell(columns[i] as ExportColumn, cell))),
    {
      name: 'Unit economics',
      freezePane: { rows: 1 },
      columns: columns.map((column) => {
        const numFmt = NUMBER_FORMATS[column.type]
        return { header: headingOf(column), width: COLUMN_CHARACTERS, ...(numFmt !== null && { numFmt }) }
      }),
    },
  )

const workbookCell = ({ type }: ExportColumn, cell: ExportCell): ExportCell | Date =>
  type === 'day' && typeof cell === 'string' ? new Date(cell) : cell
