/** The ten variables, formula by formula. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Facts, NO_FACTS, rateOf, ratioOf, variablesOf } from '../../analytics/variables.ts'
import type { Variables } from '../../gateway/contract/figures.ts'

/** Each fact another power of two, so that no two sums are alike. */
const facts: Facts = {
  corporate: 1_000,
  subsidy: 200,
  baseline: 40,
  out_of_pocket: 8,
  activities: 3,
  activityDays: 9,
  activeDays: 7,
  leads: 11,
  leadsSold: 2,
}

const figureValue = (figure: Variables[keyof Variables]): unknown =>
  typeof figure === 'object' && 'value' in figure ? figure.value : figure

describe('the ten variables', () => {
  it.each<[name: keyof Variables, formula: string, given: Partial<Facts>, value: unknown]>([
    ['total_event_spend', 'corporate', {}, 1_000],
    ['total_event_spend', 'nothing spent is zero', { corporate: 0 }, 0],
    ['dealer_support_cost', 'subsidy', {}, 200],
    ['baseline_dealer_cost', 'baseline', {}, 40],
    ['out_of_pocket_dealer_spend', 'out_of_pocket', {}, 8],
    ['average_cost_per_activity', '(1000 + 200 + 8) / 3, without the baseline', {}, 403],
    ['average_cost_per_activity', 'rounded to a minor unit', { corporate: 1 }, 70],
    ['average_cost_per_activity', 'undefined without an activity', { activities: 0 }, null],
    ['average_cost_per_activity', 'zero when activities cost nothing', { ...NO_FACTS, activities: 2 }, 0],
    ['average_cost_per_day', '(1000 + 200 + 8) / 7 distinct days', {}, 173],
    ['average_cost_per_day', 'undefined without a day', { activeDays: 0 }, null],
    ['cost_per_lead', '(1000 + 200 + 40 + 8) / 11: the whole burn', {}, 113],
    ['cost_per_lead', 'undefined without leads, whatever was spent', { leads: 0 }, null],
    ['cost_per_lead', 'undefined without leads, when nothing was spent', { ...NO_FACTS }, null],
    ['cost_per_lead', 'zero when leads came for nothing', { ...NO_FACTS, leads: 5 }, 0],
    ['total_activity_volume', 'activities that began', {}, 3],
    ['active_duration_days', 'distinct days, and days of each', {}, { union: 7, sum: 9 }],
    ['verified_sell_through', '2 / 11', {}, 0.1818],
    ['verified_sell_through', 'zero when nobody has bought', { leadsSold: 0 }, 0],
    ['verified_sell_through', 'one when all have', { leadsSold: 11 }, 1],
    ['verified_sell_through', 'undefined without leads', { leads: 0, leadsSold: 0 }, null],
  ])('%s: %s', (name, _, given, value) => {
    expect(figureValue(variablesOf({ ...facts, ...given })[name])).toEqual(value)
  })

  it('tell what each ratio is made of, so that it can be added up', () => {
    const { average_cost_per_activity, average_cost_per_day, cost_per_lead, verified_sell_through } =
      variablesOf(facts)
    expect([average_cost_per_activity, average_cost_per_day, cost_per_lead, verified_sell_through]).toEqual([
      { numerator: 1_208, denominator: 3, value: 403 },
      { numerator: 1_208, denominator: 7, value: 173 },
      { numerator: 1_248, denominator: 11, value: 113 },
      { numerator: 2, denominator: 11, value: 0.1818 },
    ])
  })

  it('refuse a sum that would not be exact', () => {
    const most = Number.MAX_SAFE_INTEGER
    expect(() => variablesOf({ ...facts, corporate: most, subsidy: 1 })).toThrow(RangeError)
    expect(variablesOf({ ...NO_FACTS, corporate: most, leads: 1 }).cost_per_lead.value).toBe(most)
  })
})

describe('a ratio', () => {
  it.each([
    [1, 2, 1],
    [-1, 2, -1],
    [1, -2, -1],
    [1, 3, 0],
    [2, 3, 1],
    [-1, 3, 0],
    [10, 4, 3],
    [0, 7, 0],
    [7, 0, null],
  ])('%i / %i is rounded to %s: halves away from zero', (numerator, denominator, value) => {
    expect(ratioOf(numerator, denominator)).toEqual({ numerator, denominator, value })
  })

  it('of any safe numbers is within half of the exact one', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: 1, max: 1_000_000_000 }), (numerator, denominator) => {
        const value = BigInt(ratioOf(numerator, denominator).value as number)
        const off = 2n * (value * BigInt(denominator) - BigInt(numerator))
        expect(off <= BigInt(denominator) && off > -BigInt(denominator)).toBe(true)
      }),
    )
  })

  it('that is a rate has four decimals', () => {
    expect(rateOf(1, 3).value).toBe(0.3333)
    expect(rateOf(2, 3).value).toBe(0.6667)
    expect(rateOf(1, 20_000).value).toBe(0.0001)
  })
})
