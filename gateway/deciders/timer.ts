/**
 * A timer of a lead is due. It does something only if the lead still stands where it stood when the timer was set; so a
 * timer that fires twice, on one hub or on several, does its work once.
 *
 *   claim    nobody has claimed what ring n was offered   → the next ring, P0
 *   contact  the winner of round n has not been in touch  → released: a new race in the next ring, P0
 *   open     a dealer has opened                          → the next ring
 */
import { isOpen } from '../contract/leads.ts'
import type { TimerDue } from '../decode/internal.ts'
import {
  type LeadDoc,
  leadKey,
  type PersonDoc,
  personKey,
  type ShiftsDoc,
  shardOfLead,
  shiftsKey,
  timerMember,
  timersIndex,
} from '../race-documents.ts'
import type { Decider, Decision, Docs, Keys, Moment } from './decision.ts'
import {
  alertOf,
  both,
  type Change,
  contactOf,
  entryOf,
  noticeTo,
  offeredAt,
  offerNeeds,
  offerNext,
  originFor,
  proposeChange,
} from './lead.ts'
import { customerText, repText } from './race-texts.ts'

export const timerDecider: Decider<TimerDue, 'lead'> = {
  keys: ({ lead }) => ({ lead: leadKey(lead) }),
  reads: ['lead'],
  readsAgain: ['lead'],
  follow(due, docs, moment): Keys<string> {
    const lead = docs.lead?.value as LeadDoc | undefined
    if (lead === undefined || !applies(due, lead)) return {}
    const dealer = lead.claims[lead.round - 1]?.dealer
    return {
      person: personKey(lead.customer),
      ...(dealer && { shifts: shiftsKey(dealer) }),
      ...offerNeeds(due.timer === 'contact' ? nextRound(lead) : lead, docs, moment),
    }
  },
  decide,
}

const applies = ({ timer, n }: TimerDue, { state, ring, round }: LeadDoc): boolean =>
  timer === 'contact' ? state === 'CLAIMED' && round === n : isOpen(state) && ring === n

const nextRound = (lead: LeadDoc): LeadDoc => ({ ...lead, state: 'WIDENED', round: lead.round + 1 })

function decide(due: TimerDue, docs: Docs<string>, _keys: Keys<string>, moment: Moment): Decision {
  const doc = docs.lead ?? null
  const before = doc?.value as LeadDoc | undefined
  const shard = shardOfLead(due.lead)
  const done = { name: timersIndex(shard), member: timerMember(due.timer, due.lead, due.n), score: null }
  if (doc === null || before === undefined || !applies(due, before)) {
    return { proposals: [{ shard, index: [done] }], receipt: null }
  }
  const lead: LeadDoc = { ...before, offered_at: offeredAt(doc) }
  const change = told(
    due.timer === 'contact' ? release(lead, docs, moment) : goOn(due, lead, docs, moment),
    docs,
    moment,
  )
  const { proposal, jobs } = proposeChange(change, doc, timerMember(due.timer, due.lead, due.n), moment.nowMs)
  // Done first: a lead that goes on waiting sets the very same timer again.
  return { proposals: [{ ...proposal, index: [done, ...(proposal.index ?? [])] }], receipt: null, jobs }
}

/** Nobody has claimed it, or somebody has opened: the next ring. */
function goOn({ timer }: TimerDue, lead: LeadDoc, docs: Docs<string>, moment: Moment): Change {
  const next = offerNext(lead, docs, moment)
  if (timer === 'open' || next.lead.state === 'EXPIRED') return next
  const widened: Change = {
    lead: { ...lead, state: 'WIDENED' },
    entries: [
      entryOf('lead.widened', { lead: lead.lead, ring: next.lead.ring }),
      alertOf({ tier: 'P0', cause: 'lead_unclaimed', lead: lead.lead }),
    ],
    jobs: [],
    timers: [],
  }
  return both(widened, { ...next, lead: { ...next.lead, state: 'WIDENED' } })
}

function release(lead: LeadDoc, docs: Docs<string>, moment: Moment): Change {
  const { rep: id, dealer } = lead.claims[lead.round - 1] as LeadDoc['claims'][number]
  const rep = moment.directory.rep(id)
  const shifts = docs.shifts?.value as ShiftsDoc | undefined
  const released: Change = {
    lead: nextRound(lead),
    entries: [
      entryOf('lead.released', {
        lead: lead.lead,
        round: lead.round,
        dealer,
        rep: id,
        origin: originFor(lead),
      }),
      alertOf({ tier: 'P0', cause: 'lead_uncontacted', lead: lead.lead, dealer, rep: id }),
    ],
    jobs:
      rep === null
        ? []
        : noticeTo(
            contactOf(rep, shifts, moment.rules.bridge),
            shifts?.[id]?.last_inbound_at,
            repText.released(lead.lead, rep.language),
            { lead: lead.lead, rep: id },
            moment.nowMs,
          ),
    timers: [],
  }
  return both(released, offerNext(released.lead, docs, moment))
}

/** A customer whose lead has expired hears that somebody else takes care. */
function told(change: Change, docs: Docs<string>, { nowMs }: Moment): Change {
  if (change.lead.state !== 'EXPIRED') return change
  const person = docs.person?.value as PersonDoc | undefined
  const { lead, customer } = change.lead
  const text = customerText.headOfficeWillCall(person?.conversation?.language ?? 'id')
  const notice = noticeTo(person?.contact ?? null, person?.last_inbound_at, text, { lead, customer }, nowMs)
  return { ...change, jobs: [...change.jobs, ...notice] }
}
