/**
 * Bytes → the rows of a CSV file, one at a time: UTF-8 (a byte order mark is fine), a header, commas, quotes where
 * needed. What is wrong with a row is told with its line, its column, what was expected and what came.
 */
import { Readable } from 'node:stream'
import { CsvError, type Info, parse } from 'csv-parse'

/** Longer than any honest row: beyond it a quote was opened and never closed, and the rest must not fill the memory. */
const ROW_BYTES_MAX = 64 * 1024

export interface RowError {
  /** From 1, the header; of a row over several lines, the last. */
  readonly line: number
  /** null: the row as a whole. */
  readonly column: string | null
  readonly expected: string
  readonly received: string
}

export interface CsvRow {
  readonly line: number
  /** In the header's order, without blanks around them; as many as the header has. */
  readonly fields: readonly string[]
}

/**
 * The rows of a file, the header first. Reads on after a wrong row, but not when it can't be told where the next one
 * begins. Rows without any text are skipped.
 * @throws what the source throws
 */
export async function* readCsv(
  source: AsyncIterable<Uint8Array>,
  onError: (error: RowError) => void,
): AsyncGenerator<CsvRow> {
  const parser = Readable.from(source).compose(
    parse({
      bom: true,
      info: true,
      max_record_size: ROW_BYTES_MAX,
      relax_column_count: true,
      skip_empty_lines: true,
      skip_records_with_empty_values: true,
      trim: true,
    }),
  )
  let columns: number | null = null
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: Info }>) {
      columns ??= record.length
      if (record.length === columns) yield { line: info.lines, fields: record }
      else onError(rowError(info.lines, `${columns} columns, as in the header`, `${record.length}`))
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    onError(broken(error))
  }
}

const rowError = (line: number, expected: string, received: string): RowError => ({
  line,
  column: null,
  expected,
  received,
})

/** @see https://csv.js.org/parse/errors/ */
function broken(error: CsvError): RowError {
  const line = Number(error.lines)
  switch (error.code) {
    case 'CSV_QUOTE_NOT_CLOSED':
      return rowError(line, 'a closing quote', 'the end of the file')
    case 'CSV_MAX_RECORD_SIZE':
      return rowError(
        line,
        `at most ${ROW_BYTES_MAX} bytes in one row`,
        'more; perhaps a quote is not closed',
      )
    case 'INVALID_OPENING_QUOTE':
      return rowError(
        line,
        'a quote only at the beginning of a value (or doubled inside quotes)',
        'one inside',
      )
    default:
      return rowError(line, 'well-formed CSV', error.message)
  }
}
