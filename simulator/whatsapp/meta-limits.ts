/** Meta's rate limits as it applies them: throughput of the number, and messages to one person. Time is an argument. */

/** At most `perSecond` in any second. */
export class Throughput {
  readonly #perSecond: number
  #lately: number[] = []

  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  /** Counts one, whether it fits or not: what people write can't be refused. */
  count(nowMs: number): void {
    this.#forget(nowMs)
    this.#lately.push(nowMs)
  }

  isReached(nowMs: number): boolean {
    this.#forget(nowMs)
    return this.#lately.length >= this.#perSecond
  }

  #forget(nowMs: number): void {
    const first = this.#lately.findIndex((atMs) => atMs > nowMs - 1000)
    this.#lately = first === -1 ? [] : this.#lately.slice(first)
  }
}

/** One message in 6 s; up to 45 at once, which are paid back. */
export class PairLimit {
  readonly #intervalMs: number
  readonly #burst: number
  /** When the account is even again. */
  #paidAtMs = 0

  constructor({ intervalMs = 6000, burst = 45 }: { intervalMs?: number; burst?: number } = {}) {
    this.#intervalMs = intervalMs
    this.#burst = burst
  }

  /** @returns false when it is refused, and then it costs nothing */
  take(nowMs: number): boolean {
    const paidAtMs = Math.max(this.#paidAtMs, nowMs) + this.#intervalMs
    if (paidAtMs - nowMs > this.#burst * this.#intervalMs) return false
    this.#paidAtMs = paidAtMs
    return true
  }
}
