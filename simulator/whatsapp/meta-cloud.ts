/**
 * A local server that is Meta's Graph API for one WhatsApp number, and the people who write to it. What it answers, and
 * when, is Meta's own description (limits, error codes, rates, the 24-hour window); faults are ordered by script.
 *
 *   people    person(…), then say, tap, shareLocation, send: what they do becomes a webhook
 *   received  what a person got, and the event `received`
 *   faults    next(3, { kind: 'error', status: 500, code: 131000 }): the next three sends
 *   webhooks  hold, release in another order, again; idle: all of them answered 200
 */
import { EventEmitter } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { PairLimit, Throughput } from './meta-limits.ts'
import { type GraphError, graphError, type ReadMessage, readRequest } from './meta-request.ts'
import { BATCH_UPDATES_MAX, type Update, WebhookSender } from './meta-webhooks.ts'

export interface MetaCloudOptions {
  readonly phoneNumberId: string
  readonly accessToken: string
  readonly appSecret: string
  readonly verifyToken: string
  /** Where webhooks are posted; it may be set later, before the first of them. */
  readonly webhookUrl?: string
  readonly host?: string
  /** 0: any free one. */
  readonly port?: number
  /** Milliseconds since 1970; moves the 24-hour window and the rates. */
  readonly now?: () => number
  /** Registered templates by name; unset: all are. */
  readonly templates?: readonly string[]
  readonly batchUpdatesMax?: number
  readonly webhookTimeoutMs?: number
  readonly webhookRetryDelayMs?: (nth: number) => number
  readonly messagesPerSecond?: number
}

export interface MetaPerson {
  /** Digits; Meta knows it also of who shows only a username. */
  readonly phone: string
  readonly userId: string
  readonly name: string
  /** Shows a username instead of the phone number. */
  readonly username: string | null
  /** Has read receipts on. */
  readonly reads: boolean
}

export interface ReceivedMessage
  extends Pick<ReadMessage, 'type' | 'text' | 'choices' | 'template' | 'replyTo'> {
  readonly id: string
  readonly jobId: string | null
  readonly atMs: number
}

export type Fault =
  /** Refused; `code` null: an error page of something in front of Meta. */
  | { readonly kind: 'error'; readonly status: number; readonly code: number | null }
  /** Accepted, and the answer never comes. */
  | { readonly kind: 'lost_answer' }
  /** Accepted, and the connection breaks before the answer. */
  | { readonly kind: 'reset_after' }
  /** Not accepted: the connection breaks. */
  | { readonly kind: 'reset_before' }
  /** Accepted with 200, and failed later. */
  | { readonly kind: 'fails_later'; readonly code: number }

export interface Referral {
  readonly source_type?: string
  readonly source_id?: string
  readonly source_url?: string
  readonly headline?: string
  readonly body?: string
  readonly media_type?: string
  readonly ctwa_clid?: string
}

interface MetaCloudEvents {
  received: [person: MetaPerson, message: ReceivedMessage]
  read: [messageId: string]
}

const WINDOW_MS = 24 * 60 * 60 * 1000
const REQUEST_BYTES_MAX = 1024 * 1024
const DISPLAY_PHONE_NUMBER = '+62 811-0000-0000'

export async function startMetaCloud(options: MetaCloudOptions): Promise<MetaCloud> {
  const cloud = new MetaCloud(options)
  await cloud.listen()
  return cloud
}

export class MetaCloud extends EventEmitter<MetaCloudEvents> implements AsyncDisposable {
  readonly #options: MetaCloudOptions
  readonly #now: () => number
  readonly #server = createServer((request, response) => this.#answer(request, response))
  /** By phone and by user id. */
  readonly #people = new Map<string, MetaPerson>()
  readonly #received = new Map<MetaPerson, ReceivedMessage[]>()
  readonly #lastWroteMs = new Map<MetaPerson, number>()
  readonly #pairs = new Map<MetaPerson, PairLimit>()
  readonly #faults: Fault[] = []
  readonly #throughput: Throughput
  readonly #requests: { readonly atMs: number; readonly code: number | null }[] = []
  #webhooks: WebhookSender | null = null
  #accessToken: string
  #ids = 0

  constructor(options: MetaCloudOptions) {
    super()
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#accessToken = options.accessToken
    this.#throughput = new Throughput(options.messagesPerSecond ?? 80)
    if (options.webhookUrl !== undefined) this.sendWebhooksTo(options.webhookUrl)
  }

  async listen(): Promise<void> {
    const { port = 0, host = '127.0.0.1' } = this.#options
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, resolve)
    })
  }

  /** For META_API_URL. */
  get url(): string {
    const { port } = this.#server.address() as { port: number }
    return `http://${this.#options.host ?? '127.0.0.1'}:${port}`
  }

  sendWebhooksTo(url: string): void {
    this.#webhooks?.close()
    const { appSecret, verifyToken, phoneNumberId } = this.#options
    this.#webhooks = new WebhookSender({
      url,
      appSecret,
      verifyToken,
      phoneNumberId,
      displayPhoneNumber: DISPLAY_PHONE_NUMBER,
      batchUpdatesMax: Math.min(this.#options.batchUpdatesMax ?? BATCH_UPDATES_MAX, BATCH_UPDATES_MAX),
      retryDelayMs: this.#options.webhookRetryDelayMs ?? ((nth) => Math.min(3_600_000, 1000 * 2 ** nth)),
      timeoutMs: this.#options.webhookTimeoutMs ?? 10_000,
    })
  }

  /** @throws when no URL was set */
  get webhooks(): WebhookSender {
    if (this.#webhooks === null) throw new Error('no webhook URL was set')
    return this.#webhooks
  }

  /** Somebody new. With a username, the hub sees no phone number. */
  person({
    phone,
    name,
    username = null,
    reads = true,
  }: {
    phone: string
    name: string
    username?: string | null
    reads?: boolean
  }): MetaPerson {
    const userId = `ID.${String(1_000_000_000_000_000 + this.#received.size)}`
    const person = { phone: phone.replace(/\D/g, ''), userId, name, username, reads }
    this.#people.set(person.phone, person).set(userId, person)
    this.#received.set(person, [])
    return person
  }

  /** @returns the id of the message */
  say(person: MetaPerson, text: string, { referral }: { referral?: Referral } = {}): string {
    return this.send(person, { type: 'text', text: { body: text }, ...(referral && { referral }) })
  }

  /** Taps a button, row or quick reply of what they received. @throws when it has no such choice */
  tap(person: MetaPerson, message: ReceivedMessage, choiceId: string): string {
    const choice = message.choices.find(({ id }) => id === choiceId)
    if (choice === undefined) throw new Error(`${message.id} has no choice ${choiceId}`)
    const context = { from: DISPLAY_PHONE_NUMBER.replace(/\D/g, ''), id: message.id }
    if (message.type === 'template') {
      return this.send(person, {
        type: 'button',
        button: { payload: choice.id, text: choice.title },
        context,
      })
    }
    const type = message.type === 'list' ? 'list_reply' : 'button_reply'
    return this.send(person, { type: 'interactive', interactive: { type, [type]: choice }, context })
  }

  shareLocation(
    person: MetaPerson,
    location: { latitude: number; longitude: number; name?: string; address?: string },
    request?: ReceivedMessage,
  ): string {
    return this.send(person, { type: 'location', location, ...(request && { context: { id: request.id } }) })
  }

  /** Anything a person may send, by Meta's fields. */
  send(person: MetaPerson, content: { readonly type: string; readonly [field: string]: unknown }): string {
    const id = this.#nextId('IN')
    const nowMs = this.#now()
    this.#lastWroteMs.set(person, nowMs)
    this.#throughput.count(nowMs)
    const showsPhone = person.username === null
    const message = {
      ...(showsPhone && { from: person.phone }),
      from_user_id: person.userId,
      id,
      timestamp: String(Math.floor(nowMs / 1000)),
      ...content,
    }
    const contact = {
      profile: { name: person.name, ...(person.username !== null && { username: `@${person.username}` }) },
      ...(showsPhone && { wa_id: person.phone }),
      user_id: person.userId,
    }
    this.webhooks.push({ kind: 'message', message, contact })
    return id
  }

  /** What this person got, in order. */
  received(person: MetaPerson): readonly ReceivedMessage[] {
    return this.#received.get(person) ?? []
  }

  /** Every request to send, with the code it was answered with (null: accepted). */
  get requests(): readonly { readonly atMs: number; readonly code: number | null }[] {
    return this.#requests
  }

  /** The next `count` requests to send meet this fault. */
  next(count: number, fault: Fault): void {
    for (let i = 0; i < count; i++) this.#faults.push(fault)
  }

  /** From now on only this token is valid. */
  setAccessToken(accessToken: string): void {
    this.#accessToken = accessToken
  }

  async close(): Promise<void> {
    this.#webhooks?.close()
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?', 1)[0] ?? ''
    const body = await readBody(request)
    if (body === null) return
    if (!/^\/v\d+\.\d+\//.test(path) || !path.endsWith(`/${this.#options.phoneNumberId}/messages`)) {
      const details = 'Object does not exist, or the method is not supported'
      reply(response, graphError(400, 100, 'Unsupported request', details))
      return
    }
    if (request.method !== 'POST') {
      reply(response, graphError(400, 100, 'Unsupported get request'))
      return
    }
    const fault = this.#faults.shift()
    if (fault?.kind === 'reset_before') {
      request.socket.destroy()
      return
    }
    const outcome = this.#take(request.headers.authorization ?? '', body, fault)
    this.#requests.push({ atMs: this.#now(), code: 'code' in outcome ? outcome.code : null })
    if (fault?.kind === 'lost_answer') return
    if (fault?.kind === 'reset_after') {
      request.socket.destroy()
      return
    }
    if (fault?.kind === 'error' && fault.code === null) {
      response.writeHead(fault.status, { 'content-type': 'text/html' }).end('<html>Error</html>')
      return
    }
    reply(response, outcome)
  }

  /** @returns the error, or the body of the answer */
  #take(authorization: string, body: unknown, fault: Fault | undefined): GraphError | object {
    if (authorization !== `Bearer ${this.#accessToken}`) {
      return graphError(401, 190, 'Error validating access token', 'Session has expired')
    }
    if (fault?.kind === 'error') return graphError(fault.status, fault.code ?? 0, 'As ordered')
    const request = readRequest(body)
    if (request.kind === 'error') return request.error
    const nowMs = this.#now()
    if (this.#throughput.isReached(nowMs)) {
      return graphError(429, 130429, 'Rate limit hit', 'Message failed to send: throughput reached')
    }
    this.#throughput.count(nowMs)
    if (request.kind === 'read') {
      this.emit('read', request.messageId)
      return { success: true }
    }
    return this.#takeMessage(request.message, nowMs, fault)
  }

  #takeMessage(message: ReadMessage, nowMs: number, fault: Fault | undefined): GraphError | object {
    const person = this.#people.get(message.phone ?? message.userId ?? '')
    const { templates } = this.#options
    if (message.template !== null && templates !== undefined && !templates.includes(message.template.name)) {
      const details = `template name (${message.template.name}) does not exist in ${message.template.language}`
      return graphError(404, 132001, 'Template name does not exist in the translation', details)
    }
    if (person !== undefined) {
      const wroteMs = this.#lastWroteMs.get(person)
      if (message.type !== 'template' && (wroteMs === undefined || nowMs - wroteMs > WINDOW_MS)) {
        const details = 'More than 24 hours have passed since the recipient last replied'
        return graphError(400, 131047, 'Re-engagement message', details)
      }
      if (!this.#pairOf(person).take(nowMs)) {
        const details = 'Too many messages sent from this phone number to the same phone number'
        return graphError(400, 131056, '(Business Account, Consumer Account) pair rate limit hit', details)
      }
    }
    const id = this.#nextId('OUT')
    if (person === undefined) this.#report(id, message, null, 131026)
    else if (fault?.kind === 'fails_later') this.#report(id, message, person, fault.code)
    else {
      const { type, text, choices, template, replyTo, callbackData } = message
      const received = { id, type, text, choices, template, replyTo, jobId: callbackData, atMs: nowMs }
      this.#received.get(person)?.push(received)
      this.#report(id, message, person, null)
      this.emit('received', person, received)
    }
    const contact =
      message.phone === null
        ? { input: message.userId, user_id: message.userId }
        : { input: message.phone, wa_id: message.phone, ...(person && { user_id: person.userId }) }
    return {
      messaging_product: 'whatsapp',
      contacts: [contact],
      messages: [{ id, ...(message.type === 'template' && { message_status: 'accepted' }) }],
    }
  }

  /** The statuses of a message, as webhooks. @param code of the failure, or null: it arrives */
  #report(id: string, message: ReadMessage, person: MetaPerson | null, code: number | null): void {
    if (this.#webhooks === null) return
    const timestamp = String(Math.floor(this.#now() / 1000))
    const status = (state: string, more: object = {}): Update => ({
      kind: 'status',
      status: {
        id,
        status: state,
        timestamp,
        ...(message.phone !== null && { recipient_id: message.phone }),
        ...(person && { recipient_user_id: person.userId }),
        ...(message.callbackData !== null && { biz_opaque_callback_data: message.callbackData }),
        ...more,
      },
    })
    if (code !== null) {
      const title = 'Message undeliverable'
      const errors = [{ code, title, message: title, error_data: { details: 'Message undeliverable.' } }]
      this.#webhooks.push(status('failed', { errors }))
      return
    }
    const pricing = {
      billable: false,
      pricing_model: 'PMP',
      type: 'free_customer_service',
      category: 'service',
    }
    this.#webhooks.push(status('sent', { pricing }), status('delivered', { pricing }))
    if (person?.reads) this.#webhooks.push(status('read', { pricing }))
  }

  #pairOf(person: MetaPerson): PairLimit {
    const found = this.#pairs.get(person) ?? new PairLimit()
    this.#pairs.set(person, found)
    return found
  }

  #nextId(direction: 'IN' | 'OUT'): string {
    this.#ids++
    const unique = Buffer.from(`${direction}${String(this.#ids).padStart(10, '0')}`).toString('base64url')
    return `wamid.HBgN${unique}`
  }
}

function reply(response: ServerResponse, outcome: GraphError | object): void {
  const isError = 'code' in outcome && 'status' in outcome
  const body = isError ? { error: errorBody(outcome as GraphError) } : outcome
  response
    .writeHead(isError ? (outcome as GraphError).status : 200, { 'content-type': 'application/json' })
    .end(JSON.stringify(body))
}

const errorBody = ({ code, message, details }: GraphError) => ({
  message,
  type: 'OAuthException',
  code,
  error_data: { messaging_product: 'whatsapp', details },
  fbtrace_id: 'AbCdEfGhIjKlMnOpQrStUv',
})

/** JSON; undefined when it is none, null when the connection broke or it is too large. */
async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request) {
      bytes += (chunk as Buffer).length
      if (bytes > REQUEST_BYTES_MAX) {
        request.destroy()
        return null
      }
      chunks.push(chunk as Buffer)
    }
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    return request.destroyed && !request.complete ? null : undefined
  }
}
