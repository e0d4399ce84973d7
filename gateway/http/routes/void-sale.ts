/** `POST /api/v1/sales/{entry}/void`: takes a registered sale back; its serial may be sold again. */
import { z } from 'zod'
import type { EconomicsEntry } from '../../contract/economics.ts'
import type { SaleEntry } from '../../contract/ledger.ts'
import { internalMessage } from '../../decode/internal.ts'
import { allow, BEARER } from '../access.ts'
import { Problem, problems, unavailable } from '../problem.ts'
import type { App, HttpServices, ReadStore } from '../services.ts'

export function voidSaleRoutes(app: App, store: ReadStore, { accept }: Pick<HttpServices, 'accept'>): void {
  app.post(
    '/api/v1/sales/:entry/void',
    {
      schema: {
        tags: ['sales'],
        summary: 'Takes a registered sale back',
        description:
          'The ledger keeps the sale and gets an entry that takes it back; figures of its day change, and say since ' +
          'when. The serial may be sold again. Again: the same answer. For admins and managers.',
        security: BEARER,
        params: z.object({ entry: z.string().describe('Ledger id of the sale') }),
        body: z.strictObject({
          reason: z.string().trim().min(1).max(200).describe('For people; no personal data'),
        }),
        response: {
          200: z.object({ voided: z.string().describe('Ledger id of the sale') }),
          ...problems(400, 401, 403, 404, 409),
        },
      },
      onRequest: allow(store, ['admin', 'manager']),
    },
    async (request) => {
      const { entry: id } = request.params
      const entry = await store.entry('ledger', id)
      if (entry?.type !== 'sale.registered') throw new Problem(404, `There is no registered sale ${id}`)
      const facts = factsOf(id, entry.data as unknown as SaleEntry, request.body.reason)
      const answer = await accept(internalMessage('void', { facts })).catch((cause: unknown) => {
        throw unavailable('It could not be committed now; send it again', cause)
      })
      if (answer === null) throw new Problem(409, `Sale ${id} is void, and its serial was sold again since`)
      return answer as { voided: string }
    },
  )
}

function factsOf(sale: string, said: SaleEntry, reason: string): EconomicsEntry<'sale.voided'> {
  const { serial, dealer, region, channel, model, price, currency, sold_at, verified, flags, lead_id } =
    said as Required<SaleEntry>
  return {
    sale,
    serial,
    dealer,
    ...(region !== undefined && { region }),
    ...(channel !== undefined && { channel: channel as EconomicsEntry<'sale.voided'>['channel'] }),
    model: said.allotted_model ?? model,
    price,
    currency,
    sold_at,
    verified,
    flags,
    lead: lead_id ?? null,
    reason,
  }
}
