/** A lead from a web form or an advertisement's form (CONTRACT, `POST /api/v1/lead`), and what is answered. */
import { z } from 'zod'
import { referral } from './bridge.ts'
import { CHANNELS, eventId } from './events.ts'

export const submission = z
  .object({
    event_id: eventId.describe('Made by the sender; sent again with the same id, the answer is the same'),
    name: z.string().min(1).max(200).nullish(),
    phone: z
      .string()
      .min(4)
      .max(32)
      .nullish()
      .describe('As people write it; one of phone and email is needed'),
    email: z.email().max(254).nullish(),
    lat: z.number().min(-90).max(90).nullish(),
    lon: z.number().min(-180).max(180).nullish(),
    place: z.string().min(1).max(200).nullish().describe('City or regency, when there are no coordinates'),
    model: z.string().min(1).max(64).nullish(),
    channel: z.enum(CHANNELS).nullish(),
    campaign: z.string().min(1).max(200).nullish(),
    message: z.string().max(4096).nullish(),
    referral: referral.nullish(),
  })
  .describe('Somebody is interested in a vehicle')
export type Submission = z.infer<typeof submission>

export const SUBMISSION_STATES = ['UNCLAIMED', 'DUPLICATE', 'SCREENING'] as const

export const submissionAnswer = z
  .object({
    lead: z.string().nullable().describe('Id of the lead; null while the customer is asked where they are'),
    state: z.enum(SUBMISSION_STATES),
    offered_to: z.array(z.string()).describe('Ids of the dealers whose reps were asked'),
  })
  .describe('What became of it')
export type SubmissionAnswer = z.infer<typeof submissionAnswer>
