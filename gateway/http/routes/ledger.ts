/** `GET /api/v1/ledger`: the ledger as it was written, oldest first. */
import { z } from 'zod'
import type { Entry } from '../../contract/ledger.ts'
import { parseDeviceId } from '../../contract/topics.ts'
import { START } from '../../store/store.ts'
import { allow, BEARER, callerOf, READERS } from '../access.ts'
import { decodeCursor, encodeCursor, entrySource, pageOf, pageQuery, scan } from '../paging.ts'
import { problems } from '../problem.ts'
import type { App, ReadStore } from '../services.ts'

const entry = z.object({
  entry: z.string().describe('The entry’s id, unique for good'),
  at: z.string().describe('When it was committed, by the store’s clock'),
  type: z.string().describe('sale.registered, sale.rejected, alert.raised, message.quarantined, …'),
  data: z.record(z.string(), z.unknown()).describe('The event’s own fields'),
})

const query = z.strictObject({
  ...pageQuery,
  after: pageQuery.after.describe('Cursor: next of the page before; end: only what comes from now on'),
  type: z.string().min(1).max(64).optional().describe('Only entries of this type'),
})

/** In place of a cursor. */
const END = 'end'

export function ledgerRoutes(app: App, store: ReadStore): void {
  app.get(
    '/api/v1/ledger',
    {
      schema: {
        tags: ['ledger'],
        summary: 'Everything that happened, oldest first',
        description:
          'Entries are never edited and never removed. To follow the ledger, keep the last `next` that was not ' +
          'null and ask again with it. A dealer’s token sees the entries of its own dealer.',
        security: BEARER,
        querystring: query,
        response: { 200: pageOf(entry), ...problems(400, 401, 403) },
      },
      onRequest: allow(store, READERS),
    },
    async (request) => {
      const { after, limit, type } = request.query
      const { dealer } = callerOf(request)
      if (after === END) return { items: [], next: encodeCursor('ledger', await store.end('ledger')) }
      const from = after === undefined ? START : decodeCursor('ledger', after)
      const isShown = (found: Entry) =>
        (type === undefined || found.type === type) && (dealer === null || dealerOf(found) === dealer)
      const { items, next } = await scan(entrySource(store, 'asc'), from, limit, (entries) =>
        entries.map((found) => (isShown(found) ? found : null)),
      )
      return { items, next: next && encodeCursor('ledger', next) }
    },
  )
}

/** Whose entry this is; null when it is nobody's in particular. */
function dealerOf({ data }: Entry): string | null {
  if (typeof data.dealer === 'string') return data.dealer
  return typeof data.sender === 'string' ? (parseDeviceId(data.sender)?.dealer ?? null) : null
}
