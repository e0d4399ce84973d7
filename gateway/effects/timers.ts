/**
 * Fires timers (claim and contact SLAs, a dealer that opens): reads what is due from the index and tells the intake, which
 * decides by the lead as it stands. The decision removes the timer, in the same commit as what it does. So a timer
 * survives restarts, and one that fires twice does its work once; the lease only saves several hubs the trouble.
 */

import { internalMessage } from '../decode/internal.ts'
import type { Inbound } from '../decode.ts'
import { createLease } from '../lease.ts'
import { parseTimerMember, timersIndex } from '../race-documents.ts'
import { SHARDS } from '../store/keys.ts'
import type { Store } from '../store/store.ts'
import { startWorker, type Worker, type WorkerLog } from './worker.ts'

/** How late a timer may be, at most, while the store answers. */
const POLL_MS = 250
const TIMERS_AT_ONCE = 500

export interface TimerServices {
  readonly store: Pick<Store, 'read' | 'commit' | 'range'>
  readonly accept: (message: Inbound) => Promise<unknown>
  readonly log: WorkerLog
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export function startTimers({ store, accept, log, now = Date.now }: TimerServices): Pick<Worker, 'stop'> {
  const lease = createLease(store, 'timers')
  const names = SHARDS.map(timersIndex)

  async function step(): Promise<boolean> {
    if (!(await lease.hold())) return false
    const due = await store.range(names, { max: now(), limit: TIMERS_AT_ONCE })
    await Promise.all(
      due.map(({ member }) => {
        const timer = parseTimerMember(member)
        return timer && accept(internalMessage('timer', timer))
      }),
    )
    return due.length === TIMERS_AT_ONCE
  }

  const worker = startWorker({ name: 'timers', step, pollMs: POLL_MS, log })
  return {
    async stop() {
      await worker.stop()
      await lease.release().catch(() => {})
    },
  }
}
