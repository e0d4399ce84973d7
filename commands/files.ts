/** The CSV files that commands read, and how their errors are told. */
import { createReadStream, statSync } from 'node:fs'
import type { RowError } from '../gateway/reference/csv.ts'
import type { ReadErrors } from '../gateway/reference/read.ts'
import { count } from './output.ts'

export interface InputFile {
  readonly bytes: AsyncIterable<Uint8Array>
  /** null: not known beforehand (a pipe). */
  readonly size: number | null
}

/** `-` is stdin. @throws when there is no such file, or it can't be read */
export function openInput(path: string): InputFile {
  if (path === '-') return { bytes: process.stdin, size: null }
  try {
    const { size } = statSync(path)
    return { bytes: createReadStream(path, { highWaterMark: 256 * 1024 }), size }
  } catch (cause) {
    throw new Error(`${path} can't be read: ${(cause as Error).message}`, { cause })
  }
}

/** One line an error, in the form that editors jump to: `serials.csv:12: model: expected …, received …`. */
export function errorLines(path: string, { errors, errorsTotal }: ReadErrors): string[] {
  const lines = errors.map(
    ({ line, column, expected, received }: RowError) =>
      `${path}:${line}: ${column === null ? '' : `${column}: `}expected ${expected}, received ${received}`,
  )
  const more = errorsTotal - errors.length
  return more === 0 ? lines : [...lines, `… and ${count(more, 'more error')}`]
}
