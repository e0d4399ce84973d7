/**
 * `GET /api/v1/analytics/…`: the unit economics. What figures mean is in `analytics/variables.ts` and `docs/analysts.md`.
 * A dealer's token gets the figures of its own dealer: its spend, its activities, the leads it holds, what it sold.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { CHANNELS } from '../../contract/events.ts'
import type { ExportCell, ExportColumn, ExportTable, ExportType } from '../../contract/export-table.ts'
import {
  type Asked,
  ATTRIBUTIONS,
  burnAndLeads,
  channelFigures,
  channelsAnswer,
  costPerLeadAnswer,
  DIMENSIONS,
  type Economics,
  flowAnswer,
  type Ratio,
  restatedAnswer,
  type Variables,
  variables,
  variablesAnswer,
} from '../../contract/figures.ts'
import { allow, BEARER, dealerAskedFor, READERS } from '../access.ts'
import { csvOf } from '../downloads.ts'
import { askFigures } from '../metrics-guard.ts'
import { invalidParameter, problems } from '../problem.ts'
import type { App, ReadStore } from '../services.ts'

const DAY_MS = 86_400_000
/** Three years and a bit. */
const DAYS_MAX = 1100
/** Rows by day are many: a year, and the one before to compare. */
const DAYS_BY_DAY_MAX = 400
const VALUES_MAX = 200

const list = (text: string) => text.split(',').filter((name) => name !== '')
const values = (what: string) =>
  z
    .string()
    .max(4000)
    .transform(list)
    .refine((found) => found.length <= VALUES_MAX, { error: `at most ${VALUES_MAX} values` })
    .optional()
    .describe(`${what}, separated by commas; none for none`)

const period = {
  from: z.iso.date().describe('First business day, hub time zone'),
  to: z.iso.date().describe('Last business day, included'),
}
const filters = {
  dealer: values('Dealers'),
  region: values('Regions'),
  initiative: values('Initiatives'),
  channel: values(`Channels: ${CHANNELS.join(', ')}`),
}
const flag = z.enum(['true', 'false']).optional()
const common = {
  ...period,
  ...filters,
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, 'an ISO 4217 code such as IDR')
    .default('IDR')
    .describe('The only one whose money is counted'),
  attribution: z
    .enum(ATTRIBUTIONS)
    .default('first_touch')
    .describe('To which channel leads and their sales belong'),
  known_at: z.iso
    .datetime({ offset: true })
    .optional()
    .describe(
      'As the ledger knew it by then: late sales, voids and corrections that came later do not count',
    ),
  explain: flag.describe('true: also what was asked of the metrics, and the ledger entries behind'),
  format: z.enum(['json', 'csv']).optional().describe('csv, or Accept: text/csv: a table without the rest'),
}
const query = z.strictObject(common)
type Query = z.infer<typeof query>

const variablesQuery = z.strictObject({
  ...common,
  by: z
    .string()
    .max(200)
    .transform(list)
    .pipe(z.array(z.enum(DIMENSIONS)))
    .default([])
    .describe(`Any of ${DIMENSIONS.join(', ')}, separated by commas; without it, one row for all`),
  compare: z.enum(['previous']).optional().describe('Also the figures of the period before'),
})

const restatedQuery = z.strictObject({
  ...period,
  ...filters,
  since: z.iso
    .datetime({ offset: true })
    .describe('What has changed since then of days that were closed by then'),
})

export function analyticsRoutes(app: App, store: ReadStore, economics: Economics): void {
  const onRequest = allow(store, READERS)
  const documented = <Answer extends z.ZodType>(summary: string, description: string, answer: Answer) => ({
    tags: ['economics'],
    summary,
    description: `${description} Money is whole numbers of minor units (a hundredth of the currency’s unit).`,
    security: BEARER,
    response: { 200: answer, ...problems(400, 401, 403) },
  })

  app.get(
    '/api/v1/analytics/variables',
    {
      schema: {
        ...documented(
          'The ten variables, by any combination of dimensions',
          'Groups in which nothing stands are left out.',
          variablesAnswer,
        ),
        querystring: variablesQuery,
      },
      onRequest,
    },
    async (request, reply) => {
      const { by, compare, ...rest } = request.query
      const repeated = by.find((name, i) => by.indexOf(name) !== i)
      if (repeated !== undefined) throw invalidParameter('by', 'each dimension once', by.join(','))
      const asked = { ...askedOf(request, rest, by.includes('day') ? DAYS_BY_DAY_MAX : DAYS_MAX), by }
      const answer = await askFigures(() =>
        economics.variables({ ...asked, compare: compare === 'previous' }),
      )
      if (!wantsCsv(request)) return answer
      const rows = answer.rows.map((row) => [
        ...by.map((name) => row.by[name] ?? ''),
        ...cellsOf(row.variables),
      ])
      return sendTable(reply, 'variables', by, variables.shape, asked.currency, rows)
    },
  )

  app.get(
    '/api/v1/analytics/cpl',
    {
      schema: {
        ...documented(
          'Cost per lead: each month, and the trend by day',
          'Everything that was spent, over the verified unique leads that came. Without leads it is undefined (null).',
          costPerLeadAnswer,
        ),
        querystring: query,
      },
      onRequest,
    },
    async (request, reply) => {
      const asked = askedOf(request, request.query, DAYS_BY_DAY_MAX)
      const answer = await askFigures(() => economics.costPerLead(asked))
      if (!wantsCsv(request)) return answer
      const rows = [
        ...answer.months.map(({ month, ...figures }) => ['month', month, ...cellsOf(figures)]),
        ...answer.days.map(({ day, ...figures }) => ['day', day, ...cellsOf(figures)]),
      ]
      return sendTable(reply, 'cpl', ['of', 'period'], burnAndLeads, asked.currency, rows)
    },
  )

  app.get(
    '/api/v1/analytics/channels',
    {
      schema: {
        ...documented(
          'Channels side by side',
          'Spend, leads, claim rate, time to claim, conversion, cost per lead and per verified sale. Sales without a ' +
            'lead are walk-ins. The rule by which leads and sales belong to channels stands beside the figures.',
          channelsAnswer,
        ),
        querystring: query,
      },
      onRequest,
    },
    async (request, reply) => {
      const asked = askedOf(request, request.query, DAYS_MAX)
      const answer = await askFigures(() => economics.channels(asked))
      if (!wantsCsv(request)) return answer
      const rows = [...answer.channels, { channel: 'total', figures: answer.total }].map(
        ({ channel, figures }) => [channel, ...cellsOf(figures)],
      )
      return sendTable(reply, 'channels', ['channel'], channelFigures.shape, asked.currency, rows)
    },
  )

  app.get(
    '/api/v1/analytics/flow',
    {
      schema: {
        ...documented(
          'Spend → leads → claims → sales, as nodes and links',
          'For a Sankey chart: what flows are leads, and walk-in sales.',
          flowAnswer,
        ),
        querystring: query,
      },
      onRequest,
    },
    async (request, reply) => {
      const answer = await askFigures(() => economics.flow(askedOf(request, request.query, DAYS_MAX)))
      if (!wantsCsv(request)) return answer
      const columns = [column('source', 'text'), column('target', 'text'), column('value', 'count')]
      const rows = answer.links.map(({ source, target, value }) => [source, target, value])
      return sendCsv(reply, 'flow', { columns, rows })
    },
  )

  app.get(
    '/api/v1/analytics/restated',
    {
      schema: {
        ...documented(
          'Closed days that have changed since',
          'By late sales, voids and corrections: what was known then, what is known now, and the entries between.',
          restatedAnswer,
        ),
        querystring: restatedQuery,
      },
      onRequest,
    },
    async (request) => {
      const { from, to, since, ...rest } = request.query
      checkPeriod(from, to, DAYS_BY_DAY_MAX)
      const where = filtersOf(request, rest)
      return askFigures(() => economics.restated({ from, to, where, since: Date.parse(since) }))
    },
  )
}

// — what was asked —

function askedOf(request: FastifyRequest, asked: Query, daysMax: number): Asked {
  const { from, to, currency, attribution, known_at, explain, format: _, ...rest } = asked
  checkPeriod(from, to, daysMax)
  return {
    from,
    to,
    where: filtersOf(request, rest),
    currency,
    attribution,
    knownAt: known_at === undefined ? null : Date.parse(known_at),
    explain: explain === 'true',
  }
}

function checkPeriod(from: string, to: string, daysMax: number): void {
  const days = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1
  if (days < 1) throw invalidParameter('to', `a day not before ${from}`, to)
  if (days > daysMax)
    throw invalidParameter('from', `at most ${daysMax} days up to ${to}`, `${from}, ${days} days`)
}

/** @throws Problem 403 when a dealer's token asks for another dealer. */
function filtersOf(
  request: FastifyRequest,
  { dealer, ...others }: Pick<Query, 'dealer' | 'region' | 'initiative' | 'channel'>,
): Asked['where'] {
  const asked = dealer?.length ? dealer : [undefined]
  const dealers = asked.map((one) => dealerAskedFor(request, one)).filter((one) => one !== null)
  const given = Object.entries(others).filter(([, found]) => found?.length)
  return { ...Object.fromEntries(given), ...(dealers.length > 0 && { dealer: dealers }) }
}

// — CSV —

function wantsCsv(request: FastifyRequest): boolean {
  const { format } = request.query as { format?: string }
  return format === undefined ? /\btext\/csv\b/.test(request.headers.accept ?? '') : format === 'csv'
}

type Figure = number | Pick<Ratio, 'value'> | Variables['active_duration_days']

/** A ratio is its value, and empty where it is undefined. */
const cellsOf = (figures: Readonly<Record<string, Figure>>): ExportCell[] =>
  Object.values(figures).flatMap((figure): ExportCell[] => {
    if (typeof figure === 'number') return [figure]
    return 'union' in figure ? [figure.union, figure.sum] : [figure.value]
  })

const column = (
  name: string,
  type: ExportType,
  concept: ExportColumn['concept'] = 'metric',
): ExportColumn => ({
  name,
  label: name,
  type,
  unit: null,
  concept,
  adds: type === 'count',
})

/** The columns of these figures, as `cellsOf` gives their cells. */
const figureColumns = (shape: Readonly<Record<string, z.ZodType>>): ExportColumn[] =>
  Object.entries(shape).flatMap(([name, schema]) => {
    if (!(schema instanceof z.ZodObject)) return [column(name, 'count')]
    if ('value' in schema.shape) return [column(name, 'ratio')]
    return [column(`${name}_union`, 'count'), column(`${name}_sum`, 'count')]
  })

/** Dimensions, figures, and the currency in whose minor units money is. */
function sendTable(
  reply: FastifyReply,
  name: string,
  by: readonly string[],
  figures: Readonly<Record<string, z.ZodType>>,
  currency: string,
  rows: readonly (readonly ExportCell[])[],
): never {
  const columns = [
    ...by.map((dimension) => column(dimension, 'text', 'dimension')),
    ...figureColumns(figures),
    column('currency', 'text', 'dimension'),
  ]
  return sendCsv(reply, name, { columns, rows: rows.map((row) => [...row, currency]) })
}

function sendCsv(reply: FastifyReply, name: string, table: ExportTable): never {
  reply.header('content-disposition', `attachment; filename="${name}.csv"`)
  // Its own bytes, not what the schema describes.
  return reply.type('text/csv; charset=utf-8; header=present').send(csvOf(table)) as never
}
