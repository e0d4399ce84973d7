/**
 * When a message is acknowledged: after its handler resolved, and in the order in which its sender's messages came
 * ([MQTT-4.6.0-2]), though handlers may settle in any order.
 *
 *   waiting ──► handling ──► accepted ──► acknowledged     `done()`: Aedes writes PUBACK or PUBREC
 *                       └──► failed                        `done(error)`: Aedes drops the connection, the sender sends again
 *
 * A message waits while too many are being handled; a sender with too many unacknowledged is not read from. Nothing here throws or rejects, whatever the handler does; a
 * handler that does not answer in time has failed.
 */
import type { BrokerHandlers, BrokerStats, Message } from './broker.ts'
import type { Limits } from './limits.ts'
import { Refusal, type RefusalReason } from './refusal.ts'

type Done = (error?: Error | null) => void

interface Pending {
  readonly message: Message
  readonly done: Done
  readonly arrivedMs: number
  /** When the handler was given it. */
  handledMs: number
  /** Not acknowledged earlier than this: the sender is above its rate. */
  readonly notBeforeMs: number
  state: 'waiting' | 'handling' | 'accepted' | 'failed'
  failure: Refusal | null
  next: Pending | null
}

/** Stops and goes on reading from a sender. */
export interface Reading {
  pause(): void
  resume(): void
}

/** The unacknowledged messages of one sender, oldest first. */
export class SenderQueue {
  readonly reading: Reading | null
  paused = false
  length = 0
  head: Pending | null = null
  tail: Pending | null = null
  /** The oldest one that is waiting. */
  waiting: Pending | null = null
  handling = 0
  /** When the sender's allowance is full again (GCRA's theoretical arrival time). */
  fullAgainMs = 0
  delay: NodeJS.Timeout | null = null
  /** A message failed: nothing behind it may be acknowledged, and its connection is about to be closed. */
  failed = false

  /** @param reading null: there is nothing to read from */
  constructor(reading: Reading | null) {
    this.reading = reading
  }
}

/** Overdue handlers are looked for this often; exactness is not needed. */
const SWEEP_MS = 250

export class Acknowledger {
  readonly #accept: BrokerHandlers['accept']
  readonly #stats: BrokerStats
  readonly #count: (reason: RefusalReason) => void
  readonly #limits: Limits
  /** A message has been settled. */
  readonly #onSettled: () => void
  /** Senders that have something unacknowledged. */
  readonly #busy = new Set<SenderQueue>()
  /** Senders whose turn it is when the handler has room again; in order. */
  readonly #stalled = new Set<SenderQueue>()
  readonly #sweep: NodeJS.Timeout
  readonly #intervalMs: number
  #handling = 0
  #whenIdle: (() => void) | null = null

  constructor(options: {
    accept: BrokerHandlers['accept']
    stats: BrokerStats
    count: (reason: RefusalReason) => void
    limits: Limits
    settled?: () => void
  }) {
    this.#accept = options.accept
    this.#stats = options.stats
    this.#count = options.count
    this.#limits = options.limits
    this.#onSettled = options.settled ?? (() => {})
    this.#intervalMs = 1_000 / options.limits.ratePerSecond
    this.#sweep = setInterval(() => this.#failOverdue(), SWEEP_MS).unref()
  }

  /** Hands a message to the handler; `done` is called once, or never when the queue is dropped before. */
  push(queue: SenderQueue, message: Message, done: Done): void {
    if (queue.failed) return
    const nowMs = performance.now()
    const pending: Pending = {
      message,
      done,
      arrivedMs: nowMs,
      handledMs: 0,
      notBeforeMs: this.#allowedAtMs(queue, nowMs),
      state: 'waiting',
      failure: null,
      next: null,
    }
    if (queue.tail === null) {
      queue.head = pending
      this.#busy.add(queue)
    } else {
      queue.tail.next = pending
    }
    queue.tail = pending
    queue.waiting ??= pending
    this.#stats.pending++
    // Aedes reads on while messages are unacknowledged, one socket chunk for each that comes.
    if (++queue.length >= this.#limits.messagesInFlightPerClient && !queue.paused) {
      queue.paused = true
      queue.reading?.pause()
    }
    this.#start(queue)
  }

  /** The sender is gone: nobody is left to acknowledge to. What is being handled is handled to its end. */
  drop(queue: SenderQueue): void {
    for (let pending = queue.waiting; pending !== null; pending = pending.next) this.#stats.pending--
    queue.head = queue.tail = queue.waiting = null
    queue.length = 0
    this.#stalled.delete(queue)
    this.#forget(queue)
  }

  /** Resolves when nothing is waiting, being handled or kept from being acknowledged. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenIdle = resolve
      this.#checkIdle()
    })
  }

  close(): void {
    clearInterval(this.#sweep)
    for (const queue of this.#busy) this.drop(queue)
  }

  /** GCRA: the queue's `fullAgainMs` moves on by one interval a message; `rateBurst` of them may be ahead of the clock. */
  #allowedAtMs(queue: SenderQueue, nowMs: number): number {
    queue.fullAgainMs = Math.max(queue.fullAgainMs, nowMs) + this.#intervalMs
    const aheadMs = queue.fullAgainMs - nowMs - this.#limits.rateBurst * this.#intervalMs
    if (aheadMs <= 0) return 0
    this.#count('rate')
    return nowMs + Math.min(aheadMs, this.#limits.rateDelayMs)
  }

  #start(queue: SenderQueue): void {
    while (queue.waiting !== null && queue.handling < this.#limits.messagesInFlightPerClient) {
      if (this.#handling >= this.#limits.messagesInFlight) {
        this.#stalled.add(queue)
        return
      }
      const pending = queue.waiting
      queue.waiting = pending.next
      this.#handle(queue, pending)
    }
  }

  #handle(queue: SenderQueue, pending: Pending): void {
    pending.state = 'handling'
    pending.handledMs = performance.now()
    queue.handling++
    this.#handling++
    let handled: Promise<void>
    try {
      handled = this.#accept(pending.message)
    } catch (error) {
      handled = Promise.reject(error)
    }
    handled.then(
      () => this.#settled(queue, pending, null),
      (error: unknown) =>
        this.#settled(queue, pending, new Refusal('not_accepted', 'message not accepted', { cause: error })),
    )
  }

  #settled(queue: SenderQueue, pending: Pending, failure: Refusal | null): void {
    queue.handling--
    this.#handling--
    this.#stats.pending--
    if (pending.state === 'handling') {
      pending.state = failure === null ? 'accepted' : 'failed'
      pending.failure = failure
    }
    if (queue.head === pending) this.#release(queue)
    if (this.#stalled.size === 0) {
      this.#start(queue)
    } else {
      if (queue.waiting !== null) this.#stalled.add(queue) // no sender goes before those that wait
      this.#startStalled()
    }
    this.#onSettled()
    if (this.#whenIdle !== null) this.#checkIdle()
  }

  #startStalled(): void {
    for (const queue of this.#stalled) {
      if (this.#handling >= this.#limits.messagesInFlight) return
      this.#stalled.delete(queue)
      this.#start(queue) // puts itself at the end of the line when there was not room for all
    }
  }

  /** Acknowledges from the oldest on, up to the first that is not settled yet. */
  #release(queue: SenderQueue): void {
    while (queue.head !== null && this.#mayRelease(queue, queue.head)) {
      const pending = queue.head
      queue.head = pending.next
      if (queue.head === null) queue.tail = null
      queue.length--
      this.#stats.acknowledged++
      pending.done()
    }
    if (queue.head === null) this.#forget(queue)
    if (queue.paused && queue.length < this.#limits.messagesInFlightPerClient) {
      queue.paused = false
      queue.reading?.resume()
    }
  }

  #mayRelease(queue: SenderQueue, pending: Pending): boolean {
    if (pending.state === 'failed') {
      this.#fail(queue, pending)
      return false
    }
    if (pending.state !== 'accepted' || queue.delay !== null) return false
    return pending.notBeforeMs === 0 || !this.#delayed(queue, pending.notBeforeMs)
  }

  #delayed(queue: SenderQueue, notBeforeMs: number): boolean {
    const waitMs = notBeforeMs - performance.now()
    if (waitMs <= 0) return false
    queue.delay = setTimeout(() => {
      queue.delay = null
      this.#release(queue)
    }, waitMs)
    return true
  }

  #fail(queue: SenderQueue, pending: Pending): void {
    queue.failed = true
    this.drop(queue)
    // Not at once: acknowledgements of what came before may still be on their way to the socket.
    setImmediate(pending.done, pending.failure)
  }

  #failOverdue(): void {
    const nowMs = performance.now()
    for (const queue of this.#busy) {
      const pending = queue.head
      if (pending === null || !this.#isOverdue(pending, nowMs)) continue
      const waitedMs = Math.round(nowMs - pending.arrivedMs)
      pending.failure = new Refusal('not_accepted', `no answer within ${waitedMs} ms`)
      // `handling` stays counted until the handler does settle: it still holds what it was given.
      if (pending.state === 'handling') pending.state = 'failed'
      this.#fail(queue, pending)
    }
  }

  /** A handler that is slow for everybody is no reason to drop everybody: who waits for a turn may wait longer. */
  #isOverdue({ state, arrivedMs, handledMs }: Pending, nowMs: number): boolean {
    if (state === 'handling') return nowMs - handledMs > this.#limits.acceptTimeoutMs
    return state === 'waiting' && nowMs - arrivedMs > this.#limits.turnTimeoutMs
  }

  #forget(queue: SenderQueue): void {
    if (queue.delay !== null) clearTimeout(queue.delay)
    queue.delay = null
    this.#busy.delete(queue)
    if (this.#whenIdle !== null) this.#checkIdle()
  }

  #checkIdle(): void {
    if (this.#busy.size > 0 || this.#handling > 0) return
    this.#whenIdle?.()
    this.#whenIdle = null
  }
}
