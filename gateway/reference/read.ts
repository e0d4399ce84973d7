/** A CSV file → its rows, or everything that is wrong with it. */
import { type CsvRow, type RowError, readCsv } from './csv.ts'
import type { ReferenceFile, RowForm } from './files.ts'
import type { Sheet } from './sheet.ts'

/** Errors told in full; of the others only how many there are. */
export const ERRORS_MAX = 100
const PROGRESS_ROWS = 1000

export interface ReadErrors {
  /** The first ERRORS_MAX, by line. */
  readonly errors: readonly RowError[]
  readonly errorsTotal: number
}

/** How rows are read, and the key by which the sheet gives them out. */
export type SheetForm = RowForm & Pick<ReferenceFile, 'key'>

/** @param onProgress told how many rows were read, now and then */
export async function readRows(
  source: AsyncIterable<Uint8Array>,
  form: SheetForm,
  sheet: Sheet,
  onProgress: (rows: number) => void = () => {},
): Promise<ReadErrors> {
  const found: RowError[] = []
  let errorsTotal = 0
  const onError = (error: RowError): void => {
    errorsTotal++
    if (found.length < ERRORS_MAX) found.push(error)
  }
  const result = () => ({ errors: found.toSorted((a, b) => a.line - b.line), errorsTotal })

  let header: readonly string[] | null = null
  let rows = 0
  for await (const row of readCsv(source, onError)) {
    if (header === null) {
      header = row.fields
      checkHeader(row, form, onError)
      // Without its columns every row would be wrong, all for one reason.
      if (errorsTotal > 0) return result()
    } else {
      readRow(row, header, form, sheet, onError)
      if (++rows % PROGRESS_ROWS === 0) onProgress(rows)
    }
  }
  if (errorsTotal === 0 && header === null) onError(missing(1, `a header: ${form.columns.join(',')}`))
  // Taken at its word, an empty registration ledger would make every sale one of an unknown serial.
  else if (errorsTotal === 0 && rows === 0) onError(missing(2, 'at least one row'))
  for (const { identity, line, earlierLine } of sheet.duplicates()) {
    const received = `${identity} again, as in line ${earlierLine}`
    onError({ line, column: null, expected: 'each row once', received })
  }
  return result()
}

function checkHeader({ line, fields }: CsvRow, form: SheetForm, onError: (error: RowError) => void): void {
  const [only = ''] = fields
  if (fields.length === 1 && /[;\t|]/.test(only)) {
    onError({ line, column: null, expected: 'commas between the columns', received: describe(only) })
    return
  }
  const received = describe(fields.join(','))
  for (const column of form.columns) {
    if (!fields.includes(column)) onError({ line, column, expected: 'this column in the header', received })
  }
  for (const [i, column] of fields.entries()) {
    if (column === '') onError({ line, column: null, expected: 'a name for every column', received })
    else if (fields.indexOf(column) !== i) onError({ line, column, expected: 'this column once', received })
  }
}

function readRow(
  { line, fields: values }: CsvRow,
  header: readonly string[],
  form: SheetForm,
  sheet: Sheet,
  onError: (error: RowError) => void,
): void {
  const fields: Record<string, string> = {}
  const attributes: [column: string, value: string][] = []
  let isText = true
  for (const [i, column] of header.entries()) {
    const value = values[i] as string
    if (form.columns.includes(column)) fields[column] = value
    else if (value !== '') attributes.push([column, value])
    // What a decoder puts where the bytes were no UTF-8.
    if (value.includes('\uFFFD')) {
      onError({ line, column, expected: 'text in UTF-8', received: describe(value) })
      isText = false
    }
  }
  if (!isText) return
  const parsed = form.parse(fields, Object.fromEntries(attributes))
  if ('row' in parsed) {
    sheet.add(line, form.key(parsed.row.aggregate), parsed.row)
    return
  }
  for (const { column, expected } of parsed.wrong) {
    const received = fields[column] ?? attributes.find(([name]) => name === column)?.[1] ?? ''
    onError({ line, column, expected, received: describe(received) })
  }
}

const missing = (line: number, expected: string): RowError => ({
  line,
  column: null,
  expected,
  received: 'nothing',
})

/** For people to read: at most 80 characters, control characters escaped. */
function describe(value: string): string {
  if (value === '') return 'nothing'
  const text = JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}
