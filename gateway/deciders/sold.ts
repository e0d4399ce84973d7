/**
 * A sale belongs to a lead: the terminal named it, or the buyer is a customer with a lead. The lead learns the serial of
 * the vehicle; one that a rep holds is won by it. A lead takes the first sale only.
 */
import { isHeld } from '../contract/leads.ts'
import type { Sold } from '../decode/internal.ts'
import { isLeadId, type LeadDoc, leadKey, type PersonDoc, personKey } from '../race-documents.ts'
import { type Decider, type Decision, type Docs, type Keys, type Moment, NOTHING } from './decision.ts'
import { entryOf, type NewEntry, offeredAt, proposeChange } from './lead.ts'

export const soldDecider: Decider<Sold, never> = {
  keys: () => ({}) as Keys<never>,
  reads: [],
  readsAgain: [],
  follow({ lead_id, customer }, docs): Keys<string> {
    if (lead_id !== null && isLeadId(lead_id)) return { lead: leadKey(lead_id) }
    if (customer === null) return {}
    const newest = (docs.person?.value as PersonDoc | undefined)?.leads.at(-1)?.lead
    return { person: personKey(customer), ...(newest && { lead: leadKey(newest) }) }
  },
  decide,
}

function decide(
  { sale, serial, dealer, lead_id }: Sold,
  docs: Docs<string>,
  _keys: Keys<never>,
  { nowMs }: Moment,
): Decision {
  const doc = docs.lead ?? null
  const before = doc?.value as LeadDoc | undefined
  if (doc === null || before === undefined || before.serial !== null) return NOTHING
  const { lead, customer } = before
  const claim = isHeld(before.state) ? before.claims[before.round - 1] : undefined
  const matched_by = lead_id === lead ? 'lead_id' : 'customer'
  const entries: NewEntry[] = [entryOf('lead.sold', { lead, customer, serial, dealer, sale, matched_by })]
  if (claim !== undefined) {
    const facts = { lead, customer, dealer: claim.dealer, rep: claim.rep }
    entries.push(entryOf('lead.won', { ...facts, event_id: `sale ${sale}`, serial }))
  }
  const change = {
    lead: {
      ...before,
      serial,
      offered_at: offeredAt(doc),
      ...(claim !== undefined && { state: 'WON' as const }),
    },
    entries,
    jobs: [],
    timers: [{ timer: 'contact', n: before.round, atMs: null } as const],
  }
  const { proposal } = proposeChange(change, doc, `sale ${sale}`, nowMs)
  return { proposals: [proposal], receipt: null }
}
