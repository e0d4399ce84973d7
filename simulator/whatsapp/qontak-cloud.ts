/**
 * Mekari Qontak on this machine, as its reference describes it: people write to it and are written to, and whoever
 * registered a webhook hears of both.
 *
 *   /oauth/token                   tokens by password and refresh token
 *   /api/open/v1/…                 the chat API, by bearer token; bots' endpoints want a bot's
 *   /qontak/chat/v1/…, /qontak/crm/…  the Mekari gateway, signed; the gateway sends no messages in rooms
 *
 * A room's session is open once its person has written; `expireSession` ends it. Broadcasts: 60 a minute. A tap is a plain
 * text, the title, as far as is known. Reports of what was sent come in the order met in the wild: delivered before sent.
 * Faults are scripted per path: an answer, no answer, a reset before or after the work was done.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { createTokens, type QontakAccount, refusalOf, type Tokens } from './qontak-auth.ts'
import { createCrm, type QontakCrm } from './qontak-crm.ts'
import {
  type Broadcast,
  broadcastOf,
  failure,
  interactiveOf,
  type Reply,
  type Room,
  type RoomMessage,
  success,
  type TemplateRecord,
  textOf,
  type Written,
} from './qontak-rooms.ts'
import {
  broadcastBody,
  createWebhookSender,
  type Delivery,
  messageBody,
  type Organisation,
  type Shape,
  type WebhookSender,
} from './qontak-webhooks.ts'

export interface Fault {
  /** Of `METHOD /path`. */
  readonly on: RegExp
  /**
   * `never`: no answer. `reset`: the connection breaks before anything was done, `reset-after`: after it.
   * `never-after`: it was done, and no answer comes.
   */
  readonly answer:
    | { readonly status: number; readonly body?: object; readonly headers?: Readonly<Record<string, string>> }
    | 'never'
    | 'never-after'
    | 'reset'
    | 'reset-after'
  /** How often; then all is well again. */
  times: number
}

export interface Asked {
  readonly method: string
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
  readonly status: number
}

export interface QontakCloudOptions {
  /** 0: any free one. */
  readonly port?: number
  readonly account?: Partial<QontakAccount>
  readonly templates?: readonly Omit<TemplateRecord, 'id'>[]
  /** In which shape webhooks come. */
  readonly shape?: Shape
  readonly broadcastsPerMinute?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export interface QontakCloud extends AsyncDisposable {
  /** `http://127.0.0.1:…` */
  readonly origin: string
  /** For QONTAK_API_URL. */
  readonly apiUrl: string
  readonly account: QontakAccount
  readonly organizationId: string
  readonly channelId: string
  readonly templates: readonly TemplateRecord[]
  readonly tokens: Tokens
  readonly crm: QontakCrm
  readonly webhooks: WebhookSender
  readonly broadcasts: readonly Broadcast[]
  readonly asked: readonly Asked[]
  /** A person writes. Resolves when the webhook was taken, or given up. */
  say(phone: string, text: string, name?: string): Promise<Delivery>
  /** A person taps: the last message with this title has to be there. */
  tap(phone: string, title: string): Promise<Delivery>
  shareLocation(phone: string, latitude: number, longitude: number, name?: string | null): Promise<Delivery>
  /** An agent writes from Qontak's own page. */
  agentSays(phone: string, text: string): Promise<Delivery>
  /** What became of a broadcast. */
  reportBroadcast(
    broadcast: Broadcast,
    status: 'sent' | 'delivered' | 'read' | 'failed',
    error?: string,
  ): Promise<Delivery>
  expireSession(phone: string): void
  /** A person's room, once they have written. */
  room(phone: string): Room | undefined
  /** What a person was sent, in rooms and by broadcast, oldest first. */
  heard(phone: string): readonly string[]
  /** Answers the next calls so; later faults stand behind earlier ones. */
  fault(fault: Fault): void
}

const BODY_BYTES_MAX = 1024 * 1024
const digits = (phone: string): string => phone.replace(/\D/g, '')

export async function openQontakCloud({
  port = 0,
  account: given = {},
  templates: givenTemplates = [],
  shape = 'new',
  broadcastsPerMinute = 60,
  now = Date.now,
}: QontakCloudOptions = {}): Promise<QontakCloud> {
  const account: QontakAccount = {
    clientId: 'mekari-client',
    clientSecret: 'mekari-client-secret',
    username: 'hub@dealer.example',
    password: 'qontak-password',
    botToken: 'bot-token',
    userToken: 'user-token',
    ...given,
  }
  const organisation: Organisation = {
    organizationId: randomUUID(),
    channelId: randomUUID(),
    accountName: 'Dealer',
  }
  const templates = givenTemplates.map((template) => ({ id: randomUUID(), ...template }))
  const tokens = createTokens(account, now)
  const crm = createCrm(now)
  const webhooks = createWebhookSender()
  const rooms = new Map<string, Room>()
  const broadcasts: Broadcast[] = []
  const broadcastTimes: number[] = []
  const asked: Asked[] = []
  const faults: Fault[] = []
  /** In the order in which it was sent, by phone. */
  const heard = new Map<string, string[]>()

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const raw = await readText(request)
    const url = new URL(request.url ?? '/', origin)
    const method = request.method ?? 'GET'
    const at = faults.findIndex(({ on }) => on.test(`${method} ${url.pathname}`))
    const fault = faults[at]
    if (fault !== undefined && --fault.times <= 0) faults.splice(at, 1)
    const body = parse(raw)
    const log = (status: number) => asked.push({ method, path: url.pathname + url.search, body, status })
    if (fault?.answer === 'never' || fault?.answer === 'reset') {
      log(0)
      if (fault.answer === 'reset') response.destroy()
      return
    }
    if (typeof fault?.answer === 'object') {
      log(fault.answer.status)
      return send(response, fault.answer.status, fault.answer.body ?? {}, fault.answer.headers)
    }
    const reply =
      raw.length > BODY_BYTES_MAX ? failure(413, 'too large') : answer(request, url, method, raw, body)
    log(reply.status)
    if (fault?.answer === 'reset-after') response.destroy()
    else if (fault?.answer !== 'never-after') send(response, reply.status, reply.body, headersOf(reply))
  }

  function answer(
    request: IncomingMessage,
    url: URL,
    method: string,
    raw: string,
    body: Readonly<Record<string, unknown>>,
  ): Reply {
    const { pathname } = url
    if (/^(\/api\/open\/v1)?\/oauth\/token$/.test(pathname) && method === 'POST') return tokens.grant(body)
    if (pathname.startsWith('/qontak/')) {
      const call = { method, path: pathname + url.search, headers: request.headers, body: raw }
      const refusal = refusalOf(account, call, now())
      if (refusal !== null) return { status: 401, body: { message: refusal } }
      if (pathname.startsWith('/qontak/crm/')) return crm.call(method, url, body)
      const path = pathname.slice('/qontak/chat/v1'.length)
      return path.startsWith('/messages/') ? failure(404, 'Not found') : chat(method, path, body)
    }
    if (!pathname.startsWith('/api/open/v1/')) return failure(404, 'Not found')
    const role = tokens.roleOf(request.headers.authorization)
    if (role === null) return { status: 401, body: { message: 'Unauthorized' } }
    const path = pathname.slice('/api/open/v1'.length)
    if (/\/bot$/.test(path) && role !== 'bot') return failure(403, 'Forbidden')
    return chat(method, path, body)
  }

  function chat(method: string, path: string, body: Readonly<Record<string, unknown>>): Reply {
    const [, roomId, action] = /^\/rooms\/([^/]+)(\/\w+)?$/.exec(path) ?? []
    const room = [...rooms.values()].find(({ id }) => id === (roomId ?? body.room_id))
    switch (`${method} ${roomId === undefined ? path : `/rooms/:id${action ?? ''}`}`) {
      case 'POST /messages/whatsapp/bot':
        return write(room, textOf(body))
      case 'POST /messages/whatsapp/interactive_message/bot':
        return write(room, interactiveOf(body))
      case 'POST /broadcasts/whatsapp/direct':
        return broadcast(body)
      case 'GET /templates/whatsapp':
        return success(
          200,
          templates.map(({ labels, ...template }) => ({
            ...template,
            body: '',
            buttons: labels.map((text) => ({ type: 'QUICK_REPLY', text })),
          })),
        )
      case 'GET /integrations':
        return success(200, [{ id: organisation.channelId, target_channel: 'wa_cloud' }])
      case 'GET /rooms/:id':
        return room === undefined
          ? failure(404, 'Room not found')
          : success(200, { ...room, messages: undefined, last_message: room.messages.at(-1) ?? null })
      case 'PUT /rooms/:id/mark_all_as_read':
        if (room === undefined) return failure(404, 'Room not found')
        room.markedRead++
        return success(200, null)
      case 'PUT /message_interactions':
        return register(body)
      default:
        return failure(404, 'Not found')
    }
  }

  function write(room: Room | undefined, written: Written | string): Reply {
    if (room === undefined) return failure(422, 'room_id is invalid')
    if (room.session === 'expired') return failure(422, 'Room session is expired')
    if (typeof written === 'string') return failure(422, written)
    const message = add(room, 'bot', written)
    tellOf(room, message)
    return success(201, { ...message, room_id: room.id })
  }

  /** The echo, and what became of it. */
  function tellOf(room: Room, message: RoomMessage): void {
    const post = (event: 'receive_message_from_agent' | 'status_message', status: RoomMessage['status']) =>
      webhooks.post(messageBody(organisation, room, { ...message, status }, event, shape))
    void post('receive_message_from_agent', 'created')
    void post('status_message', 'delivered')
    void post('status_message', 'sent')
    message.status = 'delivered'
  }

  function broadcast(body: Readonly<Record<string, unknown>>): Reply {
    const since = now() - 60_000
    if (broadcastTimes.filter((time) => time > since).length >= broadcastsPerMinute) {
      return failure(429, 'Rate limit exceeded')
    }
    broadcastTimes.push(now())
    const made = broadcastOf(body, templates, organisation.channelId)
    if (!('id' in made)) return failure(422, ...made)
    broadcasts.push(made)
    hear(made.phone, `[${made.template.name}] ${made.parameters.join(' | ')}`)
    return success(201, {
      id: made.id,
      contact_id: randomUUID(),
      channel_integration_id: organisation.channelId,
      target_channel: 'wa_cloud',
      execute_status: 'todo',
      execute_type: 'immediately',
      message_template: { id: made.template.id, name: made.template.name },
      created_at: new Date(now()).toISOString(),
    })
  }

  /** Qontak posts once to see whether anybody is there. */
  function register(body: Readonly<Record<string, unknown>>): Reply {
    if (typeof body.url !== 'string' || !URL.canParse(body.url)) return failure(422, 'url is invalid')
    webhooks.url = body.url
    void webhooks.post({ verify_info: { organization_id: organisation.organizationId } })
    const {
      receive_message_from_customer,
      receive_message_from_agent,
      status_message,
      broadcast_log_status,
    } = body
    return success(200, {
      receive_message_from_customer: {
        enabled: receive_message_from_customer === true,
        webhooks: [{ url: body.url }],
      },
      receive_message_from_agent: { enabled: receive_message_from_agent === true },
      status_message: { enabled: status_message === true },
      broadcast_log_status: { enabled: broadcast_log_status === true },
    })
  }

  function add(
    room: Room,
    participant: RoomMessage['participant_type'],
    written: Partial<RoomMessage> & Pick<RoomMessage, 'text'>,
  ): RoomMessage {
    const message: RoomMessage = {
      id: randomUUID(),
      room_id: room.id,
      type: 'text',
      participant_type: participant,
      created_at: new Date(now()).toISOString(),
      titles: [],
      location: null,
      status: 'created',
      ...written,
    }
    room.messages.push(message)
    if (participant !== 'customer') hear(room.phone, message.text)
    return message
  }

  function hear(phone: string, text: string): void {
    heard.set(phone, [...(heard.get(phone) ?? []), text])
  }

  function roomOf(phone: string, name = 'Rina'): Room {
    const found = rooms.get(digits(phone))
    if (found !== undefined) return found
    const room: Room = {
      id: randomUUID(),
      phone: digits(phone),
      name,
      session: 'open',
      messages: [],
      markedRead: 0,
    }
    rooms.set(room.phone, room)
    return room
  }

  function customerWrites(
    room: Room,
    written: Partial<RoomMessage> & Pick<RoomMessage, 'text'>,
  ): Promise<Delivery> {
    room.session = 'open'
    const message = add(room, 'customer', written)
    return webhooks.post(messageBody(organisation, room, message, 'receive_message_from_customer', shape))
  }

  return {
    origin,
    apiUrl: `${origin}/api/open/v1`,
    account,
    organizationId: organisation.organizationId,
    channelId: organisation.channelId,
    templates,
    tokens,
    crm,
    webhooks,
    broadcasts,
    asked,
    say: (phone, text, name) => customerWrites(roomOf(phone, name), { text }),
    async tap(phone, title) {
      const room = roomOf(phone)
      const isOffered =
        room.messages.some(({ titles }) => titles.includes(title)) ||
        broadcasts.some(({ phone: to, template }) => to === room.phone && template.labels.includes(title))
      if (!isOffered) throw new Error(`nothing that can be tapped says ${title}`)
      return customerWrites(room, { text: title })
    },
    shareLocation: (phone, latitude, longitude, name = null) =>
      customerWrites(roomOf(phone), { type: 'location', text: '', location: { latitude, longitude, name } }),
    agentSays(phone, text) {
      const room = roomOf(phone)
      const message = add(room, 'agent', { text })
      return webhooks.post(messageBody(organisation, room, message, 'receive_message_from_agent', shape))
    },
    reportBroadcast: (one, status, error) =>
      webhooks.post(broadcastBody(organisation, one, status, error ?? null)),
    expireSession(phone) {
      roomOf(phone).session = 'expired'
    },
    room: (phone) => rooms.get(digits(phone)),
    heard: (phone) => heard.get(digits(phone)) ?? [],
    fault: (fault) => void faults.push({ ...fault }),
    async [Symbol.asyncDispose]() {
      webhooks.stop()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function send(response: ServerResponse, status: number, body: object, headers: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

const headersOf = ({ status }: Reply): object => (status === 429 ? { 'retry-after': '1' } : {})

function parse(raw: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(raw)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
