/**
 * A sale that was given to a lead is void: the lead takes it back, and can be given another. What was won stays won: that is
 * what the rep has said, or what the sale said then; figures count the purchase, not the word.
 */
import type { Unsold } from '../decode/internal.ts'
import { isLeadId, type LeadDoc, leadKey, type PersonDoc, personKey } from '../race-documents.ts'
import type { Doc } from '../store/store.ts'
import { type Decider, type Decision, type Docs, type Keys, type Moment, NOTHING } from './decision.ts'
import { entryOf, offeredAt, proposeChange } from './lead.ts'

/** Voided sales remembered of a lead: told of once more, they must not be given to it again. */
const VOIDED_KEPT = 10

export const unsoldDecider: Decider<Unsold, never> = {
  keys: () => ({}) as Keys<never>,
  reads: [],
  readsAgain: [],
  /** The lead that the terminal named, else any lead of the buyer: since the sale there may be a newer one. */
  follow({ lead_id, customer }, docs): Keys<string> {
    if (lead_id !== null && isLeadId(lead_id)) return { [`lead ${lead_id}`]: leadKey(lead_id) }
    if (customer === null) return {}
    const leads = (docs.person?.value as PersonDoc | undefined)?.leads ?? []
    return {
      person: personKey(customer),
      ...Object.fromEntries(leads.map(({ lead }) => [`lead ${lead}`, leadKey(lead)])),
    }
  },
  decide,
}

function decide({ sale }: Unsold, docs: Docs<string>, _keys: Keys<never>, { nowMs }: Moment): Decision {
  const doc = Object.entries(docs).find(
    (found): found is [string, Doc] =>
      found[0].startsWith('lead ') && (found[1]?.value as LeadDoc | undefined)?.sold?.sale === sale,
  )?.[1]
  if (doc === undefined) return NOTHING
  const { sold, voided = [], ...before } = doc.value as LeadDoc
  if (sold === undefined) return NOTHING
  const change = {
    lead: {
      ...before,
      serial: null,
      voided: [...voided, sale].slice(-VOIDED_KEPT),
      offered_at: offeredAt(doc),
    },
    entries: [entryOf('lead.unsold', sold)],
    jobs: [],
    timers: [],
  }
  const { proposal } = proposeChange(change, doc, `void ${sale}`, nowMs)
  return { proposals: [proposal], receipt: null }
}
