/** Waiting times, one by one. */
export interface Waits {
  readonly count: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

export function waitsOf(milliseconds: readonly number[]): Waits {
  const sorted = [...milliseconds].sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999), maxMs: at(1) }
}

/** Between two looks at the clock. */
const TICK_MS = 1

/**
 * Calls `send` when each of so many is due, evenly spread; what falls behind is caught up with, and is as late as it is.
 * @returns when the last one was sent
 */
export async function paced(
  count: number,
  ratePerSecond: number,
  send: (at: number, dueMs: number) => void,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const startMs = performance.now()
  let next = 0
  const timer = setInterval(() => {
    const dueMs = (at: number) => startMs + (at * 1000) / ratePerSecond
    for (; next < count && dueMs(next) <= performance.now(); next++) send(next, dueMs(next))
    if (next < count) return
    clearInterval(timer)
    resolve()
  }, TICK_MS)
  await promise
}
