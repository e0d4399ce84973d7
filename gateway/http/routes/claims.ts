/** `GET /api/v1/claims`: who won which lead, and how soon. */
import { z } from 'zod'
import { LEAD_STATES, type LeadEntry } from '../../contract/leads.ts'
import type { Directory } from '../../directory.ts'
import { type LeadDoc, leadKey } from '../../race-documents.ts'
import { claimOutcome, secondsBetween } from '../../race-timeline.ts'
import { START } from '../../store/store.ts'
import { allow, BEARER, dealerAskedFor, READERS } from '../access.ts'
import { decodeCursor, encodeCursor, entrySource, pageOf, pageQuery, scan } from '../paging.ts'
import { problems } from '../problem.ts'
import type { App, ReadStore } from '../services.ts'

const OUTCOMES = ['CLAIMED', 'CONTACTED', 'DEMO', 'WON', 'LOST', 'RELEASED'] as const

export const claimItem = z
  .object({
    entry: z.string().describe('Id of its ledger entry'),
    lead: z.string(),
    round: z.number().int().describe('1; each release begins another'),
    dealer: z.string(),
    rep: z.string(),
    rep_name: z.string().nullable().describe('Null when the directory no longer has them'),
    at: z.string().describe('When it was won, by the store’s clock'),
    time_to_claim_s: z.number().describe('Since the newest ring was asked'),
    distance_km: z.number().describe('From the dealer to the customer'),
    outcome: z.string().describe(`What became of it so far: ${OUTCOMES.join(', ')} (not in touch in time)`),
  })
  .describe('A tap that won')
export type ClaimItem = z.infer<typeof claimItem>

/** @param entry a `lead.claimed`; @param lead the lead as it is now */
export function describeClaim(
  { entry, at, data }: { readonly entry: string; readonly at: string; readonly data: object },
  lead: LeadDoc,
  directory: Directory,
): ClaimItem {
  const { round, dealer, rep, offered_at, distance_km } = data as LeadEntry<'lead.claimed'>
  return {
    entry,
    lead: lead.lead,
    round,
    dealer,
    rep,
    rep_name: directory.rep(rep)?.name ?? null,
    at,
    time_to_claim_s: secondsBetween(offered_at, Date.parse(at)),
    distance_km,
    outcome: claimOutcome(lead, round),
  }
}

const query = z.strictObject({
  ...pageQuery,
  dealer: z.string().min(1).max(64).optional(),
  rep: z.string().min(1).max(64).optional(),
  outcome: z.enum([...LEAD_STATES, 'RELEASED']).optional(),
})

export function claimsRoutes(app: App, store: ReadStore, readDirectory: () => Promise<Directory>): void {
  app.get(
    '/api/v1/claims',
    {
      schema: {
        tags: ['leads'],
        summary: 'Claims, newest first',
        description:
          'Filters are combined. One request looks at ten thousand ledger entries at the most: a page may hold fewer ' +
          'claims than its limit, even none, and still have a `next`. A dealer’s token sees its own claims.',
        security: BEARER,
        querystring: query,
        response: { 200: pageOf(claimItem), ...problems(400, 401, 403) },
      },
      onRequest: allow(store, READERS),
    },
    async (request) => {
      const { after, limit, rep, outcome } = request.query
      const dealer = dealerAskedFor(request, request.query.dealer)
      const from = after === undefined ? START : decodeCursor('claims', after)
      const directory = await readDirectory()
      const { items, next } = await scan(entrySource(store, 'desc'), from, limit, async (entries) => {
        const shown = entries.map(
          ({ type, data }) =>
            type === 'lead.claimed' &&
            (dealer === null || data.dealer === dealer) &&
            (rep === undefined || data.rep === rep),
        )
        const ids = entries.filter((_, i) => shown[i]).map(({ data }) => data.lead as string)
        const leads = new Map<string, LeadDoc>()
        for (const doc of await store.read([...new Set(ids)].map(leadKey))) {
          if (doc !== null) leads.set((doc.value as LeadDoc).lead, doc.value as LeadDoc)
        }
        return entries.map((entry, i) => {
          const lead = shown[i] ? leads.get(entry.data.lead as string) : undefined
          const claim = lead === undefined ? null : describeClaim(entry, lead, directory)
          return outcome === undefined || claim?.outcome === outcome ? claim : null
        })
      })
      return { items, next: next && encodeCursor('claims', next) }
    },
  )
}
