/**
 * Messages to people leave by the outbox: a document for each (`JobDoc`), written with what caused it, and an index by
 * when it is to be handed to its bridge.
 *
 *   committed here   → handed over at once
 *   due              → handed over by the hub whose bridge listens, one hub at a time (a lease for each bridge)
 *   handed over      → due again after RECONCILE_MS: written before the bridge gets it, so that a crash in between
 *                      waits for the provider's report instead of sending twice
 *   sent or failed   → the bridge said so; taken out by `deciders/job-status.ts`
 *   too late         → failed, `expired`
 *
 * What nobody needs to remember any more is removed here too.
 */
import { bridgeTopic, type JobStatus, type MessageContent, RECONCILE_MS } from '../contract/bridge.ts'
import { parseBridgeTopic } from '../contract/topics.ts'
import { tooSlowContent } from '../deciders/race-texts.ts'
import type { Inbound } from '../decode.ts'
import { createLease, type Lease } from '../lease.ts'
import {
  claimKey,
  type JobDoc,
  jobKey,
  jobsIndex,
  type LeadDoc,
  leadKey,
  settledJobsIndex,
  shardOfJob,
  type TooSlow,
} from '../race-documents.ts'
import { type Key, SHARDS } from '../store/keys.ts'
import type { Doc, Proposal, Store } from '../store/store.ts'
import { startWorker, type WorkerLog } from './worker.ts'

/** Messages read and handed over together: as many as a mailbox takes at once, or the others wait for the next look. */
const BATCH_JOBS = 100
/** Messages handed over whose fate is unknown, for each bridge. */
const UNREPORTED_MAX = 5000
const POLL_MS = 500
/** A provider tells of a message for a week at most. */
const JOBS_KEPT_MS = 8 * 86_400_000
const SWEEP_SETTLED_MS = 3_600_000

export interface MessageServices {
  readonly store: Pick<Store, 'read' | 'commit' | 'range'>
  readonly deliver: (topic: string, payload: string) => Promise<'delivered' | 'absent' | 'busy'>
  /** The one way in: how a message that is too late is told to have failed. */
  readonly accept: (message: Inbound) => Promise<unknown>
  readonly log: WorkerLog
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export interface Messages {
  /** These may have been committed to the outbox just now. */
  send(jobs: readonly string[]): void
  /** A mailbox topic has a listener; topics other than outbound are none of ours. */
  listening(topic: string): void
  readonly stats: { readonly handedOver: number; readonly waiting: number }
  stop(): Promise<void>
}

interface Bridge {
  readonly name: string
  readonly lease: Lease
  isListening: boolean
}

export function startMessages({ store, deliver, accept, log, now = Date.now }: MessageServices): Messages {
  const bridges = new Map<string, Bridge>()
  const fresh = new Set<string>()
  const stats = { handedOver: 0, waiting: 0 }
  let sending: Promise<void> | null = null
  let sweepSettledAtMs = now() + SWEEP_SETTLED_MS

  // — what was committed here just now —

  function send(jobs: readonly string[]): void {
    for (const job of jobs) fresh.add(job)
    stats.waiting = fresh.size
    sending ??= sendFresh().finally(() => {
      sending = null
    })
  }

  async function sendFresh(): Promise<void> {
    // All that is committed in this turn of the event loop is read together.
    await new Promise(setImmediate)
    while (fresh.size > 0) {
      const batch = [...fresh].slice(0, BATCH_JOBS)
      for (const job of batch) fresh.delete(job)
      stats.waiting = fresh.size
      try {
        await handOver(batch)
      } catch (error) {
        // They are in the outbox, and due in a moment.
        log.warn({ error: (error as Error).message }, 'messages are handed over later')
      }
    }
  }

  // — handing over —

  /** @returns whether the bridges took all of them */
  async function handOver(jobs: readonly string[]): Promise<boolean> {
    const docs = await store.read(jobs.map(jobKey))
    const ready: { job: string; doc: Doc; content: JobDoc }[] = []
    jobs.forEach((job, at) => {
      const doc = docs[at]
      const content = doc?.value as JobDoc | undefined
      if (doc && content?.state === 'waiting') ready.push({ job, doc, content })
    })
    const nowMs = now()
    const isLate = ({ content }: (typeof ready)[number]) => Date.parse(content.expires_at) <= nowMs
    await Promise.all(ready.filter(isLate).map(({ job, content }) => tellExpired(job, content.bridge)))
    const open = ready.filter((item) => !isLate(item))
    if (open.length === 0) return true
    const contents = await render(open)
    await store.commit(moves(open, nowMs + RECONCILE_MS))
    const results = await Promise.all(
      open.map(({ job, content: { bridge, to, expires_at } }, at) => {
        const message = { job_id: job, to, ...contents[at], expires_at }
        return deliver(bridgeTopic(bridge, 'outbound'), JSON.stringify(message))
      }),
    )
    const back = open.filter((_, at) => results[at] !== 'delivered')
    stats.handedOver += open.length - back.length
    for (const [at, { content }] of open.entries()) {
      if (results[at] === 'absent') await left(content.bridge)
    }
    // Not taken by anybody here: whoever has the bridge may have them at once.
    if (back.length > 0) await store.commit(moves(back, now()))
    return back.length === 0
  }

  /** The bridge is not connected here: another hub may have it. */
  async function left(name: string): Promise<void> {
    const bridge = bridges.get(name)
    if (bridge?.isListening !== true) return
    bridge.isListening = false
    await bridge.lease.release()
  }

  /** When a message is due, in the outbox. */
  const moves = (jobs: readonly { job: string; content: JobDoc }[], dueMs: number): Proposal[] =>
    [...Map.groupBy(jobs, ({ job }) => shardOfJob(job))].map(([shard, group]) => ({
      shard,
      token: 'messages',
      index: group.map(({ job, content }) => ({
        name: jobsIndex(shard, content.bridge),
        member: job,
        score: dueMs,
      })),
    }))

  /** A loser's margin is known now: the distance of the commit that made the message and the claim's. */
  async function render(jobs: readonly { doc: Doc; content: JobDoc }[]): Promise<MessageContent[]> {
    const keys: Key[] = []
    for (const { content } of jobs) {
      if (content.too_slow) keys.push(...raceKeys(content.too_slow))
    }
    const found = new Map<Key, Doc | null>()
    const docs = keys.length === 0 ? [] : await store.read(keys)
    for (const [at, doc] of docs.entries()) found.set(keys[at] as Key, doc)
    return jobs.map(({ doc, content }) => {
      if (content.too_slow === undefined) return content.content as MessageContent
      const [claim, lead] = raceKeys(content.too_slow).map((key) => found.get(key))
      const winner = (lead?.value as LeadDoc | undefined)?.claims[content.too_slow.round - 1]?.name ?? '–'
      return tooSlowContent(winner, doc.atMs - (claim?.atMs ?? doc.atMs), content.too_slow.language)
    })
  }

  async function tellExpired(job: string, bridge: string): Promise<void> {
    const status: JobStatus = {
      job_id: job,
      provider_id: null,
      state: 'failed',
      error: { code: 'expired', message: 'could not be sent in time', retryable: false },
      at: new Date(now()).toISOString(),
    }
    const payload = Buffer.from(JSON.stringify(status))
    await accept({ topic: bridgeTopic(bridge, 'status'), payload, sender: 'hub' })
  }

  // — what is due —

  async function step(): Promise<boolean> {
    let hasMore = false
    for (const bridge of bridges.values()) {
      if (!bridge.isListening || !(await bridge.lease.hold())) continue
      if (await handOverDue(bridge)) hasMore = true
    }
    if (now() >= sweepSettledAtMs) {
      sweepSettledAtMs = now() + SWEEP_SETTLED_MS
      await forgetSettled()
    }
    return hasMore
  }

  async function handOverDue({ name }: Bridge): Promise<boolean> {
    const names = SHARDS.map((shard) => jobsIndex(shard, name))
    const underWay = await store.range(names, { min: now(), limit: UNREPORTED_MAX })
    if (underWay.length >= UNREPORTED_MAX) return false
    const due = await store.range(names, { max: now(), limit: BATCH_JOBS })
    if (due.length === 0) return false
    const took = await handOver(due.map(({ member }) => member))
    return took && due.length === BATCH_JOBS
  }

  async function forgetSettled(): Promise<void> {
    const names = SHARDS.map(settledJobsIndex)
    const old = await store.range(names, { max: now() - JOBS_KEPT_MS, limit: 1000 })
    if (old.length === 0) return
    const byShard = Map.groupBy(old, ({ member }) => shardOfJob(member))
    await store.commit(
      [...byShard].map(([shard, group]) => ({
        shard,
        token: 'messages',
        set: group.map(({ member }) => ({ key: jobKey(member), value: null })),
        index: group.map(({ member }) => ({ name: settledJobsIndex(shard), member, score: null })),
      })),
    )
    if (old.length === 1000) sweepSettledAtMs = 0
  }

  const worker = startWorker({ name: 'messages to people', step, pollMs: POLL_MS, log })

  return {
    send,
    listening(topic) {
      const parsed = parseBridgeTopic(topic)
      if (parsed?.kind !== 'outbound') return
      const { bridge: name } = parsed
      const known = bridges.get(name)
      if (known === undefined) {
        bridges.set(name, { name, lease: createLease(store, `messages:${name}`), isListening: true })
      } else known.isListening = true
      worker.wake()
    },
    stats,
    async stop() {
      await worker.stop()
      await sending
      for (const { lease } of bridges.values()) await lease.release().catch(() => {})
    },
  }
}

const raceKeys = ({ lead, round }: TooSlow): [Key, Key] => [claimKey(lead, round), leadKey(lead)]
