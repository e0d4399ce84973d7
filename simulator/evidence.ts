/**
 * The evidence of a verdict, brought together: for each sale, what was sent, what must become of it, and what the
 * ledger has.
 */
import { parseEntryId } from '../gateway/contract/ledger.ts'
import { type Expectation, expectationOf } from './expectation.ts'
import type { Books, SaleBook } from './journal.ts'
import type { LedgerEntry } from './ledger-reader.ts'
import type { World } from './world.ts'

/** What a finding is about. */
export interface About {
  readonly event_id: string | null
  readonly serial: string | null
}

export const NOTHING_IN_PARTICULAR: About = { event_id: null, serial: null }

/** A sale with all that is known about it. */
export interface Case extends About {
  readonly event_id: string
  readonly book: SaleBook
  readonly dealer: string
  readonly expectation: Expectation
  /** In the order of the ledger; more than one is wrong. */
  readonly entries: readonly LedgerEntry[]
}

export function casesOf(world: World, books: Books, held: HeldLedger): Case[] {
  return [...books.sales.values()].map((book) => {
    const dealer = book.device.split('/')[0] as string
    const expectation = expectationOf(world, dealer, book.payload)
    const serial = expectation.outcome === 'invalid' ? null : expectation.sale.serial
    const entries = (held.sales.get(book.id) ?? []).filter((entry) => deviceOf(entry) === book.device)
    return { event_id: book.id, serial, book, dealer, expectation, entries }
  })
}

/** The part of the ledger that this run has written, in order. */
export class HeldLedger {
  /** Sales by event id. */
  readonly sales = new Map<string, LedgerEntry[]>()
  /** Rejected sales whose event id could not be read, by device. */
  readonly nameless = new Map<string, LedgerEntry[]>()
  /** Alerts by event id. */
  readonly alerts = new Map<string, LedgerEntry[]>()
  /** Messages other than sales that were quarantined. */
  readonly quarantined: LedgerEntry[] = []
  /** By lane: the numbers of all entries after the run began, whoever wrote them. */
  readonly numbers = new Map<number, number[]>()

  constructor(world: World, books: Books, ledger: Iterable<LedgerEntry>) {
    const devices = new Set(world.devices.map(({ id }) => id))
    for (const entry of ledger) {
      const place = parseEntryId(entry.entry)
      if (place === null || place.number <= (books.before[place.lane] ?? 0)) continue
      push(this.numbers, place.lane, place.number)
      if (devices.has(deviceOf(entry))) this.#hold(entry)
      else if (devices.has(String(entry.data.sender))) this.quarantined.push(entry)
    }
  }

  #hold(entry: LedgerEntry): void {
    const { event_id: eventId } = entry.data
    if (entry.type === 'alert.raised') push(this.alerts, String(eventId), entry)
    if (entry.type !== 'sale.registered' && entry.type !== 'sale.rejected') return
    if (typeof eventId === 'string') push(this.sales, eventId, entry)
    else push(this.nameless, deviceOf(entry), entry)
  }
}

export const isRegistered = (entry: LedgerEntry): boolean => entry.type === 'sale.registered'

export const deviceOf = ({ data }: LedgerEntry): string => `${data.dealer}/${data.device}`

export const aboutEntry = ({ data }: LedgerEntry): About => ({
  event_id: typeof data.event_id === 'string' ? data.event_id : null,
  serial: typeof data.serial === 'string' ? data.serial : null,
})

export function push<Key, Item>(lists: Map<Key, Item[]>, key: Key, item: Item): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [item])
  else list.push(item)
}
