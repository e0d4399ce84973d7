/**
 * Spend and activities, as portals and files report them. The sender's id names a report: the same content again changes
 * nothing, other content corrects it, `void` takes it back. Each change is an entry that tells what stands now and what
 * stood before, so that every figure can be asked as it was known at any time.
 */
import { hash } from 'node:crypto'
import {
  type ActivityFacts,
  type ActivityReport,
  MINOR_UNITS,
  type ReportAnswer,
  type SpendFacts,
  type SpendReport,
} from '../contract/economics.ts'
import type { DecodedReport } from '../decode/reports.ts'
import {
  activitiesIndex,
  activityKey,
  initiativeKey,
  type ReportDoc,
  spendKey,
  spendsIndex,
} from '../documents.ts'
import { type Key, shardOfKey } from '../store/keys.ts'
import type { Json } from '../store/store.ts'
import type { Decider, Decision, Docs, Keys, Moment, ProposedWrite } from './decision.ts'

const DAY_MS = 86_400_000

export const reportDecider: Decider<DecodedReport, 'report'> = {
  keys: ({ about, id }) => ({ report: about === 'spend' ? spendKey(id) : activityKey(id) }),
  reads: ['report'],
  readsAgain: ['report'],
  decide,
}

function decide(
  message: DecodedReport,
  { report: doc }: Docs<'report'>,
  { report: key }: Keys<'report'>,
  moment: Moment,
): Decision {
  const { about, id, report } = message
  const stood = doc?.value as ReportDoc<SpendFacts | ActivityFacts> | undefined
  const fingerprint = fingerprintOf(report)
  const version = stood?.version ?? 0
  const isKnown = report === null ? (stood?.now ?? null) === null : stood?.fingerprint === fingerprint
  if (isKnown) {
    const reply: ReportAnswer = { id, outcome: 'unchanged', version }
    return { proposals: [], receipt: null, reply }
  }
  const now = report === null ? null : factsOf(message, moment)
  const before = stood?.now ?? null
  const after: ReportDoc<SpendFacts | ActivityFacts> = { version: version + 1, now, fingerprint }
  const outcome = now === null ? 'voided' : before === null ? 'recorded' : 'corrected'
  const named = { [about]: id, version: version + 1, now, before }
  const shard = shardOfKey(key)
  const index = about === 'spend' ? spendsIndex(shard) : activitiesIndex(shard)
  return {
    proposals: [
      {
        shard,
        check: [{ key, version: doc?.version ?? 0 }],
        set: [{ key, value: after as unknown as Json }],
        append: [{ stream: 'ledger', type: `${about}.recorded`, data: named }],
        index: [{ name: index, member: id, score: now === null ? null : -dayNumber(now) }],
      },
      ...(now === null ? [] : nameInitiative(now.initiative)),
    ],
    receipt: null,
    reply: { id, outcome, version: version + 1 } satisfies ReportAnswer,
  }
}

/** Money becomes minor units here, once; a dealer's region is the directory's when none was said. */
function factsOf(
  { about, report, portalDealer }: DecodedReport,
  { directory }: Moment,
): SpendFacts | ActivityFacts {
  const said = report as SpendReport | ActivityReport
  const dealer = said.dealer_id ?? portalDealer
  const region = said.region ?? (dealer === null ? null : (directory.dealer(dealer)?.region ?? null))
  const { initiative, channel } = said
  const shared = { initiative, dealer, region, channel }
  if (about === 'activity') {
    const { name, start_date, end_date } = said as ActivityReport
    return { ...shared, name, start_date, end_date }
  }
  const { date, kind, amount, currency } = said as SpendReport
  return { ...shared, date, kind, amount_minor: Math.round(amount * MINOR_UNITS), currency }
}

const dayNumber = (facts: SpendFacts | ActivityFacts): number =>
  Math.floor(Date.parse('date' in facts ? facts.date : facts.start_date) / DAY_MS)

function nameInitiative(initiative: string): ProposedWrite[] {
  const key: Key = initiativeKey(initiative)
  return [{ shard: shardOfKey(key), once: [{ key, value: 1, equalIsMine: true }] }]
}

const fingerprintOf = (report: DecodedReport['report']): string =>
  hash('sha256', JSON.stringify(report), 'base64url').slice(0, 22)
