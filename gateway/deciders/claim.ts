/**
 * A rep taps an offer. The first tap wins, atomically:
 *
 *   once("claim:<lead>")   free: this tap wins, and all that goes with winning is written with it
 *                          held: «too slow» is written instead, in the same step and by the same clock
 *
 * so the order in the ledger is the order of the race, and a loser's margin is the distance of two commits.
 * Before the lock, in this order:
 *
 *   1. no such lead                                → refused, unknown_lead
 *   2. never offered to this rep                   → refused, not_invited (a forwarded button)
 *   3. expired                                     → refused, expired
 *   4. won or lost already                         → refused, finished
 *   5. held by this rep                            → told again that they won
 *   6. held by somebody else, offered in this race → too slow
 *   7. offered in an earlier race only             → refused, withdrawn
 */
import { isHeld, type TapRefusal } from '../contract/leads.ts'
import type { RepRow } from '../documents.ts'
import {
  type ClaimHolder,
  claimKey,
  type LeadDoc,
  leadEntriesIndex,
  leadKey,
  type PersonDoc,
  personKey,
  saidKey,
  shardOfLead,
  type WonDoc,
} from '../race-documents.ts'
import { type Doc, ENTRY_ID, type Json, type Writes } from '../store/store.ts'
import type { Decision, Docs, Keys, Moment } from './decision.ts'
import { NOTHING } from './decision.ts'
import {
  answerTo,
  type Change,
  entryOf,
  type Job,
  jobWrites,
  type NewEntry,
  noticeTo,
  offeredAt,
  originFor,
  writesOf,
} from './lead.ts'
import { customerText, refusalContent, winnerContent } from './race-texts.ts'
import { wonKeyOf } from './routing.ts'

/** A rep's tap on something about a lead. */
export interface Tap {
  readonly rep: RepRow
  readonly lead: string
  readonly bridge: string
  /** The provider's id of the message. */
  readonly eventId: string
  readonly contact: Job['contact']
  /** What was said, kept in the message's lock. */
  readonly said: Json
}

/** What a tap's decision must see: the lead, then what the lead leads to. */
export function tapNeeds(
  { rep, lead, bridge, eventId }: Tap,
  docs: Docs<string>,
  moment: Moment,
): Keys<string> {
  const keys = { lead: leadKey(lead), said: saidKey(shardOfLead(lead), bridge, eventId) }
  const doc = docs.lead?.value as LeadDoc | undefined
  if (doc === undefined) return keys
  const won = wonKeyOf(lead, rep.dealer_id, moment)
  return {
    ...keys,
    person: personKey(doc.customer),
    ...(won && { won }),
  }
}

export function decideClaim(tap: Tap, docs: Docs<string>, moment: Moment): Decision {
  // The same message once more: its answer is in the outbox, or was sent.
  if (docs.said != null) return NOTHING
  const doc = docs.lead ?? null
  const lead = doc?.value as LeadDoc | undefined
  if (doc === null || lead === undefined) return refuseTap(tap, 'claim', 'unknown_lead', docs, moment)
  const offers = lead.offers.filter(({ rep }) => rep === tap.rep.rep_id)
  if (offers.length === 0) return refuseTap(tap, 'claim', 'not_invited', docs, moment)
  if (lead.state === 'EXPIRED') return refuseTap(tap, 'claim', 'expired', docs, moment)
  if (lead.state === 'WON' || lead.state === 'LOST') return refuseTap(tap, 'claim', 'finished', docs, moment)
  const offer = offers.findLast(({ round }) => round === lead.round)
  const holder = isHeld(lead.state) ? lead.claims[lead.round - 1] : undefined
  if (holder?.rep === tap.rep.rep_id) return tellAgain(tap, lead, docs, moment)
  if (offer === undefined) return refuseTap(tap, 'claim', 'withdrawn', docs, moment)
  if (holder !== undefined) {
    return oneStep(tap, docs, tooSlow(tap, lead, moment))
  }
  return claim(tap, doc, offer.distance_km, docs, moment)
}

function claim(tap: Tap, doc: Doc, distanceKm: number, docs: Docs<string>, moment: Moment): Decision {
  const { nowMs, rules, directory } = moment
  const before = doc.value as LeadDoc
  const { rep } = tap
  const person = (docs.person?.value as PersonDoc | undefined) ?? null
  const claims = [...before.claims]
  claims[before.round - 1] = { rep: rep.rep_id, dealer: rep.dealer_id, name: rep.name }
  const lead: LeadDoc = { ...before, state: 'CLAIMED', claims, offered_at: offeredAt(doc) }
  const dealerName = directory.dealer(rep.dealer_id)?.name ?? rep.dealer_id
  const language = person?.conversation?.language ?? 'id'
  const about = { lead: lead.lead, customer: lead.customer }
  const change: Change = {
    lead,
    entries: [
      entryOf('lead.claimed', {
        lead: lead.lead,
        customer: lead.customer,
        round: lead.round,
        dealer: rep.dealer_id,
        rep: rep.rep_id,
        event_id: tap.eventId,
        offered_at: lead.offered_at as string,
        distance_km: distanceKm,
        origin: originFor(lead),
      }),
    ],
    jobs: [
      winnerJob(tap, lead, person, moment),
      ...noticeTo(
        person?.contact ?? null,
        person?.last_inbound_at,
        customerText.repWillCall(rep.name, dealerName, language),
        about,
        nowMs,
      ),
    ],
    timers: [
      { timer: 'claim', n: lead.ring, atMs: null },
      { timer: 'contact', n: lead.round, atMs: nowMs + rules.contactSlaMs },
    ],
  }
  const { writes, jobs } = writesOf(change, tap.eventId, nowMs)
  const lost = tooSlow(tap, before, moment)
  const key = claimKey(before.lead, before.round)
  const value: ClaimHolder = { rep: rep.rep_id, dealer: rep.dealer_id }
  const won = countWon(tap, docs, moment)
  return {
    proposals: [
      {
        shard: shardOfLead(before.lead),
        once: [
          saidOnce(tap),
          // The rep's other tap, a moment earlier, holds it with the same value: then the lead's version has moved on.
          { key, value: value as unknown as Json, equalIsMine: true },
        ],
        check: [{ key: leadKey(before.lead), version: doc.version }, ...won.check],
        ...writes,
        set: [...(writes.set ?? []), ...won.set],
        // A lead as it will be, if what is proposed before this tap comes to pass, may have invited this rep only then:
        // whoever loses by it is decided again.
        ...(doc.atMs > 0 && { otherwise: { [key]: lost.writes } }),
      },
    ],
    receipt: null,
    jobs: [...new Set([...jobs, ...lost.jobs])],
  }
}

/** Of a dealer with a quota: one more of today's. */
function countWon({ rep, lead }: Tap, docs: Docs<string>, moment: Moment) {
  const key = wonKeyOf(lead, rep.dealer_id, moment)
  if (key === null) return { check: [], set: [] }
  const doc = docs.won ?? null
  const value: WonDoc = { count: ((doc?.value as WonDoc | undefined)?.count ?? 0) + 1 }
  return { check: [{ key, version: doc?.version ?? 0 }], set: [{ key, value: value as unknown as Json }] }
}

function winnerJob(tap: Tap, lead: LeadDoc, person: PersonDoc | null, { nowMs, rules }: Moment): Job {
  const content = winnerContent(lead, person, tap.rep.language, rules.contactSlaMs)
  return answerTo(tap.contact, content, { lead: lead.lead, rep: tap.rep.rep_id }, nowMs)
}

function tellAgain(tap: Tap, lead: LeadDoc, docs: Docs<string>, moment: Moment): Decision {
  const person = (docs.person?.value as PersonDoc | undefined) ?? null
  const entry = entryOf('lead.claim_repeated', {
    lead: lead.lead,
    round: lead.round,
    dealer: tap.rep.dealer_id,
    rep: tap.rep.rep_id,
    event_id: tap.eventId,
  })
  return answer(tap, [entry], [winnerJob(tap, lead, person, moment)], docs, moment)
}

/** What a loser gets: an entry, and a message that is written when both instants are known. */
function tooSlow(tap: Tap, lead: LeadDoc, { nowMs }: Moment): Said {
  const { rep } = tap
  const about = { lead: lead.lead, rep: rep.rep_id }
  const job: Job = {
    ...answerTo(tap.contact, { kind: 'text' }, about, nowMs),
    content: null,
    too_slow: { lead: lead.lead, round: lead.round, language: rep.language },
  }
  const entry = entryOf('lead.too_slow', {
    lead: lead.lead,
    round: lead.round,
    dealer: rep.dealer_id,
    rep: rep.rep_id,
    event_id: tap.eventId,
  })
  return saying(tap, [entry], [job], nowMs)
}

/** A tap that does nothing: its own clear answer, and an entry. */
export function refuseTap(
  tap: Tap,
  action: 'claim' | 'contacted' | 'demo' | 'won' | 'lost',
  reason: TapRefusal,
  docs: Docs<string>,
  moment: Moment,
): Decision {
  const { rep, lead, eventId } = tap
  const entry = entryOf('lead.tap_refused', {
    lead,
    rep: rep.rep_id,
    dealer: rep.dealer_id,
    action,
    reason,
    event_id: eventId,
  })
  const content = refusalContent(reason, lead, rep.language)
  return answer(
    tap,
    [entry],
    [answerTo(tap.contact, content, { lead, rep: rep.rep_id }, moment.nowMs)],
    docs,
    moment,
  )
}

/** Says something about a lead and changes nothing of it. */
export const answer = (
  tap: Tap,
  entries: readonly NewEntry[],
  jobs: readonly Job[],
  docs: Docs<string>,
  { nowMs }: Moment,
): Decision => oneStep(tap, docs, saying(tap, entries, jobs, nowMs))

interface Said {
  readonly writes: Writes
  readonly jobs: string[]
}

function saying(
  { lead, eventId }: Tap,
  entries: readonly NewEntry[],
  jobs: readonly Job[],
  nowMs: number,
): Said {
  const sent = jobWrites(shardOfLead(lead), eventId, jobs, nowMs)
  const writes: Writes = {
    set: sent.set,
    append: entries.map((entry) => ({ stream: 'ledger', ...entry })),
    index: [
      ...(entries.length > 0 ? [{ name: leadEntriesIndex(lead), member: ENTRY_ID, score: nowMs }] : []),
      ...sent.index,
    ],
  }
  return { writes, jobs: sent.jobs }
}

/** Holds only for the lead as it was seen: a tap before it in the same batch may not have come to pass. */
const oneStep = (tap: Tap, docs: Docs<string>, { writes, jobs }: Said): Decision => ({
  proposals: [
    {
      shard: shardOfLead(tap.lead),
      once: [saidOnce(tap)],
      check: [{ key: leadKey(tap.lead), version: docs.lead?.version ?? 0 }],
      ...writes,
    },
  ],
  receipt: null,
  jobs,
})

export const saidOnce = ({ lead, bridge, eventId, said }: Tap) => ({
  key: saidKey(shardOfLead(lead), bridge, eventId),
  value: said,
})
