/** Figures as people read them. */

/** Cells are texts or numbers; the first column is left-aligned, the others right. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
  const rule = header.map((_, i) => (i === 0 ? ':--' : '--:'))
  return [line(header), line(rule), ...rows.map(line)].join('\n')
}

const wholeNumbers = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** `12,345` */
export const whole = (value: number): string => wholeNumbers.format(value)

/** Two or three significant digits, never in scientific notation. */
export const short = (value: number): string =>
  Math.abs(value) >= 100 ? whole(value) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)
