/**
 * `/api/v1/spend` and `/api/v1/activities`: what was spent and done. A POST reports, corrects (the same id with other
 * content) or takes back (`void`); it goes the way that everything takes. A GET lists what stands now; what stood before is
 * in the ledger. A dealer's token reports and sees its own dealer only.
 */
import { z } from 'zod'
import {
  type ActivityFacts,
  activityReport,
  activityVoid,
  REPORT_OUTCOMES,
  reportAnswer,
  SPEND_KINDS,
  type SpendFacts,
  spendReport,
  spendVoid,
} from '../../contract/economics.ts'
import type { FieldError } from '../../contract/receipts.ts'
import { HEAD_OFFICE, portalTopic } from '../../contract/topics.ts'
import type { Decode } from '../../decode.ts'
import { activitiesIndex, activityKey, type ReportDoc, spendKey, spendsIndex } from '../../documents.ts'
import { type Key, SHARDS, type Shard } from '../../store/keys.ts'
import { allow, BEARER, callerOf, dealerAskedFor, READERS } from '../access.ts'
import { decodeIndexPlace, encodeIndexPlace, indexSource, pageOf, pageQuery, scan } from '../paging.ts'
import { Problem, problems, unavailable } from '../problem.ts'
import type { App, HttpServices, ReadStore } from '../services.ts'

const SENDERS = ['admin', 'manager', 'dealer'] as const

interface Kind {
  readonly path: string
  readonly topic: 'spend' | 'activity'
  readonly summary: string
  readonly body: z.ZodType
  readonly item: z.ZodObject
  readonly key: (id: string) => Key
  readonly index: (shard: Shard) => Key
  describe(id: string, facts: SpendFacts | ActivityFacts): object
}

const shared = {
  version: z.number().int().describe('1 when first reported, then rising with each correction'),
  initiative: z.string(),
  dealer_id: z.string().nullable(),
  region: z.string().nullable(),
  channel: z.string(),
}

const KINDS: readonly Kind[] = [
  {
    path: '/api/v1/spend',
    topic: 'spend',
    summary: 'Spend',
    body: z.union([spendVoid, spendReport]),
    item: z.object({
      entry_id: z.string(),
      date: z.string(),
      kind: z.enum(SPEND_KINDS),
      amount: z.number().describe('Whole units of the currency'),
      amount_minor: z.number().int().describe('The same in hundredths: to be summed'),
      currency: z.string(),
      ...shared,
    }),
    key: spendKey,
    index: spendsIndex,
    describe(entry_id, facts) {
      const { dealer: dealer_id, amount_minor, ...rest } = facts as SpendFacts
      return { entry_id, dealer_id, amount: amount_minor / 100, amount_minor, ...rest }
    },
  },
  {
    path: '/api/v1/activities',
    topic: 'activity',
    summary: 'Activities',
    body: z.union([activityVoid, activityReport]),
    item: z.object({
      activity_id: z.string(),
      name: z.string(),
      start_date: z.string(),
      end_date: z.string(),
      ...shared,
    }),
    key: activityKey,
    index: activitiesIndex,
    describe(activity_id, facts) {
      const { dealer: dealer_id, ...rest } = facts as ActivityFacts
      return { activity_id, dealer_id, ...rest }
    },
  },
]

const query = z.strictObject({
  ...pageQuery,
  dealer: z.string().min(1).max(64).optional(),
  initiative: z.string().min(1).max(64).optional(),
})

export function reportsRoutes(
  app: App,
  store: ReadStore,
  { accept, decode }: Pick<HttpServices, 'accept'> & { decode: Decode },
): void {
  for (const kind of KINDS) {
    app.post(
      kind.path,
      {
        schema: {
          tags: ['economics'],
          summary: `${kind.summary}: reported, corrected, taken back`,
          description:
            'The id is the sender’s: the same content again changes nothing, other content corrects, ' +
            '`{"<id>": …, "void": true}` takes it back. Takes a token of role admin, manager or dealer; a dealer’s ' +
            'reports are its own.',
          security: BEARER,
          body: z.looseObject({}).describe('As published on the portal’s topic; see asyncapi.yaml'),
          response: {
            200: reportAnswer.describe(`What became of it: ${REPORT_OUTCOMES.join(', ')}`),
            ...problems(400, 401, 403, 422),
          },
        },
        onRequest: allow(store, SENDERS),
      },
      async (request) => {
        const caller = callerOf(request)
        const message = {
          topic: portalTopic(caller.dealer ?? HEAD_OFFICE, kind.topic),
          payload: Buffer.from(JSON.stringify(request.body)),
          sender: caller.role,
        }
        // While somebody waits who can put it right, it is refused and not put into quarantine.
        const decoded = decode(message)
        if (decoded.kind === 'undecodable') throw refused(decoded.errors)
        const answer = await accept(message).catch((cause: unknown) => {
          throw unavailable('It could not be committed now; send it again', cause)
        })
        return reportAnswer.parse(answer)
      },
    )

    app.get(
      kind.path,
      {
        schema: {
          tags: ['economics'],
          summary: `${kind.summary} as they stand now, newest business day first`,
          security: BEARER,
          querystring: query,
          response: { 200: pageOf(kind.item), ...problems(400, 401, 403) },
        },
        onRequest: allow(store, READERS),
      },
      async (request) => {
        const { limit, after, initiative, dealer: asked } = request.query
        const dealer = dealerAskedFor(request, asked)
        const source = indexSource(store, SHARDS.map(kind.index))
        const { items, next } = await scan(
          source,
          decodeIndexPlace(kind.topic, after),
          limit,
          async (members) => {
            const docs = await store.read(members.map(({ member }) => kind.key(member)))
            return docs.map((doc, at) => {
              const report = doc?.value as ReportDoc<SpendFacts | ActivityFacts> | undefined
              if (!report?.now) return null
              if (dealer !== null && report.now.dealer !== dealer) return null
              if (initiative !== undefined && report.now.initiative !== initiative) return null
              return { version: report.version, ...kind.describe(members[at]?.member as string, report.now) }
            })
          },
        )
        return { items, next: next && encodeIndexPlace(kind.topic, next) }
      },
    )
  }
}

const refused = (errors: FieldError[]): Problem =>
  new Problem(422, `Not as it should be: ${errors.map(({ field }) => field).join(', ')}`, { errors })
