/**
 * The conversation with one customer, until a human takes over: a state machine without clock or network.
 *
 *   consent ─► location ─► model ─► intent ─► when ─► screened      a lead: the next rep takes over
 *      │ any of them, at any time: «cs», or a third wrong answer ─► human
 *      └ «no» to consent, or «stop» at any time ─► declined
 *
 * - One message per turn at most. A question whose answer is known is not asked; a first message that says where,
 *   which model and when leaves nothing but consent to ask.
 * - A text fills what is still open. A tap, and a WhatsApp location, also change what was answered before.
 * - «1», «yes» and the like answer the question that was last put, so only when they were sent after the message
 *   that question answered. What is sent within READING_MS of that message was written before the question was read:
 *   it counts, but is no wrong answer and needs no second reply. So bursts, repeats and late deliveries do no harm.
 * - A wrong answer is asked again in other words, twice; the third goes to a human. Photos and voice messages count as
 *   wrong answers, their captions as texts. What is neither (reactions, edits, group messages) is never answered.
 * - Stale messages (an outage brings back days of them) count and are not answered. The next message that is not
 *   stale is: with the question then open, and an apology for being late.
 * - After more than a day of silence the open question is put again; the count of wrong answers begins anew.
 * - When it has ended, messages are for the human: the first is answered with that, the others are not. `closedForMs`
 *   later a message begins a new conversation. A refusal and «stop» end it until the customer writes anything else
 *   (a last «ok, thanks» is not that).
 */
import type { MessageContent } from '../contract/bridge.ts'
import type { Answers, Language, Question, ScreenedAnswers } from './answers.ts'
import { asTap, type CustomerMessage, type Heard, hear, tell } from './hearing.ts'
import { ask, choosable, factsIn, nextQuestion, type Offered } from './questions.ts'
import { TEXTS } from './texts.ts'
import { consentIn, isCourtesy, languageOf, wishIn } from './understand.ts'

export type { Answers, Intent, Language, ScreenedAnswers, When } from './answers.ts'
export type { Area } from './gazetteer.ts'
export type { CustomerMessage } from './hearing.ts'

export type Step = Question | 'screened' | 'human' | 'declined'

/** A JSON document, one per customer. A shape of another version is begun anew. */
export interface Conversation {
  readonly version: 1
  readonly step: Step
  readonly language: Language
  /** Wrong answers to the open question. */
  readonly tries: number
  readonly answers: Answers
  /** When the message was sent to which the step's question was the reply, ISO 8601; null: it has not been put. */
  readonly asked_after: string | null
  /** The choices of the last question. */
  readonly offered: readonly Offered[]
  /** Names of the places the customer may have meant. */
  readonly candidates: readonly string[]
  /** Of the list of models. */
  readonly page: number
  /** Messages came that were too old to answer. */
  readonly owes_answer: boolean
  /** How much was said since it ended: 1, that somebody takes over; 2, that a further message was passed on. */
  readonly last_words: 0 | 1 | 2
  /** ISO 8601, the hub's clock. */
  readonly ended_at: string | null
  /** ISO 8601, the provider's clock. */
  readonly started_at: string
  readonly last_inbound_at: string
}

export type ScreeningResult =
  | { readonly kind: 'going_on' }
  | { readonly kind: 'screened'; readonly answers: ScreenedAnswers }
  | { readonly kind: 'human'; readonly reason: 'asked' | 'not_understood' }
  | { readonly kind: 'declined' }
  /** It ended before; the message is for whoever took over. */
  | { readonly kind: 'over' }

export interface Turn {
  readonly conversation: Conversation
  readonly say: MessageContent | null
  readonly result: ScreeningResult
}

export interface TurnContext {
  /** The hub's clock, milliseconds since 1970. */
  readonly now: number
  /** On sale, as they are called; may be empty. */
  readonly models: readonly string[]
  /** A message older than this is stale, ms. */
  readonly staleAfterMs: number
  /** How long after its end a conversation stays with the human, ms. */
  readonly closedForMs: number
}

export const WRONG_ANSWERS_MAX = 2
/** Nobody reads a question and answers it in less; bubbles of one thought come closer together. */
export const READING_MS = 5_000
export const SILENCE_MS = 86_400_000
const MESSAGE_LETTERS_KEPT = 500

/** One message → the conversation after it, what to say, and whether the screening has ended. */
export function takeTurn(before: Conversation | null, message: CustomerMessage, context: TurnContext): Turn {
  const at = { ...context, models: choosable(context.models) }
  const heard = hear(message)
  const known = before?.version === 1 ? before : null
  if (known === null || (isClosed(known) && hasRested(known, at)))
    return goOn(begin(message, known), heard, message, at)
  if (known.step === 'declined') return afterRefusal(known, heard, message, at)
  return isClosed(known) ? afterEnd(known, heard, message, at) : goOn(known, heard, message, at)
}

function begin(message: CustomerMessage, former: Conversation | null): Conversation {
  return {
    version: 1,
    step: 'consent',
    language: former?.language ?? 'id',
    tries: 0,
    answers: {},
    asked_after: null,
    offered: [],
    candidates: [],
    page: 0,
    owes_answer: false,
    last_words: 0,
    ended_at: null,
    started_at: message.at,
    last_inbound_at: message.at,
  }
}

/** The screening goes on: what the message tells, and what is asked next. */
function goOn(before: Conversation, heard: Heard, message: CustomerMessage, at: TurnContext): Turn {
  const known = inLanguageOf(heard, afterMessage(before, message))
  const text = heard.kind === 'text' ? heard.text : null
  const wish = text === null ? null : wishIn(text)
  if (wish === 'stop') return end(known, { kind: 'declined' }, TEXTS[known.language].stopped, message, at)
  if (wish === 'human')
    return end(known, { kind: 'human', reason: 'asked' }, TEXTS[known.language].human, message, at)
  if (wish === 'restart')
    return put({ ...begin(message, known), owes_answer: known.owes_answer }, 'consent', [], message, at)
  if (heard.kind === 'nothing') return quiet(known)

  const sentAfterQuestionMs =
    before.asked_after === null ? Number.NEGATIVE_INFINITY : time(message.at) - time(before.asked_after)
  const isAnswer = sentAfterQuestionMs > 0
  const meant = isAnswer ? asTap(heard, before.offered) : heard
  const asked = isAnswer ? (before.step as Question) : null
  const told = tell(meant, known, at.models, asked)
  if (told?.isRefusal) return end(known, { kind: 'declined' }, TEXTS[known.language].refused, message, at)

  const answers = told?.answers ?? known.answers
  const first = text === null ? undefined : (answers.message ?? text.slice(0, MESSAGE_LETTERS_KEPT))
  const next: Conversation = {
    ...known,
    answers: first === undefined ? answers : { ...answers, message: first },
    candidates: told?.candidates ?? known.candidates,
    page: told?.page ?? known.page,
  }
  const step = nextQuestion(next.answers, at.models)
  if (step === null) return screened(next, message, at)

  const isOther = step !== before.step || before.asked_after === null
  const isAmbiguous = step === 'location' && next.candidates.join() !== before.candidates.join()
  if (isStale(message, at)) {
    const unasked = isOther || isAmbiguous ? { asked_after: null, offered: [], tries: 0 } : {}
    return quiet({ ...next, ...unasked, step, owes_answer: true })
  }

  const texts = TEXTS[next.language]
  const facts = newFacts(before.answers, next)
  const opening = [
    ...(heard.kind === 'unreadable' ? [texts.unreadable] : []),
    ...(facts === '' || step === 'consent' ? [] : [texts.noted(facts)]),
  ]
  if (isOther) return put({ ...next, tries: 0 }, step, opening, message, at)
  if (next.page !== before.page) return put(next, step, opening, message, at)
  if (isAmbiguous) return putAgain(next, step, opening, message, at)
  if (time(message.at) - time(before.last_inbound_at) > SILENCE_MS)
    return put({ ...next, tries: 0 }, step, [texts.welcomeBack, ...opening], message, at)
  const changesNothing = meant.kind === 'tap' && told !== null && facts === ''
  if ((changesNothing || sentAfterQuestionMs <= READING_MS) && !before.owes_answer) return quiet(next)
  if (facts !== '') return put(next, step, opening, message, at)
  return putAgain(next, step, opening, message, at)
}

/** What the customer is told that we noted: what is new, and with the consent everything said before. */
function newFacts(before: Answers, { answers, language }: Conversation): string {
  if (before.consent !== answers.consent) return factsIn(answers, language)
  const changed = (['area', 'model', 'intent', 'when'] as const).filter(
    (name) => JSON.stringify(answers[name]) !== JSON.stringify(before[name]),
  )
  return factsIn(Object.fromEntries(changed.map((name) => [name, answers[name]])), language)
}

function put(
  conversation: Conversation,
  step: Question,
  opening: readonly string[],
  message: CustomerMessage,
  at: TurnContext,
): Turn {
  if (isStale(message, at)) return quiet({ ...conversation, step, owes_answer: true })
  const texts = TEXTS[conversation.language]
  const isGreeting = step === 'consent' && conversation.asked_after === null
  const before = [
    ...(isGreeting ? [texts.hello] : []),
    ...(conversation.owes_answer ? [texts.late] : []),
    ...opening,
  ]
  // Who sent a photo did not misunderstand the question.
  const wording = hear(message).kind === 'unreadable' ? 0 : conversation.tries
  const { say, offered } = ask(step, conversation, at.models, before, wording)
  const asked = { step, offered, asked_after: message.at, owes_answer: false }
  return { conversation: { ...conversation, ...asked }, say, result: { kind: 'going_on' } }
}

function putAgain(
  conversation: Conversation,
  step: Question,
  opening: readonly string[],
  message: CustomerMessage,
  at: TurnContext,
): Turn {
  if (conversation.tries < WRONG_ANSWERS_MAX)
    return put({ ...conversation, tries: conversation.tries + 1 }, step, opening, message, at)
  const { notUnderstood } = TEXTS[conversation.language]
  return end(conversation, { kind: 'human', reason: 'not_understood' }, notUnderstood, message, at)
}

const quiet = (conversation: Conversation): Turn => ({
  conversation,
  say: null,
  result: { kind: 'going_on' },
})

// — the end, and after it —

function screened(conversation: Conversation, message: CustomerMessage, at: TurnContext): Turn {
  const { area, intent, when, model = null, message: first = null } = conversation.answers
  if (area === undefined || intent === undefined || when === undefined)
    throw new Error('screened without an answer: no question was left open')
  const answers: ScreenedAnswers = { consent: true, area, model, intent, when, message: first }
  return end(conversation, { kind: 'screened', answers }, screenedText(conversation), message, at)
}

const screenedText = ({ answers, language }: Conversation): string =>
  TEXTS[language].screened(factsIn(answers, language))

function end(
  conversation: Conversation,
  result: Exclude<ScreeningResult, { kind: 'going_on' | 'over' }>,
  body: string,
  message: CustomerMessage,
  at: TurnContext,
): Turn {
  const silent = isStale(message, at)
  const late = conversation.owes_answer ? `${TEXTS[conversation.language].late} ` : ''
  return {
    conversation: {
      ...conversation,
      step: result.kind,
      // Nothing was agreed to.
      answers: result.kind === 'declined' ? {} : conversation.answers,
      tries: 0,
      asked_after: null,
      offered: [],
      candidates: [],
      owes_answer: silent,
      last_words: silent ? 0 : 1,
      ended_at: new Date(at.now).toISOString(),
    },
    say: silent ? null : { kind: 'text', body: `${late}${body}` },
    result,
  }
}

const isClosed = ({ step }: Conversation): boolean => step === 'screened' || step === 'human'

const hasRested = ({ ended_at }: Conversation, { now, closedForMs }: TurnContext): boolean =>
  ended_at !== null && now - time(ended_at) >= closedForMs

/** For the human who took over. */
function afterEnd(known: Conversation, heard: Heard, message: CustomerMessage, at: TurnContext): Turn {
  const conversation = afterMessage(known, message)
  const text = heard.kind === 'text' ? heard.text : ''
  const texts = TEXTS[known.language]
  if (wishIn(text) === 'stop') return end(conversation, { kind: 'declined' }, texts.stopped, message, at)
  const over: Turn = { conversation, say: null, result: { kind: 'over' } }
  if (known.last_words === 2 || heard.kind === 'nothing' || isStale(message, at)) return over
  if (wasSentBefore(known, message)) return over
  if (known.last_words === 1 && isCourtesy(text)) return over
  const closing = known.step === 'screened' ? screenedText(known) : texts.human
  const body = known.last_words === 1 ? texts.passedOn : `${texts.late} ${closing}`
  const last_words = known.last_words === 1 ? 2 : 1
  return {
    ...over,
    conversation: { ...conversation, last_words, owes_answer: false },
    say: { kind: 'text', body },
  }
}

/** Silence, until something is said that is neither a further no nor a last courtesy. Consent by an old button counts. */
function afterRefusal(known: Conversation, heard: Heard, message: CustomerMessage, at: TurnContext): Turn {
  const text = heard.kind === 'text' ? heard.text : ''
  const isFarewell = wishIn(text) === 'stop' || consentIn(text) === false || isCourtesy(text)
  const isLateTap = heard.kind === 'tap' && !(heard.tap.question === 'consent' && heard.tap.value === 'yes')
  if (isFarewell || isLateTap || wasSentBefore(known, message) || heard.kind === 'nothing')
    return { conversation: afterMessage(known, message), say: null, result: { kind: 'over' } }
  return goOn(begin(message, known), heard, message, at)
}

// — time and tongue —

const time = (instant: string): number => Date.parse(instant)

const isStale = ({ at: sentAt }: CustomerMessage, { now, staleAfterMs }: TurnContext): boolean =>
  now - time(sentAt) > staleAfterMs

/** A repeat, or one that was overtaken. */
const wasSentBefore = ({ last_inbound_at }: Conversation, { at: sentAt }: CustomerMessage): boolean =>
  time(sentAt) <= time(last_inbound_at)

const afterMessage = (known: Conversation, { at: sentAt }: CustomerMessage): Conversation => ({
  ...known,
  last_inbound_at: time(sentAt) > time(known.last_inbound_at) ? sentAt : known.last_inbound_at,
})

/** A choice that was tapped never changes the language: its title is ours. */
const inLanguageOf = (heard: Heard, known: Conversation): Conversation => ({
  ...known,
  language: (heard.kind === 'text' ? languageOf(heard.text) : null) ?? known.language,
})
