/**
 * What the hub publishes to `hub/v1/live/…` for pages and dashboards: ledger and telemetry entries as they come, in
 * the ledger's form `{"entry", "at", "type", "data"}`, with only the fields named here. No personal data: no customer
 * id, no id of a message or a click (a provider's id of a message has its sender's number in it), no place of a
 * vehicle, nothing repeated from a message that could not be read.
 *
 * At QoS 0: who was not listening, or could not keep up, reads `/api/v1/ledger`.
 */
import { z } from 'zod'
import { CHANNELS } from './events.ts'
import { type LeadEntryType, leadEntries } from './leads.ts'
import { ALERT_CAUSES, type Entry } from './ledger.ts'
import { RECEIPT_REASONS } from './receipts.ts'
import type { LiveFeed } from './topics.ts'

const sender = { dealer: z.string(), device: z.string() }

const first = z
  .object({ event_id: z.string(), dealer: z.string(), at: z.string() })
  .describe('The sale that came first for this serial')

const saleData = z.object({
  event_id: z.string().nullable(),
  ...sender,
  region: z.string().optional(),
  serial: z.string().optional(),
  model: z.string().optional(),
  price: z.number().int().optional().describe('Whole units of the currency'),
  currency: z.string().optional(),
  sold_at: z.string().optional(),
  channel: z.enum(CHANNELS).optional(),
  verified: z.boolean().optional().describe('The serial stands in the registration ledger'),
  flags: z.array(z.enum(['diversion', 'model_mismatch', 'below_map'])).optional(),
  reason: z.enum(RECEIPT_REASONS).nullable().optional(),
  first: first.nullable().optional(),
})

const alertData = z.object({
  tier: z.enum(['P0', 'P1', 'P2']),
  cause: z.enum(ALERT_CAUSES),
  dealer: z.string().optional().describe('Of a sale: who reported it. Of a lead: who held it'),
  device: z.string().optional(),
  serial: z.string().optional(),
  event_id: z.string().optional().describe('Of the sale'),
  first: first.optional(),
  lead: z.string().optional(),
  rep: z.string().optional().describe('Who held the lead'),
})

const healthData = z.object({
  ...sender,
  at: z.string().nullable().describe('By the device’s own clock; null when it sent no time'),
  online: z.boolean(),
  uptime_s: z.number().optional(),
  firmware: z.string().optional(),
  queue_depth: z.number().int().optional(),
  rssi_dbm: z.number().optional(),
})

const statusData = z.object({
  ...sender,
  at: z.string().describe('By the vehicle’s own clock'),
  serial: z.string(),
  state: z.enum(['parked', 'riding', 'charging', 'fault']),
  fault_code: z.string().optional(),
  battery_pct: z.number(),
  odometer_km: z.number(),
})

const live = <const Type extends string, Data extends z.ZodType>(types: readonly Type[], data: Data) =>
  z.object({
    entry: z.string().describe('The entry’s id, unique within the ledger, and within the telemetry'),
    at: z.string().describe('When it was committed, by the store’s clock'),
    type: z.enum(types),
    data,
  })

const LEAD_FIELDS = [
  'lead',
  'source',
  'bridge',
  'area',
  'model',
  'intent',
  'when',
  'channel',
  'campaign',
  'round',
  'ring',
  'offers',
  'skipped',
  'until',
  'dealer',
  'rep',
  'offered_at',
  'distance_km',
  'rings',
  'serial',
  'sale',
  'matched_by',
] as const
type Shown<Data> =
  Data extends z.ZodObject<infer Shape>
    ? z.ZodObject<Pick<Shape, Extract<keyof Shape, (typeof LEAD_FIELDS)[number]>>>
    : never

/** An entry's own data, as far as it is shown. */
function shown<Type extends LeadEntryType>(type: Type): Shown<(typeof leadEntries)[Type]> {
  const { shape }: { shape: Record<string, z.ZodType> } = leadEntries[type]
  const fields = LEAD_FIELDS.filter((field) => field in shape)
  return z.object(Object.fromEntries(fields.map((field) => [field, shape[field]]))) as never
}

const liveLeadOf = <const Type extends LeadEntryType>(type: Type) => live([type], shown(type))

/** The steps of a race that people watch. */
export const liveLead = z
  .discriminatedUnion('type', [
    liveLeadOf('lead.created'),
    liveLeadOf('lead.offered'),
    liveLeadOf('lead.waiting'),
    liveLeadOf('lead.claimed'),
    liveLeadOf('lead.too_slow'),
    liveLeadOf('lead.contacted'),
    liveLeadOf('lead.demo'),
    liveLeadOf('lead.won'),
    liveLeadOf('lead.lost'),
    liveLeadOf('lead.widened'),
    liveLeadOf('lead.released'),
    liveLeadOf('lead.expired'),
    liveLeadOf('lead.sold'),
    liveLeadOf('lead.unsold'),
  ])
  .describe('A step of a lead’s race')
export const liveSale = live(['sale.registered', 'sale.rejected'], saleData).describe('A sale was decided')
export const liveAlert = live(['alert.raised'], alertData).describe('Something for people to look at')
export const liveHealth = live(['device.health'], healthData).describe('A device reported how it is')
export const liveStatus = live(['vehicle.status'], statusData).describe('A vehicle reported how it is')

const FEEDS: Readonly<Record<string, { feed: LiveFeed; fields: readonly string[] }>> = {
  ...Object.fromEntries(
    liveLead.options.flatMap(({ shape: { type, data } }) =>
      type.options.map((name) => [
        name,
        { feed: 'leads', fields: Object.keys((data as z.ZodObject).shape) } as const,
      ]),
    ),
  ),
  'sale.registered': { feed: 'sales', fields: Object.keys(saleData.shape) },
  'sale.rejected': { feed: 'sales', fields: Object.keys(saleData.shape) },
  'alert.raised': { feed: 'alerts', fields: Object.keys(alertData.shape) },
  'device.health': { feed: 'devices', fields: Object.keys(healthData.shape) },
  'vehicle.status': { feed: 'devices', fields: Object.keys(statusData.shape) },
}

export interface LiveMessage {
  readonly feed: LiveFeed
  readonly payload: Pick<Entry, 'entry' | 'at' | 'type' | 'data'>
}

/** What an entry is to people who watch, or null: nothing. */
export function liveMessage({ entry, at, type, data }: Entry): LiveMessage | null {
  const found = FEEDS[type]
  if (found === undefined) return null
  const shown: Record<string, unknown> = {}
  for (const field of found.fields) if (data[field] !== undefined) shown[field] = data[field]
  return { feed: found.feed, payload: { entry, at, type, data: shown } }
}
