/**
 * What a bridge has to send: when each job may leave, and what is done with its answer. Any bridge's; what a provider's
 * answers mean is said by its `send`. Time and chance are arguments.
 *
 * A job, from its hand-over to its end:
 *
 *   waiting ──► sending ──► sent       reported; handed over again, it is reported again
 *      ▲           │    ──► failed     reported; likewise, unless a further try may help (`retryable`): then forgotten
 *      └── retry ──┘    ──► unknown    it may have gone out: nothing is said, and it is forgotten after RECONCILE_MS
 *
 * The provider's own report of a job (`confirm`) ends it wherever it stands: what waits is not sent any more, and what
 * is unknown is sent. So a job whose answer was lost goes out once more only if the provider never reported it.
 *
 * A retry holds up, by its scope,
 *   message     this recipient, as their messages keep their order
 *   recipient   this recipient (a pair limit)
 *   queue       everybody (a token expired, the number is throttled): after the wait one job goes ahead as a probe, and
 *               the others follow when it was answered
 *
 * Beyond JOBS_MAX a job is answered `failed`, `queue_full`, retryable. It is not left unacknowledged, because an MQTT
 * client can't acknowledge what came later without it, and would read nothing else from the hub.
 */
import type { Logger } from 'pino'
import { type JobStatus, type OutboundMessage, RECONCILE_MS } from '../contract/bridge.ts'
import type { Clock } from './clock.ts'
import { type Rate, TokenBucket } from './token-bucket.ts'

export interface SendError {
  /** The provider's code, or a word of the bridge's own: `expired`, `invalid`, `queue_full`. */
  readonly code: string
  readonly message: string
  /** Whether the hub may hand the job over once more. */
  readonly retryable: boolean
}

export type SendResult =
  | { readonly outcome: 'sent'; readonly providerId: string | null }
  | { readonly outcome: 'failed'; readonly error: SendError }
  | {
      readonly outcome: 'retry'
      readonly scope: 'message' | 'recipient' | 'queue'
      /** The wait after the nth such answer in a row (from 0): of this job, this recipient or the queue. */
      readonly delayMs: (nth: number) => number
      /** Scope `message`: the last attempt that is answered so fails. The others end when the job expires. */
      readonly attemptsMax: number
      readonly error: SendError
    }
  | { readonly outcome: 'unknown'; readonly message: string }

export interface OutboundQueueOptions {
  /** One attempt. A rejection counts as `unknown`. It must settle in bounded time. */
  readonly send: (job: OutboundMessage) => Promise<SendResult>
  readonly report: (status: JobStatus) => Promise<void>
  readonly rates: {
    /** Of the sending number: every request. */
    readonly number: Rate
    /** Of one recipient: every message; `read` is none. */
    readonly recipient: Rate
  }
  readonly clock: Clock
  /** 0 ≤ draw < 1 */
  readonly random: () => number
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Instead of some of `LIMITS`, for tests. */
  readonly limits?: Partial<typeof LIMITS>
}

export interface OutboundQueueState {
  readonly waiting: number
  readonly sending: number
  /** Sent or not: nobody knows yet. */
  readonly unknown: number
  /** Why nobody is sent anything now; null: all is well. */
  readonly stopped: { readonly error: SendError; readonly sinceMs: number } | null
}

export interface OutboundQueue {
  /** A job that is here already is not taken twice; one that ended is reported again. */
  take(job: OutboundMessage): void
  /** The provider's own report of a job came. */
  confirm(status: JobStatus): void
  readonly state: OutboundQueueState
  /** Sends nothing more and waits for what is being sent. What waits is handed over again by the hub. */
  close(): Promise<void>
}

const LIMITS = {
  /** Jobs that wait: some two minutes of sending at full rate. */
  jobs: 10_000,
  /** Requests under way: at 76 a second each may take most of a second. */
  sending: 64,
  /** Jobs that ended, known again when they are handed over again; more than RECONCILE_MS of sending at full rate. */
  ended: 20_000,
}

/** How often it is looked for jobs that expired while they waited, and for unknown ones to forget. */
const SWEEP_MS = 1000
/** Waits are lengthened by up to this part, so that what failed together does not come back together. */
const JITTER = 0.25

interface Job {
  readonly message: OutboundMessage
  readonly expiresAtMs: number
  attempts: number
  /** Reported by the provider while it was being sent. */
  confirmed: JobStatus | null
}

/** What is known of a job id. */
type Known =
  | { readonly state: 'waiting' | 'sending'; readonly job: Job; readonly lane: Lane }
  | { readonly state: 'unknown'; readonly untilMs: number }
  | { readonly state: 'ended'; readonly status: JobStatus }

/** One recipient: their messages, in order, one at a time. */
interface Lane {
  readonly recipient: string
  readonly jobs: Job[]
  readonly bucket: TokenBucket
  notBeforeMs: number
  /** Answers of scope `recipient` in a row. */
  refusals: number
  isReady: boolean
  isSending: boolean
  cancelWait: (() => void) | null
}

export function createOutboundQueue({
  send,
  report,
  rates,
  clock,
  random,
  log,
  ...options
}: OutboundQueueOptions): OutboundQueue {
  const limits = { ...LIMITS, ...options.limits }
  const known = new Map<string, Known>()
  const lanes = new Map<string, Lane>()
  const ready: Lane[] = []
  const numberBucket = new TokenBucket(rates.number, clock.now())
  const underWay = new Set<Promise<void>>()
  const counts = { waiting: 0, unknown: 0, ended: 0 }
  let stopped: { error: SendError; sinceMs: number; untilMs: number; answers: number } | null = null
  let cancelPump: (() => void) | null = null
  let cancelSweep: (() => void) | null = null
  let isClosed = false

  return { take, confirm, state: stateOf(), close }

  function stateOf(): OutboundQueueState {
    return {
      get waiting() {
        return counts.waiting
      },
      get sending() {
        return underWay.size
      },
      get unknown() {
        return counts.unknown
      },
      get stopped() {
        return stopped && { error: stopped.error, sinceMs: stopped.sinceMs }
      },
    }
  }

  function take(message: OutboundMessage): void {
    if (isClosed) return
    const id = message.job_id
    const before = known.get(id)
    if (before?.state === 'ended') {
      tell(before.status)
      return
    }
    if (before !== undefined) return
    const expiresAtMs = Date.parse(message.expires_at)
    const recipient = message.to.phone ?? message.to.user_id ?? message.to.room_id
    if (Number.isNaN(expiresAtMs)) {
      end(id, failure('invalid', 'expires_at: expected an instant such as 2026-11-22T08:15:30.123Z'))
    } else if (recipient === undefined) {
      end(id, failure('invalid', 'to: expected a phone, user_id or room_id'))
    } else if (counts.waiting >= limits.jobs) {
      end(id, failure('queue_full', `${counts.waiting} messages wait already`, true))
    } else {
      const lane = laneOf(recipient)
      const job: Job = { message, expiresAtMs, attempts: 0, confirmed: null }
      lane.jobs.push(job)
      known.set(id, { state: 'waiting', job, lane })
      counts.waiting++
      advance(lane)
      sweepLater()
    }
  }

  function confirm(status: JobStatus): void {
    if (isClosed) return
    const id = status.job_id
    const before = known.get(id)
    if (before?.state === 'sending') {
      before.job.confirmed = status
      return
    }
    if (status.error?.retryable) {
      // Not remembered: the hub may hand it over again, or has.
      if (before?.state !== 'waiting') forget(id)
      return
    }
    if (before?.state === 'ended' && before.status.state === 'failed') return
    if (before?.state === 'waiting') {
      const { lane, job } = before
      lane.jobs.splice(lane.jobs.indexOf(job), 1)
      counts.waiting--
    }
    remember(status)
  }

  /** Makes a lane ready, or has it made ready when it may send. */
  function advance(lane: Lane): void {
    if (lane.isSending || lane.isReady || isClosed) return
    lane.cancelWait?.()
    lane.cancelWait = null
    const job = lane.jobs[0]
    if (job === undefined) return
    const nowMs = clock.now()
    const waitMs = Math.max(lane.notBeforeMs - nowMs, isRead(job) ? 0 : lane.bucket.waitMs(nowMs))
    if (waitMs > 0) {
      lane.cancelWait = clock.after(waitMs, () => advance(lane))
      return
    }
    lane.isReady = true
    ready.push(lane)
    pump()
  }

  /** Sends what is ready, as far as the number may. */
  function pump(): void {
    cancelPump?.()
    cancelPump = null
    while (ready.length > 0 && !isClosed) {
      const nowMs = clock.now()
      const waitMs = Math.max((stopped?.untilMs ?? 0) - nowMs, numberBucket.waitMs(nowMs))
      if (waitMs > 0) {
        cancelPump = clock.after(waitMs, pump)
        return
      }
      if (underWay.size >= (stopped === null ? limits.sending : 1)) return
      const lane = ready.shift() as Lane
      lane.isReady = false
      const job = lane.jobs[0]
      if (job === undefined) continue
      if (job.expiresAtMs <= nowMs) {
        expire(lane, job)
        advance(lane)
        continue
      }
      if (!isRead(job)) {
        // Another job may stand first now than the one it was made ready for.
        if (lane.bucket.waitMs(nowMs) > 0) {
          advance(lane)
          continue
        }
        lane.bucket.take(nowMs)
      }
      numberBucket.take(nowMs)
      launch(lane, job)
    }
  }

  function launch(lane: Lane, job: Job): void {
    const id = job.message.job_id
    lane.jobs.shift()
    lane.isSending = true
    counts.waiting--
    job.attempts++
    known.set(id, { state: 'sending', job, lane })
    const attempt = send(job.message)
      .catch((error: Error): SendResult => ({ outcome: 'unknown', message: error.message }))
      .then((result) => {
        underWay.delete(attempt)
        lane.isSending = false
        settle(lane, job, result)
        advance(lane)
        pump()
      })
    underWay.add(attempt)
  }

  function settle(lane: Lane, job: Job, result: SendResult): void {
    const id = job.message.job_id
    const { confirmed } = job
    if (result.outcome !== 'retry' || result.scope !== 'queue') resumed()
    // The provider's own report overtook its answer. Of `sent` the hub hears all the same, since it may not have yet.
    if (confirmed !== null && (result.outcome !== 'sent' || confirmed.state === 'failed')) {
      forget(id)
      confirm(confirmed)
    } else if (result.outcome === 'sent') {
      lane.refusals = 0
      end(id, { state: 'sent', provider_id: result.providerId, error: null })
    } else if (result.outcome === 'failed') {
      end(id, { state: 'failed', provider_id: null, error: result.error })
    } else if (result.outcome === 'unknown') {
      log.warn({ job: id, reason: result.message }, 'it is not known whether a message went out')
      known.set(id, { state: 'unknown', untilMs: clock.now() + RECONCILE_MS })
      counts.unknown++
      sweepLater()
    } else {
      retryLater(lane, job, result)
    }
  }

  function retryLater(lane: Lane, job: Job, result: SendResult & { outcome: 'retry' }): void {
    const { scope, delayMs, attemptsMax, error } = result
    const id = job.message.job_id
    if (scope === 'message' && job.attempts >= attemptsMax) {
      end(id, { state: 'failed', provider_id: null, error })
      return
    }
    const later = (nth: number) => clock.now() + Math.ceil(delayMs(nth) * (1 + JITTER * random()))
    if (scope === 'queue') stop(error, later)
    else lane.notBeforeMs = later(scope === 'recipient' ? lane.refusals++ : job.attempts - 1)
    lane.jobs.unshift(job)
    counts.waiting++
    known.set(id, { state: 'waiting', job, lane })
    sweepLater()
  }

  function stop(error: SendError, later: (nth: number) => number): void {
    const nowMs = clock.now()
    // Answers to what was under way when it stopped do not lengthen the wait.
    if (stopped !== null && stopped.untilMs > nowMs) return
    const answers = (stopped?.answers ?? 0) + 1
    stopped = { error, sinceMs: stopped?.sinceMs ?? nowMs, untilMs: later(answers - 1), answers }
    log.error(
      { code: error.code, error: error.message, retryInMs: stopped.untilMs - nowMs },
      'sending stopped',
    )
  }

  /** Something else than a reason to stop was answered: the probe went through. */
  function resumed(): void {
    if (stopped === null || stopped.untilMs > clock.now()) return
    log.info({ stoppedForMs: clock.now() - stopped.sinceMs }, 'sending goes on')
    stopped = null
  }

  function expire(lane: Lane, job: Job): void {
    lane.jobs.splice(lane.jobs.indexOf(job), 1)
    counts.waiting--
    const tries = job.attempts === 0 ? '' : `, after ${job.attempts} attempts`
    const reason = stopped === null ? '' : `; sending is stopped: ${stopped.error.message}`
    end(job.message.job_id, failure('expired', `not sent by ${job.message.expires_at}${tries}${reason}`))
  }

  function end(id: string, ended: Pick<JobStatus, 'state' | 'provider_id' | 'error'>): void {
    const status: JobStatus = { job_id: id, ...ended, at: new Date(clock.now()).toISOString() }
    if (status.error?.retryable) known.delete(id)
    else remember(status)
    tell(status)
  }

  function tell(status: JobStatus): void {
    report(status).catch((error: Error) => {
      log.warn({ err: error, job: status.job_id }, 'the hub did not hear of a job; it will ask again')
    })
  }

  function remember(status: JobStatus): void {
    forget(status.job_id)
    known.set(status.job_id, { state: 'ended', status })
    counts.ended++
    if (counts.ended <= limits.ended) return
    for (const [id, { state }] of known) {
      if (state !== 'ended') continue
      forget(id)
      return
    }
  }

  function forget(id: string): void {
    const before = known.get(id)
    if (before?.state === 'ended') counts.ended--
    if (before?.state === 'unknown') counts.unknown--
    known.delete(id)
  }

  function laneOf(recipient: string): Lane {
    const found = lanes.get(recipient)
    if (found !== undefined) return found
    const lane: Lane = {
      recipient,
      jobs: [],
      bucket: new TokenBucket(rates.recipient, clock.now()),
      notBeforeMs: 0,
      refusals: 0,
      isReady: false,
      isSending: false,
      cancelWait: null,
    }
    lanes.set(recipient, lane)
    return lane
  }

  function sweepLater(): void {
    if (!isClosed) cancelSweep ??= clock.after(SWEEP_MS, sweep)
  }

  function sweep(): void {
    cancelSweep = null
    const nowMs = clock.now()
    for (const lane of lanes.values()) {
      for (const job of lane.jobs.filter(({ expiresAtMs }) => expiresAtMs <= nowMs)) expire(lane, job)
      const isIdle = lane.jobs.length === 0 && !lane.isSending && !lane.isReady
      // Kept while it matters how much was sent, or refused, lately.
      if (isIdle && lane.notBeforeMs <= nowMs && lane.bucket.isFull(nowMs)) {
        lane.cancelWait?.()
        lanes.delete(lane.recipient)
      }
    }
    if (counts.unknown > 0) {
      for (const [id, entry] of known) if (entry.state === 'unknown' && entry.untilMs <= nowMs) forget(id)
    }
    if (lanes.size > 0 || counts.unknown > 0) sweepLater()
  }

  async function close(): Promise<void> {
    isClosed = true
    cancelPump?.()
    cancelSweep?.()
    for (const lane of lanes.values()) lane.cancelWait?.()
    await Promise.all(underWay)
  }
}

const isRead = ({ message }: Job): boolean => message.kind === 'read'

const failure = (code: string, message: string, retryable = false) => ({
  state: 'failed' as const,
  provider_id: null,
  error: { code, message, retryable },
})
