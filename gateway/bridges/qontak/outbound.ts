/**
 * A job → the call of Qontak's chat API that does it, or the field that keeps it from being sent. Pure.
 *
 *   text                POST messages/whatsapp/bot, in the room
 *   buttons, list       POST messages/whatsapp/interactive_message/bot; `body` is a text there, unlike Meta's
 *   location_request    a text, since Qontak has none: where the paper clip is, is said below it
 *   template            POST broadcasts/whatsapp/direct, to a number, whether there is a room or not
 *   read                PUT rooms/{room}/mark_all_as_read
 *
 * Titles must differ, case and spaces aside: a tap comes back as the title alone.
 */
import { type Choice, MESSAGE_LIMITS, type OutboundMessage } from '../../contract/bridge.ts'

export interface QontakCall {
  readonly method: 'POST' | 'PUT'
  /** Below the API's address. */
  readonly path: string
  readonly body?: object
}

/** What a job does not say and the bridge knows. */
export interface KnownRecipient {
  readonly roomId: string | null
  readonly name: string | null
}

/** A template and a channel as Qontak knows them. */
export interface KnownTemplate {
  readonly templateId: string
  readonly channelId: string
}

export type CallOf =
  | { readonly ok: true; readonly call: QontakCall }
  | { readonly ok: false; readonly code: 'invalid' | 'no_room'; readonly message: string }

/** Says the same in both languages of the hub. */
const WHERE_LOCATION_IS = '\n\n📎 → Lokasi / Location'

/** A message in a room. */
export function roomCall(job: OutboundMessage, { roomId }: Pick<KnownRecipient, 'roomId'>): CallOf {
  // Qontak writes to rooms; a person becomes one by writing, or by a template.
  if (roomId === null) {
    return { ok: false, code: 'no_room', message: 'to: expected a room_id, or somebody who has written' }
  }
  return checked(() => {
    if (job.kind === 'read')
      return { method: 'PUT', path: `/rooms/${encodeURIComponent(roomId)}/mark_all_as_read` }
    if (job.kind === 'text' || job.kind === 'location_request') {
      const hint = job.kind === 'text' ? '' : WHERE_LOCATION_IS
      const text = textOf('body', job.body, MESSAGE_LIMITS.textBody - hint.length) + hint
      return { method: 'POST', path: '/messages/whatsapp/bot', body: { room_id: roomId, type: 'text', text } }
    }
    const interactive = { body: textOf('body', job.body, MESSAGE_LIMITS.interactiveBody), ...choicesOf(job) }
    return {
      method: 'POST',
      path: '/messages/whatsapp/interactive_message/bot',
      body: { room_id: roomId, type: job.kind === 'buttons' ? 'button' : 'list', interactive },
    }
  })
}

/** A template, to a number. */
export function broadcastCall(
  job: OutboundMessage,
  { name }: Pick<KnownRecipient, 'name'>,
  { templateId, channelId }: KnownTemplate,
): CallOf {
  return checked(() => {
    const { template, to } = job
    if (template === undefined) throw new Invalid('template', 'a template', 'nothing')
    const number = (to.phone ?? '').replace(/[\s().+-]/g, '')
    if (!/^\d{5,20}$/.test(number))
      throw new Invalid('to.phone', 'a phone number such as +6281234567890', 'none')
    if (template.language !== 'id' && template.language !== 'en') {
      throw new Invalid('template.language', 'id or en', 'another')
    }
    return {
      method: 'POST',
      path: '/broadcasts/whatsapp/direct',
      body: {
        to_name: name ?? number,
        to_number: number,
        message_template_id: templateId,
        channel_integration_id: channelId,
        language: { code: template.language },
        parameters: {
          body: template.parameters.map((value, i) => ({
            key: String(i + 1),
            // The name of the variable; what is shown is `value_text`.
            value: `parameter_${i + 1}`,
            value_text: textOf(`template.parameters.${i}`, value, MESSAGE_LIMITS.interactiveBody),
          })),
        },
      },
    }
  })
}

function choicesOf(job: OutboundMessage): object {
  const choices = job.choices ?? []
  if (job.kind === 'buttons') {
    counted(choices, MESSAGE_LIMITS.buttons)
    unique(choices)
    return {
      buttons: choices.map(({ id, title }, i) => ({
        id: textOf(`choices.${i}.id`, id, MESSAGE_LIMITS.buttonId),
        title: textOf(`choices.${i}.title`, title, MESSAGE_LIMITS.buttonTitle),
      })),
    }
  }
  if (job.kind !== 'list') throw new Invalid('kind', 'a kind of message that is known', String(job.kind))
  counted(choices, MESSAGE_LIMITS.rows)
  unique(choices)
  const button = textOf('button', job.button, MESSAGE_LIMITS.listButton)
  const rows = choices.map(({ id, title, description }, i) => ({
    id: textOf(`choices.${i}.id`, id, MESSAGE_LIMITS.rowId),
    title: textOf(`choices.${i}.title`, title, MESSAGE_LIMITS.rowTitle),
    description:
      description === undefined || description === ''
        ? ''
        : textOf(`choices.${i}.description`, description, MESSAGE_LIMITS.rowDescription),
  }))
  // A section has a title; the label that opens the list says as much.
  return { lists: { button, sections: [{ title: button, rows }] } }
}

/** Thrown and caught in here: the first field that is wrong. */
class Invalid extends Error {
  constructor(field: string, expected: string, received: string) {
    super(`${field}: expected ${expected}, received ${received}`)
  }
}

function checked(callOf: () => QontakCall): CallOf {
  try {
    return { ok: true, call: callOf() }
  } catch (error) {
    if (error instanceof Invalid) return { ok: false, code: 'invalid', message: error.message }
    throw error
  }
}

function textOf(field: string, value: string | undefined, max: number): string {
  if (value === undefined || value.trim() === '') throw new Invalid(field, 'some text', 'none')
  if (value.length > max) throw new Invalid(field, `at most ${max} characters`, String(value.length))
  return value
}

function counted(choices: readonly Choice[], max: number): void {
  if (choices.length < 1 || choices.length > max) {
    throw new Invalid('choices', `1 to ${max} of them`, String(choices.length))
  }
}

function unique(choices: readonly Choice[]): void {
  const titles = new Set<string>()
  for (const [i, { title }] of choices.entries()) {
    const seen = normalTitle(title)
    if (titles.has(seen)) throw new Invalid(`choices.${i}.title`, 'one that no other has', 'a repeat')
    titles.add(seen)
  }
}

/** Titles are compared without case and spaces. */
export const normalTitle = (title: string): string =>
  title.normalize('NFKC').toLowerCase().replace(/\s+/g, '')
