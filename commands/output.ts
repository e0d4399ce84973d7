/** What commands print for people: tables and numbers on stdout, a progress bar on stderr. */

import { once } from 'node:events'
import { stripVTControlCharacters } from 'node:util'

/** Waits while whoever reads is slow. */
export async function print(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

export const jsonLine = (value: unknown): string => `${JSON.stringify(value)}\n`

export const count = (number: number, noun: string, plural = `${noun}s`): string =>
  `${number.toLocaleString('en')} ${number === 1 ? noun : plural}`

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, widthOf(cell))
  }
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => pad(cell, widths[i] as number))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

const widthOf = (text: string): number => stripVTControlCharacters(text).length
const pad = (text: string, width: number): string => text + ' '.repeat(width - widthOf(text))

const BAR_WIDTH = 30
/** Between two pictures of the bar. */
const REDRAW_MS = 100

/** A bar that is redrawn in place while stderr is a terminal, and nothing elsewhere. */
export class ProgressBar implements Disposable {
  #drawnAtMs = 0
  #isDrawn = false

  /** @param share done, from 0 to 1; null when it can't be known */
  update(label: string, share: number | null, detail: string): void {
    if (!process.stderr.isTTY || performance.now() - this.#drawnAtMs < REDRAW_MS) return
    this.#drawnAtMs = performance.now()
    this.#isDrawn = true
    const filled = Math.round((share ?? 0) * BAR_WIDTH)
    const bar =
      share === null
        ? ''
        : `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${Math.floor(share * 100)} % `
    process.stderr.write(`\r\u001b[K${label} ${bar}${detail}`)
  }

  /** Takes the bar away. */
  [Symbol.dispose](): void {
    if (this.#isDrawn) process.stderr.write('\r\u001b[K')
  }
}
