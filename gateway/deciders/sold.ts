/**
 * A sale belongs to a lead: the terminal named it, or the buyer is a customer with a lead. The lead learns the serial of
 * the vehicle; one that a rep holds is won by it. A lead takes the first sale only.
 */
import { isHeld, isOpen, type LeadEntry } from '../contract/leads.ts'
import type { Sold } from '../decode/internal.ts'
import { isLeadId, type LeadDoc, leadKey, type PersonDoc, personKey } from '../race-documents.ts'
import { type Decider, type Decision, type Docs, type Keys, type Moment, NOTHING } from './decision.ts'
import { entryOf, type NewEntry, offeredAt, originFor, proposeChange } from './lead.ts'

export const soldDecider: Decider<Sold, never> = {
  keys: () => ({}) as Keys<never>,
  reads: [],
  readsAgain: [],
  follow({ lead_id, customer }, docs): Keys<string> {
    if (lead_id !== null && isLeadId(lead_id)) {
      const lead = docs.lead?.value as LeadDoc | undefined
      return { lead: leadKey(lead_id), ...(lead && { person: personKey(lead.customer) }) }
    }
    if (customer === null) return {}
    const newest = (docs.person?.value as PersonDoc | undefined)?.leads.at(-1)?.lead
    return { person: personKey(customer), ...(newest && { lead: leadKey(newest) }) }
  },
  decide,
}

function decide(
  { sale, serial, dealer, lead_id, facts }: Sold,
  docs: Docs<string>,
  _keys: Keys<never>,
  { nowMs }: Moment,
): Decision {
  const doc = docs.lead ?? null
  const before = doc?.value as LeadDoc | undefined
  if (doc === null || before === undefined || before.serial !== null) return NOTHING
  if (before.voided?.includes(sale)) return NOTHING
  const { lead, customer } = before
  const holder = isOpen(before.state) ? undefined : before.claims[before.round - 1]
  const claim = isHeld(before.state) ? holder : undefined
  const matched_by = lead_id === lead ? 'lead_id' : 'customer'
  const origin = originFor(before)
  const touched = (docs.person?.value as PersonDoc | undefined)?.origin.last_channel
  const said: LeadEntry<'lead.sold'> = {
    lead,
    customer,
    serial,
    dealer,
    sale,
    matched_by,
    holder: holder?.dealer ?? null,
    last_channel: touched ?? origin.last_channel,
    ...(facts && { facts }),
    origin,
  }
  const entries: NewEntry[] = [entryOf('lead.sold', said)]
  if (claim !== undefined) {
    const won = { lead, customer, dealer: claim.dealer, rep: claim.rep, origin }
    entries.push(entryOf('lead.won', { ...won, event_id: `sale ${sale}`, serial }))
  }
  const change = {
    lead: {
      ...before,
      serial,
      sold: said,
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
