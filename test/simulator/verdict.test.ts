import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseEntryId } from '../../gateway/contract/ledger.ts'
import type { Receipt } from '../../gateway/contract/receipts.ts'
import { Journal, readJournal } from '../../simulator/journal.ts'
import { type LedgerEntry, readLedgerFile } from '../../simulator/ledger-reader.ts'
import type { Letter } from '../../simulator/plan.ts'
import { type CheckName, judge } from '../../simulator/verdict.ts'
import { renderVerdict } from '../../simulator/verdict-report.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { MONDAY_MS, perform, play, smallWorld } from './play.ts'
import { type Answer, type Defect, type Draft, TinyHub } from './tiny-hub.ts'

const SEED = 1

/** Does `change` to the first decision or answer that it can change, and nothing ever after. */
function firstTime<Given, Result>(
  change: (given: Given, hub: TinyHub) => Result | null,
  usually: (given: Given) => Result,
): (given: Given, hub: TinyHub) => Result {
  let isDone = false
  return (given, hub) => {
    const changed = isDone ? null : change(given, hub)
    if (changed === null) return usually(given)
    isDone = true
    return changed
  }
}

/** Once, what is written for a decision whose entry `fits`. */
const onceWritten = (
  fits: (entry: Draft, hub: TinyHub) => boolean,
  instead: (drafts: readonly Draft[], hub: TinyHub) => readonly Draft[],
): Defect => ({
  write: firstTime(
    (drafts: readonly Draft[], hub) => (fits(drafts[0] as Draft, hub) ? instead(drafts, hub) : null),
    (drafts) => drafts,
  ),
})

/** Once, what is answered when `fits`. */
const onceAnswered = (
  fits: (answer: Answer) => boolean,
  instead: (answer: Answer, hub: TinyHub) => readonly Answer[],
): Defect => ({
  answer: firstTime(
    (answer: Answer, hub) => (fits(answer) ? instead(answer, hub) : null),
    (answer) => [answer],
  ),
})

const isHonest = ({ type, data }: Draft) =>
  type === 'sale.registered' && (data.flags as string[]).length === 0 && data.customer !== undefined
const has = (flag: string) => (draft: Draft) =>
  (draft.data.flags as string[] | undefined)?.includes(flag) === true
const isRejected = (reason: string) => (draft: Draft) =>
  draft.type === 'sale.rejected' && draft.data.reason === reason && draft.data.serial !== undefined
const isInvalid = ({ data }: Draft) => data.reason === 'invalid' && data.event_id !== null
const isGarbage = ({ data }: Draft) => data.reason === 'invalid' && data.event_id === null

/** The decision with other data in its entry. */
const altered =
  (changes: (data: Record<string, unknown>) => Record<string, unknown>) =>
  ([entry, ...alerts]: readonly Draft[]): readonly Draft[] =>
    entry === undefined
      ? []
      : [{ type: entry.type, data: { ...entry.data, ...changes(entry.data) } }, ...alerts]

const alertOf = ({ data: { dealer, device, serial, event_id } }: Draft, cause: string): Draft => ({
  type: 'alert.raised',
  data: { tier: 'P1', cause, dealer, device, serial, event_id },
})

const withoutFlag = (flag: string) => (drafts: readonly Draft[]) =>
  altered(({ flags }) => ({ flags: (flags as string[]).filter((other) => other !== flag) }))(drafts).filter(
    ({ data }) => data.cause !== flag,
  )

const otherDealer = ({ dealer }: Record<string, unknown>) => (dealer === 'surabaya' ? 'medan' : 'surabaya')

/** A hub with this one fault, and the check that must find it. */
const DEFECTS: [fault: string, check: CheckName, defect: Defect][] = [
  ['loses an acknowledged sale', 'kept', onceWritten(isHonest, () => [])],
  [
    'loses a sale and tells nobody, though it has acknowledged it',
    'kept',
    {
      write: (drafts) => (isRejected('unknown_serial')(drafts[0] as Draft) ? [] : drafts),
      answer: (answer) => (answer.receipt.reason === 'unknown_serial' ? [] : [answer]),
    },
  ],
  ['loses a rejected sale', 'kept', onceWritten(isRejected('duplicate_serial'), () => [])],
  ['writes a sale twice', 'once', onceWritten(isHonest, ([entry]) => [entry as Draft, entry as Draft])],
  [
    'registers a serial a second time',
    'first',
    onceWritten(isRejected('duplicate_serial'), ([entry]) => {
      const { reason: _, first: __, ...data } = (entry as Draft).data
      return [{ type: 'sale.registered', data: { ...data, verified: true, reason: null, flags: [] } }]
    }),
  ],
  [
    'rejects the first sale of a serial as a duplicate',
    'first',
    onceWritten(isHonest, ([entry]) => {
      const { verified: _, flags: __, ...data } = (entry as Draft).data
      const first = { event_id: 'nobody', dealer: 'nowhere', at: '2026-11-23T03:00:00.000Z' }
      return [
        { type: 'sale.rejected', data: { ...data, reason: 'duplicate_serial', first } },
        alertOf(entry as Draft, 'duplicate_serial'),
      ]
    }),
  ],
  [
    'names the wrong sale as the first',
    'first',
    onceWritten(
      isRejected('duplicate_serial'),
      altered(({ first }) => ({ first: { ...(first as object), event_id: `${SEED}-medan-pos-1-1` } })),
    ),
  ],
  [
    'names the wrong dealer as the first',
    'first',
    onceWritten(
      isRejected('duplicate_serial'),
      altered(({ first }) => ({ first: { ...(first as object), dealer: 'nowhere' } })),
    ),
  ],
  [
    'registers an unknown serial',
    'outcome',
    onceWritten(isRejected('unknown_serial'), ([entry]) => [
      {
        type: 'sale.registered',
        data: { ...(entry as Draft).data, verified: false, reason: null, flags: [] },
      },
    ]),
  ],
  [
    'rejects a known serial as unknown',
    'outcome',
    onceWritten(isHonest, ([entry]) => {
      const { verified: _, flags: __, ...data } = (entry as Draft).data
      return [
        { type: 'sale.rejected', data: { ...data, reason: 'unknown_serial' } },
        alertOf(entry as Draft, 'unknown_serial'),
      ]
    }),
  ],
  ['misses a diversion', 'flags', onceWritten(has('diversion'), withoutFlag('diversion'))],
  ['misses a price below MAP', 'flags', onceWritten(has('below_map'), withoutFlag('below_map'))],
  ['misses another model', 'flags', onceWritten(has('model_mismatch'), withoutFlag('model_mismatch'))],
  [
    'names another allotted dealer',
    'flags',
    onceWritten(
      has('diversion'),
      altered(() => ({ allotted_dealer: 'nowhere' })),
    ),
  ],
  [
    'flags an honest sale',
    'flags',
    onceWritten(isHonest, (drafts) => [
      ...altered(() => ({ flags: ['below_map'] }))(drafts),
      alertOf(drafts[0] as Draft, 'below_map'),
    ]),
  ],
  [
    'calls a sale unverified',
    'flags',
    onceWritten(
      isHonest,
      altered(() => ({ verified: false })),
    ),
  ],
  ['raises no alert', 'alerts', onceWritten(has('diversion'), (drafts) => drafts.slice(0, 1))],
  [
    'raises an alert twice',
    'alerts',
    onceWritten(isRejected('duplicate_serial'), ([entry, alert]) => [entry, alert, alert] as Draft[]),
  ],
  [
    'raises an alert about an honest sale',
    'alerts',
    onceWritten(isHonest, (drafts) => [...drafts, alertOf(drafts[0] as Draft, 'diversion')]),
  ],
  [
    'raises an alert in another tier',
    'alerts',
    onceWritten(isRejected('unknown_serial'), ([entry, alert]) => [
      entry as Draft,
      { type: 'alert.raised', data: { ...(alert as Draft).data, tier: 'P2' } },
    ]),
  ],
  [
    'changes a price by one rupiah',
    'content',
    onceWritten(
      isHonest,
      altered(({ price }) => ({ price: (price as number) + 1 })),
    ),
  ],
  [
    'changes a channel',
    'content',
    onceWritten(
      isHonest,
      altered(() => ({ channel: 'fax' })),
    ),
  ],
  [
    'takes local time for UTC',
    'content',
    onceWritten(
      isHonest,
      altered(({ sold_at }) => ({
        sold_at: new Date(Date.parse(String(sold_at)) + 7 * 3_600_000).toISOString(),
      })),
    ),
  ],
  [
    'forgets the buyer',
    'content',
    onceWritten(
      isHonest,
      altered(() => ({ customer: undefined })),
    ),
  ],
  [
    'puts a dealer into another region',
    'content',
    onceWritten(
      isHonest,
      altered(() => ({ region: 'Atlantis' })),
    ),
  ],
  [
    'writes a sale to another dealer',
    'invented',
    onceWritten(
      isHonest,
      altered((data) => ({ dealer: otherDealer(data), device: 'pos-1' })),
    ),
  ],
  [
    'invents a sale',
    'invented',
    onceWritten(isHonest, ([entry]) => [
      entry as Draft,
      { type: 'sale.registered', data: { ...(entry as Draft).data, event_id: 'x1', serial: 'MHX00000001' } },
    ]),
  ],
  [
    'counts a sequence number wrongly',
    'sequence',
    onceWritten(
      isHonest,
      altered(({ seq }) => ({ seq: (seq as number) + 1 })),
    ),
  ],
  ['drops undecodable bytes', 'quarantine', onceWritten(isGarbage, () => [])],
  ['drops an invalid sale', 'kept', onceWritten(isInvalid, () => [])],
  [
    'rejects an invalid sale without keeping its bytes',
    'quarantine',
    onceWritten(
      isInvalid,
      altered(() => ({ quarantine: undefined })),
    ),
  ],
  [
    'quarantines a vehicle report',
    'quarantine',
    onceWritten(isHonest, (drafts) => [
      ...drafts,
      { type: 'message.quarantined', data: { sender: 'medan/unit-1', topic: 'hub/v1/medan/unit-1/status' } },
    ]),
  ],
  [
    'loses an entry of somebody else',
    'numbers',
    onceWritten(isHonest, (drafts, hub) => {
      hub.skipNumber()
      return drafts
    }),
  ],
  [
    'writes a phone number into the ledger',
    'privacy',
    onceWritten(
      isHonest,
      altered(({ customer }) => ({ note: Buffer.from(String(customer).slice(4), 'base64url').toString() })),
    ),
  ],
  [
    'answers nothing',
    'receipts',
    onceAnswered(
      ({ receipt }) => receipt.outcome === 'registered',
      () => [],
    ),
  ],
  [
    'answers no undecodable bytes',
    'receipts',
    onceAnswered(
      ({ receipt }) => receipt.event_id === null,
      () => [],
    ),
  ],
  [
    'does not answer a replay',
    'receipts',
    onceAnswered(
      ({ receipt }) => receipt.outcome === 'replayed',
      () => [],
    ),
  ],
  [
    'answers a replay as if it were new',
    'receipts',
    onceAnswered(
      ({ receipt }) => receipt.outcome === 'replayed' && receipt.reason === null,
      ({ device, receipt }) => [{ device, receipt: { ...receipt, outcome: 'rejected' } }],
    ),
  ],
  [
    'tells a rejected terminal that it has registered',
    'receipts',
    onceAnswered(
      ({ receipt }) => receipt.reason === 'duplicate_serial',
      ({ device, receipt }) => [{ device, receipt: { ...receipt, outcome: 'registered', reason: null } }],
    ),
  ],
  [
    'names another entry in a receipt',
    'receipts',
    onceAnswered(
      ({ receipt }) => receipt.outcome === 'registered',
      ({ device, receipt }) => [{ device, receipt: { ...receipt, entry: '4711' } }],
    ),
  ],
  [
    'answers another terminal',
    'receipts',
    onceAnswered(
      ({ receipt, device }) => receipt.outcome === 'registered' && device !== 'medan/pos-1',
      ({ receipt }) => [{ device: 'medan/pos-1', receipt }],
    ),
  ],
  [
    'tells other firsts than it has written',
    'receipts',
    onceAnswered(
      ({ receipt }) => receipt.first !== null,
      ({ device, receipt }) => [{ device, receipt: { ...receipt, first: null } }],
    ),
  ],
]

describe('a right hub', () => {
  test('is found right, for any seed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 32 - 1 }), async (seed) => {
        const { verdict } = await play(smallWorld(seed))
        expect(verdict.findings).toEqual([])
        expect(verdict.holds).toBe(true)
      }),
      { numRuns: 5 },
    )
  })

  test('is looked at from every side: each check has something to look at', async () => {
    const { verdict } = await play(smallWorld(SEED))
    expect(verdict.checks.filter(({ checked }) => checked === 0)).toEqual([])
  })
})

describe('a hub that', () => {
  test.each(DEFECTS)('%s is found out by the check «%s»', async (_fault, check, defect) => {
    const { verdict } = await play(smallWorld(SEED), defect)
    expect(verdict.holds).toBe(false)
    expect(verdict.findings.map((finding) => finding.check)).toContain(check)
  })

  test('registers a sale that was sent after its rival was acknowledged is found out', async () => {
    const world = smallWorld(SEED)
    const { journal, ledger } = await play(world)
    const late = ledger.findIndex(({ data }) => data.reason === 'duplicate_serial')
    const duplicate = ledger[late] as LedgerEntry
    const { serial, event_id, dealer } = duplicate.data
    const early = ledger.findIndex(({ type, data }) => type === 'sale.registered' && data.serial === serial)
    const registered = ledger[early] as LedgerEntry
    const first = { event_id, dealer, at: registered.at }
    const swapped = ledger
      .with(early, { ...registered, data: { ...duplicate.data, reason: null } })
      .with(late, { ...duplicate, data: { ...registered.data, reason: 'duplicate_serial', first } })
    expect(judge(world, journal.books, swapped).findings).toContainEqual({
      check: 'first',
      event_id: registered.data.event_id,
      serial,
      expected: 'registered: acknowledged before its rival was sent',
      found: `it lost to ${event_id}`,
    })
  })
})

/** What a device hears of its hub, and the check that must mind it. */
const TROUBLES: [trouble: string, check: CheckName, journal: (journal: Journal) => void][] = [
  ['a sale that is never acknowledged', 'settled', (journal) => journal.sent(strangeLetter, 1)],
  ['letters that stay in an outbox', 'settled', (journal) => journal.ended({ 'medan/pos-1': 3 })],
  [
    'a receipt that is none',
    'receipts',
    (journal) => journal.toldNonsense('medan/pos-1', Buffer.from('welcome')),
  ],
  [
    'a receipt about a sale that was never sent',
    'receipts',
    (journal) => journal.told('medan/pos-1', { ...strangeReceipt, event_id: 'never' }),
  ],
  [
    'a receipt about undecodable bytes that were never sent',
    'receipts',
    (journal) => journal.told('medan/pos-1', strangeReceipt),
  ],
]

const strangeLetter: Letter = {
  kind: 'sale',
  atMs: MONDAY_MS,
  device: 'medan/pos-1',
  id: `${SEED}-medan-pos-1-9999`,
  payload: Buffer.from('{}'),
}

const strangeReceipt: Receipt = {
  event_id: null,
  outcome: 'rejected',
  reason: 'invalid',
  errors: [],
  first: null,
  entry: '4711',
  committed_at: '2026-11-23T03:00:00.000Z',
}

describe('the verdict', () => {
  test.each(TROUBLES)('minds %s', async (_trouble, check, happen) => {
    const world = smallWorld(SEED)
    const { journal, ledger } = await play(world)
    happen(journal)
    const { findings } = judge(world, journal.books, ledger)
    expect(findings.map((finding) => finding.check)).toContain(check)
  })

  test('does not hold about nothing', async () => {
    const world = smallWorld(SEED)
    const journal = await Journal.open(null, world.options, {})
    const { findings } = judge(world, journal.books, [])
    expect(findings).toEqual([
      {
        check: 'settled',
        event_id: null,
        serial: null,
        expected: 'acknowledged sales',
        found: 'none, so nothing was shown',
      },
    ])
  })

  test('passes over what stood in the ledger before, what is of other devices, and what is about leads', async () => {
    const world = smallWorld(SEED)
    const older = await play(smallWorld(2))
    const before: Record<string, number> = {}
    for (const { entry } of older.ledger) {
      const { lane, number } = parseEntryId(entry) as { lane: number; number: number }
      before[lane] = number
    }
    const journal = await Journal.open(null, world.options, before)
    const hub = new TinyHub(world)
    for (const { type, data } of older.ledger) hub.append({ type, data })
    hub.accept('elsewhere/pos-1', Buffer.from('noise'))
    const { dealer } = world.devices[0] as (typeof world.devices)[number]
    const lead = { lead: 'L07-3f2a5b7c9d1e', dealer, rep: 'rep-1' }
    hub.append({ type: 'lead.claimed', data: { ...lead, event_id: 'wamid-1' } })
    hub.append({ type: 'alert.raised', data: { tier: 'P0', cause: 'lead_uncontacted', ...lead } })
    hub.append({
      type: 'alert.raised',
      data: { tier: 'P1', cause: 'customer_needs_human', customer: 'cus_1' },
    })
    perform(world, hub, journal)
    expect(judge(world, journal.books, hub.ledger).findings).toEqual([])
  })

  test('says of each finding the seed, the event, the serial, what was expected and what was found', async () => {
    const { verdict } = await play(
      smallWorld(SEED),
      onceWritten(isHonest, () => []),
    )
    const [finding] = verdict.findings
    const text = stripVTControlCharacters(renderVerdict(verdict))
    expect(text).toContain('The hub does not hold what was sent. (seed 1)')
    expect(text).toMatch(/✘ kept +\d+ +1 {2}every acknowledged sale is in the ledger/)
    expect(text).toContain(
      `event ${finding?.event_id} serial ${finding?.serial}: expected an entry (sent by tangerang/pos-3); found none`,
    )
  })

  test('on a journal and a ledger kept in files is the same', async () => {
    using folder = temporaryFolder('verdict')
    const world = smallWorld(SEED)
    const path = join(folder.path, 'run.jsonl')
    const journal = await Journal.open(path, world.options, {})
    const hub = new TinyHub(
      world,
      onceWritten(isHonest, () => []),
    )
    perform(world, hub, journal)
    await journal.close()
    const ledgerPath = join(folder.path, 'ledger.jsonl')
    writeFileSync(ledgerPath, hub.ledger.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
    const ledger = await Array.fromAsync(readLedgerFile(ledgerPath))
    const verdict = judge(world, await readJournal(path), ledger)
    expect(verdict).toEqual(judge(world, journal.books, hub.ledger))
    expect(verdict.holds).toBe(false)
  })
})
