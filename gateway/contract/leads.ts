/**
 * A lead's life, and the ledger entries that tell it.
 *
 *   UNCLAIMED ──► CLAIMED ──► CONTACTED ──► DEMO ──► WON
 *    │   ▲           │            └──────────┴─────► LOST
 *    ▼   │(released) │
 *   WIDENED ◄────────┘
 *    │
 *    ▼
 *   EXPIRED
 *
 * An open lead (UNCLAIMED, WIDENED) is offered to the reps of a ring of three dealers at a time; the first tap claims it.
 * A winner may skip steps forward (contacted, then won), never go back.
 *
 * Entries carry no personal data: the customer is an id, the place is an area's name.
 */
import { z } from 'zod'
import { CHANNELS } from './events.ts'

export const LEAD_STATES = [
  'UNCLAIMED',
  'WIDENED',
  'CLAIMED',
  'CONTACTED',
  'DEMO',
  'WON',
  'LOST',
  'EXPIRED',
] as const
export type LeadState = (typeof LEAD_STATES)[number]

export const isOpen = (state: LeadState): boolean => state === 'UNCLAIMED' || state === 'WIDENED'
export const isHeld = (state: LeadState): boolean =>
  state === 'CLAIMED' || state === 'CONTACTED' || state === 'DEMO'

/** Why a dealer nearer than those asked was not asked. */
export const SKIP_REASONS = ['closed', 'holiday', 'quota', 'no_rep', 'asked_before'] as const
export type SkipReason = (typeof SKIP_REASONS)[number]

/** Why a tap on an offer does nothing. */
export const TAP_REFUSALS = [
  'unknown_lead',
  'not_invited',
  'withdrawn',
  'expired',
  'finished',
  'not_yours',
] as const
export type TapRefusal = (typeof TAP_REFUSALS)[number]

const lead = z.string().describe('Id of the lead')
const dealer = z.string()
const rep = z.string()
const event_id = z.string().describe('The provider’s id of the message that did it')
const instant = z.string().describe('ISO 8601, UTC, store clock')
const known = z.string().nullable()
const channel = z.enum(CHANNELS).nullable()

/**
 * Where a lead came from, as it was when the lead came. Every entry that changes a figure of its lead repeats it, so that
 * this entry alone says which figures it changes. Entries of early hubs do not have it.
 */
export const leadOrigin = z.object({
  created_at: z.string().describe('ISO 8601, UTC, hub clock'),
  source: z.enum(['whatsapp', 'form']),
  channel: channel.describe('First touch'),
  last_channel: channel.describe('Last touch before the lead'),
  region: known.describe('Of the dealer nearest to the customer'),
  initiative: known.describe('The campaign, when spend or an activity has named it'),
})
export type LeadOrigin = z.infer<typeof leadOrigin>
const origin = leadOrigin.optional()

/** What a figure needs of the sale that a lead led to. */
export const soldFacts = z.object({
  sold_at: z.string().describe('ISO 8601, UTC'),
  price: z.number().int().describe('Whole units'),
  currency: z.string(),
  verified: z.boolean().describe('The serial stood in the registration ledger'),
  region: known.describe('Of the dealer who sold'),
})
export type SoldFacts = z.infer<typeof soldFacts>

const skipped = z.array(z.object({ dealer, distance_km: z.number(), reason: z.enum(SKIP_REASONS) }))

/** A registered sale belongs to a lead. */
const sold = z.object({
  lead,
  customer: z.string(),
  serial: z.string(),
  dealer,
  sale: z.string().describe('Entry of the sale'),
  matched_by: z.enum(['lead_id', 'customer', 'serial']),
  holder: dealer.nullable().optional().describe('Who holds the lead; null: nobody'),
  last_channel: channel.optional().describe('Last touch before the sale'),
  facts: soldFacts.optional(),
  origin,
})

/** The data of each type of entry. */
export const leadEntries = {
  'lead.created': z.object({
    lead,
    customer: z.string().describe('`cus_…`'),
    source: z.enum(['whatsapp', 'form']),
    bridge: known,
    area: z.string(),
    model: known,
    intent: known,
    when: known,
    channel: z.enum(CHANNELS).nullable(),
    campaign: known,
    initiative: known.describe('The campaign, when spend or an activity has named it'),
    ad: known.describe('Id of the advertisement'),
    click: known.describe('Its click id'),
    origin,
  }),
  'lead.duplicate': z.object({
    lead: lead.describe('The lead this person has already'),
    customer: z.string(),
    source: z.enum(['whatsapp', 'form']),
    event_id,
    channel: z.enum(CHANNELS).nullable(),
    campaign: known,
  }),
  'lead.offered': z.object({
    lead,
    round: z.number().int(),
    ring: z.number().int(),
    offers: z.array(z.object({ dealer, rep, distance_km: z.number() })),
    skipped,
  }),
  'lead.waiting': z
    .object({
      lead,
      ring: z.number().int(),
      skipped,
      until: instant.describe('When the next dealer opens'),
    })
    .describe('No dealer could be asked now'),
  'lead.claimed': z.object({
    lead,
    customer: z.string(),
    round: z.number().int(),
    dealer,
    rep,
    event_id,
    offered_at: instant,
    distance_km: z.number(),
    origin,
  }),
  'lead.too_slow': z.object({ lead, round: z.number().int(), dealer, rep, event_id }),
  'lead.claim_repeated': z.object({ lead, round: z.number().int(), dealer, rep, event_id }),
  'lead.tap_refused': z.object({
    lead,
    rep: rep.nullable().describe('null: no rep at all'),
    dealer: dealer.nullable(),
    action: z.enum(['claim', 'contacted', 'demo', 'won', 'lost']),
    reason: z.enum(TAP_REFUSALS),
    event_id,
  }),
  'lead.contacted': z.object({ lead, dealer, rep, event_id, origin }),
  'lead.demo': z.object({ lead, dealer, rep, event_id, origin }),
  'lead.won': z.object({ lead, customer: z.string(), dealer, rep, event_id, serial: known, origin }),
  'lead.lost': z.object({ lead, customer: z.string(), dealer, rep, event_id, origin }),
  'lead.widened': z.object({ lead, ring: z.number().int().describe('The new one') }),
  'lead.released': z.object({
    lead,
    round: z.number().int().describe('The one that is over'),
    dealer,
    rep,
    origin,
  }),
  'lead.expired': z.object({ lead, customer: z.string(), rings: z.number().int(), skipped, origin }),
  'lead.sold': sold,
  'lead.unsold': sold.describe('That sale is void; what was said of it is repeated'),
  'rep.checked_in': z.object({ rep, dealer, event_id }),
  'rep.checked_out': z.object({ rep, dealer, event_id }),
  'customer.message': z.object({
    customer: z.string(),
    bridge: z.string(),
    event_id,
    kind: z.string(),
    step: z.string().nullable().describe('Where the screening stands after it'),
    stale: z.boolean().describe('Came too late to be answered'),
  }),
  'customer.merged': z.object({ from: z.string(), into: z.string() }),
  'customer.needs_human': z.object({
    customer: z.string(),
    reason: z.enum(['asked', 'not_understood']),
    bridge: z.string(),
  }),
  'customer.declined': z.object({ customer: z.string(), bridge: z.string() }),
  'message.sent': z.object({
    job: z.string(),
    bridge: z.string(),
    kind: z.string(),
    provider_id: known,
    lead: lead.nullable(),
  }),
  'message.failed': z.object({
    job: z.string(),
    bridge: z.string(),
    kind: z.string(),
    code: z.string(),
    lead: lead.nullable(),
  }),
} as const

export type LeadEntryType = keyof typeof leadEntries
export type LeadEntry<Type extends LeadEntryType> = z.infer<(typeof leadEntries)[Type]>
