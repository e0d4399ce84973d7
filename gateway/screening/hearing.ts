/** From one message to what it adds to the answers. */
import type { InboundMessage } from '../contract/bridge.ts'
import { type Answers, INTENTS, type Intent, type Question, TIMES, type When } from './answers.ts'
import { areaAt, areaNamed } from './gazetteer.ts'
import { modelOf, type Offered, pageOf, type Tap, tapOf } from './questions.ts'
import { consentIn, numberIn, titleIn, understand } from './understand.ts'

export type CustomerMessage = Pick<InboundMessage, 'kind' | 'text' | 'choice' | 'location' | 'at'>

/** A choice by its id, a text, a place; a photo or voice message without a caption; or nothing that was said to us. */
export type Heard =
  | { readonly kind: 'tap'; readonly tap: Tap }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'place'; readonly lat: number; readonly lon: number }
  | { readonly kind: 'unreadable' }
  | { readonly kind: 'nothing' }

export function hear({ kind, text, choice, location }: CustomerMessage): Heard {
  if (kind === 'other') return { kind: 'nothing' }
  if (kind === 'location')
    return location == null ? { kind: 'unreadable' } : { kind: 'place', lat: location.lat, lon: location.lon }
  const tap = kind === 'choice' && choice != null ? tapOf(choice.id) : null
  if (tap !== null) return { kind: 'tap', tap }
  const words = (kind === 'choice' ? choice?.title : text)?.trim() ?? ''
  return words === '' ? { kind: 'unreadable' } : { kind: 'text', text: words }
}

/** A number or a title that was typed is a tap on what was offered. */
export function asTap(heard: Heard, offered: readonly Offered[]): Heard {
  if (heard.kind !== 'text') return heard
  const number = numberIn(heard.text)
  const chosen = number === null ? titleIn(heard.text, offered) : offered[number - 1]
  const tap = chosen == null ? null : tapOf(chosen.id)
  return tap === null ? heard : { kind: 'tap', tap }
}

export interface Told {
  readonly answers: Answers
  /** Names of places it may have meant; empty: none, or it is known which. */
  readonly candidates: readonly string[]
  readonly page: number
  /** «No» to consent. */
  readonly isRefusal: boolean
}

interface Before {
  readonly answers: Answers
  readonly candidates: readonly string[]
  readonly page: number
}

/** `asked`: the question it answers; null: it was not sent in answer to one. Null: it says nothing we know. */
export function tell(
  heard: Heard,
  before: Before,
  models: readonly string[],
  asked: Question | null,
): Told | null {
  switch (heard.kind) {
    case 'tap':
      return tellTap(heard.tap, before, models)
    case 'place':
      return told(before, { area: areaAt(heard.lat, heard.lon) })
    case 'text':
      return tellText(heard.text, before, models, asked)
    default:
      return null
  }
}

function told({ answers, candidates, page }: Before, more: Partial<Answers>): Told {
  const known = { ...answers, ...more }
  return {
    answers: known,
    candidates: known.area === undefined ? candidates : [],
    page,
    isRefusal: more.consent === false,
  }
}

function tellTap({ question, value }: Tap, before: Before, models: readonly string[]): Told | null {
  switch (question) {
    case 'consent':
      return value === 'yes' || value === 'no' ? told(before, { consent: value === 'yes' }) : null
    case 'location': {
      const area = areaNamed(value)
      return area === null ? null : told(before, { area })
    }
    case 'model': {
      const model = modelOf(value, models)
      return model === undefined ? null : told(before, { model })
    }
    case 'any_model':
      return told(before, { model: null })
    case 'models_page':
      return /^\d{1,3}$/.test(value) ? { ...told(before, {}), page: Number(value) } : null
    case 'intent':
      return INTENTS.includes(value as Intent) ? told(before, { intent: value as Intent }) : null
    case 'when':
      return TIMES.includes(value as When) ? told(before, { when: value as When }) : null
  }
}

/** Fills what is open; what was answered stays. */
function tellText(
  text: string,
  before: Before,
  models: readonly string[],
  asked: Question | null,
): Told | null {
  const said = understand(text, models, asked)
  const consent = asked === 'consent' ? consentIn(text) : null
  const model = said.models === null ? null : said.models.length === 1 ? said.models[0] : undefined
  const area = said.areas.length === 1 ? said.areas[0] : undefined
  const { answers } = told(before, {
    ...(consent !== null && { consent }),
    ...(area !== undefined && before.answers.area === undefined && { area }),
    ...(model !== undefined && before.answers.model === undefined && { model }),
    ...(said.intent !== undefined && before.answers.intent === undefined && { intent: said.intent }),
    ...(said.when !== undefined && before.answers.when === undefined && { when: said.when }),
  })
  const likely = said.models?.length === 1 ? undefined : said.models?.[0]
  const candidates = said.areas.length > 1 ? said.areas.map(({ name }) => name) : before.candidates
  const isSilent =
    consent === null && said.areas.length === 0 && said.models?.length === 0 && !said.intent && !said.when
  if (isSilent) return null
  return {
    answers,
    candidates: answers.area === undefined ? candidates : [],
    page: likely === undefined ? before.page : pageOf(likely, models),
    isRefusal: consent === false,
  }
}
