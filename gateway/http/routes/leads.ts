/**
 * `GET /api/v1/leads` and `/api/v1/leads/{lead}`: leads with what became of them, and one lead's whole race.
 *
 * Who sees what
 *   admin, manager   everything
 *   analyst          no name, number, words or coordinates of a customer
 *   dealer           leads that its reps were asked about, and of them what concerns it: its offers, claims and steps.
 *                    The customer's personal data only while it holds the claim, and after it was won or lost by it
 */
import { z } from 'zod'
import { isOpen, LEAD_STATES } from '../../contract/leads.ts'
import type { Directory } from '../../directory.ts'
import {
  claimKey,
  type LeadDoc,
  leadKey,
  leadsIndex,
  openLeadsIndex,
  type PersonDoc,
  personKey,
} from '../../race-documents.ts'
import { type LeadOutcome, leadOutcome, readRace, SALE_STATUSES, type Step } from '../../race-timeline.ts'
import { SHARDS } from '../../store/keys.ts'
import type { Doc } from '../../store/store.ts'
import { roleKind } from '../../tokens.ts'
import { allow, BEARER, type Caller, callerOf, dealerAskedFor, READERS } from '../access.ts'
import { decodeIndexPlace, encodeIndexPlace, indexSource, pageOf, pageQuery, scan } from '../paging.ts'
import { Problem, problems } from '../problem.ts'
import type { App, ReadStore } from '../services.ts'
import { claimItem, describeClaim } from './claims.ts'

/** Entries of one lead that a request reads; a race has some tens. `hub race` reads all. */
const STEPS_MAX = 1000

const person = z
  .object({
    name: z.string().nullable(),
    phone: z.string().nullable(),
    email: z.string().nullable(),
    message: z.string().nullable().describe('What they wrote in a form'),
    lat: z.number(),
    lon: z.number(),
  })
  .describe('Personal data')

const leadItem = z
  .object({
    lead: z.string(),
    customer: z.string().describe('Pseudonym'),
    state: z.string().describe(LEAD_STATES.join(', ')),
    created_at: z.string(),
    area: z.string().describe('City or regency'),
    model: z.string().nullable(),
    intent: z.string().nullable().describe('What the customer is after'),
    when: z.string().nullable().describe('How soon'),
    channel: z.string().nullable(),
    campaign: z.string().nullable(),
    round: z.number().int().describe('Races so far'),
    ring: z.number().int().describe('Rings of dealers asked so far; 0: nobody could be asked yet'),
    offered_at: z.string().nullable().describe('When the newest ring was asked, by the store’s clock'),
    dealer: z.string().nullable().describe('Who holds it, or held it when it was won or lost'),
    rep: z.string().nullable().describe('Assigned rep'),
    rep_name: z.string().nullable(),
    claimed_at: z.string().nullable(),
    time_to_claim_s: z.number().nullable(),
    contacted_at: z.string().nullable(),
    sale_status: z
      .enum(SALE_STATUSES)
      .describe('won: says the rep; sold: a sale was registered for it, of the vehicle in serial'),
    serial: z.string().nullable().describe('Of the vehicle the customer bought'),
    person: person.nullable().describe('Null for those who may not see it'),
  })
  .describe('A lead; to a dealer who does not hold it, nothing of who does')
type LeadItem = z.infer<typeof leadItem>

const offer = z.object({
  dealer: z.string(),
  rep: z.string(),
  rep_name: z.string().nullable(),
  round: z.number().int(),
  ring: z.number().int(),
  distance_km: z.number(),
})

const step = z.object({
  entry: z.string(),
  at: z.string().describe('By the store’s clock'),
  type: z.string().describe('lead.created, lead.offered, lead.claimed, lead.too_slow, …, alert.raised'),
  since_offer_ms: z.number().nullable().describe('Since the newest offer before it'),
  dealer: z.string().nullable(),
  dealer_name: z.string().nullable(),
  rep: z.string().nullable(),
  rep_name: z.string().nullable(),
  tap: z
    .object({
      order: z.number().int().describe('1, 2, 3 … of all taps of its round'),
      margin_ms: z.number().nullable().describe('Behind the tap that won; null: nobody had won'),
    })
    .nullable(),
  data: z.record(z.string(), z.unknown()).describe('The entry’s own fields'),
})

const race = leadItem.extend({
  offers: z.array(offer),
  claims: z.array(claimItem).describe('Oldest first; more than one when it was released'),
  timeline: z.array(step).describe('Oldest first'),
  timeline_complete: z.boolean().describe(`False: it has more than about ${STEPS_MAX} steps; see hub race`),
})

const query = z.strictObject({
  ...pageQuery,
  state: z.enum(LEAD_STATES).optional(),
  dealer: z.string().min(1).max(64).optional().describe('Only leads that its reps were asked about'),
})

export function leadsRoutes(app: App, store: ReadStore, readDirectory: () => Promise<Directory>): void {
  /** For each lead, in this order. */
  async function describe(caller: Caller, docs: readonly Doc[]): Promise<LeadItem[]> {
    const leads = docs.map(({ value }) => value as LeadDoc)
    const keys = leads.flatMap(({ lead, round, customer }) => [claimKey(lead, round), personKey(customer)])
    const found = await store.read(keys)
    return docs.map((doc, i) => {
      const [claim = null, person = null] = found.slice(i * 2)
      return describeLead(caller, doc.value as LeadDoc, leadOutcome(doc, claim), person)
    })
  }

  app.get(
    '/api/v1/leads',
    {
      schema: {
        tags: ['leads'],
        summary: 'Leads, newest first',
        description:
          'Filters are combined. One request looks at ten thousand leads at the most: a page may hold fewer than its ' +
          'limit, even none, and still have a `next`. A dealer’s token sees the leads that its reps were asked about; ' +
          'the customer’s personal data is for admins, managers and the dealer that holds the lead.',
        security: BEARER,
        querystring: query,
        response: { 200: pageOf(leadItem), ...problems(400, 401, 403) },
      },
      onRequest: allow(store, READERS),
    },
    async (request) => {
      const { after, limit, state } = request.query
      const caller = callerOf(request)
      const dealer = dealerAskedFor(request, request.query.dealer)
      const place = decodeIndexPlace('leads', after)
      const isShown = (lead: LeadDoc) =>
        (state === undefined || lead.state === state) && (dealer === null || wasAsked(lead, dealer))
      // Those that are open are few, and asked for most.
      const isOpenOnly = state !== undefined && isOpen(state)
      const source = indexSource(store, SHARDS.map(isOpenOnly ? openLeadsIndex : leadsIndex))
      const { items, next } = await scan(source, place, limit, async (members) => {
        const docs = await store.read(members.map(({ member }) => leadKey(member)))
        const shown = docs.filter((doc) => doc !== null).filter((doc) => isShown(doc.value as LeadDoc))
        const described = new Map((await describe(caller, shown)).map((item) => [item.lead, item]))
        return members.map(({ member }) => described.get(member) ?? null)
      })
      return { items, next: next && encodeIndexPlace('leads', next) }
    },
  )

  app.get(
    '/api/v1/leads/:lead',
    {
      schema: {
        tags: ['leads'],
        summary: 'One lead, with its offers, its claims and every step of its race',
        description:
          'A dealer’s token sees its own offers, claims and steps, and those that are nobody’s in particular.',
        security: BEARER,
        params: z.object({ lead: z.string().min(1).max(64) }),
        response: { 200: race, ...problems(400, 401, 403, 404) },
      },
      onRequest: allow(store, READERS),
    },
    async (request) => {
      const { lead: id } = request.params
      const caller = callerOf(request)
      const directory = await readDirectory()
      const found = await readRace(store, directory, id, STEPS_MAX)
      if (found === null || (caller.dealer !== null && !wasAsked(found.lead, caller.dealer))) {
        throw new Problem(404, `There is no lead ${id}`)
      }
      const { lead, outcome, steps, isComplete } = found
      const [person = null] = await store.read([personKey(lead.customer)])
      const isOwn = ({ dealer }: { dealer: string | null }) =>
        caller.dealer === null || dealer === caller.dealer
      return {
        ...describeLead(caller, lead, outcome, person),
        offers: lead.offers
          .filter(isOwn)
          .map((offer) => ({ ...offer, rep_name: directory.rep(offer.rep)?.name ?? null })),
        claims: steps
          .filter(({ type }) => type === 'lead.claimed')
          .filter(isOwn)
          .map((claim) => describeClaim(claim, lead, directory)),
        timeline: steps
          .filter(({ dealer }) => dealer === null || isOwn({ dealer }))
          .map((step) => ({ ...step, data: shownData(step, caller) })),
        timeline_complete: isComplete,
      }
    },
  )
}

const wasAsked = ({ offers }: LeadDoc, dealer: string): boolean =>
  offers.some((offer) => offer.dealer === dealer)

/** A provider's id of a message has its sender's phone number in it. */
const isPersonalField = (field: string): boolean => field === 'event_id' || field === 'click'

/** Of an entry that is about several dealers, a dealer sees what is about itself. */
function shownData({ data }: Step, { role, dealer }: Caller): Step['data'] {
  if (seesPeople(role)) return data
  const isOwn = (item: { dealer?: unknown }) => dealer === null || item.dealer === dealer
  return Object.fromEntries(
    Object.entries(data)
      .filter(([field]) => !isPersonalField(field))
      .map(([field, value]) => [field, Array.isArray(value) ? value.filter(isOwn) : value]),
  )
}

const seesPeople = (role: Caller['role']): boolean => ['admin', 'manager'].includes(roleKind(role))

function describeLead(
  { role, dealer }: Caller,
  lead: LeadDoc,
  outcome: LeadOutcome,
  personDoc: Doc | null,
): LeadItem {
  const { lead: id, customer, state, created_at, place, model, intent, when, round, ring } = lead
  const { origin, contacted_at, serial } = lead
  const isHolder = dealer !== null && dealer === outcome.dealer
  const about = {
    lead: id,
    customer,
    state,
    created_at,
    area: place.area,
    model,
    intent,
    when,
    channel: origin.channel,
    campaign: origin.campaign,
    round,
    ring,
  }
  if (dealer !== null && !isHolder) {
    const { sale_status, offered_at } = outcome
    return { ...about, ...NOBODY, offered_at, sale_status }
  }
  const isShown = isHolder || seesPeople(role)
  const person = isShown ? ((personDoc?.value as PersonDoc | undefined) ?? null) : null
  return {
    ...about,
    ...outcome,
    contacted_at,
    serial,
    person: person && {
      name: person.name,
      phone: person.phone,
      email: person.email,
      message: person.message,
      lat: place.lat,
      lon: place.lon,
    },
  }
}

const NOBODY = {
  dealer: null,
  rep: null,
  rep_name: null,
  claimed_at: null,
  time_to_claim_s: null,
  contacted_at: null,
  serial: null,
  person: null,
}
