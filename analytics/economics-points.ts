/**
 * Entries about money, activities and leads → points. What an entry changes is written as signed points: what stood is
 * taken back (-1), what stands is added (+1), so that each entry alone is enough.
 *
 * Where they stand in time
 *   spend, activities        at the day they are said to be of
 *   leads                    when the lead came, whatever is learned of it later: who holds it, whether it was claimed, what
 *                            it led to. So these figures are of the leads of a period, and none of their rates passes 1
 *   conversions              when the vehicle was sold, like `sales`
 *   claims, outcomes         when they were committed
 *
 * A lead belongs to whom it is held by: a claim takes it from nobody and gives it to the dealer, a release takes it back.
 * So leads by dealer add up to all leads.
 */
import type { ActivityFacts, EconomicsEntry, SpendFacts } from '../gateway/contract/economics.ts'
import { MINOR_UNITS, SPEND_KINDS } from '../gateway/contract/economics.ts'
import { CHANNELS } from '../gateway/contract/events.ts'
import type { LeadEntry, LeadOrigin } from '../gateway/contract/leads.ts'
import type { Entry } from '../gateway/contract/ledger.ts'
import { NONE, type Point } from './measurements.ts'
import { atCommit, instantMs, merged, oneOf, restating, tag, text, whole, within } from './point.ts'

/** An activity may be open-ended by mistake: days after these are not counted. */
export const ACTIVITY_DAYS_MAX = 366

const DAY_MS = 86_400_000
/**
 * A date has no zone. Its points stand within the hour from 10:00 UTC, which is that date from UTC-10 to UTC+13, and so
 * need no setting to be made; their place within the hour comes from the entry's id.
 */
const DATE_BEGINS_MS = 10 * 3_600_000
const DATE_LASTS_MS = 3_600_000

type Sign = 1 | -1

// — spend and activities —

export function spendPoints(entry: Entry<EconomicsEntry<'spend.recorded'>>): Point[] {
  const { spend, before, now } = entry.data
  const pointsOf = (facts: SpendFacts | null, sign: Sign): Point[] => {
    const dayMs = dateMs(facts?.date)
    if (facts === null || dayMs === null) return []
    return [
      within('spend', entry, dayMs + DATE_BEGINS_MS, DATE_LASTS_MS, {
        kind: oneOf(SPEND_KINDS, facts.kind),
        initiative: tag(facts.initiative),
        dealer: tag(facts.dealer),
        region: tag(facts.region),
        channel: oneOf(CHANNELS, facts.channel),
        currency: tag(facts.currency),
        count: sign,
        amount_minor: sign * (whole(facts.amount_minor) ?? 0),
        entry: entry.entry,
        spend: text(spend),
      }),
    ]
  }
  return merged([...pointsOf(before, -1), ...pointsOf(now, 1)])
}

/** One point where it begins, and one for each of its days. */
export function activityPoints(entry: Entry<EconomicsEntry<'activity.recorded'>>): Point[] {
  const { activity, before, now } = entry.data
  const pointsOf = (facts: ActivityFacts | null, sign: Sign): Point[] => {
    const firstMs = dateMs(facts?.start_date)
    const lastMs = dateMs(facts?.end_date)
    if (facts === null || firstMs === null || lastMs === null) return []
    const values = {
      initiative: tag(facts.initiative),
      dealer: tag(facts.dealer),
      region: tag(facts.region),
      channel: oneOf(CHANNELS, facts.channel),
      count: sign,
      entry: entry.entry,
      activity: text(activity),
    }
    const days = Math.min((lastMs - firstMs) / DAY_MS + 1, ACTIVITY_DAYS_MAX)
    const at = (dayMs: number, measurement: 'activities' | 'activity_days') =>
      within(measurement, entry, dayMs + DATE_BEGINS_MS, DATE_LASTS_MS, values)
    return [
      at(firstMs, 'activities'),
      ...Array.from({ length: Math.max(0, days) }, (_, day) => at(firstMs + day * DAY_MS, 'activity_days')),
    ]
  }
  return merged([...pointsOf(before, -1), ...pointsOf(now, 1)])
}

function dateMs(date: unknown): number | null {
  const ms = typeof date === 'string' && /^\d{4}-\d\d-\d\d$/.test(date) ? Date.parse(date) : Number.NaN
  return ms > 0 ? instantMs(date) : null
}

// — leads —

export function createdPoints(entry: Entry<LeadEntry<'lead.created'>>): Point[] {
  const { lead, origin, channel, source } = entry.data
  const sums = { raw: 1, unique: 1 }
  // Of an early hub, which did not say more.
  const early = { source, channel, last_channel: channel, region: null, initiative: null }
  return leadPoints(entry, origin ?? { ...early, created_at: entry.at }, lead, [{ dealer: null, sums }])
}

/** Somebody who has a lead asks again: an inquiry, and no lead. It stands when it came. */
export function duplicatePoints(entry: Entry<LeadEntry<'lead.duplicate'>>): Point[] {
  const { lead, channel, source } = entry.data
  const origin = {
    created_at: entry.at,
    source,
    channel,
    last_channel: channel,
    region: null,
    initiative: null,
  }
  return leadPoints(entry, origin, lead, [{ dealer: null, sums: { raw: 1 } }])
}

/** The lead goes from nobody to the dealer. Whoever held it before had claimed it in an earlier round. */
export function claimedPoints(entry: Entry<LeadEntry<'lead.claimed'>>): Point[] {
  const { lead, dealer, round, offered_at, origin } = entry.data
  const offeredMs = instantMs(offered_at)
  const before: LeadChange['sums'] = round === 1 ? { unique: -1 } : { unique: -1, claimed: -1 }
  return [
    atCommit('claims', entry, {
      ...touch(origin),
      dealer: tag(dealer),
      count: 1,
      time_to_claim_ms: offeredMs === null ? undefined : Math.max(0, Date.parse(entry.at) - offeredMs),
      entry: entry.entry,
      lead: text(lead),
    }),
    ...leadPoints(entry, origin, lead, [
      { dealer: null, sums: before },
      { dealer, sums: { unique: 1, claimed: 1 } },
    ]),
  ]
}

export function releasedPoints(entry: Entry<LeadEntry<'lead.released'>>): Point[] {
  const { lead, dealer, origin } = entry.data
  return leadPoints(entry, origin, lead, [
    { dealer, sums: { unique: -1, claimed: -1 } },
    { dealer: null, sums: { unique: 1, claimed: 1 } },
  ])
}

type Outcome = 'lead.contacted' | 'lead.demo' | 'lead.won' | 'lead.lost' | 'lead.expired'

export function outcomePoints(entry: Entry<LeadEntry<Outcome>>): Point[] {
  const { data } = entry
  return [
    atCommit('outcomes', entry, {
      ...touch(data.origin),
      stage: entry.type.slice('lead.'.length),
      dealer: tag('dealer' in data ? data.dealer : null),
      count: 1,
      entry: entry.entry,
      lead: text(data.lead),
    }),
  ]
}

/** @param sign -1 when the sale was voided */
export function soldPoints(entry: Entry, said: LeadEntry<'lead.sold'>, sign: Sign): Point[] {
  const { lead, dealer, serial, matched_by, holder = null, facts, origin, last_channel } = said
  const verified = facts?.verified === true ? sign : 0
  return [
    restating('conversions', entry, instantMs(facts?.sold_at) ?? Date.parse(entry.at), {
      ...touch(origin),
      last_channel: oneOf(CHANNELS, last_channel === undefined ? origin?.last_channel : last_channel),
      // Where it was sold, as in `sales`: the two are compared.
      dealer: tag(dealer),
      region: tag(facts?.region),
      matched_by: oneOf(MATCHES, matched_by),
      currency: tag(facts?.currency),
      count: sign,
      verified,
      price_minor: sign * MINOR_UNITS * (whole(facts?.price) ?? 0),
      entry: entry.entry,
      lead: text(lead),
      serial: text(serial),
    }),
    ...leadPoints(entry, origin, lead, [{ dealer: holder, sums: { sold: sign, sold_verified: verified } }]),
  ]
}

/** How a sale found its lead, in the order in which it is tried. */
export const MATCHES = ['lead_id', 'customer', 'serial'] as const

interface LeadChange {
  readonly dealer: string | null
  readonly sums: Readonly<Record<string, number>>
}

/** Points of a lead stand when it came. Without its origin, as early hubs wrote it, nothing is known of that: none. */
function leadPoints(
  entry: Entry,
  origin: LeadOrigin | undefined,
  lead: string,
  changes: readonly LeadChange[],
): Point[] {
  const createdMs = instantMs(origin?.created_at)
  if (origin === undefined || createdMs === null) return []
  return merged(
    changes.map(({ dealer, sums }) =>
      restating('leads', entry, createdMs, {
        ...touch(origin),
        dealer: tag(dealer),
        source: oneOf(['whatsapp', 'form'], origin.source),
        ...sums,
        entry: entry.entry,
        lead: text(lead),
      }),
    ),
  )
}

const touch = (origin: LeadOrigin | undefined) => ({
  region: tag(origin?.region),
  channel: oneOf(CHANNELS, origin?.channel),
  last_channel: oneOf(CHANNELS, origin?.last_channel),
  initiative: origin === undefined ? NONE : tag(origin.initiative),
})
