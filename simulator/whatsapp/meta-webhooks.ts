/**
 * Meta's side of webhooks: updates are gathered into batches, signed over the very bytes that leave, and posted until
 * they are answered 200, with growing waits. Nothing is promised about order, and a body may come more than once.
 */
import { createHmac } from 'node:crypto'

export type Update =
  | { readonly kind: 'message'; readonly message: object; readonly contact: object | null }
  | { readonly kind: 'status'; readonly status: object }

export interface WebhookOptions {
  readonly url: string
  readonly appSecret: string
  readonly verifyToken: string
  readonly phoneNumberId: string
  readonly displayPhoneNumber: string
  /** Updates in one POST at most. */
  readonly batchUpdatesMax: number
  /** Wait before the nth repeat (from 0) of a body that was not answered 200. */
  readonly retryDelayMs: (nth: number) => number
  readonly timeoutMs: number
}

/** Meta's own bound. */
export const BATCH_UPDATES_MAX = 1000
const POSTS_UNDER_WAY_MAX = 8
/** Bodies kept to be delivered again on demand. */
const BODIES_KEPT = 1000

export class WebhookSender {
  readonly #options: WebhookOptions
  readonly #bodies: string[] = []
  readonly #waits = new Map<NodeJS.Timeout, () => void>()
  #waiting: Update[] = []
  #isHeld = false
  readonly #closing = new AbortController()
  #gathering = false
  #underWay = 0
  #posted = 0
  #refused = 0
  #idle: (() => void)[] = []

  constructor(options: WebhookOptions) {
    this.#options = options
  }

  /** POSTs answered 200, and those that were not. */
  get counts(): { readonly posted: number; readonly refused: number } {
    return { posted: this.#posted, refused: this.#refused }
  }

  push(...updates: Update[]): void {
    this.#waiting.push(...updates)
    this.#gather()
  }

  /** Gathers updates and sends none. */
  hold(): void {
    this.#isHeld = true
  }

  /** Sends what was held; `reversed`: the last one first. */
  release(order: 'in_order' | 'reversed' = 'in_order'): void {
    this.#isHeld = false
    if (order === 'reversed') this.#waiting.reverse()
    this.#gather()
  }

  /** Posts the last `count` bodies once more, as they were. */
  again(count = 1): void {
    for (const body of this.#bodies.slice(-count)) void this.#deliver(body)
  }

  /** Resolves when nothing waits and nothing is under way. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  /** `GET` with a challenge, as when the URL is saved. @returns whether it was answered as it must be */
  async verify(challenge = '1158201444'): Promise<boolean> {
    const url = new URL(this.#options.url)
    url.searchParams.set('hub.mode', 'subscribe')
    url.searchParams.set('hub.verify_token', this.#options.verifyToken)
    url.searchParams.set('hub.challenge', challenge)
    const response = await fetch(url, { signal: AbortSignal.timeout(this.#options.timeoutMs) })
    return (await response.text()) === challenge && response.status === 200
  }

  close(): void {
    this.#closing.abort()
    this.#waiting = []
    for (const [timer, wake] of this.#waits) {
      clearTimeout(timer)
      wake()
    }
    this.#settle()
  }

  get #isIdle(): boolean {
    return this.#underWay === 0 && (this.#isHeld || this.#waiting.length === 0)
  }

  /** What comes within one turn of the event loop, or while all posts are under way, travels together. */
  #gather(): void {
    if (this.#gathering || this.#isHeld || this.#closing.signal.aborted) return
    this.#gathering = true
    setImmediate(() => {
      this.#gathering = false
      while (this.#waiting.length > 0 && !this.#isHeld && this.#underWay < POSTS_UNDER_WAY_MAX) {
        const batch = this.#waiting.splice(0, this.#options.batchUpdatesMax)
        const body = escapeNonAscii(JSON.stringify(envelope(batch, this.#options)))
        this.#bodies.push(body)
        if (this.#bodies.length > BODIES_KEPT) this.#bodies.shift()
        void this.#deliver(body)
      }
    })
  }

  async #deliver(body: string): Promise<void> {
    this.#underWay++
    for (let nth = 0; !this.#closing.signal.aborted; nth++) {
      if (await this.#post(body)) {
        this.#posted++
        break
      }
      this.#refused++
      if (!this.#closing.signal.aborted) await this.#wait(this.#options.retryDelayMs(nth))
    }
    this.#underWay--
    this.#gather()
    this.#settle()
  }

  async #post(body: string): Promise<boolean> {
    const { url, appSecret, timeoutMs } = this.#options
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-hub-signature-256': sign(body, appSecret) },
        body,
        signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(timeoutMs)]),
      })
      await response.arrayBuffer()
      return response.status === 200
    } catch {
      return false
    }
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waits.delete(timer)
        resolve()
      }, ms)
      this.#waits.set(timer, resolve)
    })
  }

  #settle(): void {
    if (!this.#isIdle) return
    for (const resolve of this.#idle.splice(0)) resolve()
  }
}

/** `X-Hub-Signature-256` of these bytes. */
export const sign = (body: string | Uint8Array, appSecret: string): string =>
  `sha256=${createHmac('sha256', appSecret).update(body).digest('hex')}`

/** Meta signs and sends ASCII: everything else is `\uXXXX`, an emoji two of them. */
export const escapeNonAscii = (json: string): string =>
  json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** Updates → the body of a POST. */
export function envelope(
  updates: readonly Update[],
  { phoneNumberId, displayPhoneNumber }: Pick<WebhookOptions, 'phoneNumberId' | 'displayPhoneNumber'>,
): object {
  const messages = updates.filter((update) => update.kind === 'message')
  const statuses = updates.filter((update) => update.kind === 'status')
  const contacts = messages.map(({ contact }) => contact).filter((contact) => contact !== null)
  const change = (part: object) => ({
    field: 'messages',
    value: {
      messaging_product: 'whatsapp',
      metadata: { display_phone_number: displayPhoneNumber, phone_number_id: phoneNumberId },
      ...part,
    },
  })
  const changes = [
    ...(messages.length > 0
      ? [
          change({
            // Once each, whoever wrote more than once.
            contacts: [...new Map(contacts.map((contact) => [JSON.stringify(contact), contact])).values()],
            messages: messages.map(({ message }) => message),
          }),
        ]
      : []),
    ...(statuses.length > 0 ? [change({ statuses: statuses.map(({ status }) => status) })] : []),
  ]
  return { object: 'whatsapp_business_account', entry: [{ id: '102290129340398', changes }] }
}
