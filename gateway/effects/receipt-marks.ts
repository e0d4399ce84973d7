/**
 * No receipt is lost with the hub that held it in memory. Each hub keeps a mark in the store, a position in the ledger:
 * of every sale that it acknowledged before that, the receipt was acknowledged too, or stands in the outbox.
 *
 *   every second   the mark moves to where the ledger ended a moment ago, as soon as all receipts up to there are settled
 *   told to stop   all receipts are in the outbox, and the mark is taken away
 *   a hub died     its mark stands still; another hub, or the next one on this store, puts the receipts of all sales
 *                  behind it into the outbox and takes the mark away
 *
 * That repeats some receipts that had arrived, and some of other hubs: a receipt says the same however often it comes.
 * A sale that was committed and not acknowledged is sent again by its terminal, and answered then.
 *
 * Whoever finds work for the outboxes of devices that are connected to other hubs rings: they look once more.
 */
import { randomUUID } from 'node:crypto'
import type { Entry } from '../contract/ledger.ts'
import { deviceId } from '../contract/topics.ts'
import { RECEIPT_MARKS_INDEX, RECEIPTS_BELL, type ReceiptMarkDoc, receiptMarkKey } from '../documents.ts'
import { type Key, shardOfKey } from '../store/keys.ts'
import type { Position, Proposal, Store } from '../store/store.ts'
import { outboxProposals } from './receipt-outbox.ts'

/** How often the mark moves, and others' are looked at. */
const TICK_MS = 1000
/** A mark that stood still while this hub moved its own so many times is a dead hub's. */
const DEAD_AFTER_TICKS = 10
const MARKS_MAX = 1000
const PAGE_ENTRIES = 1000

export interface ReceiptMarkServices {
  readonly store: Pick<Store, 'read' | 'commit' | 'range' | 'entriesAfter' | 'end'>
  /** No other hub can be on this store: whatever mark is found at the start is a dead hub's. */
  readonly alone: boolean
  /** Resolves when every commit that is under way now has handed over its receipts. */
  readonly committed: () => Promise<unknown>
  /** Resolves when every receipt handed over so far was acknowledged or is in the outbox. */
  readonly settled: () => Promise<void>
  /** Whether that is so now. */
  readonly isSettled: () => boolean
  /** There may be receipts in the outbox of devices that are connected here; null: of any of them. */
  readonly onFound: (devices: ReadonlySet<string> | null) => void
  /** Instead of a second, for tests. */
  readonly tickMs?: number
  readonly log: { info(details: object, message: string): void; warn(details: object, message: string): void }
}

export interface ReceiptMarks {
  /** Other hubs look for receipts of their devices, soon. */
  ring(): void
  /** Takes the mark away, if every receipt is settled. */
  stop(): Promise<void>
}

/** Resolves when this hub has its mark: it may commit then. @throws when the store is away */
export async function startReceiptMarks(services: ReceiptMarkServices): Promise<ReceiptMarks> {
  const { store, alone, committed, settled, isSettled, onFound, tickMs = TICK_MS, log } = services
  const me = randomUUID()
  const key = receiptMarkKey(me)
  /** Of other hubs: the version last seen, and for how many ticks it has been that. */
  const others = new Map<string, { version: number; ticks: number }>()
  let position = await store.end('ledger')
  let next: { position: Position; settled: boolean } | null = null
  let bell = (await store.read([RECEIPTS_BELL]))[0]?.version ?? 0
  let mustRing = false
  let stopped = false
  let failing = false

  /** The mark moves on when everything before the place it goes to is settled. */
  async function move(): Promise<void> {
    if (next === null) {
      const place = { position: await store.end('ledger'), settled: false }
      next = place
      void committed()
        .then(settled)
        .then(() => {
          place.settled = true
        })
      return
    }
    if (!next.settled) return
    const isMoved = next.position !== position
    position = next.position
    next = null
    // Nobody watches the mark of a hub that is alone.
    if (isMoved && alone) await write()
  }

  async function write(): Promise<void> {
    const value: ReceiptMarkDoc = { position }
    await store.commit([
      {
        shard: shardOfKey(key),
        token: randomUUID(),
        set: [{ key, value: { ...value } }],
        index: [{ name: RECEIPT_MARKS_INDEX, member: me, score: 0 }],
      },
    ])
  }

  /** Looks at the marks of other hubs. @returns devices that there may be receipts for now; null: any */
  async function watch(): Promise<ReadonlySet<string> | null> {
    const found = new Set<string>()
    const members = await store.range([RECEIPT_MARKS_INDEX], { limit: MARKS_MAX })
    const ids = members.map(({ member }) => member).filter((id) => id !== me)
    const [rung = null, ...docs] = await store.read([RECEIPTS_BELL, ...ids.map(receiptMarkKey)])
    for (const id of others.keys()) if (!ids.includes(id)) others.delete(id)
    for (const [i, id] of ids.entries()) {
      const doc = docs[i] ?? null
      const version = doc?.version ?? 0
      const seen = others.get(id)
      const ticks = seen?.version === version ? seen.ticks + 1 : 0
      others.set(id, { version, ticks })
      if (!alone && ticks < DEAD_AFTER_TICKS) continue
      const from = (doc?.value as ReceiptMarkDoc | undefined)?.position
      const devices = from === undefined ? new Set<string>() : await recover(from)
      await store.commit([takenAway(receiptMarkKey(id), id, version)])
      log.info({ devices: devices.size }, 'receipts of a hub that ended are in the outbox')
      for (const device of devices) found.add(device)
    }
    if (found.size > 0) mustRing = true
    if (rung === null || rung.version === bell) return found
    bell = rung.version
    return null
  }

  /** Puts the receipt of every sale from there on into the outbox. @returns the devices they are for */
  async function recover(from: Position): Promise<Set<string>> {
    const devices = new Set<string>()
    for (let at = from; ; ) {
      const page = await store.entriesAfter('ledger', at, PAGE_ENTRIES)
      if (page.entries.length === 0) return devices
      at = page.position
      const places = page.entries.flatMap((entry) => {
        const device = saleDeviceOf(entry)
        if (device === null) return []
        devices.add(device)
        // An entry's lane is the shard that its aggregate lives in.
        return [{ device, shard: entry.lane, member: entry.entry, score: Date.parse(entry.at) }]
      })
      await store.commit(outboxProposals(places))
    }
  }

  async function ring(): Promise<void> {
    mustRing = false
    const set = [{ key: RECEIPTS_BELL, value: me }]
    try {
      await store.commit([{ shard: shardOfKey(RECEIPTS_BELL), token: randomUUID(), set }])
    } catch (error) {
      mustRing = true
      throw error
    }
  }

  async function tick(): Promise<void> {
    try {
      await move()
      // That it is renewed shows that this hub lives.
      if (!alone) {
        await write()
        if (mustRing) await ring()
        const found = await watch()
        if (found === null || found.size > 0) onFound(found)
      }
      failing = false
    } catch (error) {
      if (!failing) log.warn({ error: (error as Error).message }, 'the mark of receipts can not be moved')
      failing = true
    }
  }

  await write()
  // No device is connected yet; each looks for its receipts when it is.
  if (alone) await watch()
  let ticking: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout
  const schedule = (): void => {
    timer = setTimeout(() => {
      ticking = tick().then(() => {
        if (!stopped) schedule()
      })
    }, tickMs)
  }
  schedule()

  return {
    ring() {
      mustRing = true
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      await ticking
      if (!isSettled()) return
      // With a store that is away it stays, and the next hub looks behind it.
      await store.commit([takenAway(key, me, null)]).catch(() => {})
    },
  }
}

/** @param version only if it is still that; null: whatever it is */
const takenAway = (key: Key, id: string, version: number | null): Proposal => ({
  shard: shardOfKey(key),
  token: randomUUID(),
  ...(version !== null && { check: [{ key, version }] }),
  set: [{ key, value: null }],
  index: [{ name: RECEIPT_MARKS_INDEX, member: id, score: null }],
})

/** The device that waits for a receipt about this entry, or null. */
function saleDeviceOf({ type, data }: Entry): string | null {
  if (!type.startsWith('sale.')) return null
  const { dealer, device } = data as { dealer: string; device: string }
  return deviceId({ dealer, device })
}
