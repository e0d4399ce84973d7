/**
 * Nothing is read from any socket while enough messages are in hand: what waits, waits in the system's buffers, where it
 * costs neither memory here nor the garbage collector's time. Who could not be read has its turn in the order of asking.
 */
export class ReadGate<Reader> {
  readonly #isFull: () => boolean
  readonly #readOn: (reader: Reader) => void
  readonly #waiting = new Set<Reader>()

  constructor(options: { isFull: () => boolean; readOn: (reader: Reader) => void }) {
    this.#isFull = options.isFull
    this.#readOn = options.readOn
  }

  /** Whether the reader may read now; if not, it is called when it may. */
  ask(reader: Reader): boolean {
    if (!this.#isFull()) return true
    this.#waiting.add(reader)
    return false
  }

  /** There may be room again. */
  check(): void {
    for (const reader of this.#waiting) {
      if (this.#isFull()) return
      this.#waiting.delete(reader)
      this.#readOn(reader)
    }
  }

  forget(reader: Reader): void {
    this.#waiting.delete(reader)
  }
}
