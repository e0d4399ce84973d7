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
import { deciderOf } from './deciders/deciders.ts'
import {
  type Decision,
  type Keys,
  type Moment,
  NOTHING,
  type PendingReceipt,
  type ProposedWrite,
  type RaceRules,
} from './deciders/decision.ts'
import type { Decode, Decoded, Inbound } from './decode.ts'
import type { Directory } from './directory.ts'
import { receiptsIndex } from './documents.ts'
import { createDirectoryLoader, DIRECTORY_KEYS } from './reference/load-directory.ts'
import { instantOf } from './store/instant.ts'
import type { Key } from './store/keys.ts'
import type { Check, Doc, Outcome, Proposal, Store } from './store/store.ts'

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
/** How often a decider may follow what it read to further documents: tap → lead → customer → … */
const FOLLOWS_MAX = 8

export interface IntakeServices {
  readonly store: Pick<Store, 'read' | 'commit' | 'range'>
  readonly decode: Decode
  readonly timezone: string
  readonly rules: RaceRules
  /** Milliseconds since 1970. */
  readonly now: () => number
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

interface Work {
  readonly inbound: Inbound
  decoded: Decoded
  keys: Keys<string>
  /** What the documents led to. */
  followed: Keys<string> | null
  decision: Decision
}

const NO_KEYS: Keys<string> = {}

export function startIntake(services: IntakeServices): Intake {
  const { store, decode, timezone, rules, now, onReceipt, onJobs, onBatch } = services
  const waiting: Waiting[] = []
  const newToken = tokens()
  let underWay = 0
  const directories = createDirectoryLoader(store)
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
      work = batch.map(({ inbound }) => begin(inbound))
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

  function begin(inbound: Inbound): Work {
    const decoded = decode(inbound)
    return { inbound, decoded, keys: deciderOf(decoded).keys(decoded), followed: null, decision: NOTHING }
  }

  /** Read, decide, commit, until nobody has lost a race. @returns the number of rounds */
  async function commitAll(batch: readonly Work[], holdUntilMs: number): Promise<number> {
    let open = batch
    for (let round = 1; ; round++) {
      const docs = await readDocs(open, round, holdUntilMs)
      const proposals: Proposal[] = []
      const again: Work[] = []
      for (const work of open) {
        // A message before it in this batch has led it to documents that nobody has read yet.
        if (docs.missing(followedKeys(work, docs)).length > 0) {
          work.decision = NOTHING
          again.push(work)
          continue
        }
        work.decision = onReceipt === null ? inOutbox(decide(work, docs), now()) : decide(work, docs)
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

  /** A message that a decider cannot cope with must not hold up the others for ever: it goes to quarantine. */
  function decide(work: Work, docs: BatchDocs): Decision {
    try {
      return decideOn(work, docs)
    } catch (error) {
      const received = `${(error as Error).name}: ${(error as Error).message}`
      const fault = { field: 'payload', expected: 'a message this hub can decide', received }
      work.decoded = { kind: 'undecodable', inbound: work.inbound, errors: [fault], answerTo: null }
      work.keys = deciderOf(work.decoded).keys(work.decoded)
      work.followed = null
      return decideOn(work, docs)
    }
  }

  function decideOn({ decoded, keys, followed }: Work, docs: BatchDocs): Decision {
    const decider = deciderOf(decoded)
    const found = docs.of(decider.readsAgain, keys)
    if (followed !== null) docs.into(found, followed)
    return decider.decide(decoded, found, keys, momentOf(docs))
  }

  const momentOf = ({ directory }: BatchDocs): Moment => ({ nowMs: now(), timezone, rules, directory })

  async function readDocs(open: readonly Work[], round: number, holdUntilMs: number): Promise<BatchDocs> {
    const wanted = new Set<Key>(DIRECTORY_KEYS)
    for (const { decoded, keys } of open) {
      const { reads, readsAgain } = deciderOf(decoded)
      for (const name of round === 1 ? reads : readsAgain) wanted.add(keys[name] as Key)
    }
    const list = [...wanted]
    const docs = await holding(holdUntilMs, async () => {
      const found = await store.read(list)
      const directory = await directories.at(found.slice(0, DIRECTORY_KEYS.length))
      return new BatchDocs(list, found, directory)
    })
    await follow(open, docs, holdUntilMs)
    return docs
  }

  /** Reads what the documents read so far lead to, for all messages of the batch together. */
  async function follow(open: readonly Work[], docs: BatchDocs, holdUntilMs: number): Promise<void> {
    let following = open.filter(({ decoded }) => deciderOf(decoded).follow !== undefined)
    for (let step = 0; following.length > 0; step++) {
      if (step === FOLLOWS_MAX) throw new Error(`a decider followed documents more than ${FOLLOWS_MAX} times`)
      const wanted = new Set<Key>()
      following = following.filter((work) => {
        const missing = docs.missing(followedKeys(work, docs))
        for (const key of missing) wanted.add(key)
        return missing.length > 0
      })
      const list = [...wanted]
      if (list.length > 0) docs.add(list, await holding(holdUntilMs, () => store.read(list)))
    }
  }

  function followedKeys(work: Work, docs: BatchDocs): Keys<string> {
    const { decoded, keys } = work
    const decider = deciderOf(decoded)
    if (decider.follow === undefined) return NO_KEYS
    const found = docs.of(decider.readsAgain, keys)
    if (work.followed !== null) docs.into(found, work.followed)
    try {
      work.followed = decider.follow(decoded, found, momentOf(docs))
    } catch {
      // It will throw the same when it decides, and there it is dealt with.
      work.followed = null
    }
    return work.followed ?? NO_KEYS
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

/**
 * The documents of one round. A checked write that was proposed earlier in the batch is seen by the decisions after
 * it, as it will be when the store comes to them: a unit's ten reports in one batch are ten versions, not nine conflicts.
 * It may not come to pass, and another hub's write take its version: so those decisions hold for this very write only.
 */
class BatchDocs {
  readonly directory: Directory
  readonly #docs = new Map<Key, Doc | null>()
  /** By key, the token of the proposal that will have written it. */
  readonly #writers = new Map<Key, string>()

  constructor(keys: readonly Key[], found: readonly (Doc | null)[], directory: Directory) {
    this.directory = directory
    this.add(keys, found)
  }

  add(keys: readonly Key[], found: readonly (Doc | null)[]): void {
    for (let i = 0; i < keys.length; i++) this.#docs.set(keys[i] as Key, found[i] ?? null)
  }

  /** Those of these keys that were not read yet. */
  missing(keys: Keys<string>): Key[] {
    return Object.values(keys).filter((key) => !this.#docs.has(key))
  }

  of(names: readonly string[], keys: Keys<string>): Record<string, Doc | null> {
    const docs: Record<string, Doc | null> = {}
    for (const name of names) docs[name] = this.#docs.get(keys[name] as Key) ?? null
    return docs
  }

  /** Adds what stands under these keys, where it was read. */
  into(docs: Record<string, Doc | null>, keys: Keys<string>): void {
    for (const name in keys) {
      const doc = this.#docs.get(keys[name] as Key)
      if (doc !== undefined) docs[name] = doc
    }
  }

  /** What was decided by documents that are not written yet checks who wrote them. */
  bound(proposal: Proposal): Proposal {
    const { check = [] } = proposal
    if (!check.some(({ key }) => this.#writers.has(key))) return proposal
    const bind = (item: Check): Check => {
      const by = this.#writers.get(item.key)
      return by === undefined ? item : { ...item, by }
    }
    return { ...proposal, check: check.map(bind) }
  }

  apply({ token, check = [], set = [] }: Proposal): void {
    for (const { key, version } of check) {
      const written = set.find((item) => item.key === key)
      if (written === undefined) continue
      this.#docs.set(key, { value: written.value, version: version + 1, atMs: 0, entry: null })
      this.#writers.set(key, token)
    }
  }
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
