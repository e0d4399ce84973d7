/** Waiting for a condition instead of for time. */
import { setTimeout as delay } from 'node:timers/promises'

/** Between two looks: short against what is waited for, long enough to leave the processor to it. */
const INTERVAL_MS = 20

/**
 * Looks until `probe` gives something other than false, null or undefined, and returns that. A probe that throws has
 * not succeeded yet.
 * @param what what is waited for, in words: it stands in the error
 * @throws after `timeoutMs`, with the last error as cause
 */
export async function until<Value>(
  what: string,
  probe: () => Value | Promise<Value>,
  { timeoutMs = 20_000 }: { timeoutMs?: number } = {},
): Promise<Exclude<Value, false | null | undefined>> {
  const deadline = performance.now() + timeoutMs
  let cause: unknown
  do {
    try {
      const value = await probe()
      if (value !== false && value !== null && value !== undefined) {
        return value as Exclude<Value, false | null | undefined>
      }
      cause = undefined
    } catch (error) {
      cause = error
    }
    await delay(INTERVAL_MS)
  } while (performance.now() < deadline)
  throw new Error(`waited ${timeoutMs / 1000} s in vain until ${what}`, { cause })
}
