/**
 * A device's outbox: what it has to say, until that is known to have arrived. No network and no clock in here.
 *
 *   waiting        to be sent, oldest first
 *   sending        sent, its PUBACK has not come; waits again when the connection is lost
 *   acknowledged   the hub has it for good, the receipt has not come; waits again when that takes too long
 *   done           gone from the outbox
 *
 * A sale is done at its receipt, a replay at the receipt that says so, anything else at its PUBACK. A replay is held
 * back until its sale is done: it is a recording of what went over the wire.
 */
import type { Receipt } from '../gateway/contract/receipts.ts'
import type { Letter } from './plan.ts'

export interface Outgoing {
  readonly letter: Letter
  state: 'waiting' | 'sending' | 'acknowledged' | 'done'
  sends: number
  firstSentAtMs: number
  lastSentAtMs: number
  acknowledgedAtMs: number
}

export class Outbox {
  readonly #windowMax: number
  readonly #waiting: Outgoing[] = []
  readonly #sending = new Set<Outgoing>()
  /** In order of their acknowledgements. */
  readonly #acknowledged = new Set<Outgoing>()
  /** By event: the sale or replay whose receipt is awaited. */
  readonly #unreceipted = new Map<string, Outgoing>()
  /** By event: replays that wait for their sale. */
  readonly #held = new Map<string, Letter[]>()
  #heldCount = 0

  /** @param windowMax letters that may be without their PUBACK at one time */
  constructor(windowMax: number) {
    this.#windowMax = windowMax
  }

  /** Letters not yet done. */
  get pending(): number {
    return this.#waiting.length + this.#sending.size + this.#acknowledged.size + this.#heldCount
  }

  post(letter: Letter): void {
    if (letter.kind === 'replay' && this.#unreceipted.has(letter.id)) {
      this.#held.set(letter.id, [...(this.#held.get(letter.id) ?? []), letter])
      this.#heldCount++
      return
    }
    const outgoing: Outgoing = {
      letter,
      state: 'waiting',
      sends: 0,
      firstSentAtMs: 0,
      lastSentAtMs: 0,
      acknowledgedAtMs: 0,
    }
    if (letter.kind === 'sale' || letter.kind === 'replay') this.#unreceipted.set(letter.id, outgoing)
    this.#waiting.push(outgoing)
  }

  /** The next letter to hand to the network; null when there is none, or the window is full. */
  next(nowMs: number): Outgoing | null {
    if (this.#sending.size >= this.#windowMax) return null
    const outgoing = this.#waiting.shift()
    if (outgoing === undefined) return null
    if (outgoing.sends++ === 0) outgoing.firstSentAtMs = nowMs
    outgoing.lastSentAtMs = nowMs
    outgoing.state = 'sending'
    this.#sending.add(outgoing)
    return outgoing
  }

  acknowledge(outgoing: Outgoing, nowMs: number): void {
    // The receipt may have come before its PUBACK.
    if (!this.#sending.delete(outgoing) || outgoing.state === 'done') return
    if (this.#unreceipted.get(outgoing.letter.id) !== outgoing) {
      outgoing.state = 'done'
      return
    }
    outgoing.state = 'acknowledged'
    outgoing.acknowledgedAtMs = nowMs
    this.#acknowledged.add(outgoing)
  }

  /** @returns the letter it answers, or null when none waits for it */
  receive({ event_id: eventId, outcome }: Receipt): Outgoing | null {
    const outgoing = eventId === null ? undefined : this.#unreceipted.get(eventId)
    if (outgoing === undefined || outgoing.sends === 0) return null
    if (outgoing.letter.kind === 'replay' && outcome !== 'replayed') return null
    this.#unreceipted.delete(outgoing.letter.id)
    this.#acknowledged.delete(outgoing)
    if (outgoing.state === 'waiting') this.#waiting.splice(this.#waiting.indexOf(outgoing), 1)
    // While its PUBACK is awaited it keeps its place in the window.
    outgoing.state = 'done'
    this.#release(outgoing.letter.id)
    return outgoing
  }

  /** The connection is lost: what has no PUBACK is to be sent again, before what was not sent yet. */
  disconnect(): void {
    const again = [...this.#sending].filter(({ state }) => state !== 'done')
    for (const outgoing of again) outgoing.state = 'waiting'
    this.#sending.clear()
    this.#waiting.unshift(...again)
  }

  /** Sends again what was acknowledged so long ago that its receipt must be asked for once more. */
  askAgain(acknowledgedBeforeMs: number): void {
    for (const outgoing of this.#acknowledged) {
      if (outgoing.acknowledgedAtMs >= acknowledgedBeforeMs) return
      this.#acknowledged.delete(outgoing)
      outgoing.state = 'waiting'
      this.#waiting.push(outgoing)
    }
  }

  #release(eventId: string): void {
    const [letter, ...others] = this.#held.get(eventId) ?? []
    if (letter === undefined) return
    if (others.length === 0) this.#held.delete(eventId)
    else this.#held.set(eventId, others)
    this.#heldCount--
    this.post(letter)
  }
}
