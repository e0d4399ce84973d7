/**
 * A question as one WhatsApp message. Every choice has an id that says which question it answers
 * (`screen:intent:buy`), so that a button tapped days later is understood.
 */
import { MESSAGE_LIMITS, type MessageContent } from '../contract/bridge.ts'
import { type Answers, INTENTS, QUESTIONS, type Question, TIMES } from './answers.ts'
import { type Area, areaNamed } from './gazetteer.ts'
import { TEXTS, type Texts } from './texts.ts'
import { shorten } from './words.ts'

/** What a tap says: a question and its answer; that the model is not known yet; or another page of models. */
export interface Tap {
  readonly question: Question | 'any_model' | 'models_page'
  readonly value: string
}

/** A choice as it was last shown, in its order: what «2» or its title means. */
export interface Offered {
  readonly id: string
  readonly title: string
}

/** With «not known» and «more» a page of models fills a list. */
const MODELS_PER_PAGE = MESSAGE_LIMITS.rows - 2
/** Of a name inside a sentence. */
const NAME_LETTERS = 60
/** An id has to fit a list row, with what stands before it. */
const ID_VALUE_LETTERS = 150

const idOf = (question: Tap['question'], value: string): string =>
  `screen:${question}:${value.slice(0, ID_VALUE_LETTERS).trim()}`

export function tapOf(id: string): Tap | null {
  const [, question, value] = /^screen:([a-z_]+):(.+)$/s.exec(id) ?? []
  const known = [...QUESTIONS, 'any_model', 'models_page'].find((name) => name === question)
  return known === undefined || value === undefined ? null : { question: known as Tap['question'], value }
}

/** Models that can be told apart, as choices: no empty name, and none twice. */
export function choosable(models: readonly string[]): string[] {
  const byId = new Map(models.map((model) => [idOf('model', model.trim()), model.trim()]))
  return [...byId.values()].filter((model) => model !== '')
}

/** The model on sale that a tap means. */
export const modelOf = (value: string, models: readonly string[]): string | undefined =>
  models.find((model) => idOf('model', model) === idOf('model', value))

export function nextQuestion(answers: Answers, models: readonly string[]): Question | null {
  const open: Record<Question, boolean> = {
    consent: answers.consent !== true,
    location: answers.area === undefined,
    // Nothing on sale is known: there is nothing to choose between, and the rep asks.
    model: answers.model === undefined && models.length > 0,
    intent: answers.intent === undefined,
    when: answers.when === undefined,
  }
  return QUESTIONS.find((question) => open[question]) ?? null
}

export interface QuestionState {
  readonly language: keyof typeof TEXTS
  /** Official names of the places the customer may have meant. */
  readonly candidates: readonly string[]
  /** Page of models, from 0. */
  readonly page: number
}

/** `opening`: what is said before the question. `wording`: in which of its wordings, 0 to 2. */
export function ask(
  question: Question,
  state: QuestionState,
  models: readonly string[],
  opening: readonly string[],
  wording: number,
): { say: MessageContent; offered: readonly Offered[] } {
  const texts = TEXTS[state.language]
  const choices = choicesOf(question, state, models, texts)
  const candidates = question === 'location' ? areasNamed(state.candidates) : []
  const lines = [
    ...opening,
    candidates.length > 0 && wording < 2
      ? placeWording(candidates, texts)
      : (texts.questions[question][wording] as string),
    // The second wording asks for the number.
    ...(wording === 1 && question !== 'location' ? [numbered(choices)] : []),
  ]
  const body = paragraph(lines)
  const offered = choices.map(({ id, title }) => ({ id, title }))
  if (choices.length === 0) return { say: { kind: 'location_request', body }, offered }
  if (question === 'consent') return { say: { kind: 'buttons', body, choices }, offered }
  return { say: { kind: 'list', body, choices, button: texts.choose }, offered }
}

/** A sentence after a sentence; a numbered list begins a line. */
const paragraph = (lines: readonly string[]): string => lines.join(' ').replace(/ (?=1\. )/, '\n')

const numbered = (choices: readonly Choice[]): string =>
  choices.map(({ title }, index) => `${index + 1}. ${title}`).join('\n')

type Choice = Offered & { readonly description?: string }

function choicesOf(
  question: Question,
  { candidates, page }: QuestionState,
  models: readonly string[],
  texts: Texts,
): Choice[] {
  switch (question) {
    case 'consent':
      return [
        { id: idOf('consent', 'yes'), title: texts.buttons.yes },
        { id: idOf('consent', 'no'), title: texts.buttons.no },
      ]
    case 'location':
      return placeChoices(areasNamed(candidates))
    case 'model':
      return modelChoices(models, page, texts)
    case 'intent':
      return INTENTS.map((intent) => ({ id: idOf('intent', intent), title: texts.intents[intent] }))
    case 'when':
      return TIMES.map((time) => ({ id: idOf('when', time), title: texts.times[time] }))
  }
}

const areasNamed = (names: readonly string[]): Area[] =>
  names.map(areaNamed).filter((area): area is Area => area !== null)

function placeWording(candidates: readonly Area[], texts: Texts): string {
  if (candidates.length <= MESSAGE_LIMITS.rows) return texts.whichPlace
  const provinces = new Set(candidates.map(({ province }) => province))
  return provinces.size === 1 ? texts.whichPlaceOf([...provinces].join()) : texts.questions.location[0]
}

/** None when they are more than a list holds: then the name has to be typed. */
function placeChoices(candidates: readonly Area[]): Choice[] {
  if (candidates.length > MESSAGE_LIMITS.rows) return []
  return distinct(
    candidates.map(({ name, province }) => ({
      id: idOf('location', name),
      title: name.replace('Kabupaten ', 'Kab. '),
      description: shorten(`${name}, ${province}`, MESSAGE_LIMITS.rowDescription),
    })),
  )
}

function modelChoices(models: readonly string[], page: number, texts: Texts): Choice[] {
  const any = { id: idOf('any_model', 'yes'), title: texts.anyModel }
  const pages = models.length < MESSAGE_LIMITS.rows ? 1 : Math.ceil(models.length / MODELS_PER_PAGE)
  const size = pages === 1 ? models.length : MODELS_PER_PAGE
  const shown = page % pages
  const more = { id: idOf('models_page', String((shown + 1) % pages)), title: texts.moreModels }
  const rows = models.slice(shown * size, (shown + 1) * size).map((model) => {
    const isCut = model.trim().length > MESSAGE_LIMITS.rowTitle
    return {
      id: idOf('model', model),
      title: model,
      ...(isCut && { description: shorten(model, MESSAGE_LIMITS.rowDescription) }),
    }
  })
  return distinct([...rows, any, ...(pages > 1 ? [more] : [])])
}

/** The page of models on which a model stands. */
export const pageOf = (model: string, models: readonly string[]): number =>
  models.length < MESSAGE_LIMITS.rows ? 0 : Math.floor(models.indexOf(model) / MODELS_PER_PAGE)

/** Titles that fit a row, each of its own: some bridges know a tap by its title alone. */
function distinct(choices: readonly Choice[]): Choice[] {
  const used = new Set<string>()
  return choices.map((choice) => {
    let title = shorten(choice.title, MESSAGE_LIMITS.rowTitle)
    for (let copy = 2; used.has(title.toLowerCase()); copy++)
      title = `${shorten(choice.title, MESSAGE_LIMITS.rowTitle - 3)} ${copy}`
    used.add(title.toLowerCase())
    return { ...choice, title }
  })
}

/** «Gesits G1, Kota Bandung, beli, bulan ini»: what is known of some answers, for the customer to see. */
export function factsIn({ model, area, intent, when }: Answers, language: keyof typeof TEXTS): string {
  const texts = TEXTS[language]
  return [
    model == null ? null : shorten(model, NAME_LETTERS),
    area?.name,
    intent && texts.intents[intent].toLowerCase(),
    when && texts.times[when].toLowerCase(),
  ]
    .filter((fact) => fact != null && fact !== '')
    .join(', ')
}
