/**
 * The projector walks the ledger and the telemetry stream from the checkpoint, makes points of the entries, writes
 * them, and moves the checkpoint after the write. It follows the tail for as long as it runs.
 *
 * It can't lose: what it works from stays in the ledger until it was written, however long that takes. It can't
 * double: an entry always makes the same point. It slows no sale: it holds one batch at a time, yields between
 * batches, and waits longer and longer while the metrics database is away.
 *
 * Before it goes on from a checkpoint it looks whether this is the ledger that the points were made from:
 *
 *   nothing was projected yet, or every head is an entry of this ledger   → go on
 *   the first entry is of this ledger, a head is not                      → the ledger was cut short (a restored
 *                                                                           backup, a power cut): made again
 *   made by another design                                                → made again
 *   the first entry is not of this ledger                                 → refused: the points are somebody else's
 */
import { setTimeout as delay, setImmediate as yieldToOthers } from 'node:timers/promises'
import type { Entry, Stream } from '../gateway/contract/ledger.ts'
import { DESIGN } from './measurements.ts'
import { type Anchor, type Checkpoint, type Metrics, MetricsError } from './metrics.ts'
import { pointsFor } from './points.ts'

/** What is read of a store. */
export interface Source {
  entriesAfter(
    stream: Stream,
    position: string,
    limit: number,
  ): Promise<{ readonly entries: readonly Entry[]; readonly position: string }>
  entry(stream: Stream, id: string): Promise<Entry | null>
}

/** Several hubs on one store: one projects at a time. Two at once do no harm but the work twice. */
export interface Lease {
  /** Takes or keeps the lease; false while another hub has it. Asked before every batch: to be answered quickly. */
  hold(): Promise<boolean>
}

interface Log {
  info(data: object, message: string): void
  warn(data: object, message: string): void
}

export interface ProjectorOptions {
  readonly source: Source
  readonly metrics: Metrics
  readonly lease: Lease
  readonly log: Log
  readonly timing?: Partial<Timing>
}

export interface Timing {
  /** How often to look for entries without having been woken: those of other hubs. */
  readonly pollMs: number
  /** How long entries may gather after a wake: a batch is cheaper than its parts. */
  readonly lingerMs: number
  /** Between attempts while the metrics or the store are away: doubling, between these. */
  readonly backoffMinMs: number
  readonly backoffMaxMs: number
  /** How often the checkpoint is read again: whether somebody has reset, emptied or replaced the metrics. */
  readonly reloadMs: number
}

const TIMING: Timing = {
  pollMs: 1000,
  lingerMs: 250,
  backoffMinMs: 250,
  backoffMaxMs: 30_000,
  reloadMs: 30_000,
}

/** Entries of each stream in one batch: about three milliseconds of the event loop. */
const BATCH_ENTRIES = 1000

export interface ProjectorState {
  /** Whether the last attempt succeeded. */
  readonly ok: boolean
  /** Whether this process is the one that projects. */
  readonly holdsLease: boolean
  /** Everything committed by then is in the metrics; milliseconds since 1970, null before the first time. */
  readonly caughtUpAtMs: number | null
  /** How far it has come in each stream; null before the checkpoint was read. */
  readonly positions: Readonly<Record<Stream, string>> | null
  /** Since the start of this process. */
  readonly entries: number
  readonly points: number
  readonly lastError: { readonly message: string; readonly atMs: number } | null
}

export interface Projector {
  /** Entries were committed. Costs nothing. */
  wake(): void
  /** Resolves when everything that was committed before the call is in the metrics. */
  caughtUp(): Promise<void>
  /** Forgets the metrics of the ledger and makes them again; resolves when they are complete. */
  rebuild(): Promise<void>
  readonly state: ProjectorState
  /** Waits for the write under way. */
  stop(): Promise<void>
}

/** Starts at once, whether or not the metrics database answers. */
export function startProjector({ source, metrics, lease, log, timing }: ProjectorOptions): Projector {
  const { pollMs, lingerMs, backoffMinMs, backoffMaxMs, reloadMs } = { ...TIMING, ...timing }
  const stopped = new AbortController()
  const state: { -readonly [Name in keyof ProjectorState]: ProjectorState[Name] } = {
    ok: true,
    holdsLease: false,
    caughtUpAtMs: null,
    positions: null,
    entries: 0,
    points: 0,
    lastError: null,
  }
  let checkpoint: Checkpoint | null = null
  let loadedAtMs = 0
  let failures = 0
  let isResetAsked = false
  /** Those who wait for a round that begins after they asked and finds nothing left to do. */
  let waiting: PromiseWithResolvers<void>[] = []
  let woken = Promise.withResolvers<void>()
  let hurried = Promise.withResolvers<void>()

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      const asking = waiting
      waiting = []
      woken = Promise.withResolvers()
      hurried = Promise.withResolvers()
      let isCaughtUp = false
      try {
        isCaughtUp = await round()
        if (!state.ok) log.info({ failures }, 'metrics are written again')
        state.ok = true
        failures = 0
      } catch (error) {
        fail(error as Error)
        await delay(backoffMs(error), undefined, { signal: stopped.signal }).catch(() => {})
        continue
      } finally {
        if (isCaughtUp) for (const { resolve } of asking) resolve()
        else waiting.unshift(...asking)
      }
      if (isCaughtUp || !state.holdsLease) await idle()
    }
  }

  /** One batch. @returns whether there was nothing left to do. */
  async function round(): Promise<boolean> {
    if (isResetAsked) {
      await metrics.reset()
      isResetAsked = false
      checkpoint = null
    }
    state.holdsLease = await lease.hold()
    if (!state.holdsLease) {
      checkpoint = null
      return false
    }
    if (checkpoint === null || performance.now() - loadedAtMs >= reloadMs) {
      checkpoint = await load()
      loadedAtMs = performance.now()
    }
    const { positions } = checkpoint
    const beganAtMs = Date.now()
    const [ledger, telemetry] = await Promise.all([
      source.entriesAfter('ledger', positions.ledger, BATCH_ENTRIES),
      source.entriesAfter('telemetry', positions.telemetry, BATCH_ENTRIES),
    ])
    const entries = [...ledger.entries, ...telemetry.entries]
    if (entries.length === 0) {
      state.positions = positions
      state.caughtUpAtMs = beganAtMs
      return true
    }
    await yieldToOthers()
    const points = entries.flatMap(pointsFor)
    const next: Checkpoint = {
      ...checkpoint,
      design: DESIGN,
      positions: { ledger: ledger.position, telemetry: telemetry.position },
      first: checkpoint.first ?? anchorOf(ledger.entries[0]),
      heads: { ...checkpoint.heads, ...headsOf(ledger.entries) },
    }
    await metrics.write(points, next)
    checkpoint = next
    state.positions = next.positions
    state.entries += entries.length
    state.points += points.length
    return false
  }

  /** The checkpoint to go on from; see the table above. */
  async function load(): Promise<Checkpoint> {
    const kept = await metrics.checkpoint()
    if (kept.first === null) return kept
    if (!(await isInLedger(kept.first))) {
      throw new MetricsError(
        'the metrics database holds points of another ledger (`hub metrics rebuild` replaces them)',
      )
    }
    const isWhole = (await Promise.all(Object.values(kept.heads).map(isInLedger))).every(Boolean)
    if (isWhole && kept.design === DESIGN) return kept
    const reason = isWhole ? 'their design has changed' : 'the ledger was cut short'
    log.warn({ reason }, 'metrics are made again from the ledger')
    await metrics.reset()
    return metrics.checkpoint()
  }

  const isInLedger = async ({ entry, chain }: Anchor): Promise<boolean> =>
    (await source.entry('ledger', entry))?.chain === chain

  function fail(error: Error): void {
    // How much was written is not known here; the checkpoint in the database says from where to go on.
    checkpoint = null
    failures += 1
    if (state.ok) log.warn({ err: error }, 'metrics can not be written; trying again')
    state.ok = false
    state.lastError = { message: error.message, atMs: Date.now() }
  }

  /** Full jitter: hubs that lost one database together do not come back together. */
  function backoffMs(error: unknown): number {
    const limitMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** (failures - 1))
    const askedMs = error instanceof MetricsError ? (error.retryAfterMs ?? 0) : 0
    return Math.max(Math.random() * limitMs, Math.min(askedMs, backoffMaxMs))
  }

  /** Until there may be something to do. */
  async function idle(): Promise<void> {
    await firstOf(pollMs, woken.promise, hurried.promise)
    await firstOf(lingerMs, hurried.promise)
  }

  function caughtUp(): Promise<void> {
    if (stopped.signal.aborted) return Promise.reject(new Error(STOPPED))
    const asked = Promise.withResolvers<void>()
    waiting.push(asked)
    hurried.resolve()
    return asked.promise
  }

  const running = run()
  return {
    wake: () => woken.resolve(),
    caughtUp,
    rebuild() {
      isResetAsked = true
      return caughtUp()
    },
    get state() {
      return { ...state }
    },
    async stop() {
      stopped.abort()
      hurried.resolve()
      await running
      for (const { reject } of waiting) reject(new Error(STOPPED))
      waiting = []
    },
  }
}

const STOPPED = 'the projector was stopped'

/** Resolves after this time, or with the first of these. */
async function firstOf(timeMs: number, ...promises: Promise<void>[]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, timeMs)
  await Promise.race([promise, ...promises])
  clearTimeout(timer)
}

function anchorOf(entry: Entry | undefined): Anchor | null {
  return entry === undefined ? null : { entry: entry.entry, chain: entry.chain }
}

/** The last entry of each lane. */
function headsOf(entries: readonly Entry[]): Record<string, Anchor> {
  return Object.fromEntries(entries.map(({ lane, entry, chain }) => [lane, { entry, chain }]))
}
