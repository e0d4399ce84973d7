/**
 * For work that nobody waits for behind a socket (imports, provisioning): an error of the store means «outcome
 * unknown», so the very same proposals are handed in again until they are answered.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Outcome, Proposal, Store } from './store.ts'

/** A restart of Redis, or a fail-over, takes less. */
const PATIENCE_MS = 30_000
const RETRY_MS = 250

/** @throws after half a minute, with the store's last error as cause; the outcome is unknown then. */
export async function commitUntilAnswered(
  store: Pick<Store, 'commit'>,
  proposals: readonly Proposal[],
): Promise<Outcome[]> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await store.commit(proposals)
    } catch (cause) {
      if (performance.now() + RETRY_MS > deadline) {
        const message = `the store did not answer for ${PATIENCE_MS / 1000} s: ${(cause as Error).message}`
        throw new Error(message, { cause })
      }
      await wait(RETRY_MS)
    }
  }
}
