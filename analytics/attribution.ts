/**
 * To which channel a lead and its sale belong, and how a sale finds its lead. The ledger keeps all that is needed (`origin`
 * of a lead, `last_channel` and `matched_by` of `lead.sold`); here is only which of it counts, and how that is said beside
 * the figures.
 */
import type { Channel } from '../gateway/contract/events.ts'
import type { Attribution } from '../gateway/contract/figures.ts'
import type { MATCHES } from './economics-points.ts'

interface Rule {
  /** By which leads, claims and conversions are grouped when channels are asked for. */
  readonly tag: 'channel' | 'last_channel'
  readonly rule: string
}

export const ATTRIBUTION_RULES: Readonly<Record<Attribution, Rule>> = {
  first_touch: {
    tag: 'channel',
    rule: 'First touch: the channel that first brought the person, with everything that followed',
  },
  last_touch: {
    tag: 'last_channel',
    rule: 'Last touch: the channel that brought the person last, before the lead for leads, before the sale for sales',
  },
}

/** In this order, the first that holds. */
export const MATCHING_RULES: Readonly<Record<(typeof MATCHES)[number] | 'none', string>> = {
  lead_id: 'The terminal named the lead',
  customer: 'The buyer is a person with a lead: the newest one',
  serial: 'The lead named the vehicle',
  none: 'No lead: an unassigned walk-in',
}

/** Where sales without a lead are counted. */
export const WALK_IN = 'walk_in' satisfies Channel
