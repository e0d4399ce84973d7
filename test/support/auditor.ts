/**
 * The judge of the crash tests: the journal of what was sent and promised (`load.ts`) against what `hub ledger export`
 * prints. It has its own idea of a ledger, and imports nothing of the hub's.
 *
 *   A1  nothing is lost:      every acknowledged sale is in the ledger, registered or rejected
 *   A2  nothing is invented:  every sale in the ledger was sent, by that device, with those contents
 *   A3  nothing is double:    an event, an entry id, and a registered serial stand in the ledger once; a sale is
 *                             rejected as a duplicate only when another sale of its serial is registered, named `first`
 *   receipt  nobody is misled:  a receipt says what the ledger says, and names its entry
 *
 * Sent and not acknowledged may be on either side. `totals` is what metrics and API must agree with.
 */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

export interface Violation {
  readonly audit: 'A1' | 'A2' | 'A3' | 'receipt'
  /** In words, with the event or entry it is about. */
  readonly message: string
}

export interface Audit {
  readonly violations: Violation[]
  readonly counts: {
    readonly sent: number
    readonly acknowledged: number
    readonly receipted: number
    readonly registered: number
    readonly rejected: number
  }
  readonly totals: Totals
}

/** Of registered sales. */
export interface Totals {
  readonly all: Total
  /** By selling dealer. */
  readonly dealers: ReadonlyMap<string, Total>
  /** By channel; `''` for sales without one. */
  readonly channels: ReadonlyMap<string, Total>
}

export interface Total {
  count: number
  /** Whole units of the currency. */
  price: number
}

type Lines = Iterable<string> | AsyncIterable<string>

interface SaleEntry {
  readonly entry: string
  readonly at: string
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
}

/** What the ledger must repeat as it was sent. */
const COPIED = [
  'dealer',
  'device',
  'serial',
  'model',
  'price',
  'currency',
  'channel',
  'lead_id',
  'seq',
] as const

/** Both files as they lie on the disk. */
export const auditFiles = (journalFile: string, ledgerFile: string): Promise<Audit> =>
  audit(linesOf(journalFile), linesOf(ledgerFile))

/** Opened when the first line is asked for: lines that come before somebody listens would be gone. */
async function* linesOf(file: string): AsyncGenerator<string> {
  yield* createInterface({ input: createReadStream(file) })
}

export async function audit(journalLines: Lines, ledgerLines: Lines): Promise<Audit> {
  const journal = await readJournal(journalLines)
  const ledger = await readLedger(ledgerLines)
  const registered = [...ledger.sales].filter(({ type }) => type === 'sale.registered')
  return {
    violations: [
      ...violationsOf('A1', lost(journal, ledger)),
      ...violationsOf('A2', invented(journal, ledger)),
      ...violationsOf('A3', doubles(ledger, registered)),
      ...violationsOf('receipt', misleading(journal, ledger)),
    ],
    counts: {
      sent: journal.sent.size,
      acknowledged: journal.acknowledged.size,
      receipted: new Set(journal.receipts.map(({ eventId }) => eventId)).size,
      registered: registered.length,
      rejected: ledger.sales.length - registered.length,
    },
    totals: totalsOf(registered),
  }
}

const violationsOf = (audit: Violation['audit'], messages: readonly string[]): Violation[] =>
  messages.map((message) => ({ audit, message }))

interface Journal {
  /** Event id → the sale as JSON, with dealer and device. */
  readonly sent: Map<string, string>
  readonly acknowledged: Set<string>
  readonly receipts: { readonly eventId: string; readonly receipt: Readonly<Record<string, unknown>> }[]
}

async function readJournal(lines: Lines): Promise<Journal> {
  const journal: Journal = { sent: new Map(), acknowledged: new Set(), receipts: [] }
  for await (const line of lines) {
    const [, word, eventId = '', json = ''] = /^(\w+) (\S*)(?: (.*))?$/.exec(line) ?? []
    if (word === 'SENT') journal.sent.set(eventId, json)
    else if (word === 'ACK') journal.acknowledged.add(eventId)
    else if (word === 'RECEIPT') journal.receipts.push({ eventId, receipt: JSON.parse(json) })
    else throw new Error(`not a line of a journal: ${line}`)
  }
  return journal
}

interface Ledger {
  readonly sales: SaleEntry[]
  /** Event id → its first entry. */
  readonly byEvent: Map<unknown, SaleEntry>
  /** Ids of entries of every type that stand there more than once. */
  readonly repeatedIds: string[]
}

async function readLedger(lines: Lines): Promise<Ledger> {
  const ledger: Ledger = { sales: [], byEvent: new Map(), repeatedIds: [] }
  const ids = new Set<string>()
  for await (const line of lines) {
    const entry = JSON.parse(line) as SaleEntry
    if (ids.has(entry.entry)) ledger.repeatedIds.push(entry.entry)
    ids.add(entry.entry)
    if (entry.type !== 'sale.registered' && entry.type !== 'sale.rejected') continue
    ledger.sales.push(entry)
    if (!ledger.byEvent.has(entry.data.event_id)) ledger.byEvent.set(entry.data.event_id, entry)
  }
  return ledger
}

const lost = ({ acknowledged }: Journal, { byEvent }: Ledger): string[] =>
  [...acknowledged]
    .filter((eventId) => !byEvent.has(eventId))
    .map((eventId) => `event ${eventId} was acknowledged and is not in the ledger`)

function invented({ sent }: Journal, { sales }: Ledger): string[] {
  return sales.flatMap(({ entry, data }) => {
    const json = sent.get(String(data.event_id))
    if (json === undefined) return [`entry ${entry} is about event ${data.event_id}, which nobody sent`]
    const sale = JSON.parse(json) as Record<string, unknown>
    const differing: string[] = COPIED.filter((field) => sale[field] !== data[field])
    if (Date.parse(String(sale.sold_at)) !== Date.parse(String(data.sold_at))) differing.push('sold_at')
    return differing.map(
      (field) => `entry ${entry}: ${field} of ${data.event_id} is ${data[field]}, was sent as ${sale[field]}`,
    )
  })
}

function doubles({ sales, byEvent, repeatedIds }: Ledger, registered: readonly SaleEntry[]): string[] {
  const messages = repeatedIds.map((id) => `entry id ${id} stands in the ledger more than once`)
  for (const { entry, data } of sales) {
    const first = byEvent.get(data.event_id)
    if (first?.entry !== entry)
      messages.push(`event ${data.event_id} has entries ${first?.entry} and ${entry}`)
  }
  const bySerial = new Map<unknown, SaleEntry>()
  for (const sale of registered) {
    const { serial } = sale.data
    const first = bySerial.get(serial)
    if (first === undefined) bySerial.set(serial, sale)
    else messages.push(`serial ${serial} is registered by entries ${first.entry} and ${sale.entry}`)
  }
  for (const { entry, data } of sales) {
    if (data.reason !== 'duplicate_serial') continue
    const winner = bySerial.get(data.serial)?.data.event_id
    const named = (data.first as { event_id?: unknown } | null | undefined)?.event_id
    if (winner === undefined) messages.push(`entry ${entry}: serial ${data.serial} is a duplicate of nothing`)
    else if (named !== winner) messages.push(`entry ${entry}: first is ${named}, registered was ${winner}`)
  }
  return messages
}

function misleading({ receipts }: Journal, { byEvent }: Ledger): string[] {
  return receipts.flatMap(({ eventId, receipt }) => {
    const about = byEvent.get(eventId)
    if (about === undefined)
      return [`event ${eventId}: receipt ${receipt.outcome}, but it is not in the ledger`]
    const outcome = about.type === 'sale.registered' ? 'registered' : 'rejected'
    const expected = {
      // A replay says so, and repeats the rest.
      outcome: receipt.outcome === 'replayed' ? 'replayed' : outcome,
      reason: about.data.reason ?? null,
      entry: about.entry,
      committed_at: about.at,
    }
    return Object.entries(expected)
      .filter(([field, value]) => receipt[field] !== value)
      .map(([field, value]) => `event ${eventId}: receipt says ${field} ${receipt[field]}, ledger ${value}`)
  })
}

function totalsOf(registered: readonly SaleEntry[]): Totals {
  const all: Total = { count: 0, price: 0 }
  const dealers = new Map<string, Total>()
  const channels = new Map<string, Total>()
  for (const { data } of registered) {
    for (const total of [
      all,
      totalFor(dealers, String(data.dealer)),
      totalFor(channels, String(data.channel ?? '')),
    ]) {
      total.count++
      total.price += Number(data.price)
    }
  }
  return { all, dealers, channels }
}

function totalFor(totals: Map<string, Total>, name: string): Total {
  const total = totals.get(name) ?? { count: 0, price: 0 }
  totals.set(name, total)
  return total
}
