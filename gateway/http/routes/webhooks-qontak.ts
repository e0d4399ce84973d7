/**
 * `POST /webhooks/qontak/{secret}`: the door for Mekari Qontak. No token and no signature, since Qontak documents none:
 * the address itself is the secret. A wrong one is a path that there is not.
 */
import { z } from 'zod'
import type { QontakBridge } from '../../bridges/qontak/qontak.ts'
import { PROBLEM_TYPE, Problem, problemSchema, unavailable } from '../problem.ts'
import type { App } from '../services.ts'

/** One message, with the addresses of its pictures: no documented bound. */
const BODY_BYTES_MAX = 1024 * 1024

/** Asked by a few of Qontak's addresses as often as customers write: not to be counted per address. */
export const QONTAK_WEBHOOK = '/webhooks/qontak/:secret'

const problem = (description: string) => ({
  description,
  content: { [PROBLEM_TYPE]: { schema: problemSchema } },
})

export function qontakWebhookRoutes(app: App, bridge: Pick<QontakBridge, 'handleWebhook'>): void {
  app.register(async (scope: App) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(
      '*',
      { parseAs: 'buffer', bodyLimit: BODY_BYTES_MAX },
      async (_: unknown, body: Buffer) => body,
    )

    scope.post(
      QONTAK_WEBHOOK,
      {
        bodyLimit: BODY_BYTES_MAX,
        // The address is a secret: it stays out of the log.
        logLevel: 'silent',
        schema: {
          tags: ['webhooks'],
          summary: 'What people wrote to Qontak, and what became of what they were written',
          description:
            'The last part of the path is QONTAK_WEBHOOK_SECRET. Answered 200 once it is in the ledger; 503 asks for it ' +
            'again.',
          params: z.object({ secret: z.string() }),
          response: {
            200: { description: 'Taken', content: { 'text/plain': { schema: z.string() } } },
            403: problem('Not the organisation of this hub'),
            404: problem('Not the secret of this hub'),
            413: problem('More than 1 MB'),
            503: problem('The hub can’t take it now'),
          },
        },
      },
      async (request, reply) => {
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
        const answer = await bridge.handleWebhook(request.params.secret, body)
        if (answer.status === 503) throw unavailable(answer.body)
        // As at any path that there is not.
        if (answer.status === 404) throw new Problem(404, `There is nothing at ${request.url}`)
        if (answer.status !== 200) throw new Problem(answer.status, answer.body)
        return reply.type('text/plain; charset=utf-8').send('')
      },
    )
  })
}
