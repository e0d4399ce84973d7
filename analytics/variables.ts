/**
 * The ten variables of the unit economics: facts of a group (a month, a dealer, a channel, …) → figures. Pure; each is
 * defined here and nowhere else.
 *
 * Glossary
 *   minor      money in whole minor units (a hundredth of the currency's unit), of one currency
 *   burn       everything that was spent, whoever paid: the four kinds of spend together
 *   lead       a verified unique lead: one person (by phone number, then e-mail) within the time in which a person is one lead,
 *              who can be reached and is somewhere: screened on WhatsApp, or a form with a place
 *   activity   an event or promotion; it counts on the day it begins
 *   purchase   a registered sale of a serial that the registration ledger has, given to a lead and not voided
 *
 * Sums are exact or refused: a sum past 2^53 - 1 is a RangeError. Averages are of what belongs to activities: event spend,
 * support and out-of-pocket, without the baseline, which a dealer costs without any activity.
 */
import type { Ratio, Variables } from '../gateway/contract/figures.ts'

/** What happened in a group. All zero: nothing. */
export interface Facts {
  /** Spend by kind, minor. */
  readonly corporate: number
  readonly subsidy: number
  readonly baseline: number
  readonly out_of_pocket: number
  /** That have begun. */
  readonly activities: number
  /** Each activity's days. */
  readonly activityDays: number
  /** Distinct days with an activity. */
  readonly activeDays: number
  /** That have come. */
  readonly leads: number
  /** Those of them that led to a purchase. */
  readonly leadsSold: number
}

export const NO_FACTS: Facts = {
  corporate: 0,
  subsidy: 0,
  baseline: 0,
  out_of_pocket: 0,
  activities: 0,
  activityDays: 0,
  activeDays: 0,
  leads: 0,
  leadsSold: 0,
}

/**
 * 1. Total event spend = Σ spend of kind `corporate`: what the head office spends on events and campaigns itself.
 * Minor units. Nothing spent: 0.
 */
export const totalEventSpend = ({ corporate }: Facts): number => corporate

/**
 * 2. Dealer support cost = Σ spend of kind `subsidy`: what the head office pays to dealers for their events.
 * Minor units. Nothing paid: 0.
 */
export const dealerSupportCost = ({ subsidy }: Facts): number => subsidy

/**
 * 3. Baseline dealer cost = Σ spend of kind `baseline`: what dealers cost without any event.
 * Minor units. It stands on the days it was reported for, and is not spread over a month.
 */
export const baselineDealerCost = ({ baseline }: Facts): number => baseline

/**
 * 4. Out-of-pocket dealer spend = Σ spend of kind `out_of_pocket`: what dealers pay themselves, what they are given back not
 * included. Minor units. Nothing paid: 0.
 */
export const outOfPocketDealerSpend = ({ out_of_pocket }: Facts): number => out_of_pocket

/**
 * 5. Average cost per activity = (event spend + support + out-of-pocket) / activities that began in the period.
 * Minor units per activity. No activity: undefined, however much was spent.
 */
export const averageCostPerActivity = (facts: Facts): Ratio =>
  ratioOf(costOfActivities(facts), facts.activities)

/**
 * 6. Average cost per day = (event spend + support + out-of-pocket) / active duration (union of days).
 * Minor units per day on which something took place. No such day: undefined.
 */
export const averageCostPerDay = (facts: Facts): Ratio => ratioOf(costOfActivities(facts), facts.activeDays)

/**
 * 7. Cost per lead = burn / verified unique leads that came in the period: of a month its absolute figure, day by day its
 * trend. Minor units per lead. No leads: undefined, neither zero nor infinity, even when nothing was spent.
 */
export const costPerLead = (facts: Facts): Ratio => ratioOf(burnOf(facts), facts.leads)

/** 8. Total activity volume = number of activities that began in the period. None: 0. */
export const totalActivityVolume = ({ activities }: Facts): number => activities

/**
 * 9. Active duration, in days: `union`, the distinct days on which at least one activity took place; and `sum`, the days of
 * all activities, those of each counted. Two activities on one day: union 1, sum 2. Only days within the period count.
 */
export const activeDuration = ({ activeDays, activityDays }: Facts): Variables['active_duration_days'] => ({
  union: activeDays,
  sum: activityDays,
})

/**
 * 10. Verified sell-through = leads of the period that led to a purchase, whenever that was / leads of the period.
 * A rate from 0 to 1. Cross-audited: that a rep says «won» does not count, the purchase must be registered by a terminal, its
 * serial must stand in the registration ledger, and it must not be voided. Young leads may still buy, so the rate of a recent
 * period rises. No leads: undefined.
 */
export const verifiedSellThrough = ({ leadsSold, leads }: Facts): Ratio => rateOf(leadsSold, leads)

export const variablesOf = (facts: Facts): Variables => ({
  total_event_spend: totalEventSpend(facts),
  dealer_support_cost: dealerSupportCost(facts),
  baseline_dealer_cost: baselineDealerCost(facts),
  out_of_pocket_dealer_spend: outOfPocketDealerSpend(facts),
  average_cost_per_activity: averageCostPerActivity(facts),
  average_cost_per_day: averageCostPerDay(facts),
  cost_per_lead: costPerLead(facts),
  total_activity_volume: totalActivityVolume(facts),
  active_duration_days: activeDuration(facts),
  verified_sell_through: verifiedSellThrough(facts),
})

/** Everything that was spent, whoever paid. */
export const burnOf = ({ corporate, subsidy, baseline, out_of_pocket }: Facts): number =>
  exactSum(corporate, subsidy, baseline, out_of_pocket)

const costOfActivities = ({ corporate, subsidy, out_of_pocket }: Facts): number =>
  exactSum(corporate, subsidy, out_of_pocket)

// — arithmetic —

/** @throws RangeError when it is too large to be exact. */
export function exactSum(...numbers: readonly number[]): number {
  const sum = numbers.reduce((total, number) => total + number, 0)
  if (!Number.isSafeInteger(sum)) throw new RangeError('a sum of money is too large to be exact')
  return sum
}

/** Rounded to a whole number, halves away from zero. */
export const ratioOf = (numerator: number, denominator: number): Ratio => ({
  numerator,
  denominator,
  value: denominator === 0 ? null : divided(BigInt(numerator), BigInt(denominator)),
})

const DECIMALS = 10_000

/** Rounded to four decimals, halves away from zero. */
export const rateOf = (numerator: number, denominator: number): Ratio => ({
  numerator,
  denominator,
  value:
    denominator === 0 ? null : divided(BigInt(numerator) * BigInt(DECIMALS), BigInt(denominator)) / DECIMALS,
})

/** In whole numbers, so that no figure hangs on how a processor rounds. */
function divided(numerator: bigint, denominator: bigint): number {
  const isNegative = numerator < 0n !== denominator < 0n
  const [above, below] = [
    numerator < 0n ? -numerator : numerator,
    denominator < 0n ? -denominator : denominator,
  ]
  const rounded = (2n * above + below) / (2n * below)
  // Not -0.
  return Number(isNegative ? -rounded : rounded) || 0
}
