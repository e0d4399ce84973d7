/**
 * A bridge tells what became of a message: sent, delivered, read, or failed. States only move forward; providers tell them
 * late, twice and in any order. Sent or failed takes the message out of the outbox; a failure because the person's 24
 * hours are over sends the registered template instead, once.
 */
import type { JobState } from '../contract/bridge.ts'
import type { DecodedJobStatus } from '../decode/people.ts'
import { type JobDoc, jobKey, jobsIndex, settledJobsIndex, shardOfJob } from '../race-documents.ts'
import type { Json } from '../store/store.ts'
import { type Decider, type Decision, type Docs, type Keys, type Moment, NOTHING } from './decision.ts'
import { entryOf, jobWrites } from './lead.ts'

/** Meta: the 24 hours are over. */
const WINDOW_CLOSED = '131047'

const RANK: Readonly<Record<'waiting' | JobState, number>> = {
  waiting: 0,
  sent: 1,
  delivered: 2,
  read: 3,
  failed: 4,
}

export const jobStatusDecider: Decider<DecodedJobStatus, 'job'> = {
  keys: ({ status }) => ({ job: jobKey(status.job_id) }),
  reads: ['job'],
  readsAgain: ['job'],
  decide,
}

function decide(
  { status }: DecodedJobStatus,
  docs: Docs<'job'>,
  keys: Keys<'job'>,
  { nowMs }: Moment,
): Decision {
  const before = docs.job?.value as JobDoc | undefined
  // Of a message that nobody remembers there is nothing to tell.
  if (docs.job === null || before === undefined || RANK[status.state] <= RANK[before.state]) return NOTHING
  const { job_id: job, state, provider_id, error } = status
  const shard = shardOfJob(job)
  const { content, too_slow: _, otherwise, ...rest } = before
  const after: JobDoc = {
    ...rest,
    content: null,
    state,
    ...(provider_id !== null && { provider_id }),
    ...(error !== null && { error: { code: error.code, message: error.message } }),
  }
  const facts = {
    job,
    bridge: before.bridge,
    kind: content?.kind ?? 'text',
    lead: before.about.lead ?? null,
  }
  const isFirst = before.state === 'waiting'
  const entries =
    state === 'failed'
      ? [entryOf('message.failed', { ...facts, code: error?.code ?? 'unknown' })]
      : isFirst
        ? [entryOf('message.sent', { ...facts, provider_id })]
        : []
  const again = state === 'failed' && error?.code === WINDOW_CLOSED && otherwise !== undefined
  const { bridge, to, about, expires_at } = before
  const sent = jobWrites(
    shard,
    job,
    again
      ? [{ contact: { bridge, to }, content: otherwise, about, expiresAtMs: Date.parse(expires_at) }]
      : [],
    nowMs,
  )
  return {
    proposals: [
      {
        shard,
        check: [{ key: keys.job, version: docs.job.version }],
        set: [{ key: keys.job, value: after as unknown as Json }, ...sent.set],
        append: entries.map((entry) => ({ stream: 'ledger', ...entry })),
        index: [
          { name: jobsIndex(shard, bridge), member: job, score: null },
          { name: settledJobsIndex(shard), member: job, score: nowMs },
          ...sent.index,
        ],
      },
    ],
    receipt: null,
    jobs: sent.jobs,
  }
}
