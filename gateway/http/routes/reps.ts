/** `GET /api/v1/reps`: the dealers' reps, who of them is on shift, and who may be written to freely. */
import { z } from 'zod'
import { isWindowOpen } from '../../deciders/lead.ts'
import type { Directory } from '../../directory.ts'
import { LANGUAGES, type RepRow, repsIndex } from '../../documents.ts'
import { type ShiftsDoc, shiftsKey } from '../../race-documents.ts'
import { SHARDS } from '../../store/keys.ts'
import { allow, BEARER, callerOf, dealerAskedFor, READERS } from '../access.ts'
import { decodeIndexPlace, encodeIndexPlace, indexSource, pageOf, pageQuery, scan } from '../paging.ts'
import { problems } from '../problem.ts'
import type { App, ReadStore } from '../services.ts'

const DAY_MS = 24 * 3_600_000

const rep = z.object({
  rep: z.string(),
  dealer: z.string(),
  name: z.string(),
  phone: z.string().nullable().describe('Null for analysts'),
  language: z.enum(LANGUAGES),
  on_shift: z.boolean().describe('Whether they are asked; until they say otherwise, they are'),
  bridge: z.string().nullable().describe('Where they wrote from last; null: never heard of'),
  last_inbound_at: z.string().nullable(),
  window_until: z
    .string()
    .nullable()
    .describe('End of the 24 hours since they last wrote; offers after it go by template'),
  window_open: z.boolean(),
})

const query = z.strictObject({
  ...pageQuery,
  dealer: z.string().min(1).max(64).optional(),
  on_shift: z.stringbool().optional(),
})

export function repsRoutes(app: App, store: ReadStore, readDirectory: () => Promise<Directory>): void {
  app.get(
    '/api/v1/reps',
    {
      schema: {
        tags: ['leads'],
        summary: 'Reps, by id',
        description:
          'As the last import has them, and as they checked in. A dealer’s token sees its own reps.',
        security: BEARER,
        querystring: query,
        response: { 200: pageOf(rep), ...problems(400, 401, 403) },
      },
      onRequest: allow(store, READERS),
    },
    async (request) => {
      const { after, limit, on_shift } = request.query
      const { role } = callerOf(request)
      const dealer = dealerAskedFor(request, request.query.dealer)
      const place = decodeIndexPlace('reps', after)
      const directory = await readDirectory()
      const source = indexSource(store, SHARDS.map(repsIndex))
      const { items, next } = await scan(source, place, limit, async (members) => {
        const rows = members.map(({ member }) => directory.rep(member))
        const isShown = (row: RepRow) => dealer === null || row.dealer_id === dealer
        const dealers = [...new Set(rows.filter((row) => row !== null && isShown(row)).map(dealerOf))]
        const docs = await store.read(dealers.map(shiftsKey))
        const shifts = new Map(dealers.map((id, i) => [id, docs[i]?.value as ShiftsDoc | undefined]))
        return rows.map((row) => {
          if (row === null || !isShown(row)) return null
          const item = describeRep(row, shifts.get(row.dealer_id)?.[row.rep_id], Date.now())
          if (on_shift !== undefined && item.on_shift !== on_shift) return null
          return role === 'analyst' ? { ...item, phone: null } : item
        })
      })
      return { items, next: next && encodeIndexPlace('reps', next) }
    },
  )
}

const dealerOf = (row: RepRow | null): string => row?.dealer_id ?? ''

function describeRep(
  { rep_id, dealer_id, name, phone, language }: RepRow,
  shift: ShiftsDoc[string] | undefined,
  nowMs: number,
): z.infer<typeof rep> {
  const last = shift?.last_inbound_at ?? null
  return {
    rep: rep_id,
    dealer: dealer_id,
    name,
    phone,
    language,
    on_shift: shift?.on_shift !== false,
    bridge: shift?.contact?.bridge ?? null,
    last_inbound_at: last,
    window_until: last === null ? null : new Date(Date.parse(last) + DAY_MS).toISOString(),
    window_open: isWindowOpen(last, nowMs),
  }
}
