/** What must be true of each sale: kept, once, as it was said, decided as the world's own books have it. */
import { parseEntryId } from '../gateway/contract/ledger.ts'
import { type Case, type HeldLedger, isRegistered, NOTHING_IN_PARTICULAR, push } from './evidence.ts'
import type { Expectation } from './expectation.ts'
import type { Books } from './journal.ts'
import type { LedgerEntry } from './ledger-reader.ts'
import type { Facts, Report } from './verdict.ts'
import type { World } from './world.ts'

export function checkSettled(report: Report, books: Books, cases: readonly Case[]): void {
  for (const item of cases) {
    if (item.book.knownAt === null) report.wrong('settled', item, 'a PUBACK or a receipt', 'neither')
    else report.right('settled')
  }
  for (const [device, pending] of Object.entries(books.pending)) {
    report.wrong(
      'settled',
      NOTHING_IN_PARTICULAR,
      `nothing left in the outbox of ${device}`,
      `${pending} letters`,
    )
  }
  // A verdict about nothing would hold whatever the hub does.
  if (!cases.some(({ book }) => book.knownAt !== null)) {
    report.wrong('settled', NOTHING_IN_PARTICULAR, 'acknowledged sales', 'none, so nothing was shown')
  }
}

export function checkKept(report: Report, cases: readonly Case[]): void {
  for (const item of cases) {
    const { book, entries } = item
    if (entries.length === 0 && book.knownAt !== null) {
      report.wrong('kept', item, `an entry (sent by ${book.device})`, 'none')
    } else if (entries.length > 0) report.right('kept')
    const ids = entries.map(({ entry, type }) => `${type} ${entry}`).join(', ')
    if (entries.length > 1) report.wrong('once', item, 'one entry', ids)
    else report.right('once')
  }
}

/** Each entry for itself; which of several sales of one serial is registered is `checkFirst`'s matter. */
export function checkEntries(report: Report, world: World, cases: readonly Case[]): void {
  for (const item of cases) {
    for (const entry of item.entries) {
      const { expectation } = item
      report.compare('outcome', item, outcomeDue(expectation, entry), outcomeOf(entry))
      if (expectation.outcome === 'invalid') {
        const isKept = typeof entry.data.quarantine === 'string'
        report.compare('quarantine', item, { quarantined: true }, { quarantined: isKept })
      } else {
        report.compare('flags', item, marksDue(expectation, entry), marksOf(entry))
        report.compare('content', item, contentSent(world, item), contentOf(entry))
      }
    }
  }
}

export function checkFirst(report: Report, cases: readonly Case[]): void {
  const bySerial = new Map<string, Case[]>()
  for (const item of cases) {
    if (item.expectation.outcome !== 'registered_or_duplicate') continue
    push(bySerial, item.expectation.sale.serial, item)
  }
  for (const rivals of bySerial.values()) checkRivals(report, rivals)
}

/** The sales of one serial. */
function checkRivals(report: Report, rivals: readonly Case[]): void {
  const decided = rivals.flatMap((item) => item.entries.slice(0, 1).map((entry) => ({ item, entry })))
  const [winner, ...others] = decided.filter(({ entry }) => isRegistered(entry))
  for (const { item } of others) {
    report.wrong('first', item, `rejected: ${winner?.item.event_id} has the serial`, 'registered as well')
  }
  const losers = decided.filter(({ entry }) => !isRegistered(entry))
  if (winner === undefined) {
    for (const { item } of losers.slice(0, 1)) {
      report.wrong('first', item, 'one sale of this serial registered', 'all rejected')
    }
    return
  }
  const first = { event_id: winner.item.event_id, dealer: winner.item.dealer, at: winner.entry.at }
  report.right('first')
  for (const { item, entry } of losers) {
    report.compare('first', item, { first: JSON.stringify(first) }, { first: JSON.stringify(firstOf(entry)) })
    if (isAfter(winner.entry, entry)) {
      report.wrong('first', item, `an entry after ${winner.entry.entry}, which it lost to`, entry.entry)
    }
    const { knownAt } = item.book
    if (knownAt !== null && knownAt < winner.item.book.sentAt) {
      const found = `it lost to ${winner.item.event_id}`
      report.wrong('first', item, 'registered: acknowledged before its rival was sent', found)
    }
  }
}

export function checkAlerts(report: Report, cases: readonly Case[], held: HeldLedger): void {
  for (const item of cases) {
    const [entry] = item.entries
    const due = entry === undefined ? [] : causesOf(item.expectation, entry)
    const alerts = held.alerts.get(item.event_id) ?? []
    const raised = alerts.map(({ data }) => `${data.tier} ${data.cause}`).sort()
    report.compare('alerts', item, { alerts: due.map((cause) => `P1 ${cause}`) }, { alerts: raised })
  }
}

export function checkPrivacy(report: Report, cases: readonly Case[], held: HeldLedger): void {
  for (const item of cases) {
    const phone = /"customer_phone":"\+62(\d+)"/.exec(item.book.payload.toString())?.[1]
    if (phone === undefined) continue
    const entries = [...item.entries, ...(held.alerts.get(item.event_id) ?? [])]
    const found = entries.find((entry) => JSON.stringify(entry.data).includes(phone))
    if (found === undefined) report.right('privacy')
    else report.wrong('privacy', item, 'no phone number', `one in ${found.type} ${found.entry}`)
  }
}

/** What this entry must be, given whether it registers. */
function outcomeDue({ outcome }: Expectation, entry: LedgerEntry): Facts {
  if (outcome !== 'registered_or_duplicate') return { type: 'sale.rejected', reason: outcome }
  if (!isRegistered(entry)) return { type: 'sale.rejected', reason: 'duplicate_serial' }
  return { type: 'sale.registered' }
}

const outcomeOf = ({ type, data }: LedgerEntry): Facts => ({ type, reason: data.reason as string })

/** A rejected sale carries no flags. */
function marksDue(expectation: Expectation, entry: LedgerEntry): Facts {
  if (expectation.outcome !== 'registered_or_duplicate' || !isRegistered(entry)) return { flags: [] }
  return { verified: true, ...expectation.marks }
}

function marksOf({ data }: LedgerEntry): Facts {
  const { verified, reason, flags, allotted_dealer, allotted_model, map } = data as Record<string, string>
  const sorted = Array.isArray(flags) ? [...(flags as unknown[])].sort() : []
  return { verified, reason, flags: sorted, allotted_dealer, allotted_model, map }
}

function causesOf(expectation: Expectation, entry: LedgerEntry): readonly string[] {
  if (expectation.outcome === 'invalid') return []
  if (expectation.outcome === 'unknown_serial') return ['unknown_serial']
  return isRegistered(entry) ? expectation.marks.flags : ['duplicate_serial']
}

function contentSent(world: World, { expectation, dealer }: Case): Facts {
  if (expectation.outcome === 'invalid') return {}
  const { serial, model, price, currency, sold_at, channel, lead_id, seq, customer_phone } = expectation.sale
  return {
    serial,
    model,
    price,
    currency,
    sold_at: new Date(sold_at).toISOString(),
    channel,
    lead_id,
    seq,
    customer: customer_phone === undefined ? null : 'by pseudonym',
    region: world.dealer(dealer)?.region,
  }
}

function contentOf({ data }: LedgerEntry): Facts {
  const { customer, ...facts } = data as Record<string, string>
  const isPseudonym = customer !== undefined && /^cus_./.test(customer)
  return { ...facts, customer: isPseudonym ? 'by pseudonym' : customer }
}

function firstOf({ data }: LedgerEntry): object | null {
  const { event_id, dealer, at } = (data.first ?? {}) as Record<string, unknown>
  return { event_id, dealer, at }
}

/** Entries of one serial stand in one lane, so their numbers are their order. */
function isAfter(a: LedgerEntry, b: LedgerEntry): boolean {
  const placeA = parseEntryId(a.entry)
  const placeB = parseEntryId(b.entry)
  return placeA !== null && placeB !== null && placeA.lane === placeB.lane && placeA.number > placeB.number
}
