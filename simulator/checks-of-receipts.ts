/** What must be true of the answers: each sale was told what the ledger holds, and nobody was told anything else. */

import type { Receipt } from '../gateway/contract/receipts.ts'
import { type Case, type HeldLedger, isRegistered, NOTHING_IN_PARTICULAR } from './evidence.ts'
import type { Books } from './journal.ts'
import type { LedgerEntry } from './ledger-reader.ts'
import type { Facts, Report } from './verdict.ts'

export function checkReceipts(report: Report, books: Books, cases: readonly Case[], held: HeldLedger): void {
  for (const item of cases) checkAnswers(report, item)
  checkStrays(report, books, held)
  for (const { device, payload } of books.nonsense) {
    report.wrong(
      'receipts',
      NOTHING_IN_PARTICULAR,
      `a receipt to ${device}`,
      payload.toString().slice(0, 200),
    )
  }
}

function checkAnswers(report: Report, item: Case): void {
  const { book, entries } = item
  const [entry] = entries
  if (book.acknowledgements > 0 && book.receipts.length === 0) {
    report.wrong('receipts', item, `a receipt to ${book.device}`, 'none')
  }
  if (book.replayAcknowledged && !book.receipts.some(({ outcome }) => outcome === 'replayed')) {
    report.wrong('receipts', item, 'a receipt with outcome replayed', 'none')
  }
  for (const receipt of book.receipts) {
    if (entry === undefined) {
      report.wrong(
        'receipts',
        item,
        'a receipt about an entry',
        `one about ${receipt.entry}, which is not there`,
      )
    } else {
      const isRepeat = receipt.outcome === 'replayed' && book.sends > 1
      report.compare('receipts', item, answerDue(entry, isRepeat), answerOf(receipt))
    }
  }
}

/** Receipts without an event_id answer bytes that could not be read. */
function checkStrays(report: Report, books: Books, held: HeldLedger): void {
  const answered = new Set<string>()
  for (const { device, receipt } of books.strayReceipts) {
    const about = { event_id: receipt.event_id, serial: null }
    const entry = held.nameless.get(device)?.find((candidate) => candidate.entry === receipt.entry)
    if (receipt.event_id !== null || entry === undefined) {
      report.wrong('receipts', about, `receipts to ${device} about its own sales`, JSON.stringify(receipt))
    } else {
      answered.add(entry.entry)
      report.compare('receipts', about, answerDue(entry, false), answerOf(receipt))
    }
  }
  for (const [device, entries] of held.nameless) {
    for (const { entry } of entries) {
      if (answered.has(entry)) continue
      report.wrong('receipts', NOTHING_IN_PARTICULAR, `a receipt to ${device} about entry ${entry}`, 'none')
    }
  }
}

function answerDue(entry: LedgerEntry, isRepeat: boolean): Facts {
  const { event_id, reason, first, errors } = entry.data as Partial<Receipt>
  return {
    event_id,
    outcome: isRepeat ? 'replayed' : isRegistered(entry) ? 'registered' : 'rejected',
    reason,
    first: JSON.stringify(first ?? null),
    errors: errors ?? [],
    entry: entry.entry,
    committed_at: entry.at,
  }
}

const answerOf = ({ first, ...receipt }: Receipt): Facts => ({ ...receipt, first: JSON.stringify(first) })
