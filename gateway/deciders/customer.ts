/**
 * A customer writes: the screening takes its turn (`screening/conversation.ts`), and once it has all it asked for, the
 * customer becomes a lead that is offered to the nearest dealers. One lead per customer within a time: whoever comes
 * again is told that somebody is on it.
 *
 * Who the customer is. A phone number is the strongest handle. A person first known by a WhatsApp id alone, who later
 * comes with a number, goes on as the customer of that number, the conversation included (`customer.merged`).
 */
import type { DecodedMessage } from '../decode/people.ts'
import type { Directory } from '../directory.ts'
import {
  type IdentityDoc,
  type LeadDoc,
  leadId,
  type Origin,
  type PersonDoc,
  personKey,
  saidKey,
} from '../race-documents.ts'
import { type Conversation, type Turn, takeTurn } from '../screening/conversation.ts'
import { shardOf } from '../store/keys.ts'
import type { Doc, Json } from '../store/store.ts'
import { type Decision, type Docs, type Keys, type Moment, NOTHING } from './decision.ts'
import {
  alertOf,
  answerTo,
  both,
  type Change,
  entryOf,
  type Job,
  jobWrites,
  type NewEntry,
  offerNeeds,
  offerNext,
  originFor,
  writesOf,
} from './lead.ts'
import { bind, contactFrom, saidDoc } from './said.ts'

/** Leads remembered of a customer. */
export const LEADS_KEPT = 10
/** How long an answer of the bot is worth sending. */
const ANSWER_MS = 3_600_000

export function customerNeeds(message: DecodedMessage, docs: Docs<string>, moment: Moment): Keys<string> {
  const customer = customerOf(message, docs)
  const other = strangerBefore(message, docs, customer)
  const keys = {
    person: personKey(customer),
    said: saidKey(shardOf(customer), message.bridge, message.message.event_id),
    ...(other !== null && { other: personKey(other) }),
  }
  if (!('person' in docs) || (other !== null && !('other' in docs))) return keys
  const { lead } = screen(message, customer, docs, moment)
  return { ...keys, ...(lead && offerNeeds(lead, docs, moment)) }
}

export function decideCustomer(message: DecodedMessage, docs: Docs<string>, moment: Moment): Decision {
  if (docs.said != null) return NOTHING
  const { nowMs } = moment
  const { message: said, bridge } = message
  const customer = customerOf(message, docs)
  const shard = shardOf(customer)
  const other = strangerBefore(message, docs, customer)
  const { person, turn, lead, recent } = screen(message, customer, docs, moment)
  const contact = contactFrom(message)
  const offered = lead && createLead(lead, bridge, docs, moment)
  const about = { customer, ...(lead && { lead: lead.lead }) }

  const entries: NewEntry[] = [
    entryOf('customer.message', {
      customer,
      bridge,
      event_id: said.event_id,
      kind: said.kind,
      step: turn.conversation.step,
      stale: isStale(message, moment),
    }),
    ...(other === null ? [] : [entryOf('customer.merged', { from: other, into: customer })]),
    ...resultEntries(turn, customer, message, recent),
  ]
  const say: Job[] =
    turn.say === null
      ? []
      : [{ ...answerTo(contact, turn.say, about, nowMs), expiresAtMs: nowMs + ANSWER_MS }]
  const sent = jobWrites(shard, `${said.event_id} say`, say, nowMs)
  const changed = offered && writesOf(offered, said.event_id, nowMs)
  const key = personKey(customer)
  return {
    proposals: [
      {
        shard,
        once: [{ key: saidKey(shard, bridge, said.event_id), value: saidDoc(message) }],
        check: [{ key, version: docs.person?.version ?? 0 }],
        set: [{ key, value: person as unknown as Json }, ...sent.set, ...(changed?.writes.set ?? [])],
        append: [
          ...entries.map((entry) => ({ stream: 'ledger', ...entry }) as const),
          ...(changed?.writes.append ?? []),
        ],
        index: [...sent.index, ...(changed?.writes.index ?? [])],
      },
      ...bind(message, docs.identity ?? null, { customer }),
    ],
    receipt: null,
    jobs: [...sent.jobs, ...(changed?.jobs ?? [])],
  }
}

// — who —

function customerOf({ handles }: DecodedMessage, docs: Docs<string>): string {
  if (handles.customer !== null) return handles.customer.id
  const known = docs.identity?.value as IdentityDoc | undefined
  return known !== undefined && 'customer' in known ? known.customer : `cus_${handles.other}`
}

/** The customer this person was while no phone number was known, or null. */
function strangerBefore({ handles }: DecodedMessage, docs: Docs<string>, customer: string): string | null {
  const known = docs.identity?.value as IdentityDoc | undefined
  if (handles.customer === null || known === undefined || !('customer' in known)) return null
  return known.customer === customer ? null : known.customer
}

// — the screening —

interface Screened {
  /** As it will be. */
  readonly person: PersonDoc
  readonly turn: Turn
  /** The lead that this makes, or null. */
  readonly lead: LeadDoc | null
  /** The lead that the customer has already, or null. */
  readonly recent: string | null
}

const isStale = ({ message }: DecodedMessage, { nowMs, rules }: Moment): boolean =>
  nowMs - Date.parse(message.at) > rules.staleMs

function screen(message: DecodedMessage, customer: string, docs: Docs<string>, moment: Moment): Screened {
  const { nowMs, rules, directory } = moment
  const before = personBefore(docs.person ?? null, docs.other ?? null)
  const turn = takeTurn(before.conversation, message.message, {
    now: nowMs,
    models: directory.models,
    staleAfterMs: rules.staleMs,
    closedForMs: rules.oneLeadMs,
  })
  const person: PersonDoc = {
    ...before,
    phone: message.handles.customer?.phone ?? before.phone,
    user_id: message.message.customer.user_id ?? before.user_id,
    name: message.message.customer.name ?? before.name,
    contact: contactFrom(message),
    last_inbound_at: later(before.last_inbound_at, message.message.at),
    conversation: turn.conversation,
    origin: originOf(message, before.origin),
  }
  if (turn.result.kind !== 'screened') return { person, turn, lead: null, recent: null }
  const recent = recentLead(before, nowMs, rules.oneLeadMs)
  if (recent !== null) return { person, turn, lead: null, recent }
  const id = leadId(customer, message.message.event_id)
  const createdAt = new Date(nowMs).toISOString()
  const lead = newLead(id, customer, factsOf(turn.conversation, directory), person.origin, createdAt)
  const leads = [...before.leads, { lead: id, at: createdAt }].slice(-LEADS_KEPT)
  return { person: { ...person, leads }, turn, lead, recent: null }
}

const UNKNOWN: PersonDoc = {
  phone: null,
  user_id: null,
  email: null,
  name: null,
  message: null,
  contact: null,
  last_inbound_at: null,
  conversation: null,
  origin: { channel: null, campaign: null, referral: null },
  leads: [],
}

/** What is known of somebody; of somebody who had no number until now, what was known without it. */
export function personBefore(doc: Doc | null, other: Doc | null): PersonDoc {
  const known = (doc?.value as PersonDoc | undefined) ?? UNKNOWN
  const stranger = other?.value as PersonDoc | undefined
  if (stranger === undefined) return known
  return {
    ...known,
    user_id: known.user_id ?? stranger.user_id,
    email: known.email ?? stranger.email,
    name: known.name ?? stranger.name,
    message: known.message ?? stranger.message,
    contact: known.contact ?? stranger.contact,
    last_inbound_at: later(known.last_inbound_at, stranger.last_inbound_at),
    conversation: known.conversation ?? stranger.conversation,
    origin: known.origin.channel === null && known.origin.referral === null ? stranger.origin : known.origin,
    leads: [...stranger.leads, ...known.leads].slice(-LEADS_KEPT),
  }
}

/** Of two instants in ISO 8601, UTC. */
function later(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b
  return a > b ? a : b
}

/** The first touch stays; an advertisement that Meta tells of is one of Meta's. */
function originOf({ message: { referral } }: DecodedMessage, known: Origin): Origin {
  if (referral == null) return known
  const channel = referral.source_type === 'ad' ? 'meta_ads' : null
  const touched: Origin = { ...known, ...(channel && { last_channel: channel }) }
  return known.referral === null ? { ...touched, channel: known.channel ?? channel, referral } : touched
}

/** The newest lead of somebody who came again soon, or null. */
export function recentLead({ leads }: PersonDoc, nowMs: number, oneLeadMs: number): string | null {
  const newest = leads.at(-1)
  return newest !== undefined && nowMs - Date.parse(newest.at) < oneLeadMs ? newest.lead : null
}

// — the lead —

export type LeadFacts = Pick<
  LeadDoc,
  'place' | 'model' | 'intent' | 'when' | 'initiative' | 'source' | 'region'
>

/** By the dealer that is nearest, whether or not it is asked. */
export const regionAt = (
  { lat, lon }: Pick<LeadDoc['place'], 'lat' | 'lon'>,
  directory: Directory,
): string | null => directory.nearest(lat, lon, 1)[0]?.dealer.region ?? null

function factsOf({ answers }: Conversation, directory: Directory): LeadFacts {
  const { area, model, intent, when } = answers
  if (area === undefined) throw new Error('a screening ended without a place')
  return {
    place: { lat: area.lat, lon: area.lon, area: area.name },
    model: model ?? null,
    intent: intent ?? null,
    when: when ?? null,
    initiative: null,
    source: 'whatsapp',
    region: regionAt(area, directory),
  }
}

export function newLead(
  lead: string,
  customer: string,
  facts: LeadFacts,
  origin: Origin,
  createdAt: string,
): LeadDoc {
  return {
    lead,
    customer,
    state: 'UNCLAIMED',
    round: 1,
    ring: 0,
    ...facts,
    origin,
    created_at: createdAt,
    offered_at: null,
    offers: [],
    claims: [],
    serial: null,
    contacted_at: null,
  }
}

/** A new lead, and its first offers, as one change. */
export function createLead(lead: LeadDoc, bridge: string | null, docs: Docs<string>, moment: Moment): Change {
  const { channel, campaign, referral } = lead.origin
  const created: Change = {
    lead,
    entries: [
      entryOf('lead.created', {
        lead: lead.lead,
        customer: lead.customer,
        source: lead.source,
        bridge,
        area: lead.place.area,
        model: lead.model,
        intent: lead.intent,
        when: lead.when,
        channel,
        campaign,
        initiative: lead.initiative,
        ad: referral?.source_id ?? null,
        click: referral?.ctwa_clid ?? null,
        origin: originFor(lead),
      }),
    ],
    jobs: [],
    timers: [],
  }
  return both(created, offerNext(lead, docs, moment))
}

function resultEntries(
  { result }: Turn,
  customer: string,
  { bridge, message }: DecodedMessage,
  recent: string | null,
): NewEntry[] {
  switch (result.kind) {
    case 'human':
      return [
        entryOf('customer.needs_human', { customer, reason: result.reason, bridge }),
        alertOf({ tier: 'P1', cause: 'customer_needs_human', customer }),
      ]
    case 'declined':
      return [entryOf('customer.declined', { customer, bridge })]
    case 'screened':
      if (recent === null) return []
      return [
        entryOf('lead.duplicate', {
          lead: recent,
          customer,
          source: 'whatsapp',
          event_id: message.event_id,
          channel: null,
          campaign: null,
        }),
      ]
    default:
      return []
  }
}
