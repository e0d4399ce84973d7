/** Whether the hub lives and what it counts: `/healthz`, `/readyz`, `/metrics`, and `/` for people. No token needed. */
import { z } from 'zod'
import { PROBLEM_TYPE, problemDocument, problemSchema } from '../problem.ts'
import { PARTS, type Readiness } from '../readiness.ts'
import type { App, HttpServices } from '../services.ts'
import { renderStatusPage, STATUS_PAGE_CSP } from '../status-page.ts'

const partState = z.object({
  state: z.enum(['up', 'down']),
  detail: z.string().describe('What answers, or why not'),
  since: z.string().describe('When it came to this state'),
})

const report = {
  ready: z.boolean(),
  puback: z.string().describe('What an acknowledgement is worth on this store'),
  parts: z.object({ store: partState, broker: partState, metrics: partState }),
}

/** What machines ask, and often: neither counted against anybody nor written down. */
export const MONITORS: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics'])

export interface MonitoringServices extends Pick<HttpServices, 'monitoring' | 'timezone'> {
  readonly readiness: Pick<Readiness, 'look'>
  /** Of the hub. */
  readonly version: string
}

export function monitoringRoutes(
  app: App,
  { monitoring, readiness, version, timezone }: MonitoringServices,
): void {
  app.get(
    '/healthz',
    {
      logLevel: 'warn',
      schema: {
        tags: ['monitoring'],
        summary: 'Whether the process lives',
        response: { 200: z.object({ status: z.literal('alive') }) },
      },
    },
    async () => ({ status: 'alive' as const }),
  )

  app.get(
    '/readyz',
    {
      logLevel: 'warn',
      schema: {
        tags: ['monitoring'],
        summary: 'Whether store, broker and metrics answer, each with its state',
        description:
          '503 when one of them does not. While only the metrics are away, sales are taken all the same, and the ' +
          'metrics catch up when they are back.',
        response: {
          200: z.object(report),
          503: {
            description: 'One of them does not answer',
            content: { [PROBLEM_TYPE]: { schema: problemSchema.extend(report) } },
          },
        },
      },
    },
    async (_request, reply) => {
      const found = await readiness.look()
      if (found.ready) return found
      const down = PARTS.filter((part) => found.parts[part].state === 'down')
      const detail = down.map((part) => `${part}: ${found.parts[part].detail}`).join('; ')
      return reply
        .code(503)
        .type(PROBLEM_TYPE)
        .send({ ...problemDocument(503, detail), ...found })
    },
  )

  app.get(
    '/metrics',
    {
      logLevel: 'warn',
      schema: {
        tags: ['monitoring'],
        summary: 'Figures for Prometheus',
        response: {
          200: {
            description: 'Prometheus text format',
            content: { 'text/plain': { schema: z.string() } },
          },
        },
      },
    },
    async (_request, reply) => reply.type(monitoring.contentType).send(await monitoring.text()),
  )

  app.get(
    '/',
    {
      logLevel: 'warn',
      helmet: { contentSecurityPolicy: STATUS_PAGE_CSP },
      schema: {
        tags: ['monitoring'],
        summary: 'The same for people',
        response: { 200: { description: 'A page', content: { 'text/html': { schema: z.string() } } } },
      },
    },
    async (_request, reply) => {
      const page = renderStatusPage({
        report: await readiness.look(),
        figures: monitoring.figures(),
        version,
        timezone,
        now: new Date(),
      })
      return reply.type('text/html; charset=utf-8').send(page)
    },
  )
}
