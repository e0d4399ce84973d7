/**
 * What the hub answers a terminal (CONTRACT, «receipt»). A receipt is a pure function of the ledger entry it is
 * about: the outbox need only remember the entry's id, and any hub can write the same receipt again.
 */
import { z } from 'zod'
import type { Entry } from './ledger.ts'

export const RECEIPT_OUTCOMES = ['registered', 'replayed', 'rejected'] as const
export const RECEIPT_REASONS = ['duplicate_serial', 'unknown_serial', 'wrong_dealer', 'invalid'] as const

export type ReceiptReason = (typeof RECEIPT_REASONS)[number]

export const fieldError = z.object({
  field: z.string().describe('Path of the field, e.g. price; payload when the whole body is meant'),
  expected: z.string(),
  received: z.string(),
})
export type FieldError = z.infer<typeof fieldError>

/** The sale that came first for this serial. */
export const firstSale = z.object({ event_id: z.string(), dealer: z.string(), at: z.string() })
export type FirstSale = z.infer<typeof firstSale>

export const receipt = z
  .object({
    event_id: z.string().nullable().describe('The sale this answers; null when it could not be read'),
    outcome: z.enum(RECEIPT_OUTCOMES),
    reason: z.enum(RECEIPT_REASONS).nullable(),
    errors: z.array(fieldError),
    first: firstSale.nullable(),
    entry: z.string().describe('Ledger id of the entry this is about'),
    committed_at: z.string().describe('Instant of that entry, by the store clock'),
  })
  .describe('The hub’s answer to a sale')
export type Receipt = z.infer<typeof receipt>

/** The receipt for a `sale.registered` or `sale.rejected` entry; `replayed` when the sale had come before. */
export function receiptFor(
  entry: Pick<Entry, 'entry' | 'at' | 'type' | 'data'>,
  { replayed = false } = {},
): Receipt {
  const { event_id, reason, errors, first } = entry.data as Partial<Receipt>
  const outcome = entry.type === 'sale.registered' ? 'registered' : 'rejected'
  return {
    event_id: event_id ?? null,
    outcome: replayed ? 'replayed' : outcome,
    reason: reason ?? null,
    errors: errors ?? [],
    first: first ?? null,
    entry: entry.entry,
    committed_at: entry.at,
  }
}
