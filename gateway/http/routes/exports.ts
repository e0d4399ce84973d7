/**
 * `/api/v1/exports/…`: the unit economics as a flat table, for programs (JSON; Looker Studio's connector asks here) and
 * for spreadsheets (`table.csv`, `table.xlsx`). One answer is the whole table: what would be too large is refused.
 */
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import {
  EXPORT_DAYS_MAX,
  EXPORT_ROWS_MAX,
  EXPORT_TYPES,
  type ExportSource,
  type ExportTable,
  selectColumns,
} from '../../contract/export-table.ts'
import { allow, BEARER } from '../access.ts'
import { csvOf, jsonOf, xlsxOf } from '../downloads.ts'
import { askFigures } from '../metrics-guard.ts'
import { invalidParameter, problems } from '../problem.ts'
import type { App, ReadStore } from '../services.ts'

const ANALYSTS = ['admin', 'manager', 'analyst'] as const
const DAY_MS = 86_400_000

const column = z.object({
  name: z.string(),
  label: z.string(),
  type: z.enum(EXPORT_TYPES).describe('day: YYYY-MM-DD; money: whole units of unit'),
  unit: z.string().nullable(),
  concept: z.enum(['dimension', 'metric']),
  adds: z.boolean().describe('Whether sums over groups mean anything'),
})

const tableAnswer = z.object({
  from: z.string(),
  to: z.string(),
  columns: z.array(column),
  rows: z
    .array(z.array(z.union([z.string(), z.number(), z.null()])))
    .describe('Cells in the order of columns; null: undefined, such as a cost per lead without leads'),
})

const names = z
  .string()
  .max(2000)
  .transform((text) => text.split(',').filter((name) => name !== ''))

const query = z.strictObject({
  from: z.iso.date().describe('First business day, hub time zone'),
  to: z.iso.date().describe('Last business day, included'),
  by: names
    .optional()
    .describe('Dimensions to group by, separated by commas; without it, those of fields; none: one row'),
  fields: names
    .optional()
    .describe('Columns of the answer, in this order, separated by commas; without it, by and every metric'),
})
type Query = z.infer<typeof query>

const DESCRIPTION =
  `A table may have ${EXPORT_ROWS_MAX} rows and ${EXPORT_DAYS_MAX} days; what is larger is refused with 400: ask for less ` +
  'in `by`, or for fewer days.'

export function exportsRoutes(app: App, store: ReadStore, source: ExportSource): void {
  const onRequest = allow(store, ANALYSTS)
  const documented = (summary: string, response: object) => ({
    tags: ['economics'],
    summary,
    description: DESCRIPTION,
    security: BEARER,
    querystring: query,
    response: { 200: response, ...problems(400, 401, 403) },
  })

  app.get(
    '/api/v1/exports/columns',
    {
      schema: {
        tags: ['economics'],
        summary: 'Every column that a table may have',
        security: BEARER,
        querystring: z.strictObject({}),
        response: { 200: z.object({ columns: z.array(column) }), ...problems(400, 401, 403) },
      },
      onRequest,
    },
    async () => ({ columns: [...source.columns] }),
  )

  app.get(
    '/api/v1/exports/table',
    { schema: documented('The unit economics as a flat table', tableAnswer), onRequest },
    async ({ query: { from, to, ...rest } }, reply) => {
      const table = await readTable(source, { from, to, ...rest })
      // Bytes as they are made: what the schema would check row by row is of our own making.
      return sendBytes(reply, 'application/json; charset=utf-8', jsonOf(table, { from, to }))
    },
  )

  for (const [extension, type, bytesOf] of DOWNLOADS) {
    app.get(
      `/api/v1/exports/table.${extension}`,
      {
        schema: documented(`The same as a download: ${extension.toUpperCase()}`, z.string().describe(type)),
        onRequest,
      },
      async ({ query: asked }, reply) => {
        const table = await readTable(source, asked)
        const name = `unit-economics-${asked.from}-${asked.to}.${extension}`
        reply.header('content-disposition', `attachment; filename="${name}"`)
        return sendBytes(reply, type, bytesOf(table))
      },
    )
  }
}

const DOWNLOADS = [
  ['csv', 'text/csv; charset=utf-8; header=present', csvOf],
  ['xlsx', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', xlsxOf],
] as const

const sendBytes = (reply: FastifyReply, type: string, bytes: unknown): FastifyReply =>
  reply.type(type).send(bytes)

/** @throws Problem 400 when the parameters make no table, or one that is too large. */
async function readTable(source: ExportSource, { from, to, by, fields }: Query): Promise<ExportTable> {
  const days = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1
  if (days < 1) throw invalidParameter('to', `a day not before ${from}`, to)
  if (days > EXPORT_DAYS_MAX) {
    throw invalidParameter('from', `at most ${EXPORT_DAYS_MAX} days up to ${to}`, `${from}, ${days} days`)
  }
  const dimensions = source.columns.flatMap(({ name, concept }) => (concept === 'dimension' ? [name] : []))
  const all = source.columns.map(({ name }) => name)
  mustBeOf('fields', all, fields ?? [])
  const groups = by ?? (fields ?? []).filter((name) => dimensions.includes(name))
  mustBeOf('by', dimensions, groups)
  const strays = (fields ?? []).filter((name) => dimensions.includes(name) && !groups.includes(name))
  if (strays.length > 0)
    throw invalidParameter('fields', 'only dimensions that by names too', strays.join(', '))

  const table = await askFigures(() => source.read({ from, to, by: groups }))
  if (table.rows.length > EXPORT_ROWS_MAX) {
    throw invalidParameter(
      'by',
      `a table of at most ${EXPORT_ROWS_MAX} rows: fewer dimensions or fewer days`,
      `${groups.join(',')}, ${table.rows.length} rows`,
    )
  }
  return fields === undefined ? table : selectColumns(table, fields)
}

function mustBeOf(field: string, known: readonly string[], asked: readonly string[]): void {
  const wrong = asked.filter((name, i) => !known.includes(name) || asked.indexOf(name) !== i)
  if (wrong.length > 0) throw invalidParameter(field, `each once, of ${known.join(', ')}`, wrong.join(', '))
}
