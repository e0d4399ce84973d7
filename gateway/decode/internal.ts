/**
 * What the hub tells itself, by the one way that everything takes: a timer is due, a sale belongs to a lead, is void. No outsider
 * may publish there (`broker/access.ts`), so what does not decode is a fault of the hub's own, and is kept in quarantine.
 */
import { z } from 'zod'
import { type EconomicsEntry, economicsEntries } from '../contract/economics.ts'
import { soldFacts } from '../contract/leads.ts'
import { internalTopic } from '../contract/topics.ts'
import { type Decoded, type Inbound, undecodable } from '../decode.ts'
import { TIMERS } from '../race-documents.ts'
import { explain, parseJson } from './fields.ts'

const timer = z.object({ timer: z.enum(TIMERS), lead: z.string(), n: z.number().int() })
export interface TimerDue extends z.infer<typeof timer> {
  readonly kind: 'timer'
}

const sold = z.object({
  sale: z.string().describe('Entry of the sale'),
  serial: z.string(),
  dealer: z.string(),
  lead_id: z.string().nullable(),
  customer: z.string().nullable(),
  facts: soldFacts.optional(),
})
export interface Sold extends z.infer<typeof sold> {
  readonly kind: 'sold'
}

const unsold = sold.pick({ sale: true, lead_id: true, customer: true })
export interface Unsold extends z.infer<typeof unsold> {
  readonly kind: 'unsold'
}

export interface VoidSale {
  readonly kind: 'void_sale'
  readonly facts: EconomicsEntry<'sale.voided'>
}

const SCHEMAS: Readonly<
  Record<string, { kind: 'timer' | 'sold' | 'unsold' | 'void_sale'; schema: z.ZodType }>
> = {
  [internalTopic('timer')]: { kind: 'timer', schema: timer },
  [internalTopic('sold')]: { kind: 'sold', schema: sold },
  [internalTopic('unsold')]: { kind: 'unsold', schema: unsold },
  [internalTopic('void')]: {
    kind: 'void_sale',
    schema: z.object({ facts: economicsEntries['sale.voided'] }),
  },
}
const BYTES_MAX = 4096

/** @returns null when the topic is none of these */
export function decodeInternal(inbound: Inbound): Decoded | null {
  const found = SCHEMAS[inbound.topic]
  if (found === undefined) return null
  const parsed = parseJson(inbound.payload, BYTES_MAX)
  if (parsed.error !== null) return undecodable(inbound, [parsed.error])
  const result = found.schema.safeParse(parsed.value)
  if (result.success)
    return { kind: found.kind, ...(result.data as object) } as TimerDue | Sold | Unsold | VoidSale
  return undecodable(
    inbound,
    result.error.issues.map((issue) => explain(issue, parsed.value)),
  )
}

/** What the hub tells itself, as a message like any other. */
export const internalMessage = (kind: 'timer' | 'sold' | 'unsold' | 'void', body: object): Inbound => ({
  topic: internalTopic(kind),
  sender: 'hub',
  payload: Buffer.from(JSON.stringify(body)),
})
