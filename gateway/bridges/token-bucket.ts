/**
 * A token bucket: `burst` at once, then `perSecond`. In any span of t seconds at most `burst + perSecond · t` are taken.
 */
export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

export class TokenBucket {
  readonly #rate: Rate
  #tokens: number
  #atMs: number

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate
    this.#tokens = rate.burst
    this.#atMs = nowMs
  }

  /** How long until one can be taken; 0: now. Whole milliseconds. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs)
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / this.#rate.perSecond) * 1000)
  }

  take(nowMs: number): void {
    this.#refill(nowMs)
    this.#tokens -= 1
  }

  isFull(nowMs: number): boolean {
    this.#refill(nowMs)
    return this.#tokens >= this.#rate.burst
  }

  #refill(nowMs: number): void {
    // A clock that was set back gives nothing, and takes nothing.
    const passedMs = Math.max(0, nowMs - this.#atMs)
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + (passedMs / 1000) * this.#rate.perSecond)
    this.#atMs = nowMs
  }
}
