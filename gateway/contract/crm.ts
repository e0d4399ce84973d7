/**
 * What a CRM hears of the hub: the body of the webhook at CRM_WEBHOOK_URL, and what the CRM of Mekari Qontak is filled
 * from. Signed and sent as Standard Webhooks says; `webhook-id` is the ledger entry's id, the same on every try, so a
 * receiver that keeps the ids it has seen hears of nothing twice.
 *
 *   lead.handoff      a dealer has won the race for a lead: who the customer is, and who takes care
 *   lead.outcome      the lead was won or lost
 *   sale.registered   a vehicle was sold
 *
 * Personal data is read when it is sent, not when it happened: of a customer who was erased, only the id is told.
 */
import { z } from 'zod'
import type { Entry, SaleEntry } from './ledger.ts'

const known = (description: string) => z.string().nullable().describe(`${description}; null when not known`)

const customer = z.object({
  id: z.string().describe('`cus_…`: the same person has the same one, for good'),
  name: known('As the person gave it'),
  phone: known('E.164'),
  user_id: known('Business-scoped id at the messaging provider'),
})

export const handoffDetails = z.object({
  lead: known('Id of the lead'),
  customer: customer.nullable(),
  dealer: z
    .object({ id: z.string(), name: known('Of the directory'), region: known('Of the directory') })
    .nullable(),
  rep: z.object({ id: z.string(), name: known('Of the directory'), phone: known('E.164') }).nullable(),
  model: known('The model asked for'),
  area: known('Where the customer is, in words'),
  intent: known('What the customer wants'),
  when: known('When the customer means to buy'),
  channel: known('Where the customer came from'),
  claimed_at: known('When the dealer won it, ISO 8601'),
  time_to_claim_s: z.number().nullable().describe('From the offer to the claim, seconds'),
})
export type HandoffDetails = z.infer<typeof handoffDetails>

/** What an entry is about, with personal data, as the hub knows it now. */
export type DescribeEntry = (entry: Entry) => Promise<HandoffDetails>

const entryFields = { entry: z.string().describe('Id of the ledger entry') }

const handoff = z.object({
  type: z.literal('lead.handoff'),
  timestamp: z.string().describe('When it was committed, ISO 8601'),
  data: handoffDetails.extend(entryFields),
})

const outcome = z.object({
  type: z.literal('lead.outcome'),
  timestamp: z.string(),
  data: handoffDetails.extend({
    ...entryFields,
    outcome: z.enum(['won', 'lost']),
    reason: known('Why, in a word'),
  }),
})

const sale = z.object({
  type: z.literal('sale.registered'),
  timestamp: z.string(),
  data: z.object({
    ...entryFields,
    event_id: known('The terminal’s'),
    dealer: z.string(),
    region: known('Of the dealer'),
    serial: z.string(),
    model: z.string(),
    price: z.number().int().describe('Whole units of the currency'),
    currency: z.string(),
    sold_at: z.string(),
    channel: known('Where the customer came from'),
    lead: known('Id of the lead it came of'),
    customer: customer.nullable(),
    flags: z.array(z.string()).describe('For people to look at: diversion, model_mismatch, below_map'),
  }),
})

/** One body of the webhook. */
export const crmEvent = z.discriminatedUnion('type', [handoff, outcome, sale])
export type CrmEvent = z.infer<typeof crmEvent>
export type CrmHandoff = z.infer<typeof handoff>
export type CrmEventType = CrmEvent['type']

const TYPES: Readonly<Record<string, CrmEventType>> = {
  'lead.claimed': 'lead.handoff',
  'lead.won': 'lead.outcome',
  'lead.lost': 'lead.outcome',
  'sale.registered': 'sale.registered',
}

/** As what a CRM hears of an entry of this type; null: not at all. */
export const crmEventType = (entryType: string): CrmEventType | null => TYPES[entryType] ?? null

/** What must be told in order: all of one lead. A sale without a lead stands alone. */
export function crmOrderKey({ entry, data }: Pick<Entry, 'entry' | 'data'>): string {
  const lead = data.lead ?? data.lead_id
  return typeof lead === 'string' ? `lead/${lead}` : `entry/${entry}`
}

/** An entry as a CRM hears of it; null when it is not told of this type. */
export function crmEventOf(entry: Entry, details: HandoffDetails): CrmEvent | null {
  const about = { timestamp: entry.at }
  const data = { entry: entry.entry, ...details }
  switch (entry.type) {
    case 'lead.claimed':
      return { type: 'lead.handoff', ...about, data }
    case 'lead.won':
    case 'lead.lost': {
      const { reason } = entry.data
      return {
        type: 'lead.outcome',
        ...about,
        data: {
          ...data,
          outcome: entry.type === 'lead.won' ? 'won' : 'lost',
          reason: typeof reason === 'string' ? reason : null,
        },
      }
    }
    case 'sale.registered':
      return { type: 'sale.registered', ...about, data: saleOf(entry, details) }
    default:
      return null
  }
}

function saleOf({ entry, data }: Entry, details: HandoffDetails): z.infer<typeof sale>['data'] {
  const made = data as unknown as SaleEntry &
    Required<Pick<SaleEntry, 'serial' | 'model' | 'price' | 'currency'>>
  return {
    entry,
    event_id: made.event_id,
    dealer: made.dealer,
    region: made.region ?? null,
    serial: made.serial,
    model: made.model,
    price: made.price,
    currency: made.currency,
    sold_at: made.sold_at as string,
    channel: made.channel ?? null,
    lead: made.lead_id ?? null,
    customer: details.customer,
    flags: made.flags ?? [],
  }
}
