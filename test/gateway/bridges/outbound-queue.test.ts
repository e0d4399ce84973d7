import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createOutboundQueue,
  type OutboundQueueOptions,
  type SendResult,
} from '../../../gateway/bridges/outbound-queue.ts'
import { type JobStatus, type OutboundMessage, RECONCILE_MS } from '../../../gateway/contract/bridge.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { seedOfRun } from '../../support/random.ts'

const HOUR_MS = 3_600_000
const NUMBER = { perSecond: 76, burst: 4 }
const RECIPIENT = { perSecond: 1 / 6, burst: 45 }

const SENT: SendResult = { outcome: 'sent', providerId: 'wamid.1' }
const UNKNOWN: SendResult = { outcome: 'unknown', message: 'timed out' }
const FAILED: SendResult = {
  outcome: 'failed',
  error: { code: '131047', message: 'closed', retryable: false },
}
const retry = (
  scope: 'message' | 'recipient' | 'queue',
  delayMs: (nth: number) => number = () => 1000,
  attemptsMax = Infinity,
): SendResult => ({
  outcome: 'retry',
  scope,
  delayMs,
  attemptsMax,
  error: { code: '9', message: 'later', retryable: true },
})

interface Attempt {
  readonly id: string
  readonly to: string
  readonly atMs: number
}

/** A queue on a fake clock; `answer` is what the provider says to each attempt. */
function open(
  answer: (job: OutboundMessage, nth: number) => SendResult | Promise<SendResult> = () => SENT,
  options: Partial<OutboundQueueOptions> = {},
) {
  const clock = new FakeClock()
  const startMs = clock.now()
  const attempts: Attempt[] = []
  const reports: JobStatus[] = []
  const tries = new Map<string, number>()
  const queue = createOutboundQueue({
    rates: { number: NUMBER, recipient: RECIPIENT },
    clock,
    random: () => 0,
    log: { info() {}, warn() {}, error() {} },
    report: async (status) => {
      reports.push(status)
    },
    send: async (job) => {
      attempts.push({ id: job.job_id, to: job.to.phone ?? '', atMs: clock.now() - startMs })
      const nth = tries.get(job.job_id) ?? 0
      tries.set(job.job_id, nth + 1)
      return answer(job, nth)
    },
    ...options,
  })
  const job = (id: string, to = '+621', more: Partial<OutboundMessage> = {}): OutboundMessage => ({
    job_id: id,
    to: { phone: to },
    kind: 'text',
    body: 'halo',
    expires_at: new Date(startMs + HOUR_MS).toISOString(),
    ...more,
  })
  const ids = () => attempts.map(({ id }) => id)
  const states = () => reports.map(({ job_id, state, error }) => `${job_id} ${error?.code ?? state}`)
  const status = (id: string, state: JobStatus['state'], error: JobStatus['error'] = null): JobStatus => ({
    job_id: id,
    provider_id: 'wamid.9',
    state,
    error,
    at: new Date(clock.now()).toISOString(),
  })
  return { queue, clock, attempts, reports, job, ids, states, status }
}

describe('a job', () => {
  it('is sent once, and its end is reported with the provider’s id', async () => {
    const { queue, clock, job, ids, reports } = open()
    queue.take(job('a'))
    await clock.advance(0)
    expect(ids()).toEqual(['a'])
    expect(reports).toEqual([
      { job_id: 'a', provider_id: 'wamid.1', state: 'sent', error: null, at: '2026-11-22T08:00:00.000Z' },
    ])
  })

  it('that is handed over again while it waits or is being sent is not taken twice', async () => {
    const answer = Promise.withResolvers<SendResult>()
    const { queue, clock, job, ids, states } = open(() => answer.promise)
    queue.take(job('a'))
    queue.take(job('b'))
    queue.take(job('a'))
    queue.take(job('b'))
    answer.resolve(SENT)
    await clock.advance(1000)
    expect(ids()).toEqual(['a', 'b'])
    expect(states()).toEqual(['a sent', 'b sent'])
  })

  it('that is handed over again after its end is reported again, and not sent again', async () => {
    const { queue, clock, job, ids, states } = open((one) => (one.job_id === 'a' ? SENT : FAILED))
    for (const id of ['a', 'b', 'a', 'b']) {
      queue.take(job(id))
      await clock.advance(100)
    }
    expect(ids()).toEqual(['a', 'b'])
    expect(states()).toEqual(['a sent', 'b 131047', 'a sent', 'b 131047'])
  })

  it('whose end could not be reported is reported when it is handed over again', async () => {
    let isAway = true
    const told: string[] = []
    const { queue, clock, job, ids } = open(() => SENT, {
      report: async (status) => {
        if (isAway) throw new Error('hub away')
        told.push(status.state)
      },
    })
    queue.take(job('a'))
    await clock.advance(RECONCILE_MS)
    isAway = false
    queue.take(job('a'))
    await clock.advance(0)
    expect(ids()).toEqual(['a'])
    expect(told).toEqual(['sent'])
  })

  it('that expired while it waited is not sent', async () => {
    const { queue, clock, job, ids, states } = open(() => retry('queue', () => 2 * HOUR_MS))
    queue.take(job('a'))
    await clock.advance(0)
    queue.take(job('b', '+622'))
    await clock.advance(HOUR_MS + 1000)
    expect(ids()).toEqual(['a'])
    expect(states()).toEqual(['a expired', 'b expired'])
  })

  it('that has expired when it is handed over is not sent', async () => {
    const { queue, clock, job, ids, states } = open()
    queue.take(job('a', '+621', { expires_at: '2026-11-22T07:59:59Z' }))
    await clock.advance(0)
    expect(ids()).toEqual([])
    expect(states()).toEqual(['a expired'])
  })

  it.each([
    ['without a recipient', { to: {} }],
    ['with an expiry that is no instant', { expires_at: 'tomorrow' }],
  ])('%s is invalid', async (_, more) => {
    const { queue, clock, job, ids, states } = open()
    queue.take(job('a', '+621', more))
    await clock.advance(1000)
    expect(ids()).toEqual([])
    expect(states()).toEqual(['a invalid'])
  })

  it('beyond what the queue may hold is refused, and may be handed over again', async () => {
    const { queue, clock, job, states, reports } = open(() => SENT, { limits: { jobs: 2 } })
    // The first is under way at once and does not wait.
    for (const id of ['a', 'b', 'c', 'd']) queue.take(job(id))
    expect(states()).toEqual(['d queue_full'])
    expect(reports[0]?.error?.retryable).toBe(true)
    await clock.advance(1000)
    queue.take(job('d'))
    await clock.advance(1000)
    expect(states()).toEqual(['d queue_full', 'a sent', 'b sent', 'c sent', 'd sent'])
  })
})

describe('rates', () => {
  it('one person gets 45 at once, then one in six seconds', async () => {
    const { queue, clock, job, attempts } = open()
    for (let i = 0; i < 50; i++) queue.take(job(`a${i}`))
    await clock.advance(60_000)
    const times = attempts.map(({ atMs }) => atMs)
    expect(times).toHaveLength(50)
    expect(times[44]).toBeLessThan(1000)
    expect(times.slice(45)).toEqual([6000, 12_000, 18_000, 24_000, 30_000])
  })

  it('a read receipt is no message to a person', async () => {
    const { queue, clock, job, attempts } = open()
    for (let i = 0; i < 45; i++) queue.take(job(`a${i}`))
    queue.take(job('read', '+621', { kind: 'read', message_id: 'wamid.IN' }))
    await clock.advance(1000)
    expect(attempts.at(-1)?.id).toBe('read')
  })

  it('the number never sends more than 80 in any second, and nearly that', async () => {
    const { queue, clock, job, attempts } = open()
    for (let i = 0; i < 500; i++) queue.take(job(`a${i}`, `+62${i}`))
    await clock.advance(10_000)
    expect(attempts).toHaveLength(500)
    expect(busiestSecond(attempts)).toBeLessThanOrEqual(80)
    expect(attempts.at(-1)?.atMs).toBeLessThan(500 / 0.075)
  })

  it('messages to one person keep their order, whatever is tried again', async () => {
    const { queue, clock, job, ids } = open((one, nth) =>
      one.job_id === 'a' && nth < 2 ? retry('message') : SENT,
    )
    for (const id of ['a', 'b', 'c']) queue.take(job(id))
    queue.take(job('other', '+622'))
    await clock.advance(10_000)
    expect(ids()).toEqual(['a', 'other', 'a', 'a', 'b', 'c'])
  })
})

describe('a retry', () => {
  it('of a message waits longer each time, and is given up after the last attempt', async () => {
    const { queue, clock, job, attempts, states, reports } = open(() =>
      retry('message', (nth) => 1000 * 2 ** nth, 4),
    )
    queue.take(job('a'))
    await clock.advance(60_000)
    expect(attempts.map(({ atMs }) => atMs)).toEqual([0, 1000, 3000, 7000])
    expect(states()).toEqual(['a 9'])
    expect(reports[0]?.error?.retryable).toBe(true)
  })

  it('is spread by chance', async () => {
    const { queue, clock, job, attempts } = open((_, nth) => (nth === 0 ? retry('message') : SENT), {
      random: () => 0.5,
    })
    queue.take(job('a'))
    await clock.advance(5000)
    expect(attempts.map(({ atMs }) => atMs)).toEqual([0, 1125])
  })

  it('of a recipient holds up nobody else', async () => {
    const { queue, clock, job, attempts } = open((one, nth) =>
      one.job_id === 'a' && nth < 3 ? retry('recipient', (n) => 1000 * 4 ** n) : SENT,
    )
    for (const [id, to] of [
      ['a', '+621'],
      ['b', '+621'],
      ['c', '+622'],
    ] as const) {
      queue.take(job(id, to))
    }
    await clock.advance(60_000)
    expect(attempts.filter(({ id }) => id === 'a').map(({ atMs }) => atMs)).toEqual([0, 1000, 5000, 21_000])
    expect(attempts.find(({ id }) => id === 'c')?.atMs).toBe(0)
    expect(attempts.at(-1)?.id).toBe('b')
  })

  it('of the queue stops everybody; one goes ahead, and the others follow when it was answered', async () => {
    let isExpired = true
    const { queue, clock, job, attempts, states } = open(() => (isExpired ? retry('queue') : SENT))
    queue.take(job('a', '+621'))
    await clock.advance(0)
    for (let i = 2; i < 9; i++) queue.take(job(`b${i}`, `+62${i}`))
    await clock.advance(2500)
    expect(attempts.map(({ atMs }) => atMs)).toEqual([0, 1000, 2000])
    expect(queue.state.stopped?.error.code).toBe('9')
    isExpired = false
    await clock.advance(600)
    expect(queue.state.stopped).toBeNull()
    expect(states()).toHaveLength(8)
  })

  it('several answers to what was under way when it stopped count as one', async () => {
    const delays: number[] = []
    const { queue, clock, job } = open(() => {
      const stop = retry('queue', (nth) => {
        delays.push(nth)
        return 10_000
      })
      return new Promise((resolve) => clock.after(100, () => resolve(stop)))
    })
    for (let i = 0; i < 4; i++) queue.take(job(`a${i}`, `+62${i}`))
    await clock.advance(5000)
    expect(delays).toEqual([0])
  })
})

describe('when it is not known whether a message went out', () => {
  it('nothing is said, and it is not sent again while the provider may still report it', async () => {
    const { queue, clock, job, ids, states } = open(() => UNKNOWN)
    queue.take(job('a'))
    await clock.advance(RECONCILE_MS - 1000)
    queue.take(job('a'))
    await clock.advance(0)
    expect(ids()).toEqual(['a'])
    expect(states()).toEqual([])
    expect(queue.state.unknown).toBe(1)
  })

  it('it is sent when it is handed over again after that', async () => {
    const { queue, clock, job, ids, states } = open((_, nth) => (nth === 0 ? UNKNOWN : SENT))
    queue.take(job('a'))
    await clock.advance(RECONCILE_MS + 1000)
    queue.take(job('a'))
    await clock.advance(0)
    expect(ids()).toEqual(['a', 'a'])
    expect(states()).toEqual(['a sent'])
    expect(queue.state.unknown).toBe(0)
  })

  it('the provider’s report makes it sent, for good', async () => {
    const { queue, clock, job, ids, states, status } = open(() => UNKNOWN)
    queue.take(job('a'))
    await clock.advance(5000)
    queue.confirm(status('a', 'sent'))
    await clock.advance(10 * RECONCILE_MS)
    queue.take(job('a'))
    await clock.advance(0)
    expect(ids()).toEqual(['a'])
    expect(states()).toEqual(['a sent'])
  })

  it('a send that breaks counts so', async () => {
    const { queue, clock, job } = open(() => Promise.reject(new Error('bug')))
    queue.take(job('a'))
    await clock.advance(0)
    expect(queue.state.unknown).toBe(1)
  })

  it('a bridge that began anew does not send what the provider reports before its turn', async () => {
    const { queue, clock, job, ids, status } = open(() => SENT, {
      rates: { number: { perSecond: 1, burst: 1 }, recipient: RECIPIENT },
    })
    queue.take(job('first', '+622'))
    queue.take(job('a'))
    queue.confirm(status('a', 'delivered'))
    queue.confirm(status('b', 'sent'))
    queue.take(job('b'))
    await clock.advance(10_000)
    expect(ids()).toEqual(['first'])
  })

  it('a report that comes before the answer is lost keeps it from being tried again', async () => {
    const { queue, clock, job, ids, status, states } = open(
      () => new Promise((resolve) => clock.after(500, () => resolve(retry('message')))),
    )
    queue.take(job('a'))
    await clock.advance(100)
    queue.confirm(status('a', 'sent'))
    await clock.advance(10_000)
    queue.take(job('a'))
    await clock.advance(0)
    expect(ids()).toEqual(['a'])
    expect(states()).toEqual(['a sent'])
  })
})

it('a job that failed later, and may be sent once more, is sent once more', async () => {
  const { queue, clock, job, ids, status } = open()
  queue.take(job('a'))
  await clock.advance(0)
  queue.confirm(status('a', 'failed', { code: '131000', message: '', retryable: true }))
  queue.take(job('a'))
  await clock.advance(0)
  expect(ids()).toEqual(['a', 'a'])
})

it('a job that failed later for good is not sent again, and its `sent` is not told after it', async () => {
  const { queue, clock, job, ids, states, status } = open(
    () => new Promise((resolve) => clock.after(500, () => resolve(SENT))),
  )
  queue.take(job('a'))
  await clock.advance(100)
  queue.confirm(status('a', 'failed', { code: '131026', message: '', retryable: false }))
  await clock.advance(1000)
  expect(states()).toEqual([])
  queue.take(job('a'))
  await clock.advance(1000)
  expect(ids()).toEqual(['a'])
  expect(states()).toEqual(['a 131026'])
})

it('when it is closed it waits for what is being sent, and sends nothing more', async () => {
  const answer = Promise.withResolvers<SendResult>()
  const { queue, clock, job, ids, states } = open(() => answer.promise)
  queue.take(job('a'))
  queue.take(job('b'))
  let isClosed = false
  const closed = queue.close().then(() => {
    isClosed = true
  })
  await clock.advance(1000)
  expect(isClosed).toBe(false)
  answer.resolve(SENT)
  await closed
  await clock.advance(HOUR_MS)
  expect(ids()).toEqual(['a'])
  expect(states()).toEqual(['a sent'])
  expect(clock.isIdle).toBe(true)
})

it('what it remembers is bounded, and nobody stays in it who is not written to', async () => {
  const { queue, clock, job, ids, states } = open(() => SENT, { limits: { ended: 10 } })
  const jobs = Array.from({ length: 30 }, (_, i) => job(`a${i}`, `+62${i}`))
  for (const one of jobs) queue.take(one)
  await clock.advance(HOUR_MS / 2)
  expect(clock.isIdle).toBe(true)
  for (const one of jobs.slice(20)) queue.take(one)
  expect(ids()).toHaveLength(30)
  expect(states().slice(30)).toEqual(jobs.slice(20).map(({ job_id }) => `${job_id} sent`))
  queue.take(jobs[19] as OutboundMessage)
  await clock.advance(0)
  expect(ids().slice(30)).toEqual(['a19'])
})

describe('whatever the provider answers', () => {
  const answers = fc.constantFrom<SendResult[]>(
    SENT,
    FAILED,
    UNKNOWN,
    retry('message', (nth) => 500 * 2 ** nth, 3),
    retry('recipient', (nth) => 1000 * 4 ** nth),
    retry('queue', (nth) => 1000 * 2 ** nth),
  )

  it('every job ends in exactly one of sent, failed and unknown, in order, within the rates', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            person: fc.integer({ min: 0, max: 3 }),
            answers: fc.array(answers, { maxLength: 4 }),
            waitMs: fc.integer({ min: 0, max: 400 }),
            tookMs: fc.integer({ min: 0, max: 900 }),
          }),
          { minLength: 1, maxLength: 60 },
        ),
        async (jobs) => {
          const number = { perSecond: 5, burst: 2 }
          const recipient = { perSecond: 0.5, burst: 3 }
          const unknown = new Set<string>()
          const all = open(
            (one, nth) => {
              const index = Number(one.job_id)
              const answer = jobs[index]?.answers[nth] ?? SENT
              if (answer.outcome === 'unknown') unknown.add(one.job_id)
              return new Promise((resolve) => {
                all.clock.after(jobs[index]?.tookMs ?? 0, () => resolve(answer))
              })
            },
            { rates: { number, recipient } },
          )
          for (const [index, { person, waitMs }] of jobs.entries()) {
            all.queue.take(all.job(String(index), `+62${person}`))
            await all.clock.advance(waitMs)
          }
          await all.clock.advance(2 * HOUR_MS)

          const ended = all.reports.map(({ job_id }) => job_id)
          expect([...ended, ...unknown].sort()).toEqual(jobs.map((_, index) => String(index)).sort())
          expect(all.queue.state).toMatchObject({ waiting: 0, sending: 0, unknown: 0 })
          for (const person of [0, 1, 2, 3]) {
            const own = all.attempts.filter(({ to }) => to === `+62${person}`)
            const order = own.map(({ id }) => Number(id))
            expect(order).toEqual(order.toSorted((a, b) => a - b))
            expectWithin(own, recipient)
          }
          expectWithin(all.attempts, number)
        },
      ),
      { numRuns: 60, seed: seedOfRun() },
    )
  })
})

const busiestSecond = (attempts: readonly Attempt[]): number =>
  Math.max(
    ...attempts.map(
      ({ atMs }) => attempts.filter((other) => other.atMs >= atMs && other.atMs < atMs + 1000).length,
    ),
  )

/** In no span are there more than the burst and what the span gives. */
function expectWithin(attempts: readonly Attempt[], { perSecond, burst }: typeof NUMBER): void {
  for (const [i, first] of attempts.entries()) {
    for (const [j, last] of attempts.entries()) {
      if (j < i) continue
      const allowed = burst + (perSecond * (last.atMs - first.atMs)) / 1000
      expect(j - i + 1).toBeLessThanOrEqual(allowed + 1e-6)
    }
  }
}
