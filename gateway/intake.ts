/**
 * The one way in, on one screen: decode → read → decide → commit → acknowledge.
 *
 * Messages that wait are taken together as one batch, so that many proposals travel in one round trip (group commit).
 * Two batches may be under way: while one waits for its disk, the next is decoded and decided. They settle in order, so
 * acknowledgements leave in the order the messages came.
 *
 * An error of the store means «outcome unknown»: the very same proposals are handed in again, with the same tokens,
 * until they are answered or the message was held for HOLD_MS. Then the handler rejects, the connection is dropped
 * without an acknowledgement, and the sender sends again. Nothing is acknowledged that is not committed.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { type Decision, NOTHING, type PendingReceipt, type ProposedWrite } from './deciders/decision.ts'
import { createDeciding, type DecidingServices, type Work } from './deciding.ts'
import type { Decoded, Inbound } from './decode.ts'
import { receiptsIndex } from './documents.ts'
import { instantOf } from './store/instant.ts'
import type { Outcome, Proposal, Store } from './store/store.ts'

/** How long an acknowledgement is held while the store is away. A stalled socket still answers pings for that long. */
export const HOLD_MS = 5000
/** Between two attempts at a store that does not answer. */
const RETRY_MS = 100
/** Messages in one batch: enough to share a round trip, few enough that the event loop turns between two. */
const BATCH_MESSAGES_MAX = 512
const BATCHES_UNDER_WAY = 2
/** Messages that may wait here; each connection is bounded by its own socket besides. */
const WAITING_MESSAGES_MAX = 50_000
/** A decision that lost a race is made again on fresh documents; whoever loses this often is held up by a fault. */
const ROUNDS_MAX = 20

export interface IntakeServices extends DecidingServices {
  readonly store: DecidingServices['store'] & Pick<Store, 'commit'>
  /**
   * After the commit, before it is acknowledged: the receipt may be sent at once. Null where nobody sends receipts: then
   * each is written to the outbox together with its entry.
   */
  readonly onReceipt: ((receipt: CommittedReceipt) => void) | null
  /** After the commit: messages that may be in the outbox now. */
  readonly onJobs: (jobs: readonly string[]) => void
  /** After each batch, for monitoring and for followers of the ledger. */
  readonly onBatch: (batch: BatchReport) => void
}

export interface CommittedReceipt extends Omit<PendingReceipt, 'entry'> {
  /** The serial's or quarantine item's shard: where the outbox index stands. */
  readonly shard: number
  /** The entry it is about, when that was appended just now; null: an older one, and the receipt is in the outbox. */
  readonly entry: {
    readonly entry: string
    readonly at: string
    readonly type: string
    readonly data: object
  } | null
}

export interface BatchReport {
  readonly messages: number
  /** How often its proposals were decided and committed; 1 unless a race was lost. */
  readonly rounds: number
  readonly durationMs: number
  readonly committed: boolean
  readonly kinds: Readonly<Partial<Record<Decoded['kind'], number>>>
}

export interface Intake {
  /** Resolves once what the message says is committed, with the decider's reply if it has one. Rejects when that could not be done in time. */
  accept(message: Inbound): Promise<object | null>
  /** Messages not yet settled. */
  readonly pending: number
  /** Resolves when every commit that is under way now is answered, and its receipts were handed to `onReceipt`. */
  answered(): Promise<unknown>
  /** Resolves when nothing is pending. */
  drained(): Promise<void>
}

/** A message whose sender waits. It is decoded when its batch begins: what waits should be small. */
interface Waiting {
  readonly inbound: Inbound
  readonly holdUntilMs: number
  readonly resolve: (reply: object | null) => void
  readonly reject: (error: Error) => void
}

export function startIntake(services: IntakeServices): Intake {
  const { store, now, onReceipt, onJobs, onBatch } = services
  const deciding = createDeciding(services)
  const waiting: Waiting[] = []
  const newToken = tokens()
  let underWay = 0
  let pending = 0
  let before: Promise<unknown> = Promise.resolve()
  let whenDrained: PromiseWithResolvers<void> | null = null

  function accept(message: Inbound): Promise<object | null> {
    if (waiting.length >= WAITING_MESSAGES_MAX) return Promise.reject(new Error('too many messages wait'))
    pending++
    const { promise, resolve, reject } = Promise.withResolvers<object | null>()
    waiting.push({ inbound: message, holdUntilMs: now() + HOLD_MS, resolve, reject })
    // Later in this turn of the event loop, so that all messages of one socket read go together.
    if (waiting.length === 1) setImmediate(next)
    return promise
  }

  function next(): void {
    if (underWay >= BATCHES_UNDER_WAY || waiting.length === 0) return
    const batch = waiting.splice(0, BATCH_MESSAGES_MAX)
    underWay++
    const settled = settle(batch, before).finally(() => {
      underWay--
      pending -= batch.length
      if (pending === 0) whenDrained?.resolve()
      next()
    })
    before = settled
    next()
  }

  /** Commits a batch, waits for the one before it, then answers the senders. */
  async function settle(batch: readonly Waiting[], previous: Promise<unknown>): Promise<void> {
    const startedMs = now()
    let work: Work[] = []
    let rounds = 0
    let failure: Error | null = null
    try {
      work = batch.map(({ inbound }) => deciding.begin(inbound))
      rounds = await commitAll(work, (batch[0] as Waiting).holdUntilMs)
    } catch (error) {
      failure = error as Error
    }
    await previous
    for (const [at, { resolve, reject }] of batch.entries()) {
      if (failure === null) resolve(work[at]?.decision.reply ?? null)
      else reject(failure)
    }
    onBatch({
      messages: batch.length,
      rounds,
      durationMs: now() - startedMs,
      committed: failure === null,
      kinds: countKinds(work),
    })
  }

  /** Read, decide, commit, until nobody has lost a race. @returns the number of rounds */
  async function commitAll(batch: readonly Work[], holdUntilMs: number): Promise<number> {
    let open = batch
    for (let round = 1; ; round++) {
      const docs = await holding(holdUntilMs, () => deciding.read(open, round))
      const proposals: Proposal[] = []
      const again: Work[] = []
      for (const work of open) {
        if (!deciding.isReady(work, docs)) {
          work.decision = NOTHING
          again.push(work)
          continue
        }
        const decision = deciding.decide(work, docs)
        work.decision = onReceipt === null ? inOutbox(decision, now()) : decision
        for (const proposed of work.decision.proposals) {
          const proposal = docs.bound({ ...proposed, token: newToken() })
          proposals.push(proposal)
          docs.apply(proposal)
        }
      }
      const outcomes = await holding(holdUntilMs, () => store.commit(proposals))
      const deferred = new Set(again)
      let at = 0
      for (const work of open) {
        if (deferred.has(work)) continue
        const { proposals: own, receipt, jobs } = work.decision
        const outcome = own.length === 0 ? undefined : outcomes[at]
        at += own.length
        if (!isSettled(outcome, own[0])) {
          again.push(work)
          continue
        }
        if (jobs !== undefined && jobs.length > 0) onJobs(jobs)
        if (receipt !== null) onReceipt?.(committedReceipt(work.decision, outcome))
      }
      if (again.length === 0) return round
      if (round === ROUNDS_MAX) throw new Error(`a decision lost ${ROUNDS_MAX} races in a row`)
      open = again
    }
  }

  /** Repeats what failed until it is answered or the time to hold is over. */
  async function holding<Answer>(untilMs: number, attempt: () => Promise<Answer>): Promise<Answer> {
    for (;;) {
      try {
        return await attempt()
      } catch (cause) {
        if (now() + RETRY_MS >= untilMs) {
          throw new Error(`not committed within ${HOLD_MS} ms: ${(cause as Error).message}`, { cause })
        }
        await wait(RETRY_MS)
      }
    }
  }

  return {
    accept,
    get pending() {
      return pending
    },
    answered: () => before,
    async drained() {
      if (pending === 0) return
      whenDrained ??= Promise.withResolvers<void>()
      await whenDrained.promise
      whenDrained = null
    },
  }
}

/** Committed, or its own alternative was: what a held lock means has been written, and is final. */
function isSettled(outcome: Outcome | undefined, proposed: ProposedWrite | undefined): boolean {
  if (outcome === undefined || outcome.outcome === 'committed') return true
  return outcome.outcome === 'held' && proposed?.otherwise?.[outcome.key] !== undefined
}

/** The decision, with the receipt for its new entry in the outbox. */
function inOutbox(decision: Decision, nowMs: number): Decision {
  const { proposals, receipt } = decision
  const [first, ...others] = proposals
  if (first === undefined || receipt === null || receipt.entry === null) return decision
  const name = receiptsIndex(first.shard, receipt.device)
  const index = [...(first.index ?? []), { name, member: receipt.member, score: nowMs }]
  return { receipt, proposals: [{ ...first, index }, ...others] }
}

function committedReceipt(decision: Decision, outcome: Outcome | undefined): CommittedReceipt {
  const { device, member, entry } = decision.receipt as PendingReceipt
  const shard = decision.proposals[0]?.shard as number
  if (entry === null || outcome?.outcome !== 'committed') return { device, member, shard, entry: null }
  const id = outcome.entry as string
  const at = instantOf(outcome.atMs)
  return { device, member: id, shard, entry: { entry: id, at, ...entry } }
}

function countKinds(batch: readonly Work[]): Partial<Record<Decoded['kind'], number>> {
  const kinds = new Map<Decoded['kind'], number>()
  for (const { decoded } of batch) kinds.set(decoded.kind, (kinds.get(decoded.kind) ?? 0) + 1)
  return Object.fromEntries(kinds)
}

/** Unique over all hubs and restarts, and short: every record carries one. */
function tokens(): () => string {
  const process = randomBytes(9).toString('base64url')
  let count = 0
  return () => `${process}${(count++).toString(36)}`
}
