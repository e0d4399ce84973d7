/**
 * What runs beside the one way through the house: a step taken again and again.
 *
 *   idle     waits for `wake`, or for the poll interval: another hub's entries wake nobody here
 *   working  takes steps, one at a time, until one says that nothing is left
 *   failing  the store is away: waits longer after each failure, up to RETRY_MAX_MS, then tries the same again
 *   stopped  for good, after the step under way
 *
 * A step must be one that can be taken twice: what it works from is in the ledger, and a failure leaves it half done.
 */

/** Between a step and a wake's next one: what comes close together is done together. */
const REST_MS = 50
/** Long enough not to trouble a store that comes back, short enough that nobody wonders. */
const RETRY_MAX_MS = 5000

export interface WorkerLog {
  info(details: object, message: string): void
  warn(details: object, message: string): void
}

export interface WorkerServices {
  /** What it is, in words, for the log: `live feeds`. */
  readonly name: string
  /** @returns whether there is more to do at once. */
  readonly step: () => Promise<boolean>
  /** Between two looks when nobody wakes it. */
  readonly pollMs: number
  readonly log: WorkerLog
}

export interface Worker {
  /** There may be something to do. */
  wake(): void
  /** Resolves after the step under way. */
  stop(): Promise<void>
}

export function startWorker({ name, step, pollMs, log }: WorkerServices): Worker {
  let timer: NodeJS.Timeout
  let stepping: Promise<void> | null = null
  let isWoken = false
  let failures = 0
  let isStopped = false

  function schedule(delayMs: number): void {
    timer = setTimeout(() => {
      isWoken = false
      stepping = takeStep().then((nextDelayMs) => {
        stepping = null
        if (!isStopped) schedule(nextDelayMs)
      })
    }, delayMs)
  }

  /** @returns how long to wait before the next one. */
  async function takeStep(): Promise<number> {
    try {
      const hasMore = await step()
      if (failures > 0) log.info({ failures }, `${name}: going on`)
      failures = 0
      if (hasMore) return 0
      return isWoken ? REST_MS : pollMs
    } catch (error) {
      failures++
      if (failures === 1) log.warn({ error: (error as Error).message }, `${name}: waiting for the store`)
      return Math.min(pollMs * 2 ** Math.min(failures, 10), RETRY_MAX_MS)
    }
  }

  schedule(0)

  return {
    wake() {
      if (isWoken || isStopped || failures > 0) return
      isWoken = true
      if (stepping !== null) return
      clearTimeout(timer)
      schedule(REST_MS)
    },
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await stepping
    },
  }
}
