/**
 * A lead from a form or an advertisement. In this order:
 *
 *   1. this form came before                        → the same answer again
 *   2. the person has a recent lead, known by phone
 *      or by e-mail                                 → DUPLICATE: one person, one lead, whatever the channel
 *   3. it says where the person is                  → a lead, offered at once
 *   4. it does not, but has a phone                 → SCREENING: asked on WhatsApp, with the registered template
 *
 * What can do nothing (no place, no phone) does not come here: it is not decoded (`decode/people.ts`).
 */
import type { Submission, SubmissionAnswer } from '../contract/submission.ts'
import type { DecodedSubmission } from '../decode/people.ts'
import { initiativeKey } from '../documents.ts'
import {
  type IdentityDoc,
  identityKey,
  type LeadDoc,
  leadId,
  leadKey,
  type PersonDoc,
  personKey,
  type SubmissionDoc,
  submissionKey,
} from '../race-documents.ts'
import { areaAt, findPlace } from '../screening/gazetteer.ts'
import { shardOf } from '../store/keys.ts'
import type { Json, Once } from '../store/store.ts'
import { createLead, LEADS_KEPT, newLead, personBefore, recentLead, regionAt } from './customer.ts'
import type { Decider, Decision, Docs, Keys, Moment } from './decision.ts'
import { entryOf, jobWrites, offerNeeds, writesOf } from './lead.ts'
import { screeningTemplate } from './race-texts.ts'

/** How long a request to answer a few questions is worth sending. */
const ASK_MS = 24 * 3_600_000

export const submissionDecider: Decider<DecodedSubmission, never> = {
  keys: () => ({}) as Keys<never>,
  reads: [],
  readsAgain: [],
  follow,
  decide,
}

function follow(message: DecodedSubmission, docs: Docs<string>, moment: Moment): Keys<string> {
  const { submission, handles } = message
  const keys: Record<string, string> = {}
  if (handles.other !== null) keys.identity = identityKey(handles.other)
  if (handles.other !== null && !('identity' in docs)) return keys
  const customers = customersOf(message, docs)
  if (submission.campaign != null) keys.initiative = initiativeKey(submission.campaign)
  keys.submission = submissionKey(customers[0] as string, submission.event_id)
  for (const [at, customer] of customers.entries()) keys[`person ${at}`] = personKey(customer)
  if (Object.keys(keys).some((name) => !(name in docs))) return keys
  const known = docs.submission?.value as SubmissionDoc | undefined
  if (known !== undefined) return known.lead === null ? keys : { ...keys, lead: leadKey(known.lead) }
  const lead = recentOf(message, docs, moment) === null ? leadOf(message, docs, moment) : null
  return { ...keys, ...(lead && offerNeeds(lead, docs, moment)) }
}

function decide(
  message: DecodedSubmission,
  docs: Docs<string>,
  _keys: Keys<never>,
  moment: Moment,
): Decision {
  const { submission } = message
  const { nowMs } = moment
  const known = docs.submission?.value as SubmissionDoc | undefined
  if (known !== undefined) {
    const lead = docs.lead?.value as LeadDoc | undefined
    const first = lead?.offers.filter(({ ring }) => ring === 1) ?? []
    const answer = { lead: known.lead, state: known.state, offered_to: dealersOf(first) }
    return { proposals: [], receipt: null, reply: answer satisfies SubmissionAnswer }
  }
  const customer = customersOf(message, docs)[0] as string
  const recent = recentOf(message, docs, moment)
  const lead = recent === null ? leadOf(message, docs, moment) : null
  const change = lead && createLead(lead, null, docs, moment)
  const state = recent !== null ? 'DUPLICATE' : lead === null ? 'SCREENING' : 'UNCLAIMED'
  const person = personAfter(message, docs, lead)
  const shard = shardOf(customer)
  const asked = jobWrites(
    shard,
    `form ${submission.event_id}`,
    state === 'SCREENING' ? [askJob(person, customer, moment)] : [],
    nowMs,
  )
  const changed = change && writesOf(change, `form ${submission.event_id}`, nowMs)
  const duplicate =
    recent === null
      ? []
      : [
          entryOf('lead.duplicate', {
            lead: recent,
            customer,
            source: 'form',
            event_id: submission.event_id,
            channel: submission.channel ?? null,
            campaign: submission.campaign ?? null,
          }),
        ]
  const submitted: SubmissionDoc = { lead: recent ?? lead?.lead ?? null, state }
  const key = personKey(customer)
  return {
    proposals: [
      {
        shard,
        once: [
          {
            key: submissionKey(customer, submission.event_id),
            value: submitted as unknown as Json,
          },
          ...mailOnce(message, docs, customer),
        ],
        check: [{ key, version: docs['person 0']?.version ?? 0 }],
        set: [{ key, value: person as unknown as Json }, ...asked.set, ...(changed?.writes.set ?? [])],
        append: [
          ...duplicate.map((entry) => ({ stream: 'ledger', ...entry }) as const),
          ...(changed?.writes.append ?? []),
        ],
        index: [...asked.index, ...(changed?.writes.index ?? [])],
      },
    ],
    receipt: null,
    jobs: [...asked.jobs, ...(changed?.jobs ?? [])],
    reply: {
      lead: submitted.lead,
      state,
      offered_to: change === null ? [] : dealersOf(change.lead.offers),
    } satisfies SubmissionAnswer,
  }
}

const dealersOf = (offers: LeadDoc['offers']): string[] => [...new Set(offers.map(({ dealer }) => dealer))]

/** By phone first, then by e-mail: whoever of them has a recent lead is the same person. */
function customersOf({ handles }: DecodedSubmission, docs: Docs<string>): string[] {
  const known = docs.identity?.value as IdentityDoc | undefined
  const byMail = known !== undefined && 'customer' in known ? known.customer : null
  const byPhone = handles.customer?.id ?? null
  const found = [byPhone, byMail].filter((id) => id !== null)
  return found.length === 0 ? [`cus_${handles.other}`] : [...new Set(found)]
}

function recentOf(message: DecodedSubmission, docs: Docs<string>, { nowMs, rules }: Moment): string | null {
  for (const at of customersOf(message, docs).keys()) {
    const person = docs[`person ${at}`]?.value as PersonDoc | undefined
    const recent = person === undefined ? null : recentLead(person, nowMs, rules.oneLeadMs)
    if (recent !== null) return recent
  }
  return null
}

/** Where the person is: by coordinates, else by the name of a city or regency; null when it can't be told. */
export function placeOf({ lat, lon, place }: Submission): LeadDoc['place'] | null {
  if (lat != null && lon != null) return { lat, lon, area: areaAt(lat, lon).name }
  const area = place == null ? undefined : findPlace(place)[0]
  return area === undefined ? null : { lat: area.lat, lon: area.lon, area: area.name }
}

function leadOf(
  message: DecodedSubmission,
  docs: Docs<string>,
  { nowMs, directory }: Moment,
): LeadDoc | null {
  const { submission } = message
  const place = placeOf(submission)
  if (place === null) return null
  const customer = customersOf(message, docs)[0] as string
  const facts = {
    place,
    model: modelOf(submission, directory.models),
    intent: null,
    when: null,
    initiative: docs.initiative == null ? null : (submission.campaign ?? null),
    source: 'form' as const,
    region: regionAt(place, directory),
  }
  const id = leadId(customer, `form ${submission.event_id}`)
  // What brought the person the first time stays its first touch; the campaign and the advertisement are this form's.
  const first = personBefore(docs['person 0'] ?? null, null).origin.channel
  const said = originOf(submission)
  const origin = { ...said, channel: first ?? said.channel }
  return newLead(id, customer, facts, origin, new Date(nowMs).toISOString())
}

/** As it is called where it is sold. What no price list knows may be anything, and stays out of the ledger. */
function modelOf({ model }: Submission, models: readonly string[]): string | null {
  if (model == null || models.length === 0) return model ?? null
  return models.find((name) => name.toLowerCase() === model.trim().toLowerCase()) ?? null
}

const originOf = ({ channel, campaign, referral }: Submission): LeadDoc['origin'] => ({
  channel: channel ?? null,
  campaign: campaign ?? null,
  referral: referral ?? null,
  ...(channel && { last_channel: channel }),
})

function personAfter(
  { submission, handles }: DecodedSubmission,
  docs: Docs<string>,
  lead: LeadDoc | null,
): PersonDoc {
  const before = personBefore(docs['person 0'] ?? null, null)
  const isKnown = before.origin.channel !== null || before.origin.referral !== null
  const leads = lead === null ? before.leads : [...before.leads, { lead: lead.lead, at: lead.created_at }]
  return {
    ...before,
    phone: handles.customer?.phone ?? before.phone,
    email: submission.email ?? before.email,
    name: before.name ?? submission.name ?? null,
    message: submission.message ?? before.message,
    origin: isKnown
      ? { ...before.origin, ...(submission.channel && { last_channel: submission.channel }) }
      : originOf(submission),
    leads: leads.slice(-LEADS_KEPT),
  }
}

function askJob(person: PersonDoc, customer: string, { nowMs, rules }: Moment) {
  return {
    contact: person.contact ?? { bridge: rules.bridge, to: { phone: person.phone as string } },
    content: screeningTemplate(person.name, 'id'),
    about: { customer },
    expiresAtMs: nowMs + ASK_MS,
  }
}

/** Whose an e-mail address is. Of two forms with it that come at the same moment, one is decided again and sees the other. */
function mailOnce({ handles }: DecodedSubmission, docs: Docs<string>, customer: string): Once[] {
  if (handles.other === null || docs.identity != null) return []
  return [{ key: identityKey(handles.other), value: { customer }, equalIsMine: true }]
}
