/**
 * `GET|POST /webhooks/meta`: the door for the WhatsApp Cloud API. No token: Meta's signature over the raw body is what
 * lets it in, so the body is taken as bytes, whatever its content type says.
 */
import { z } from 'zod'
import type { MetaBridge, WebhookAnswer } from '../../bridges/meta/meta.ts'
import { isSignatureForm, SIGNATURE_HEADER } from '../../bridges/meta/signature.ts'
import { PROBLEM_TYPE, Problem, problemSchema, unavailable } from '../problem.ts'
import type { App } from '../services.ts'

/** Meta's own bound on one webhook. */
const BODY_BYTES_MAX = 3 * 1024 * 1024

/** Asked by a few of Meta's addresses as often as customers write: not to be counted per address. */
export const META_WEBHOOK = '/webhooks/meta'

const problem = (description: string) => ({
  description,
  content: { [PROBLEM_TYPE]: { schema: problemSchema } },
})
const plain = (description: string) => ({ description, content: { 'text/plain': { schema: z.string() } } })

export function metaWebhookRoutes(
  app: App,
  bridge: Pick<MetaBridge, 'handleVerification' | 'handleWebhook'>,
): void {
  app.register(async (scope: App) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, async (_: unknown, body: Buffer) => body)

    scope.get(
      META_WEBHOOK,
      {
        schema: {
          tags: ['webhooks'],
          summary: 'Meta’s handshake, when the URL is saved',
          response: {
            200: plain('`hub.challenge`, as it came'),
            403: problem('Not the verify token of this hub'),
          },
        },
      },
      async (request, reply) => {
        const { body } = orThrow(bridge.handleVerification(request.query as Record<string, unknown>))
        return reply.type('text/plain; charset=utf-8').send(body)
      },
    )

    scope.post(
      META_WEBHOOK,
      {
        bodyLimit: BODY_BYTES_MAX,
        logLevel: 'warn',
        schema: {
          tags: ['webhooks'],
          summary: 'What people wrote, and what became of what they were written',
          description:
            'Signed by Meta in `X-Hub-Signature-256`. Answered 200 once it is in the ledger; 503 asks for it again.',
          response: {
            200: plain('Taken'),
            401: problem('No signature, or not one of this app'),
            413: problem('More than 3 MB'),
            503: problem('The hub can’t take it now'),
          },
        },
        // Before a byte of the body is read.
        onRequest: async (request) => {
          if (!isSignatureForm(request.headers[SIGNATURE_HEADER])) {
            throw new Problem(401, `No ${SIGNATURE_HEADER} of the form sha256=…`)
          }
        },
      },
      async (request, reply) => {
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
        orThrow(await bridge.handleWebhook(body, request.headers[SIGNATURE_HEADER]))
        return reply.type('text/plain; charset=utf-8').send('')
      },
    )
  })
}

function orThrow(answer: WebhookAnswer): WebhookAnswer {
  if (answer.status === 503) throw unavailable(answer.body)
  if (answer.status !== 200) throw new Problem(answer.status, answer.body)
  return answer
}
