/**
 * Channels side by side: what was spent on each, and what it brought. Pure.
 *
 * Spend is of the channel it was reported for. Leads, claims and conversions are of the channel that the attribution says.
 * A verified sale without a lead is an unassigned walk-in and counted with that channel; what terminals say of a sale's
 * channel is not asked, since it would be counted beside the lead's.
 */
import type { ChannelFigures } from '../gateway/contract/figures.ts'
import { rateOf, ratioOf } from './variables.ts'

/** What happened in a channel. */
export interface ChannelFacts {
  /** All kinds, minor. */
  readonly burn: number
  /** Everybody who asked, those with a lead already included. */
  readonly inquiries: number
  readonly leads: number
  /** Leads of the period that were claimed at least once, and that led to a purchase. */
  readonly leadsClaimed: number
  readonly leadsSold: number
  /** Claims of the period, and the time from offer to claim of all of them. */
  readonly claims: number
  readonly timeToClaimMs: number
  /** Verified sales of the period: those given to a lead, and those without. */
  readonly conversionsVerified: number
  readonly walkIns: number
}

export const NO_CHANNEL_FACTS: ChannelFacts = {
  burn: 0,
  inquiries: 0,
  leads: 0,
  leadsClaimed: 0,
  leadsSold: 0,
  claims: 0,
  timeToClaimMs: 0,
  conversionsVerified: 0,
  walkIns: 0,
}

/**
 *   spend                    burn, minor units
 *   inquiries                everybody who asked; leads: verified unique ones
 *   claim_rate               leads of the period that were claimed at least once / leads of the period
 *   time_to_claim_ms         mean over the claims of the period, from the newest offer to the tap
 *   conversion               leads of the period that led to a purchase / leads of the period
 *   cost_per_lead            burn / leads
 *   verified_sales           verified sales of the period: of its leads' and walk-ins; walk_in_sales are the latter
 *   cost_per_verified_sale   burn / verified sales
 * Ratios without a denominator are undefined.
 */
export const figuresOfChannel = (facts: ChannelFacts): ChannelFigures => ({
  spend: facts.burn,
  inquiries: facts.inquiries,
  leads: facts.leads,
  claim_rate: rateOf(facts.leadsClaimed, facts.leads),
  time_to_claim_ms: ratioOf(facts.timeToClaimMs, facts.claims),
  conversion: rateOf(facts.leadsSold, facts.leads),
  cost_per_lead: ratioOf(facts.burn, facts.leads),
  verified_sales: facts.conversionsVerified + facts.walkIns,
  walk_in_sales: facts.walkIns,
  cost_per_verified_sale: ratioOf(facts.burn, facts.conversionsVerified + facts.walkIns),
})
