/** `GET /api/v1/sales`: sales as they were decided, out of the ledger. */
import { z } from 'zod'
import type { Entry, SaleEntry } from '../../contract/ledger.ts'
import { fieldError, firstSale, RECEIPT_REASONS } from '../../contract/receipts.ts'
import { START } from '../../store/store.ts'
import { allow, BEARER, dealerAskedFor, READERS } from '../access.ts'
import { decodeCursor, encodeCursor, entrySource, pageOf, pageQuery, scan } from '../paging.ts'
import { problems } from '../problem.ts'
import type { App, ReadStore } from '../services.ts'

const FLAGS = ['diversion', 'model_mismatch', 'below_map'] as const
const OUTCOMES = ['registered', 'rejected'] as const

/** Texts stay texts: a newer hub on the same store may have written what this one has no word for. */
export const saleItem = z
  .object({
    entry: z.string().describe('Id of its ledger entry'),
    at: z.string().describe('When it was decided, by the store’s clock'),
    outcome: z.enum(OUTCOMES),
    reason: z
      .string()
      .nullable()
      .describe(`Why it was rejected, or flagged: ${RECEIPT_REASONS.join(', ')}`),
    event_id: z.string().nullable().describe('Null when it could not be read'),
    dealer: z.string(),
    device: z.string(),
    serial: z.string().optional(),
    model: z.string().optional(),
    price: z.number().int().optional().describe('Whole units of the currency'),
    currency: z.string().optional(),
    sold_at: z.string().optional(),
    channel: z.string().optional(),
    lead_id: z.string().optional(),
    customer: z.string().optional().describe('Pseudonym of the buyer'),
    seq: z.number().int().optional(),
    region: z.string().optional().describe('Of the selling dealer'),
    verified: z.boolean().optional().describe('The serial stands in the registration ledger'),
    flags: z
      .array(z.string())
      .optional()
      .describe(`Registered, and for people to look at: ${FLAGS.join(', ')}`),
    allotted_dealer: z.string().optional().describe('With diversion: the dealer it was meant for'),
    allotted_model: z.string().optional().describe('With model_mismatch: the registration ledger’s'),
    map: z.number().int().optional().describe('With below_map: the minimum advertised price'),
    first: firstSale.nullable().optional(),
    errors: z.array(fieldError).optional(),
    quarantine: z.string().optional().describe('Rejected as invalid: where its bytes are kept'),
  })
  .describe('A sale as it was decided')

export type SaleItem = z.infer<typeof saleItem>

/** An entry as a sale, or null when it is about something else. */
export function saleOf({ entry, at, type, data }: Entry): SaleItem | null {
  if (type !== 'sale.registered' && type !== 'sale.rejected') return null
  const sale = data as unknown as SaleEntry
  const outcome = type === 'sale.registered' ? 'registered' : 'rejected'
  return { ...sale, reason: sale.reason ?? null, entry, at, outcome }
}

const query = z.strictObject({
  ...pageQuery,
  order: z.enum(['desc', 'asc']).default('desc').describe('desc: newest first'),
  dealer: z.string().min(1).max(64).optional(),
  device: z.string().min(1).max(64).optional(),
  model: z.string().min(1).max(64).optional(),
  channel: z.string().min(1).max(64).optional(),
  outcome: z.enum(OUTCOMES).optional(),
  reason: z.enum(RECEIPT_REASONS).optional(),
  flag: z.enum(FLAGS).optional(),
})

/** Filters that compare one field. */
const FIELDS = ['device', 'model', 'channel', 'outcome', 'reason'] as const

export function salesRoutes(app: App, store: ReadStore): void {
  app.get(
    '/api/v1/sales',
    {
      schema: {
        tags: ['sales'],
        summary: 'Sales as they were decided, newest first',
        description:
          'Filters are combined. One request looks at ten thousand ledger entries at the most: a page may hold ' +
          'fewer sales than its limit, even none, and still have a `next`. All about one serial is at ' +
          '`/api/v1/serials/{serial}`. A dealer’s token sees its own sales.',
        security: BEARER,
        querystring: query,
        response: { 200: pageOf(saleItem), ...problems(400, 401, 403) },
      },
      onRequest: allow(store, READERS),
    },
    async (request) => {
      const { after, limit, order, flag, ...asked } = request.query
      const dealer = dealerAskedFor(request, asked.dealer)
      const list = `sales-${order}`
      const from = after === undefined ? START : decodeCursor(list, after)
      const isShown = (sale: SaleItem) =>
        (dealer === null || sale.dealer === dealer) &&
        (flag === undefined || sale.flags?.includes(flag) === true) &&
        FIELDS.every((field) => asked[field] === undefined || sale[field] === asked[field])
      const { items, next } = await scan(entrySource(store, order), from, limit, (entries) =>
        entries.map((entry) => {
          const sale = saleOf(entry)
          return sale !== null && isShown(sale) ? sale : null
        }),
      )
      return { items, next: next && encodeCursor(list, next) }
    },
  )
}
