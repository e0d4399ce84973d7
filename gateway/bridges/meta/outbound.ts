/**
 * A job → the body of `POST /{phone-number-id}/messages`, or the field that breaks one of Meta's limits. Pure.
 * What breaks a limit is refused here, so that it costs no request, and its error names the field of the job.
 */
import { type Choice, MESSAGE_LIMITS, type OutboundMessage } from '../../contract/bridge.ts'

/** Often quoted, and not in Meta's own description: the shorter side is the safe one. */
const TEMPLATE_PAYLOAD_MAX = 128

export type GraphBody =
  | { readonly ok: true; readonly body: object }
  | { readonly ok: false; readonly field: string; readonly message: string }

/** Thrown and caught in here: the first field that is wrong. */
class Invalid extends Error {
  readonly field: string
  constructor(field: string, expected: string, received: string) {
    super(`${field}: expected ${expected}, received ${received}`)
    this.field = field
  }
}

export function toGraphBody(job: OutboundMessage): GraphBody {
  try {
    return { ok: true, body: bodyOf(job) }
  } catch (error) {
    if (error instanceof Invalid) return { ok: false, field: error.field, message: error.message }
    throw error
  }
}

function bodyOf(job: OutboundMessage): object {
  if (job.kind === 'read') {
    return {
      messaging_product: 'whatsapp',
      status: 'read',
      message_id: text('message_id', job.message_id, 256),
      // Shown for 25 s or until the answer: whoever reads, answers.
      typing_indicator: { type: 'text' },
    }
  }
  return {
    messaging_product: 'whatsapp',
    recipient_type: 'individual',
    ...recipientOf(job),
    ...(job.reply_to !== undefined && { context: { message_id: text('reply_to', job.reply_to, 256) } }),
    // Comes back in every status: it is how a send whose answer was lost is known to have happened.
    biz_opaque_callback_data: job.job_id,
    ...contentOf(job),
  }
}

/** `to` is a phone, `recipient` a business-scoped id; were both given, Meta would take `to`. */
function recipientOf({ to }: OutboundMessage): object {
  if (to.phone !== undefined) {
    const digits = to.phone.replace(/[\s().+-]/g, '')
    if (!/^\d{5,15}$/.test(digits)) {
      throw new Invalid('to.phone', 'a phone number such as +6281234567890', 'something else')
    }
    return { to: digits }
  }
  if (to.user_id !== undefined) return { recipient: text('to.user_id', to.user_id, 256) }
  throw new Invalid('to', 'a phone or a user_id', 'neither')
}

function contentOf(job: OutboundMessage): object {
  switch (job.kind) {
    case 'text':
      return {
        type: 'text',
        text: { body: text('body', job.body, MESSAGE_LIMITS.textBody), preview_url: false },
      }
    case 'buttons':
      return interactive(job, 'button', { buttons: buttonsOf(job.choices ?? []) })
    case 'list':
      return interactive(job, 'list', {
        button: text('button', job.button, MESSAGE_LIMITS.listButton),
        sections: [{ rows: rowsOf(job.choices ?? []) }],
      })
    case 'location_request':
      return interactive(job, 'location_request_message', { name: 'send_location' })
    case 'template':
      return { type: 'template', template: templateOf(job) }
    default:
      throw new Invalid('kind', 'a kind of message that is known', String(job.kind))
  }
}

const interactive = (job: OutboundMessage, type: string, action: object) => ({
  type: 'interactive',
  interactive: { type, body: { text: text('body', job.body, MESSAGE_LIMITS.interactiveBody) }, action },
})

function buttonsOf(choices: readonly Choice[]): object[] {
  counted(choices, MESSAGE_LIMITS.buttons)
  unique(choices, 'id')
  unique(choices, 'title')
  return choices.map(({ id, title }, i) => ({
    type: 'reply',
    reply: {
      id: trimmed(`choices.${i}.id`, text(`choices.${i}.id`, id, MESSAGE_LIMITS.buttonId)),
      title: text(`choices.${i}.title`, title, MESSAGE_LIMITS.buttonTitle),
    },
  }))
}

function rowsOf(choices: readonly Choice[]): object[] {
  counted(choices, MESSAGE_LIMITS.rows)
  unique(choices, 'id')
  return choices.map(({ id, title, description }, i) => ({
    id: trimmed(`choices.${i}.id`, text(`choices.${i}.id`, id, MESSAGE_LIMITS.rowId)),
    title: text(`choices.${i}.title`, title, MESSAGE_LIMITS.rowTitle),
    ...(description !== undefined &&
      description !== '' && {
        description: text(`choices.${i}.description`, description, MESSAGE_LIMITS.rowDescription),
      }),
  }))
}

function templateOf({ template }: OutboundMessage): object {
  if (template === undefined) throw new Invalid('template', 'a template', 'nothing')
  const { name, language, parameters, payloads = [] } = template
  const body = parameters.map((value, i) => ({
    type: 'text',
    text: text(`template.parameters.${i}`, value, MESSAGE_LIMITS.interactiveBody),
  }))
  const buttons = payloads.map((payload, i) => ({
    type: 'button',
    sub_type: 'quick_reply',
    index: String(i),
    parameters: [{ type: 'payload', payload: text(`template.payloads.${i}`, payload, TEMPLATE_PAYLOAD_MAX) }],
  }))
  const components = [...(body.length > 0 ? [{ type: 'body', parameters: body }] : []), ...buttons]
  return {
    name: text('template.name', name, 512),
    language: { code: text('template.language', language, 16) },
    ...(components.length > 0 && { components }),
  }
}

function text(field: string, value: string | undefined, max: number): string {
  if (value === undefined || value.trim() === '') throw new Invalid(field, 'some text', 'none')
  // In UTF-16 units, which are never fewer than Meta's characters.
  if (value.length > max) throw new Invalid(field, `at most ${max} characters`, String(value.length))
  return value
}

function trimmed(field: string, value: string): string {
  if (value !== value.trim()) throw new Invalid(field, 'no space at its ends', 'some')
  return value
}

function counted(choices: readonly Choice[], max: number): void {
  if (choices.length < 1 || choices.length > max) {
    throw new Invalid('choices', `1 to ${max} of them`, String(choices.length))
  }
}

function unique(choices: readonly Choice[], part: 'id' | 'title'): void {
  const seen = new Set<string>()
  for (const [i, choice] of choices.entries()) {
    if (seen.has(choice[part])) throw new Invalid(`choices.${i}.${part}`, 'one that no other has', 'a repeat')
    seen.add(choice[part])
  }
}
