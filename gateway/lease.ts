/**
 * One hub at a time does a job (projecting, following): a lease is a document that its holder renews. A clock that is
 * off, or a holder that was paused, can make two holders for a moment; every job that takes a lease is idempotent.
 */
import { randomUUID } from 'node:crypto'
import { keyFor, shardOf } from './store/keys.ts'
import type { Store } from './store/store.ts'

const LEASE_MS = 15_000
/** Renewed when a third is gone, so that one failed attempt does not lose it. */
const RENEW_AFTER_MS = LEASE_MS / 3

interface LeaseDoc {
  holder: string
  until: number
}

export interface Lease {
  /** Takes or renews it; true while it is mine. Rejects when the store is away. */
  hold(): Promise<boolean>
  /** Gives it back, so that another hub need not wait for it to run out. */
  release(): Promise<void>
}

export function createLease(store: Pick<Store, 'read' | 'commit'>, name: string): Lease {
  const me = randomUUID()
  const key = keyFor('lease', name)
  const shard = shardOf(name)
  let renewAtMs = 0

  async function write(version: number, until: number): Promise<boolean> {
    const value = { holder: me, until }
    const proposal = { shard, token: randomUUID(), check: [{ key, version }], set: [{ key, value }] }
    const [outcome] = await store.commit([proposal])
    return outcome?.outcome === 'committed'
  }

  return {
    async hold() {
      const nowMs = Date.now()
      if (nowMs < renewAtMs) return true
      const [doc] = await store.read([key])
      const held = doc?.value as LeaseDoc | undefined
      if (held !== undefined && held.holder !== me && held.until > nowMs) return false
      const isMine = await write(doc?.version ?? 0, nowMs + LEASE_MS)
      renewAtMs = isMine ? nowMs + RENEW_AFTER_MS : 0
      return isMine
    },
    async release() {
      renewAtMs = 0
      const [doc] = await store.read([key])
      if (doc && (doc.value as LeaseDoc).holder === me) await write(doc.version, 0)
    },
  }
}
