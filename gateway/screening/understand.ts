/**
 * What a customer's words mean, by the tables of the vocabulary. Nothing clever: what is in no table is not
 * understood, and asked again.
 */
import type { Intent, Language, Question, When } from './answers.ts'
import { type Area, findPlace } from './gazetteer.ts'
import {
  AGREED,
  ANY_MODEL,
  COURTESIES,
  ENGLISH,
  FILLERS,
  HUMAN,
  INDONESIAN,
  INTENT_PHRASES,
  NO,
  NO_MODEL_NAMES,
  NOT_BUYING,
  REASSURED,
  RESTART,
  SOMEBODY,
  SPEAK,
  STOP,
  TIME_PHRASES,
  TIMES_IN_PASSING,
  YES,
} from './vocabulary.ts'
import { contains, containsAny, plain, slips, wordsOf } from './words.ts'

export type Wish = 'stop' | 'human' | 'restart'

/** A wish about the conversation itself. */
export function wishIn(text: string): Wish | null {
  const said = plain(text)
  const essence = withoutFillers(text).join(' ')
  if (STOP.includes(said) || STOP.includes(essence)) return 'stop'
  if (RESTART.includes(said) || RESTART.includes(essence)) return 'restart'
  if (containsAny(said, HUMAN) || SOMEBODY.includes(said) || SOMEBODY.includes(essence)) return 'human'
  return containsAny(said, SOMEBODY) && containsAny(said, SPEAK) ? 'human' : null
}

const withoutFillers = (text: string): string[] => wordsOf(text).filter((word) => !FILLERS.has(word))

/** «Ok kak, makasih», «🙏»: nothing that wants an answer. */
export function isCourtesy(text: string): boolean {
  if (/^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\uFE0F|\s)+$/u.test(text)) return true
  return wordsOf(text).length > 0 && withoutFillers(text).every((word) => COURTESIES.has(word))
}

/** More words than this are a remark, and no plain refusal. */
const REFUSAL_WORDS_MAX = 5

/** A clear yes or no to «may we?», and nothing else: «harganya berapa ya» agrees to nothing. */
export function consentIn(text: string): boolean | null {
  if (/^\s*[👍👌✅]/u.test(text)) return true
  const said = plain(text)
  const words = wordsOf(text)
  if (words.length === 0 || text.includes('?')) return null
  if (containsAny(said, REASSURED)) return true
  if (words.some((word) => NO.has(word))) return words.length <= REFUSAL_WORDS_MAX ? false : null
  if (containsAny(said, AGREED) || /^\s*(ya|iya|yes|ok|oke|okay)\s*[,.!;]/i.test(text)) return true
  return words.some((word) => YES.has(word)) && withoutFillers(text).every((word) => YES.has(word))
    ? true
    : null
}

function intentIn(said: string): Intent | undefined {
  const text = said.replace(NOT_BUYING, ' ')
  return INTENT_PHRASES.find(([, phrases]) => containsAny(text, phrases))?.[0]
}

function timeIn(said: string, counts: (phrase: string) => boolean): When | undefined {
  return TIME_PHRASES.find(([, phrases]) =>
    phrases.some((phrase) => counts(phrase) && contains(said, phrase)),
  )?.[0]
}

/** The models whose whole name is in a text; the longest, if one name is in another. */
export function modelsNamed(text: string, models: readonly string[]): string[] {
  const words = wordsOf(text)
  const whole = models.filter((model) => mentionsWhole(words, joined(model)))
  const longest = Math.max(0, ...whole.map((model) => model.length))
  return whole.filter((model) => model.length === longest)
}

/** The models that a text may mean: those one slip away, else those that share most of its telling words. */
export function modelsLike(text: string, models: readonly string[]): string[] {
  const words = wordsOf(text)
  const slipped = models.filter((model) => words.length > 0 && slips(words.join(''), joined(model)) !== null)
  if (slipped.length > 0) return slipped
  const shared = models.map((model) => tellingWords(model).filter((word) => words.includes(word)).length)
  const most = Math.max(0, ...shared)
  return most === 0 ? [] : models.filter((_, index) => shared[index] === most)
}

const joined = (text: string): string => plain(text).replaceAll(' ', '')

const tellingWords = (model: string): string[] =>
  wordsOf(model).filter(
    (word) => !NO_MODEL_NAMES.has(word) && (word.length > 3 || (/\d/.test(word) && /[a-z]/.test(word))),
  )

/** With or without spaces: `gesitsg1`, `Gesits G-1`. */
function mentionsWhole(words: readonly string[], name: string): boolean {
  if (name === '') return false
  return words.some((_, start) => {
    let typed = ''
    for (const word of words.slice(start)) {
      typed += word
      if (typed.length >= name.length) return typed === name
    }
    return false
  })
}

/** What a text says by itself. `areas`: several when it may mean any of them; `models` likewise, null: any model. */
export interface Understood {
  readonly areas: readonly Area[]
  readonly models: readonly string[] | null
  readonly intent: Intent | undefined
  readonly when: When | undefined
}

/** `asked`: the question it may answer, on which it is read more freely; null: none was asked. */
export function understand(text: string, models: readonly string[], asked: Question | null): Understood {
  const said = plain(text)
  const whole = modelsNamed(text, models)
  const areas =
    asked === 'location'
      ? findPlace(text, 'as the answer')
      : findPlace(withoutWordsOf(whole, text), 'in passing')
  // «Kubu Raya» is a place, and no «Gesits Raya».
  const places = areas.map(({ name }) => name)
  const meant = whole.length > 0 ? whole : modelsLike(withoutWordsOf(places, text), models)
  const intent = intentIn(said)
  const wishes = intent !== undefined && intent !== 'price'
  return {
    areas,
    models: asked === 'model' && meant.length === 0 && containsAny(said, ANY_MODEL) ? null : meant,
    intent,
    when:
      asked === 'when'
        ? timeIn(said, () => true)
        : timeIn(said, (phrase) => wishes && TIMES_IN_PASSING.has(phrase)),
  }
}

/** A model may be named after a town, and a town share a word with a model. */
function withoutWordsOf(names: readonly string[], text: string): string {
  const named = new Set(names.flatMap(wordsOf))
  return wordsOf(text)
    .filter((word) => !named.has(word))
    .join(' ')
}

const SHORT_TEXT_WORDS = 2

/**
 * The language a text is clearly in, or null. Clearly: words of one and none of the other, at least two of them or in
 * a text that is no longer than that; or the language is asked for by name.
 */
export function languageOf(text: string): Language | null {
  const said = plain(text)
  if (said === 'english' || containsAny(said, ['in english', 'english please', 'bahasa inggris'])) return 'en'
  if (containsAny(said, ['bahasa indonesia'])) return 'id'
  const words = wordsOf(text)
  const indonesian = words.filter((word) => INDONESIAN.has(word)).length
  const english = words.filter((word) => ENGLISH.has(word)).length
  const enough = (count: number) => count >= 2 || (count === 1 && words.length <= SHORT_TEXT_WORDS)
  if (indonesian === 0 && enough(english)) return 'en'
  if (english === 0 && enough(indonesian)) return 'id'
  return null
}

const NUMBER = /^(?:no|nomor|nomer|nmr|pilih|pilihan|opsi|option|number)? ?(\d{1,2})$/

/** «2», «2.», «no. 2», «pilih 2» */
export function numberIn(text: string): number | null {
  const match = NUMBER.exec(plain(text))
  return match === null ? null : Number(match[1])
}

/** The offered choice whose title was typed: as it is, with a slip, or words that only that title has. */
export function titleIn<Offered extends { readonly title: string }>(
  text: string,
  offered: readonly Offered[],
): Offered | null {
  const typed = joined(text)
  if (typed === '') return null
  const exact = offered.find(({ title }) => joined(title) === typed)
  if (exact !== undefined) return exact
  const near = offered.filter(({ title }) => slips(typed, joined(title)) !== null)
  if (near.length === 1) return near[0] as Offered
  const words = withoutFillers(text)
  const partly = offered.filter(({ title }) => words.every((word) => wordsOf(title).includes(word)))
  return words.length > 0 && partly.length === 1 ? (partly[0] as Offered) : null
}
