/** A control that must fail: a hub without threads, whose event loop waits for the disk. It stands where Piscina stands. */

type Worker = Readonly<Record<string, (argument: unknown) => unknown>>

/** What the worker's module that is loaded next reads at its start. */
export let workerData: unknown
let loaded: Promise<unknown> = Promise.resolve()
let count = 0

export class Piscina {
  readonly #worker: Promise<Worker>

  constructor(options: { filename: string; workerData: unknown }) {
    this.#worker = loaded.then(() => {
      workerData = options.workerData
      return import(`${options.filename}?${++count}`) as Promise<Worker>
    })
    loaded = this.#worker
  }

  async run(argument: unknown, { name }: { name: string }): Promise<unknown> {
    return (await this.#worker)[name]?.(argument)
  }

  async close(): Promise<void> {}
}
