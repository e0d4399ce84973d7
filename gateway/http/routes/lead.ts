/**
 * `POST /api/v1/lead`: the door for web forms and advertisements. What is sent goes the way that everything takes
 * (`intake.ts`); the answer is the decider's (`deciders/submission.ts`), after the commit.
 *
 * What could not be decoded is refused here, field by field, while somebody waits who can put it right.
 */
import { z } from 'zod'
import type { FieldError } from '../../contract/receipts.ts'
import { submission, submissionAnswer } from '../../contract/submission.ts'
import { HEAD_OFFICE, portalTopic } from '../../contract/topics.ts'
import { missingIn } from '../../decode/people.ts'
import { allow, BEARER, callerOf } from '../access.ts'
import { Problem, problems, unavailable } from '../problem.ts'
import type { App, HttpServices, ReadStore } from '../services.ts'

/** Analysts read; bridges have their topics. */
const SENDERS = ['admin', 'manager', 'dealer'] as const

const IDEMPOTENCY_KEY = 'idempotency-key'

/** Fields that nobody knows are for the decoder to count. */
const body = submission.extend({ event_id: submission.shape.event_id.optional() }).loose()

export function leadRoutes(app: App, store: ReadStore, { accept }: Pick<HttpServices, 'accept'>): void {
  app.post(
    '/api/v1/lead',
    {
      schema: {
        tags: ['leads'],
        summary: 'Somebody is interested: from a form or an advertisement',
        description:
          'Needs a phone or an email, and something to go on with: coordinates, a place in Indonesia, or a phone to ' +
          'at. The same `event_id` of the same person again gets the same answer; so does the header ' +
          '`Idempotency-Key`, which stands for an `event_id` that the body does not have. A person who has a recent ' +
          'lead, known by phone or e-mail, is a DUPLICATE, whatever the channel. Takes a token of role admin, manager ' +
          'or dealer.',
        security: BEARER,
        headers: z.object({
          [IDEMPOTENCY_KEY]: z.string().optional().describe('In place of event_id; quoted or not'),
        }),
        body,
        response: { 202: submissionAnswer, ...problems(400, 401, 403, 422) },
      },
      onRequest: allow(store, SENDERS),
    },
    async (request, reply) => {
      const caller = callerOf(request)
      const event_id = eventIdOf(request.body.event_id, request.headers[IDEMPOTENCY_KEY])
      const said = { ...request.body, event_id }
      const errors = missingIn(said)
      if (errors.length > 0) throw refused(errors)
      const message = {
        topic: portalTopic(caller.dealer ?? HEAD_OFFICE, 'lead'),
        payload: Buffer.from(JSON.stringify(said)),
        sender: caller.role,
      }
      const answer = await accept(message).catch((cause: unknown) => {
        throw unavailable('It could not be committed now; send it again', cause)
      })
      if (answer === null)
        throw new Problem(422, 'The hub cannot decide on this; its bytes are in quarantine')
      return reply.code(202).send(submissionAnswer.parse(answer))
    },
  )
}

/** @throws Problem 422 when there is none, or two */
function eventIdOf(inBody: string | undefined, header: string | undefined): string {
  // RFC 8941 has it in quotes; most clients send it without.
  const inHeader = header?.replace(/^"(.*)"$/, '$1')
  if (inHeader !== undefined && !submission.shape.event_id.safeParse(inHeader).success) {
    const received = `${inHeader.length} characters`
    throw refused([{ field: 'Idempotency-Key', expected: '1 to 64 characters', received }])
  }
  if (inBody !== undefined && inHeader !== undefined && inBody !== inHeader) {
    const expected = `the same as Idempotency-Key (${inHeader}), or none`
    throw refused([{ field: 'event_id', expected, received: inBody }])
  }
  const eventId = inBody ?? inHeader
  if (eventId !== undefined) return eventId
  const expected = 'an id made by the sender, here or as the header Idempotency-Key'
  throw refused([{ field: 'event_id', expected, received: 'nothing' }])
}

const refused = (errors: FieldError[]): Problem =>
  new Problem(422, `Not as it should be: ${errors.map(({ field }) => field).join(', ')}`, { errors })
