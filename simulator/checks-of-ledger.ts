/** What must be true of the ledger itself: nothing in it that was not sent, nothing missing between. */
import { aboutEntry, type Case, deviceOf, type HeldLedger, NOTHING_IN_PARTICULAR } from './evidence.ts'
import type { Books } from './journal.ts'
import type { Report } from './verdict.ts'

export function checkInvented(report: Report, books: Books, held: HeldLedger): void {
  for (const entry of [...held.sales.values(), ...held.alerts.values()].flat()) {
    const sender = books.sales.get(String(entry.data.event_id))?.device
    if (sender === deviceOf(entry)) {
      report.right('invented')
      continue
    }
    const expected = sender === undefined ? 'no such event' : `an event of ${sender}`
    report.wrong(
      'invented',
      aboutEntry(entry),
      expected,
      `${entry.type} ${entry.entry} of ${deviceOf(entry)}`,
    )
  }
}

/** Bytes without an event_id can only be counted: no two of one device are alike, and equal bytes are one item. */
export function checkGarbage(report: Report, books: Books, held: HeldLedger): void {
  const sent = new Map<string, number>()
  const acknowledged = new Map<string, number>()
  for (const { device, acknowledgements } of books.garbage.values()) {
    sent.set(device, (sent.get(device) ?? 0) + 1)
    if (acknowledgements > 0) acknowledged.set(device, (acknowledged.get(device) ?? 0) + 1)
  }
  for (const device of new Set([...sent.keys(), ...held.nameless.keys()])) {
    const [least, most] = [acknowledged.get(device) ?? 0, sent.get(device) ?? 0]
    const entries = held.nameless.get(device) ?? []
    const isWithin = entries.length >= least && entries.length <= most
    const bounds = least === most ? String(least) : `${least} to ${most}`
    if (isWithin) report.right('quarantine')
    else
      report.wrong(
        'quarantine',
        NOTHING_IN_PARTICULAR,
        `${bounds} undecodable of ${device}`,
        String(entries.length),
      )
    for (const entry of entries) {
      const { reason, quarantine } = entry.data
      const found = { reason: String(reason), quarantined: typeof quarantine === 'string' }
      report.compare('quarantine', aboutEntry(entry), { reason: 'invalid', quarantined: true }, found)
    }
  }
  for (const { entry, data } of held.quarantined) {
    report.wrong(
      'quarantine',
      NOTHING_IN_PARTICULAR,
      `reports of ${data.sender} decoded`,
      `quarantined in ${entry}`,
    )
  }
}

export function checkSequences(report: Report, cases: readonly Case[], held: HeldLedger): void {
  const counts = new Map<string, number>()
  for (const entry of [...held.sales.values()].flat()) {
    const key = `${deviceOf(entry)} ${entry.data.seq}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  for (const item of cases) {
    const { book, expectation } = item
    const seq = sequenceNumberOf(book.payload)
    const count = counts.get(`${book.device} ${seq}`) ?? 0
    // An invalid sale is kept as bytes, without a number; one that was never acknowledged may be on either side.
    const isExplained = expectation.outcome === 'invalid' || book.knownAt === null
    if (count === 1 || (count === 0 && isExplained)) report.right('sequence')
    else report.wrong('sequence', item, `number ${seq} of ${book.device} once`, `${count} times`)
  }
}

/** Entry numbers rise by one within a lane: a missing number is a missing entry. */
export function checkNumbers(report: Report, books: Books, held: HeldLedger): void {
  for (const [lane, numbers] of held.numbers) {
    let due = (books.before[lane] ?? 0) + 1
    for (const number of numbers.toSorted((a, b) => a - b)) {
      if (number === due) report.right('numbers')
      else report.wrong('numbers', NOTHING_IN_PARTICULAR, `number ${due} in lane ${lane}`, `number ${number}`)
      due = number + 1
    }
  }
}

/** Read from the bytes: an invalid sale has one too. */
const sequenceNumberOf = (payload: Buffer): number => Number(/"seq":(\d+)\}$/.exec(payload.toString())?.[1])
