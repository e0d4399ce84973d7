/** A customer and the bot, by turns: what the tests of the screening read like. */
import {
  type Conversation,
  type CustomerMessage,
  type Turn,
  takeTurn,
} from '../../../gateway/screening/conversation.ts'

export const MODELS = ['Gesits G1', 'Gesits Raya', 'Volt 100']
export const MINUTE_MS = 60_000
export const HOUR_MS = 3_600_000
export const DAY_MS = 86_400_000
export const STALE_AFTER_MS = HOUR_MS
export const CLOSED_FOR_MS = 30 * DAY_MS
const START_MS = Date.parse('2026-11-22T08:00:00.000Z')

/** What a customer sends: a text, or another kind of message. */
export type Said = string | Omit<CustomerMessage, 'at'>

export const tap = (id: string, title = 'whatever it was called'): Said => ({
  kind: 'choice',
  choice: { id, title },
})
export const PHOTO: Said = { kind: 'media' }
export const REACTION: Said = { kind: 'other' }
export const here = (lat: number, lon: number): Said => ({ kind: 'location', location: { lat, lon } })

export const messageOf = (said: Said, atMs: number): CustomerMessage => ({
  ...(typeof said === 'string' ? { kind: 'text', text: said } : said),
  at: new Date(atMs).toISOString(),
})

export interface When {
  /** Since the last message was sent; half a minute unless said otherwise. */
  readonly afterMs?: number
  /** On its way; half a second unless said otherwise. */
  readonly lateMs?: number
}

/** `say` sends one message and answers the turn; what is kept between turns went through JSON, as in the store. */
export function talk(models: readonly string[] = MODELS) {
  let conversation: Conversation | null = null
  let sentMs = START_MS
  let now = START_MS
  const deliver = (message: CustomerMessage): Turn => {
    const context = { now, models, staleAfterMs: STALE_AFTER_MS, closedForMs: CLOSED_FOR_MS }
    const turn = takeTurn(conversation, message, context)
    conversation = JSON.parse(JSON.stringify(turn.conversation)) as Conversation
    return turn
  }
  return {
    say(said: Said, { afterMs = 30_000, lateMs = 500 }: When = {}): Turn {
      sentMs += afterMs
      now = Math.max(now, sentMs + lateMs)
      return deliver(messageOf(said, sentMs))
    },
    /** The same message once more, as it was. */
    repeat: (message: CustomerMessage): Turn => deliver(message),
    /** Sent now. */
    message: (said: Said): CustomerMessage => messageOf(said, sentMs),
    get conversation(): Conversation {
      if (conversation === null) throw new Error('nothing was said yet')
      return conversation
    },
  }
}

export const heardFrom = (turn: Turn): string | null => turn.say?.body ?? null

/** Until a question is open. */
export function upTo(
  step: 'consent' | 'location' | 'model' | 'intent' | 'when',
  language: 'id' | 'en' = 'id',
) {
  const chat = talk()
  const answers = {
    consent: language === 'id' ? 'halo kak' : 'hello',
    location: 'ok',
    model: 'Bandung',
    intent: 'Volt 100',
    when: '1',
  }
  for (const [question, said] of Object.entries(answers)) {
    chat.say(said)
    if (question === step) break
  }
  return chat
}
