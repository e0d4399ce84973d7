/** `GET /api/v1/dealers`: the dealers, and whether they can be asked about a lead now. */
import { z } from 'zod'
import { whyClosed } from '../../deciders/routing.ts'
import { dayOf } from '../../deciders/sale.ts'
import type { Directory } from '../../directory.ts'
import { type DealerRow, dealersIndex } from '../../documents.ts'
import { type ShiftsDoc, shiftsKey, type WonDoc, wonKey } from '../../race-documents.ts'
import { SHARDS } from '../../store/keys.ts'
import type { Doc } from '../../store/store.ts'
import { allow, BEARER, dealerAskedFor, READERS } from '../access.ts'
import { decodeIndexPlace, encodeIndexPlace, indexSource, pageOf, pageQuery, scan } from '../paging.ts'
import { problems } from '../problem.ts'
import type { App, HttpServices, ReadStore } from '../services.ts'

/** Each has seventeen documents to be read. */
const DEALERS_MAX = 200

const dealer = z.object({
  dealer: z.string(),
  name: z.string(),
  region: z.string(),
  lat: z.number(),
  lon: z.number(),
  phone: z.string().nullable().describe('Of the shop'),
  opens: z.string().describe('09:00, hub time zone'),
  closes: z.string(),
  closed_on: z.string().nullable().describe('Weekdays and dates: sun;2026-12-25'),
  open: z.boolean().describe('Now'),
  closed_because: z.enum(['closed', 'holiday']).nullable().describe('closed: outside its hours'),
  reps: z.number().int(),
  reps_on_shift: z.number().int(),
  daily_quota: z.number().int().nullable().describe('Leads it can serve in a day; null: no limit'),
  won_today: z.number().int().nullable().describe('Leads claimed today; null: not counted without a quota'),
})

export function dealersRoutes(
  app: App,
  store: ReadStore,
  readDirectory: () => Promise<Directory>,
  { timezone }: Pick<HttpServices, 'timezone'>,
): void {
  async function describe(rows: readonly DealerRow[], directory: Directory, nowMs: number) {
    const day = dayOf(new Date(nowMs).toISOString(), timezone)
    const keys = rows.flatMap(({ dealer_id }) => [
      shiftsKey(dealer_id),
      ...SHARDS.map((shard) => wonKey(shard, dealer_id, day)),
    ])
    const docs = await store.read(keys)
    const perRow = SHARDS.length + 1
    return rows.map((row, i) => {
      const [shifts, ...won] = docs.slice(i * perRow, (i + 1) * perRow)
      return describeDealer(row, directory, shifts?.value as ShiftsDoc | undefined, countOf(won), {
        nowMs,
        timezone,
      })
    })
  }

  app.get(
    '/api/v1/dealers',
    {
      schema: {
        tags: ['leads'],
        summary: 'Dealers, by id',
        description: 'As the last import has them, and as they are now. A dealer’s token sees itself.',
        security: BEARER,
        querystring: z.strictObject({
          ...pageQuery,
          limit: z.coerce.number().int().min(1).max(DEALERS_MAX).default(100).describe('Items at the most'),
          dealer: z.string().min(1).max(64).optional(),
          region: z.string().min(1).max(200).optional(),
        }),
        response: { 200: pageOf(dealer), ...problems(400, 401, 403) },
      },
      onRequest: allow(store, READERS),
    },
    async (request) => {
      const { after, limit, region } = request.query
      const id = dealerAskedFor(request, request.query.dealer)
      const place = decodeIndexPlace('dealers', after)
      const directory = await readDirectory()
      const isShown = (row: DealerRow) =>
        (id === null || row.dealer_id === id) && (region === undefined || row.region === region)
      const source = indexSource(store, SHARDS.map(dealersIndex))
      const { items, next } = await scan(source, place, limit, (members) =>
        members.map(({ member }) => {
          const row = directory.dealer(member)
          return row !== null && isShown(row) ? row : null
        }),
      )
      return {
        items: await describe(items, directory, Date.now()),
        next: next && encodeIndexPlace('dealers', next),
      }
    },
  )
}

const countOf = (docs: readonly (Doc | null)[]): number =>
  docs.reduce((sum, doc) => sum + ((doc?.value as WonDoc | undefined)?.count ?? 0), 0)

function describeDealer(
  row: DealerRow,
  directory: Directory,
  shifts: ShiftsDoc | undefined,
  won: number,
  { nowMs, timezone }: { readonly nowMs: number; readonly timezone: string },
): z.infer<typeof dealer> {
  const { dealer_id, name, region, lat, lon, phone, opens, closes, daily_quota, attributes } = row
  const closed = whyClosed(row, nowMs, timezone)
  const reps = directory.repsOf(dealer_id)
  return {
    dealer: dealer_id,
    name,
    region,
    lat,
    lon,
    phone,
    opens,
    closes,
    closed_on: attributes?.closed_on ?? null,
    open: closed === null,
    closed_because: closed,
    reps: reps.length,
    reps_on_shift: reps.filter(({ rep_id }) => shifts?.[rep_id]?.on_shift !== false).length,
    daily_quota,
    won_today: daily_quota === null ? null : won,
  }
}
