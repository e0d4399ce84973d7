/**
 * Where the money goes and what it brings: what portals, files and terminals report, and the ledger entries that keep it.
 *
 * Money is whole numbers of minor units (sen, cents; a hundredth of the unit, whatever the currency) from here on: 28500000
 * rupiah are 2850000000. No sum is ever taken of anything else.
 *
 * Restatement. What was reported may be corrected or taken back, days later. The ledger keeps every version: an entry tells
 * what stands now and, in `before`, what stood until then, so that a figure «as known at» an instant is the sum over the
 * entries committed by then, and each entry alone says what it changes.
 */
import { z } from 'zod'
import { CHANNELS } from './events.ts'

export const SPEND_KINDS = ['corporate', 'subsidy', 'baseline', 'out_of_pocket'] as const
/**
 *   corporate       event spend of the head office
 *   subsidy         what the head office pays to a dealer for its events
 *   baseline        what a dealer costs without any event
 *   out_of_pocket   what a dealer pays itself
 */
export type SpendKind = (typeof SPEND_KINDS)[number]

const id = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$/, 'an id: letters, digits and . _ : / -, at most 64')
const name = z.string().trim().min(1).max(64)
const day = z.iso.date('a date such as 2026-11-22').describe('Business day, hub time zone')
const currency = z.string().regex(/^[A-Z]{3}$/, 'an ISO 4217 code such as IDR')
const dealer = z.string().min(1).max(64).nullable().describe('null: not one dealer’s')
const region = z.string().min(1).max(200).nullable().describe('null: the dealer’s, or all')

export const MINOR_UNITS = 100
/** In minor units: a thousand times a large network's yearly turnover, and far from where sums stop being exact. */
export const AMOUNT_MINOR_MAX = 100_000_000_000_000

const amount_minor = z.number().int().min(0).max(AMOUNT_MINOR_MAX).describe('Minor units of the currency')

export const spendFacts = z.object({
  date: day,
  initiative: name.describe('Campaign, event or programme it belongs to'),
  dealer,
  region,
  channel: z.enum(CHANNELS),
  kind: z.enum(SPEND_KINDS),
  amount_minor,
  currency,
})
export type SpendFacts = z.infer<typeof spendFacts>

export const activityFacts = z
  .object({
    initiative: name,
    dealer,
    region,
    channel: z.enum(CHANNELS),
    name: z.string().trim().min(1).max(200),
    start_date: day,
    end_date: day.describe('The last day, included'),
  })
  .refine(({ start_date, end_date }) => start_date <= end_date, {
    path: ['end_date'],
    error: 'a day not before start_date',
  })
export type ActivityFacts = z.infer<typeof activityFacts>

/** Of a report; in a portal's own report it may be left out. */
const dealer_id = z
  .string()
  .min(1)
  .max(64)
  .nullish()
  .describe('null or absent: the portal’s own dealer, or none')
const reportRegion = z.string().min(1).max(200).nullish()

/** What a portal publishes on `hub/v1/portal/{dealer}/spend`: sent again with other content, it corrects. */
export const spendReport = z
  .object({
    entry_id: id.describe('Made by the sender'),
    date: day,
    initiative: name,
    dealer_id,
    region: reportRegion,
    channel: z.enum(CHANNELS),
    kind: z.enum(SPEND_KINDS),
    amount: z
      .number()
      .min(0)
      .max(AMOUNT_MINOR_MAX / MINOR_UNITS)
      .multipleOf(1 / MINOR_UNITS)
      .describe('Whole units of the currency, with at most two decimals'),
    currency,
  })
  .describe('Money was spent')
export type SpendReport = z.infer<typeof spendReport>

/** What a portal publishes on `hub/v1/portal/{dealer}/activity`. */
export const activityReport = z
  .object({
    activity_id: id.describe('Made by the sender'),
    initiative: name,
    dealer_id,
    region: reportRegion,
    channel: z.enum(CHANNELS),
    name: z.string().trim().min(1).max(200),
    start_date: day,
    end_date: day,
  })
  .refine(({ start_date, end_date }) => start_date <= end_date, {
    path: ['end_date'],
    error: 'a day not before start_date',
  })
  .describe('An event or promotion took place')
export type ActivityReport = z.infer<typeof activityReport>

/** Either of them is taken back by its id alone. */
export const spendVoid = z.object({ entry_id: id, void: z.literal(true) })
export const activityVoid = z.object({ activity_id: id, void: z.literal(true) })

export const REPORT_OUTCOMES = ['recorded', 'corrected', 'voided', 'unchanged'] as const

export const reportAnswer = z
  .object({
    id: z.string(),
    outcome: z.enum(REPORT_OUTCOMES),
    version: z.number().int().describe('0: taken back before it was ever reported'),
  })
  .describe('What became of a report')
export type ReportAnswer = z.infer<typeof reportAnswer>

const version = z.number().int().min(1).describe('1 when first reported, then rising by one')

/** A version of something reported: what stands now (null: taken back), and what stood before (null: nothing). */
const versionOf = <Facts extends z.ZodType>(facts: Facts) => ({
  version,
  now: facts.nullable(),
  before: facts.nullable(),
})

/** The data of each type of entry. */
export const economicsEntries = {
  'spend.recorded': z.object({ spend: id, ...versionOf(spendFacts) }),
  'activity.recorded': z.object({ activity: id, ...versionOf(activityFacts) }),
  'sale.voided': z
    .object({
      sale: z.string().describe('Entry of the sale that is void'),
      serial: z.string(),
      dealer: z.string(),
      region: z.string().optional(),
      channel: z.enum(CHANNELS).optional(),
      model: z.string(),
      price: z.number().int(),
      currency: z.string(),
      sold_at: z.string(),
      verified: z.boolean(),
      flags: z.array(z.string()).optional().describe('Of the sale'),
      lead: z.string().nullable(),
      reason: z.string(),
    })
    .describe(
      'A registered sale was taken back; what it said is repeated, so that this entry alone tells what it changes',
    ),
} as const
export type EconomicsEntry<Type extends keyof typeof economicsEntries> = z.infer<
  (typeof economicsEntries)[Type]
>
