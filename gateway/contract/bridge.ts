/**
 * What a bridge and the hub say to each other (CONTRACT, «Payloads»: inbound, outbound, status). It is the bridge's
 * normal form: no decider knows a provider, and a further bridge (LINE, Telegram) is one more MQTT client.
 *
 *   inbound    bridge → hub   one message of one person; at least once, known by `event_id`
 *   outbound   hub → bridge   one message to send; `job_id` stays the same when it is handed over again
 *   status     bridge → hub   what became of it: sent, delivered, read, failed
 *
 * Hand-over. A job is taken when the bridge acknowledges it, and done when its status `sent` or `failed` came. A bridge
 * that does not know whether a message went out (a time-out, a crash) says nothing: the hub hands the job over once
 * more after RECONCILE_MS, unless the provider's own report came in the meantime.
 */
import { hash } from 'node:crypto'
import { z } from 'zod'
import { instant } from './events.ts'
import { ROOT } from './topics.ts'

/** How long the hub waits for the fate of a job that a bridge has taken before it hands it over again, ms. */
export const RECONCILE_MS = 90_000

/** Ids of a provider are longer than ours: a wamid has up to some 100 characters, a user id 256. */
const providerId = z.string().min(1).max(256)
const shortText = (max: number) => z.string().max(max)

export const person = z
  .object({
    phone: z
      .string()
      .min(4)
      .max(32)
      .nullable()
      .describe('As the provider gave it; null for a username-only person'),
    user_id: providerId.nullable().describe('Business-scoped id of the person at the provider'),
    name: shortText(200).nullable(),
  })
  .refine(({ phone, user_id }) => phone !== null || user_id !== null, {
    error: 'expected a phone or a user_id',
  })
export type Person = z.infer<typeof person>

/** From the advertisement that brought the person here; on the first message only. */
export const referral = z
  .object({
    source_type: shortText(32).nullish(),
    source_id: shortText(256).nullish(),
    source_url: shortText(2048).nullish(),
    headline: shortText(1024).nullish(),
    ctwa_clid: shortText(1024).nullish().describe('Click id of a click-to-WhatsApp advertisement'),
  })
  .describe('The advertisement that brought the person here')
export type Referral = z.infer<typeof referral>

export const INBOUND_KINDS = ['text', 'choice', 'location', 'media', 'other'] as const

export const inbound = z
  .object({
    event_id: providerId.describe('The provider’s id of the message'),
    bridge: z.string().min(1).max(64),
    account: z.string().min(1).max(128).describe('The number or channel it was sent to'),
    customer: person,
    room_id: providerId.nullish().describe('Where to answer, when the provider answers in rooms (Qontak)'),
    at: instant.describe('When the person sent it, by the provider’s clock'),
    kind: z.enum(INBOUND_KINDS),
    text: shortText(65_536).nullish(),
    choice: z
      .object({ id: z.string().max(512), title: shortText(512) })
      .nullish()
      .describe('A tapped button or list row; id is empty when the provider gives only the title'),
    location: z
      .object({
        lat: z.number().min(-90).max(90),
        lon: z.number().min(-180).max(180),
        name: shortText(1024).nullish(),
      })
      .nullish(),
    reply_to: providerId.nullish().describe('The provider’s id of the message this answers'),
    referral: referral.nullish(),
    raw: z.unknown().optional().describe('What the provider sent, unchanged'),
  })
  .describe('A person wrote, tapped or shared a place')
export type InboundMessage = z.infer<typeof inbound>

/** Who gets it: the most exact that is known; `room_id` for a provider that answers in rooms. */
export const recipient = z
  .object({ phone: z.string().optional(), user_id: z.string().optional(), room_id: z.string().optional() })
  .describe('At least one of them')
export type Recipient = z.infer<typeof recipient>

export const OUTBOUND_KINDS = ['text', 'buttons', 'list', 'location_request', 'template', 'read'] as const

/** WhatsApp's limits: what the hub writes fits, and a bridge refuses what does not. Characters, and counts. */
export const MESSAGE_LIMITS = {
  textBody: 4096,
  interactiveBody: 1024,
  buttons: 3,
  buttonId: 256,
  buttonTitle: 20,
  rows: 10,
  rowId: 200,
  rowTitle: 24,
  rowDescription: 72,
  listButton: 20,
} as const

export const choice = z.object({ id: z.string(), title: z.string(), description: z.string().optional() })
export type Choice = z.infer<typeof choice>

export const template = z
  .object({
    name: z.string().describe('As registered with the provider'),
    language: z.string().describe('id, en'),
    parameters: z.array(z.string()).describe('Of the body, in order'),
    payloads: z
      .array(z.string())
      .optional()
      .describe('Of the quick-reply buttons, in order: the ids of a tap'),
  })
  .describe('A registered template: the only thing a person hears outside the 24-hour window')
export type Template = z.infer<typeof template>

export const outbound = z
  .object({
    job_id: z.string().min(1).max(128),
    to: recipient,
    kind: z.enum(OUTBOUND_KINDS),
    body: z.string().optional().describe('The text; for read: unused'),
    choices: z.array(choice).optional().describe('Buttons (at most 3) or list rows (at most 10)'),
    button: z.string().optional().describe('List only: the label that opens it'),
    template: template.optional(),
    message_id: z.string().optional().describe('read: the provider’s id of the message that was read'),
    reply_to: z.string().optional().describe('The provider’s id of the message this answers'),
    expires_at: z.string().describe('After this instant it must not be sent: failed, expired'),
  })
  .describe('A message to send to a person')
export type OutboundMessage = z.infer<typeof outbound>

/** What the deciders write; the outbox adds to whom, under which id and until when. */
export type MessageContent = Omit<OutboundMessage, 'job_id' | 'to' | 'expires_at'>

export const JOB_STATES = ['sent', 'delivered', 'read', 'failed'] as const
export type JobState = (typeof JOB_STATES)[number]

export const jobStatus = z
  .object({
    job_id: z.string().min(1).max(128),
    provider_id: providerId
      .nullable()
      .describe('The provider’s id of the message; null when it never got one'),
    state: z.enum(JOB_STATES),
    error: z
      .object({
        code: z
          .union([z.string(), z.number()])
          .transform(String)
          .describe('The provider’s, or a word of the bridge’s own'),
        message: shortText(2048),
        retryable: z.boolean(),
      })
      .nullable(),
    at: instant,
  })
  .describe('What became of a message')
export type JobStatus = z.infer<typeof jobStatus>

/**
 * A provider's id as the ledger keeps it. WhatsApp's ids have the person's phone number in them, in Base64; the ledger
 * has no phone numbers, so of these it keeps 128 bits of a hash.
 */
export const ledgerId = (id: string): string =>
  id.startsWith('wamid.') ? `wamid#${hash('sha256', id, 'base64url').slice(0, 22)}` : id

export const BRIDGE_UPLINKS = ['inbound', 'status'] as const
export type BridgeUplink = (typeof BRIDGE_UPLINKS)[number]

export const bridgeEvents = { inbound, status: jobStatus } as const

export const bridgeTopic = (bridge: string, kind: BridgeUplink | 'outbound'): string =>
  `${ROOT}/bridge/${bridge}/${kind}`
