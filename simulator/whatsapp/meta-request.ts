/**
 * What Meta says to a request to `POST /{phone-number-id}/messages`: pure, from its own description of the limits
 * (openapi, and the libraries that speak it). It knows nothing of how the hub writes one.
 */

/** As it stands in `error` of an answer. */
export interface GraphError {
  readonly status: number
  readonly code: number
  readonly message: string
  readonly details: string
}

export interface ReadMessage {
  /** `to`, when it was given; else null. */
  readonly phone: string | null
  /** `recipient`, when `to` was not. */
  readonly userId: string | null
  readonly type: 'text' | 'buttons' | 'list' | 'location_request' | 'template'
  readonly text: string
  /** Buttons or rows; of a template, its quick replies. */
  readonly choices: readonly { readonly id: string; readonly title: string }[]
  readonly template: {
    readonly name: string
    readonly language: string
    readonly parameters: string[]
  } | null
  readonly callbackData: string | null
  readonly replyTo: string | null
}

export type ReadRequest =
  | { readonly kind: 'message'; readonly message: ReadMessage }
  | { readonly kind: 'read'; readonly messageId: string; readonly isTyping: boolean }
  | { readonly kind: 'error'; readonly error: GraphError }

type Fields = Readonly<Record<string, unknown>>

class Refused extends Error {
  readonly code: number
  constructor(code: number, details: string) {
    super(details)
    this.code = code
  }
}

const TITLES: Readonly<Record<number, string>> = {
  100: 'Invalid parameter',
  131008: 'Required parameter is missing',
  131009: 'Parameter value is not valid',
  131051: 'Message type unknown',
}

export const graphError = (status: number, code: number, title: string, details = title): GraphError => ({
  status,
  code,
  message: `(#${code}) ${title}`,
  details,
})

export function readRequest(body: unknown): ReadRequest {
  try {
    return requestOf(fields(body))
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    const { code, message } = error
    return { kind: 'error', error: graphError(400, code, TITLES[code] ?? 'Error', message) }
  }
}

function requestOf(body: Fields): ReadRequest {
  if (body.messaging_product !== 'whatsapp') {
    throw new Refused(100, 'The parameter messaging_product is required.')
  }
  if (body.status === 'read') {
    const messageId = string(body.message_id, 'message_id')
    if (!messageId.startsWith('wamid.')) throw new Refused(131009, 'Invalid message id')
    return { kind: 'read', messageId, isTyping: fields(body.typing_indicator).type === 'text' }
  }
  const phone = typeof body.to === 'string' && body.to !== '' ? body.to.replace(/\D/g, '') : null
  const userId = typeof body.recipient === 'string' && body.recipient !== '' ? body.recipient : null
  if (phone === null && userId === null) throw new Refused(131008, 'to or recipient is required')
  if (phone !== null && !/^\d{5,15}$/.test(phone)) throw new Refused(131009, 'to is not a phone number')
  if (body.recipient_type !== undefined && body.recipient_type !== 'individual') {
    throw new Refused(131009, 'recipient_type')
  }
  const callbackData = body.biz_opaque_callback_data
  if (callbackData !== undefined) bounded(callbackData, 'biz_opaque_callback_data', 512)
  const replyTo = fields(body.context).message_id
  return {
    kind: 'message',
    message: {
      phone,
      // When both are given, `to` wins.
      userId: phone === null ? userId : null,
      callbackData: typeof callbackData === 'string' ? callbackData : null,
      replyTo: typeof replyTo === 'string' ? replyTo : null,
      ...contentOf(body),
    },
  }
}

type Content = Pick<ReadMessage, 'type' | 'text' | 'choices' | 'template'>

function contentOf(body: Fields): Content {
  const plain = { choices: [], template: null }
  switch (body.type) {
    case 'text':
      return { type: 'text', text: bounded(fields(body.text).body, 'text.body', 4096), ...plain }
    case 'interactive': {
      const { type, body: said, action } = fields(body.interactive)
      const text = bounded(fields(said).text, 'interactive.body.text', 1024)
      if (type === 'button') {
        return { type: 'buttons', text, choices: buttonsOf(fields(action)), template: null }
      }
      if (type === 'list') return { type: 'list', text, choices: rowsOf(fields(action)), template: null }
      if (type === 'location_request_message' && fields(action).name === 'send_location') {
        return { type: 'location_request', text, ...plain }
      }
      throw new Refused(131009, `interactive.type ${String(type)}`)
    }
    case 'template':
      return templateOf(fields(body.template))
    default:
      throw new Refused(131051, `type ${String(body.type)}`)
  }
}

function buttonsOf({ buttons }: Fields): { id: string; title: string }[] {
  const all = list(buttons)
  if (all.length < 1 || all.length > 3) throw new Refused(131009, 'Buttons: between 1 and 3')
  const choices = all.map((button) => {
    const { type, reply } = fields(button)
    if (type !== 'reply') throw new Refused(131009, 'Button type')
    const { id, title } = fields(reply)
    return { id: bounded(id, 'button id', 256), title: bounded(title, 'button title', 20) }
  })
  if (choices.some(({ id }) => id !== id.trim())) throw new Refused(131009, 'Button id has spaces')
  distinct(choices.map(({ id }) => id))
  distinct(choices.map(({ title }) => title))
  return choices
}

function rowsOf({ button, sections }: Fields): { id: string; title: string }[] {
  bounded(button, 'list button', 20)
  const all = list(sections)
  if (all.length < 1 || all.length > 10) throw new Refused(131009, 'Sections: between 1 and 10')
  const rows = all.flatMap((section) => {
    const { title, rows } = fields(section)
    if (all.length > 1) bounded(title, 'section title', 24)
    return list(rows).map((row) => {
      const { id, title, description } = fields(row)
      if (description !== undefined) bounded(description, 'row description', 72)
      return { id: bounded(id, 'row id', 200), title: bounded(title, 'row title', 24) }
    })
  })
  if (rows.length < 1 || rows.length > 10) throw new Refused(131009, 'Total row count exceed max allowed: 10')
  distinct(rows.map(({ id }) => id))
  return rows
}

function templateOf({ name, language, components }: Fields): Content {
  const parts = list(components ?? []).map(fields)
  const parameters = parts
    .filter(({ type }) => type === 'body')
    .flatMap(({ parameters }) => list(parameters))
    .map((parameter) => string(fields(parameter).text, 'template parameter'))
  const choices = parts
    .filter(({ type, sub_type }) => type === 'button' && sub_type === 'quick_reply')
    .map(({ parameters }) => {
      const id = bounded(fields(list(parameters)[0]).payload, 'button payload', 128)
      // The label stands in the registered template, which this server does not have.
      return { id, title: id }
    })
  const template = {
    name: string(name, 'template.name'),
    language: string(fields(language).code, 'template.language.code'),
    parameters,
  }
  return { type: 'template', text: '', choices, template }
}

function bounded(value: unknown, name: string, max: number): string {
  const text = string(value, name)
  if ([...text].length > max) throw new Refused(131009, `${name}: length must be between 1 and ${max}`)
  return text
}

function string(value: unknown, name: string): string {
  if (typeof value !== 'string' || value === '') throw new Refused(131008, `${name} is required`)
  return value
}

function distinct(values: readonly string[]): void {
  if (new Set(values).size < values.length) throw new Refused(131009, 'Duplicated title or id')
}

const list = (value: unknown): readonly unknown[] => {
  if (!Array.isArray(value)) throw new Refused(131008, 'an array is required')
  return value
}

const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {}
