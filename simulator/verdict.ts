/**
 * The verdict: the books (what was sent and told) and the world (what is true) held against the hub's ledger, entry by
 * entry. It holds only when every check holds, and it can fail: `test/simulator/verdict.test.ts` shows for each kind of
 * defect that it does.
 */
import { checkGarbage, checkInvented, checkNumbers, checkSequences } from './checks-of-ledger.ts'
import { checkReceipts } from './checks-of-receipts.ts'
import {
  checkAlerts,
  checkEntries,
  checkFirst,
  checkKept,
  checkPrivacy,
  checkSettled,
} from './checks-of-sales.ts'
import { type About, casesOf, HeldLedger } from './evidence.ts'
import type { Books } from './journal.ts'
import type { LedgerEntry } from './ledger-reader.ts'
import type { World } from './world.ts'

/** Each check and the rule it stands for, in the order they are shown. */
export const CHECKS = {
  settled: 'every sale was acknowledged and answered before the run ended',
  kept: 'every acknowledged sale is in the ledger',
  once: 'no sale is in the ledger twice',
  invented: 'the ledger has nothing of these devices that they did not send',
  content: 'each entry says what its terminal said',
  outcome: 'each sale is registered or rejected, and for the right reason',
  first: 'each serial is registered once, by a sale that can have been first',
  flags: 'diversion, model and MAP flags: all that are due, and no others',
  alerts: 'one alert for each flag, duplicate and unknown serial, and no others',
  receipts: 'each sale was told what the ledger holds',
  quarantine: 'undecodable bytes are kept and rejected as invalid, and nothing else is',
  sequence: 'the sequence numbers of each terminal are all accounted for',
  numbers: 'the numbering of the ledger has no holes',
  privacy: 'no phone number is in the ledger',
} as const

export type CheckName = keyof typeof CHECKS

/** One thing that is wrong, as short as it can be said. */
export interface Finding extends About {
  readonly check: CheckName
  readonly expected: string
  readonly found: string
}

export interface CheckResult {
  readonly check: CheckName
  readonly rule: string
  /** How many things were looked at. */
  readonly checked: number
  readonly failed: number
}

export interface Verdict {
  readonly seed: number
  readonly holds: boolean
  readonly checks: readonly CheckResult[]
  /** At most FINDINGS_MAX of each check. */
  readonly findings: readonly Finding[]
}

export const FINDINGS_MAX = 20

/** @param ledger the whole ledger, or what was appended since the run began; what is not of this run is passed over */
export function judge(world: World, books: Books, ledger: Iterable<LedgerEntry>): Verdict {
  const report = new Report()
  const held = new HeldLedger(world, books, ledger)
  const cases = casesOf(world, books, held)
  checkSettled(report, books, cases)
  checkKept(report, cases)
  checkInvented(report, books, held)
  checkEntries(report, world, cases)
  checkFirst(report, cases)
  checkAlerts(report, cases, held)
  checkReceipts(report, books, cases, held)
  checkGarbage(report, books, held)
  checkSequences(report, cases, held)
  checkNumbers(report, books, held)
  checkPrivacy(report, cases, held)
  return report.verdict(world.options.seed)
}

/** What a check may say of one field. */
type Value = string | number | boolean | null | undefined | readonly unknown[]

export type Facts = Readonly<Record<string, Value>>

/** Collects what the checks find. */
export class Report {
  readonly #results = new Map<CheckName, { checked: number; findings: Finding[]; failed: number }>(
    (Object.keys(CHECKS) as CheckName[]).map((check) => [check, { checked: 0, findings: [], failed: 0 }]),
  )

  /** Something was looked at and is right. */
  right(check: CheckName): void {
    this.#result(check).checked++
  }

  /** Something was looked at and is wrong. */
  wrong(check: CheckName, about: About, expected: string, found: string): void {
    const result = this.#result(check)
    result.checked++
    result.failed++
    if (result.findings.length === FINDINGS_MAX) return
    const { event_id, serial } = about
    result.findings.push({ check, event_id, serial, expected, found })
  }

  /** Looks at all facts expected; a finding names those that differ. Null and undefined are equal. */
  compare(check: CheckName, about: About, expected: Facts, found: Facts): void {
    const differing = Object.keys(expected).filter((name) => show(expected[name]) !== show(found[name]))
    if (differing.length === 0) {
      this.right(check)
      return
    }
    const list = (facts: Facts) => differing.map((name) => `${name} ${show(facts[name])}`).join(', ')
    this.wrong(check, about, list(expected), list(found))
  }

  verdict(seed: number): Verdict {
    const results = [...this.#results]
    return {
      seed,
      holds: results.every(([, { failed }]) => failed === 0),
      checks: results.map(([check, { checked, failed }]) => ({
        check,
        rule: CHECKS[check],
        checked,
        failed,
      })),
      findings: results.flatMap(([, { findings }]) => findings),
    }
  }

  #result(check: CheckName): { checked: number; findings: Finding[]; failed: number } {
    const result = this.#results.get(check)
    if (result === undefined) throw new Error(`there is no check named ${check}`)
    return result
  }
}

const show = (value: Value): string =>
  value === undefined || value === null ? 'none' : typeof value === 'string' ? value : JSON.stringify(value)
