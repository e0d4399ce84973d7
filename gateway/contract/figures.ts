/**
 * The unit economics, as they are asked for and answered: shapes only. What each figure means is said once, in
 * `analytics/variables.ts`, `analytics/channels.ts` and `analytics/attribution.ts`, and for analysts in `docs/analysts.md`.
 *
 * Money is whole numbers of minor units (a hundredth of the currency's unit). A ratio keeps both its parts, so that it can be
 * added up and checked; its value is null where the denominator is 0: undefined, neither zero nor infinity.
 */
import { z } from 'zod'
import { CHANNELS } from './events.ts'

export const DIMENSIONS = ['day', 'month', 'dealer', 'region', 'initiative', 'channel'] as const
export type Dimension = (typeof DIMENSIONS)[number]

export const ATTRIBUTIONS = ['first_touch', 'last_touch'] as const
export type Attribution = (typeof ATTRIBUTIONS)[number]

/** What is filtered by; several values: any of them. */
export type Filters = Readonly<
  Partial<Record<'dealer' | 'region' | 'initiative' | 'channel', readonly string[]>>
>

export interface Asked {
  /** Business days `YYYY-MM-DD`, both inclusive. */
  readonly from: string
  readonly to: string
  readonly where: Filters
  /** The only one whose money is counted. */
  readonly currency: string
  readonly attribution: Attribution
  /** As the ledger knew it by then, ms; null: as it is known now. */
  readonly knownAt: number | null
  /** Whether to tell what was asked of the metrics, and the entries behind. */
  readonly explain: boolean
}

export interface AskedVariables extends Asked {
  readonly by: readonly Dimension[]
  /** Whether each row also has the figures of the period before. */
  readonly compare: boolean
}

const count = z.number().int()
const money = count.describe('Minor units of the currency')

export const ratio = z
  .object({
    numerator: count,
    denominator: count,
    value: z.number().nullable().describe('null: undefined, for want of a denominator'),
  })
  .describe('Money: value rounded to a minor unit, halves away from zero. Rates: to four decimals')
export type Ratio = z.infer<typeof ratio>

export const variables = z.object({
  total_event_spend: money,
  dealer_support_cost: money,
  baseline_dealer_cost: money,
  out_of_pocket_dealer_spend: money,
  average_cost_per_activity: ratio,
  average_cost_per_day: ratio,
  cost_per_lead: ratio,
  total_activity_volume: count,
  active_duration_days: z.object({
    union: count.describe('Distinct days with an activity'),
    sum: count.describe('Days of all activities, each counted'),
  }),
  verified_sell_through: ratio,
})
export type Variables = z.infer<typeof variables>

const names = z.record(z.string(), z.string())

const head = {
  from: z.string(),
  to: z.string(),
  where: z.record(z.string(), z.array(z.string())),
  currency: z.string(),
  other_currencies: z.array(z.string()).describe('In which money was spent too; not counted here'),
  attribution: z.object({ name: z.enum(ATTRIBUTIONS), rule: z.string() }),
  known_at: z.string().nullable().describe('null: as it is known now'),
}

const explained = z
  .object({
    questions: z
      .array(
        z.object({
          measurement: z.string(),
          by: z.array(z.string()),
          where: z.record(z.string(), z.array(z.string())),
          from: z.string(),
          to: z.string(),
        }),
      )
      .describe('What was asked of the metrics; see docs/analysts.md'),
    entries: z
      .record(z.string(), z.object({ entries: z.array(z.string()), is_complete: z.boolean() }))
      .describe('By measurement: ids of the ledger entries behind the figures, oldest first'),
  })
  .describe('With explain')
export type Explained = z.infer<typeof explained>

export const variablesAnswer = z.object({
  ...head,
  by: z.array(z.enum(DIMENSIONS)),
  before: z
    .object({ from: z.string(), to: z.string() })
    .nullable()
    .describe('The period before; null: not asked for'),
  rows: z.array(
    z.object({
      by: names,
      variables,
      before: variables.nullable().optional().describe('Of the period before; null: there was nothing'),
    }),
  ),
  explain: explained.optional(),
})
export type VariablesAnswer = z.infer<typeof variablesAnswer>

export const burnAndLeads = { burn: money, leads: count, cost_per_lead: ratio }

export const costPerLeadAnswer = z.object({
  ...head,
  months: z.array(z.object({ month: z.string(), ...burnAndLeads })).describe('Each by itself'),
  days: z.array(z.object({ day: z.string(), ...burnAndLeads })).describe('Every day, also without any'),
  explain: explained.optional(),
})
export type CostPerLeadAnswer = z.infer<typeof costPerLeadAnswer>

export const channelFigures = z.object({
  spend: money,
  inquiries: count,
  leads: count,
  claim_rate: ratio,
  time_to_claim_ms: ratio.describe('Mean, milliseconds'),
  conversion: ratio,
  cost_per_lead: ratio,
  verified_sales: count,
  walk_in_sales: count.describe('Verified sales without a lead, among verified_sales'),
  cost_per_verified_sale: ratio,
})
export type ChannelFigures = z.infer<typeof channelFigures>

export const channelsAnswer = z.object({
  ...head,
  matching: z
    .array(z.object({ name: z.string(), rule: z.string(), sales: count }))
    .describe('How sales found leads'),
  channels: z.array(z.object({ channel: z.enum([...CHANNELS, 'none']), figures: channelFigures })),
  total: channelFigures,
  explain: explained.optional(),
})
export type ChannelsAnswer = z.infer<typeof channelsAnswer>

export const flowAnswer = z.object({
  ...head,
  nodes: z.array(
    z.object({
      id: z.string(),
      stage: z.enum(['spend', 'lead', 'claim', 'sale']),
      name: z.string(),
      spend: money.optional().describe('Of a channel'),
      count: count.describe('Leads, or sales of those leads'),
    }),
  ),
  links: z.array(z.object({ source: z.string(), target: z.string(), value: count })),
  explain: explained.optional(),
})
export type FlowAnswer = z.infer<typeof flowAnswer>

export const restatedAnswer = z.object({
  from: z.string(),
  to: z.string(),
  since: z.string(),
  closed: z.string().describe('What a closed day is'),
  changes: z.array(
    z.object({
      day: z.string(),
      what: z.string().describe('Measurement and sum, such as sales.count'),
      currency: z.string().nullable(),
      before: z.number(),
      after: z.number(),
      entries: z
        .array(z.string())
        .describe('Entries that have changed this day, some of them when there are many'),
    }),
  ),
})
export type RestatedAnswer = z.infer<typeof restatedAnswer>

/** Where all of this is asked. */
export interface Economics {
  variables(asked: AskedVariables): Promise<VariablesAnswer>
  costPerLead(asked: Asked): Promise<CostPerLeadAnswer>
  channels(asked: Asked): Promise<ChannelsAnswer>
  flow(asked: Asked): Promise<FlowAnswer>
  /** What has changed of days that were closed at `since` (ms). */
  restated(asked: Pick<Asked, 'from' | 'to' | 'where'> & { readonly since: number }): Promise<RestatedAnswer>
}
