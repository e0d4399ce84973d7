/** A clock that stands still until it is told to go on. */
import { setImmediate as turn } from 'node:timers/promises'

interface Timer {
  readonly atMs: number
  readonly run: () => void
}

export class FakeClock {
  #nowMs: number
  readonly #timers = new Set<Timer>()

  constructor(nowMs = Date.parse('2026-11-22T08:00:00.000Z')) {
    this.#nowMs = nowMs
  }

  now = (): number => this.#nowMs

  after = (ms: number, run: () => void): (() => void) => {
    const timer = { atMs: this.#nowMs + Math.max(0, ms), run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Runs what falls due, in order; what each of it sets off has settled before the next. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    await turn()
    for (;;) {
      const due = [...this.#timers].filter(({ atMs }) => atMs <= untilMs)
      const next = due.reduce<Timer | null>((a, b) => (a === null || b.atMs < a.atMs ? b : a), null)
      if (next === null) break
      this.#timers.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.run()
      await turn()
    }
    this.#nowMs = untilMs
  }

  /** Nothing waits for a later time. */
  get isIdle(): boolean {
    return this.#timers.size === 0
  }
}
