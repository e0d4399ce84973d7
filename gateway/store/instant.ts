const last = { ms: Number.NaN, text: '' }

/** ISO 8601, UTC, milliseconds. A batch is of one instant, and V8 takes its time to write one. */
export function instantOf(ms: number): string {
  if (ms !== last.ms) {
    last.text = new Date(ms).toISOString()
    last.ms = ms
  }
  return last.text
}
