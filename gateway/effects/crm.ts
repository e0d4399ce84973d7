/**
 * Tells CRMs of handoffs, outcomes and registrations (`contract/crm.ts`), each target at least once, in order per lead.
 *
 *   ledger ──► waiting ──► delivered   the target has it
 *                 │   ──► refused     it will never take it: `crm.refused` in the ledger, and on to the next
 *                 └── retry ──┘       later, longer and longer; a target that asks for quiet gets it
 *
 * Each target has its own checkpoint: how far it has come in the ledger, and what is still to be told up to there. The
 * two are one document, written after the deliveries; a crash before that delivers again, under the same id. A target
 * that is named for the first time hears of what happens from then on, not of the years before.
 *
 * One hub at a time serves a target, by lease. A target that says it is gone (`stopped`) is left alone until the hub
 * starts again; what waits for it stays.
 */
import { randomUUID } from 'node:crypto'
import {
  type CrmEvent,
  type CrmEventType,
  crmEventOf,
  crmEventType,
  crmOrderKey,
  type DescribeEntry,
} from '../contract/crm.ts'
import { type CrmRefusedEntry, type Entry, parseEntryId } from '../contract/ledger.ts'
import { type CrmCheckpointDoc, checkpointKey, crmRefusedKey, type WaitingDelivery } from '../documents.ts'
import { createLease } from '../lease.ts'
import { commitUntilAnswered } from '../store/commit-until-answered.ts'
import { type Key, shardOfKey } from '../store/keys.ts'
import type { Doc, Store } from '../store/store.ts'
import { startWorker, type Worker, type WorkerLog } from './worker.ts'

/** What a delivery came to. Reasons are words for logs and the ledger: nothing personal, nothing of a body. */
export type CrmResult =
  | { readonly result: 'delivered' }
  /** `quietMs`: nobody is told anything before that; null: only this delivery waits. */
  | { readonly result: 'retry'; readonly reason: string; readonly quietMs: number | null }
  | { readonly result: 'refused'; readonly reason: string }
  | { readonly result: 'stopped'; readonly reason: string }

export interface CrmTarget {
  /** `webhook`, `qontak`: in keys, logs and metrics. */
  readonly name: string
  readonly types: readonly CrmEventType[]
  /** In bounded time; at once when the signal says so. A rejection counts as `retry`. */
  deliver(id: string, event: CrmEvent, signal: AbortSignal): Promise<CrmResult>
}

export interface CrmServices {
  readonly store: Pick<Store, 'read' | 'commit' | 'entriesAfter' | 'entry' | 'end'>
  readonly targets: readonly CrmTarget[]
  readonly describe: DescribeEntry
  readonly log: WorkerLog
  /** Milliseconds since 1970. */
  readonly now?: () => number
  /** 0 ≤ draw < 1 */
  readonly random?: () => number
}

export interface CrmState {
  readonly delivered: number
  readonly refused: number
  /** Attempts that are made once more. */
  readonly retried: number
  readonly waiting: number
  /** Why it is left alone; null: it is not. */
  readonly stopped: string | null
}

export interface Crm extends Pick<Worker, 'wake' | 'stop'> {
  /** By target, since this hub started. */
  readonly state: ReadonlyMap<string, CrmState>
}

/** Entries looked at together. */
const PAGE_ENTRIES = 500
/** Deliveries that wait; beyond it the ledger is read no further. Their document stays small. */
const WAITING_MAX = 500
/** Attempts between two writes of the checkpoint: what a crash may deliver again. */
const ATTEMPTS_PER_STEP = 50
const AT_ONCE = 4
const POLL_MS = 1000
/** After the nth failed attempt, ms; then the last. Lengthened by up to a quarter. */
const BACKOFF_MS = [2_000, 5_000, 15_000, 60_000, 300_000, 600_000] as const
/** A delivery that fails for so long while others get through will not get through. */
const GIVE_UP_MS = 3 * 24 * 60 * 60 * 1000
/** However long a target asks for quiet. */
const QUIET_MAX_MS = 60 * 60 * 1000

/** Resolves when every target's place in the ledger is known, so that nothing committed later is missed. */
export async function startCrm({
  store,
  targets,
  describe,
  log,
  now = Date.now,
  random = Math.random,
}: CrmServices): Promise<Crm> {
  const followers = targets.map((target) => follow({ store, describe, log, now, random }, target))
  for (const { begin } of followers) await begin()
  const workers = followers.map(({ start }) => start())
  return {
    state: new Map(followers.map(({ name, state }) => [name, state])),
    wake: () => {
      for (const worker of workers) worker.wake()
    },
    async stop() {
      await Promise.all(workers.map((worker) => worker.stop()))
    },
  }
}

type Services = Required<Omit<CrmServices, 'targets'>>

function follow({ store, describe, log, now, random }: Services, target: CrmTarget) {
  const name = `crm-${target.name}`
  const key = checkpointKey(name)
  const lease = createLease(store, name)
  const abort = new AbortController()
  const state = { delivered: 0, refused: 0, retried: 0, waiting: 0, stopped: null as string | null }
  let quietUntilMs = 0

  async function begin(): Promise<void> {
    const [doc] = await store.read([key])
    if (doc) return
    const value: CrmCheckpointDoc = { position: await store.end('ledger'), waiting: [], delivered_at: null }
    await commitUntilAnswered(store, [
      {
        shard: shardOfKey(key),
        token: randomUUID(),
        check: [{ key, version: 0 }],
        set: [{ key, value }],
      },
    ])
  }

  /** Reads on, tries what is due, and writes down how far it came, if it is this hub's turn. */
  async function step(): Promise<boolean> {
    if (state.stopped !== null || !(await lease.hold())) return false
    const [doc] = (await store.read([key])) as [Doc<CrmCheckpointDoc>]
    const { position, entries } = await readOn(doc.value)
    const waiting = [...doc.value.waiting, ...entries.map(toDeliver)]
    const attempted = await attempt(waiting.filter(isHeadAt(waiting)), doc.value.delivered_at)
    const after: CrmCheckpointDoc = {
      position,
      waiting: waiting.flatMap((one) => attempted.left.get(one) ?? one),
      delivered_at: attempted.deliveredAt,
    }
    const isChanged = position !== doc.value.position || attempted.left.size > 0
    // When another hub has written meanwhile, the next step goes on from there.
    if (isChanged) await write(key, doc.version, after)
    state.waiting = after.waiting.length
    if (attempted.error !== null) throw attempted.error
    return isChanged && quietUntilMs <= now()
  }

  async function readOn({ position, waiting }: CrmCheckpointDoc) {
    const room = WAITING_MAX - waiting.length
    const page = await store.entriesAfter('ledger', position, PAGE_ENTRIES)
    const told = page.entries.flatMap((entry, i) => (isTold(entry) ? [{ entry, count: i }] : []))
    // Up to just before the first that there is no room for.
    const count = told[room]?.count ?? page.entries.length
    return {
      position: page.positionAfter(count),
      entries: told.slice(0, room).map(({ entry }) => entry),
    }
  }

  function isTold({ type }: Entry): boolean {
    const told = crmEventType(type)
    return told !== null && target.types.includes(told)
  }

  /** Due, and nothing of the same lead waits before it. */
  function isHeadAt(waiting: readonly WaitingDelivery[]): (one: WaitingDelivery) => boolean {
    const heads = new Map(waiting.toReversed().map((one) => [one.order, one]))
    const nowMs = now()
    return (one) => one.due_ms <= nowMs && heads.get(one.order) === one
  }

  /** @returns what is left of each that was tried: nothing, or when it is tried again. */
  async function attempt(due: readonly WaitingDelivery[], deliveredAt: number | null) {
    const left = new Map<WaitingDelivery, WaitingDelivery[]>()
    const found = { left, deliveredAt, error: null as Error | null }
    const queue = due.slice(0, ATTEMPTS_PER_STEP)
    async function serve(): Promise<void> {
      for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
        if (found.error !== null || state.stopped !== null || abort.signal.aborted || quietUntilMs > now())
          return
        try {
          const result = await deliver(one)
          if (result.result === 'delivered') found.deliveredAt = now()
          left.set(one, await settle(one, result, found.deliveredAt))
        } catch (error) {
          // The store is away. What was delivered is written down first, when it can be.
          found.error = error as Error
        }
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, serve))
    return found
  }

  async function deliver({ entry: id }: WaitingDelivery): Promise<CrmResult> {
    const entry = await store.entry('ledger', id)
    if (entry === null) return { result: 'refused', reason: 'no_entry' }
    const event = crmEventOf(entry, await describe(entry))
    if (event === null) return { result: 'refused', reason: 'no_event' }
    return target.deliver(id, event, abort.signal).catch((error: Error): CrmResult => {
      log.warn({ target: target.name, entry: id, error: error.message }, 'a CRM could not be told')
      return { result: 'retry', reason: 'error', quietMs: null }
    })
  }

  async function settle(
    one: WaitingDelivery,
    result: CrmResult,
    deliveredAt: number | null,
  ): Promise<WaitingDelivery[]> {
    switch (result.result) {
      case 'delivered':
        state.delivered++
        return []
      case 'refused':
        return refuse(one, result.reason)
      case 'stopped':
        state.stopped = result.reason
        log.warn(
          { target: target.name, reason: result.reason },
          'a CRM is told nothing more until the hub starts again',
        )
        return [one]
      case 'retry':
        return abort.signal.aborted ? [one] : later(one, result, deliveredAt)
    }
  }

  async function later(
    one: WaitingDelivery,
    { reason, quietMs }: CrmResult & { result: 'retry' },
    deliveredAt: number | null,
  ): Promise<WaitingDelivery[]> {
    const nowMs = now()
    const firstMs = one.first_ms ?? nowMs
    if (nowMs - firstMs > GIVE_UP_MS && deliveredAt !== null && deliveredAt > firstMs) {
      return refuse(one, `gave_up_${reason}`)
    }
    state.retried++
    if (one.attempts === 0) log.info({ target: target.name, entry: one.entry, reason }, 'a CRM is told later')
    const backoffMs = BACKOFF_MS[Math.min(one.attempts, BACKOFF_MS.length - 1)] as number
    if (quietMs !== null) quietUntilMs = nowMs + Math.min(Math.max(quietMs, backoffMs), QUIET_MAX_MS)
    const dueMs = quietMs === null ? nowMs + Math.ceil(backoffMs * (1 + random() / 4)) : quietUntilMs
    return [{ ...one, attempts: one.attempts + 1, first_ms: firstMs, due_ms: dueMs }]
  }

  /** In the lane of the entry that was refused; once, however often it is refused. */
  async function refuse(one: WaitingDelivery, reason: string): Promise<WaitingDelivery[]> {
    const shard = parseEntryId(one.entry)?.lane ?? 0
    const data: CrmRefusedEntry = {
      target: target.name,
      entry: one.entry,
      reason,
      attempts: one.attempts + 1,
    }
    await store.commit([
      {
        shard,
        token: randomUUID(),
        once: [{ key: crmRefusedKey(shard, target.name, one.entry), value: reason }],
        append: [{ stream: 'ledger', type: 'crm.refused', data }],
      },
    ])
    state.refused++
    log.warn(data, 'a CRM refuses what it was told')
    return []
  }

  async function write(at: Key, version: number, value: CrmCheckpointDoc): Promise<void> {
    await store.commit([
      {
        shard: shardOfKey(at),
        token: randomUUID(),
        check: [{ key: at, version }],
        set: [{ key: at, value }],
      },
    ])
  }

  return {
    name: target.name,
    state,
    begin,
    start(): Worker {
      const worker = startWorker({ name: `CRM ${target.name}`, step, pollMs: POLL_MS, log })
      return {
        wake: worker.wake,
        async stop() {
          abort.abort()
          await worker.stop()
          await lease.release().catch(() => {})
        },
      }
    },
  }
}

const toDeliver = (entry: Entry): WaitingDelivery => ({
  entry: entry.entry,
  order: crmOrderKey(entry),
  attempts: 0,
  first_ms: null,
  due_ms: 0,
})
