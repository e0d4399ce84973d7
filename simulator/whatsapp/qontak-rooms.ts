/** What the local Qontak keeps: rooms, their messages, broadcasts, templates; and the checks its chat API makes. */
import { randomUUID } from 'node:crypto'
import { MESSAGE_LIMITS } from '../../gateway/contract/bridge.ts'

export interface RoomMessage {
  readonly id: string
  readonly room_id: string
  readonly type: string
  readonly participant_type: 'customer' | 'agent' | 'bot'
  readonly text: string
  readonly created_at: string
  /** Titles that can be tapped. */
  readonly titles: readonly string[]
  readonly location: {
    readonly latitude: number
    readonly longitude: number
    readonly name: string | null
  } | null
  status: 'created' | 'sent' | 'delivered' | 'read' | 'failed'
}

export interface Room {
  readonly id: string
  /** Digits. */
  readonly phone: string
  readonly name: string
  session: 'open' | 'expired'
  readonly messages: RoomMessage[]
  markedRead: number
}

export interface Broadcast {
  readonly id: string
  readonly phone: string
  readonly name: string
  readonly template: TemplateRecord
  readonly language: string
  /** The body's parameters, in order. */
  readonly parameters: readonly string[]
}

export interface TemplateRecord {
  readonly id: string
  readonly name: string
  readonly language: string
  readonly status: 'APPROVED' | 'PENDING'
  /** Labels of quick replies. */
  readonly labels: readonly string[]
}

/** What a call is answered. */
export interface Reply {
  readonly status: number
  readonly body: object
}

export const success = (status: number, data: unknown): Reply => ({
  status,
  body: { status: 'success', data },
})
export const failure = (code: number, ...messages: string[]): Reply => ({
  status: code,
  body: { status: 'error', error: { code, messages } },
})

type Fields = Readonly<Record<string, unknown>>
const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {}
const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.map(fieldsOf) : [])

export type Written = Pick<RoomMessage, 'type' | 'text' | 'titles'>

/** `POST messages/whatsapp/bot` → what it writes, or what is wrong with it. */
export function textOf({ type, text }: Fields): Written | string {
  if (type !== 'text') return 'type is not supported here'
  if (typeof text !== 'string' || text === '') return 'text is missing'
  return text.length > MESSAGE_LIMITS.textBody ? 'text is too long' : { type: 'text', text, titles: [] }
}

/** `POST messages/whatsapp/interactive_message/bot` → likewise. Its `body` is a text. */
export function interactiveOf({ type, interactive }: Fields): Written | string {
  const { body, buttons, lists } = fieldsOf(interactive)
  if (typeof body !== 'string' || body === '') return 'interactive.body is missing'
  if (body.length > MESSAGE_LIMITS.interactiveBody) return 'interactive.body is too long'
  if (type !== 'button' && type !== 'list') return 'type is not included in the list'
  const { button, sections } = fieldsOf(lists)
  const items = type === 'button' ? listOf(buttons) : listOf(sections).flatMap(({ rows }) => listOf(rows))
  const most = type === 'button' ? MESSAGE_LIMITS.buttons : MESSAGE_LIMITS.rows
  const longest = type === 'button' ? MESSAGE_LIMITS.buttonTitle : MESSAGE_LIMITS.rowTitle
  if (items.length < 1 || items.length > most) return `interactive needs 1 to ${most} choices`
  if (
    type === 'list' &&
    (typeof button !== 'string' || button === '' || button.length > MESSAGE_LIMITS.listButton)
  ) {
    return 'interactive.lists.button is missing or too long'
  }
  for (const { id, title, description } of items) {
    if (typeof id !== 'string' || id === '') return 'a choice has no id'
    if (typeof title !== 'string' || title === '' || title.length > longest)
      return 'a title is missing or too long'
    if (typeof description === 'string' && description.length > MESSAGE_LIMITS.rowDescription) {
      return 'a description is too long'
    }
  }
  return { type: 'text', text: body, titles: items.map(({ title }) => String(title)) }
}

/** `POST broadcasts/whatsapp/direct` → likewise. */
export function broadcastOf(
  call: Fields,
  templates: readonly TemplateRecord[],
  channelId: string,
): Broadcast | readonly string[] {
  const required = [
    'to_name',
    'to_number',
    'message_template_id',
    'channel_integration_id',
    'language',
    'parameters',
  ]
  const missing = required.filter((field) => call[field] === undefined || call[field] === '')
  if (missing.length > 0) return missing.map((field) => `${field} is missing`)
  const template = templates.find(
    ({ id, status }) => id === call.message_template_id && status === 'APPROVED',
  )
  if (template === undefined) return ['message_template_id is invalid']
  if (call.channel_integration_id !== channelId) return ['channel_integration_id is invalid']
  const { code } = fieldsOf(call.language)
  if (code !== 'id' && code !== 'en') return ['language.code is not included in the list']
  if (!/^\d{8,15}$/.test(String(call.to_number))) return ['to_number is invalid']
  const body = listOf(fieldsOf(call.parameters).body)
  for (const [i, { key, value, value_text }] of body.entries()) {
    if (key !== String(i + 1)) return ['parameters.body.key is invalid']
    if (typeof value !== 'string' || value === '') return ['parameters.body.value is missing']
    if (typeof value_text !== 'string' || value_text === '') return ['parameters.body.value_text is missing']
  }
  return {
    id: randomUUID(),
    phone: String(call.to_number),
    name: String(call.to_name),
    template,
    language: code,
    parameters: body.map(({ value_text }) => String(value_text)),
  }
}
