/** What holds whatever customers send, in whatever order and however late. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MESSAGE_LIMITS, type MessageContent } from '../../../gateway/contract/bridge.ts'
import {
  type Conversation,
  type CustomerMessage,
  takeTurn,
  WRONG_ANSWERS_MAX,
} from '../../../gateway/screening/conversation.ts'
import { AREAS } from '../../../gateway/screening/gazetteer.ts'
import { CLOSED_FOR_MS, DAY_MS, MODELS, messageOf, type Said, STALE_AFTER_MS, talk, tap } from './talk.ts'

const START_MS = Date.parse('2026-11-22T08:00:00.000Z')

const modelNames = fc.oneof(
  fc.constant(MODELS),
  fc.constant<string[]>([]),
  fc.array(fc.string({ unit: 'grapheme', maxLength: 90 }), { maxLength: 25 }),
  // Alike at the front; longer than a row, than an id.
  fc
    .tuple(fc.constantFrom(1, 8), fc.uniqueArray(fc.nat({ max: 99 }), { maxLength: 25 }))
    .map(([times, numbers]) => numbers.map((n) => `${'Sepeda Motor Listrik Nusantara '.repeat(times)}${n}`)),
)

const words = fc.constantFrom(
  'halo',
  'hello',
  'ya',
  'yes please',
  'tidak',
  'no',
  '1',
  '2',
  '5',
  '10',
  'beli',
  'buy',
  'test ride',
  'kredit',
  'harga',
  'besok',
  'bulan depan',
  'later',
  'Bandung',
  'Jakarta',
  'jawa barat',
  'banjar',
  'Volt 100',
  'gesits',
  'belum tahu',
  'stop',
  'cs',
  'ulang',
  'xyzzy',
  'english please',
  'makasih',
  'mau beli Volt 100 di Medan bulan ini',
  '🙏',
  '?',
)
const place = fc.constantFrom(...AREAS.map(({ name }) => name))
const ids = fc.oneof(
  fc.constantFrom(
    'screen:consent:yes',
    'screen:consent:no',
    'screen:location:Kota Medan',
    'screen:location:Atlantis',
    'screen:model:Volt 100',
    'screen:any_model:yes',
    'screen:models_page:1',
    'screen:models_page:999',
    'screen:models_page:-1',
    'screen:intent:buy',
    'screen:intent:nothing',
    'screen:when:later',
    'screen:when:never',
    'screen:oracle:yes',
    'claim:lead_1',
    '',
  ),
  fc.string(),
)
const said: fc.Arbitrary<Said> = fc.oneof(
  { weight: 6, arbitrary: words },
  { weight: 2, arbitrary: place },
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 200 }) },
  { weight: 3, arbitrary: fc.tuple(ids, fc.string()).map(([id, title]) => tap(id, title)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.double({ min: -90, max: 90, noNaN: true }), fc.double({ min: -180, max: 180, noNaN: true }))
      .map(([lat, lon]): Said => ({ kind: 'location', location: { lat: lat + 0, lon: lon + 0 } })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Said>(
      { kind: 'media' },
      { kind: 'other' },
      { kind: 'location' },
      { kind: 'choice' },
      { kind: 'text' },
    ),
  },
)

/** A message, when it was sent after the one before (or before it), and how long it took. */
const sent = fc.record({
  said,
  afterMs: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 6_000, max: 600_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: -DAY_MS, max: 5_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: DAY_MS, max: 2 * CLOSED_FOR_MS }) },
  ),
  lateMs: fc.oneof(
    { weight: 6, arbitrary: fc.constant(500) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 7 * DAY_MS }) },
  ),
})

/** How far it has come before anything goes. */
const opening = fc.constantFrom<readonly Said[]>(
  [],
  ['halo', 'ya'],
  ['hello', 'yes', 'Jakarta'],
  ['halo', 'ya', 'Medan'],
  ['hello', 'yes', 'Medan'],
  ['halo', 'ya', 'Medan', tap('screen:any_model:yes')],
  ['halo', 'ya', 'Medan', tap('screen:any_model:yes'), 'beli'],
  ['halo', 'ya', 'Medan', tap('screen:any_model:yes'), 'beli', 'besok'],
)

interface Step {
  readonly before: Conversation | null
  readonly turn: ReturnType<typeof takeTurn>
  readonly message: CustomerMessage
  readonly now: number
}

function play(
  models: readonly string[],
  messages: readonly { said: Said; afterMs: number; lateMs: number }[],
): Step[] {
  let before: Conversation | null = null
  let sentMs = START_MS
  let now = START_MS
  return messages.map(({ said: what, afterMs, lateMs }) => {
    sentMs += afterMs
    now = Math.max(now, sentMs + lateMs)
    const message = messageOf(what, sentMs)
    const turn = takeTurn(before, message, {
      now,
      models,
      staleAfterMs: STALE_AFTER_MS,
      closedForMs: CLOSED_FOR_MS,
    })
    const step = { before, turn, message, now }
    before = JSON.parse(JSON.stringify(turn.conversation)) as Conversation
    expect(before).toEqual(turn.conversation)
    return step
  })
}

function expectFits(say: MessageContent): void {
  const { kind, body = '', choices = [], button = '' } = say
  const ids = choices.map(({ id }) => id)
  const titles = choices.map(({ title }) => title.toLowerCase())
  expect(body.trim()).toBe(body)
  expect(body.length).toBeGreaterThan(0)
  expect(body.isWellFormed()).toBe(true)
  expect(body.length).toBeLessThanOrEqual(
    kind === 'text' ? MESSAGE_LIMITS.textBody : MESSAGE_LIMITS.interactiveBody,
  )
  expect(new Set(ids).size).toBe(ids.length)
  expect(new Set(titles).size).toBe(titles.length)
  for (const { id, title, description = '' } of choices) {
    expect(id.trim()).toBe(id)
    expect(id.length).toBeLessThanOrEqual(MESSAGE_LIMITS.rowId)
    expect(title.trim()).not.toBe('')
    expect(title.isWellFormed() && description.isWellFormed()).toBe(true)
    expect(title.length).toBeLessThanOrEqual(
      kind === 'buttons' ? MESSAGE_LIMITS.buttonTitle : MESSAGE_LIMITS.rowTitle,
    )
    expect(description.length).toBeLessThanOrEqual(MESSAGE_LIMITS.rowDescription)
  }
  if (kind === 'buttons') expect(choices.length).toBeLessThanOrEqual(MESSAGE_LIMITS.buttons)
  if (kind === 'list') {
    expect(choices.length).toBeLessThanOrEqual(MESSAGE_LIMITS.rows)
    expect(button.length).toBeGreaterThan(0)
    expect(button.length).toBeLessThanOrEqual(MESSAGE_LIMITS.listButton)
  }
  expect(['buttons', 'list'].includes(kind)).toBe(choices.length > 0)
}

describe('whatever is sent', () => {
  const whatever = (check: (steps: Step[]) => void) =>
    fc.assert(
      fc.property(
        modelNames,
        opening,
        fc.array(sent, { minLength: 1, maxLength: 20 }),
        (models, first, messages) =>
          check(
            play(models, [
              ...first.map((what) => ({ said: what, afterMs: 30_000, lateMs: 500 })),
              ...messages,
            ]),
          ),
      ),
      { numRuns: 300 },
    )

  it('every answer fits WhatsApp', () => {
    whatever((steps) => {
      for (const { turn } of steps) if (turn.say !== null) expectFits(turn.say)
    })
  })

  it('wrong answers stay within their bound, and the step is what the result says', () => {
    whatever((steps) => {
      for (const { turn } of steps) {
        const { step, tries } = turn.conversation
        expect(tries).toBeLessThanOrEqual(WRONG_ANSWERS_MAX)
        const ended = ['screened', 'human', 'declined'].includes(step)
        if (turn.result.kind === 'over') expect(ended).toBe(true)
        else expect(step === turn.result.kind || (turn.result.kind === 'going_on' && !ended)).toBe(true)
      }
    })
  })

  it('a lead has consent, a place, a wish and a time, and a model where there are any', () => {
    whatever((steps) => {
      for (const { turn } of steps)
        if (turn.result.kind === 'screened') {
          expect(turn.conversation.answers.consent).toBe(true)
          expect(turn.result.answers).toMatchObject({
            consent: true,
            area: { name: expect.any(String), lat: expect.any(Number), lon: expect.any(Number) },
            intent: expect.any(String),
            when: expect.any(String),
          })
          expect(turn.result.answers.model).not.toBeUndefined()
        }
    })
  })

  it('stale messages are not answered', () => {
    whatever((steps) => {
      for (const { turn, message, now } of steps)
        if (now - Date.parse(message.at) > STALE_AFTER_MS) expect(turn.say).toBeNull()
    })
  })

  it('nobody who refused is written to until they write something else', () => {
    whatever((steps) => {
      for (const { before, turn } of steps)
        if (before?.step === 'declined' && turn.result.kind === 'over') expect(turn.say).toBeNull()
    })
  })

  it('a second lead only after the first conversation was left alone long enough', () => {
    whatever((steps) => {
      const leads = steps.filter(({ turn }) => turn.result.kind === 'screened')
      const stops = steps.filter(({ turn }) => turn.result.kind === 'declined')
      for (let index = 1; index < leads.length; index++) {
        const [first, second] = [leads[index - 1] as Step, leads[index] as Step]
        const stopped = stops.some(({ now }) => now >= first.now && now <= second.now)
        if (!stopped) expect(second.now - first.now).toBeGreaterThanOrEqual(CLOSED_FOR_MS)
      }
    })
  })
})

it('messages that are delivered again, at any later time, change nothing and are not answered', () => {
  const lines: readonly Said[] = [
    'Halo kak',
    'ya',
    'Jakarta',
    '3',
    '2',
    tap('screen:intent:buy'),
    'bulan ini',
  ]
  const dialogue = talk()
  const alone = lines.map((line) => dialogue.say(line))
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.nat({ max: 6 }), { maxLength: 4 }), { minLength: 7, maxLength: 7 }),
      (repeats) => {
        const chat = talk()
        const sentSoFar: CustomerMessage[] = []
        lines.forEach((line, index) => {
          expect(chat.say(line)).toEqual(alone[index])
          sentSoFar.push(chat.message(line))
          for (const which of repeats[index] as number[])
            expect(chat.repeat(sentSoFar[which % sentSoFar.length] as CustomerMessage).say).toBeNull()
        })
      },
    ),
  )
})

it('whoever chooses one of the offered answers each time is screened in six messages', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
      fc.constantFrom('tap', 'number', 'title'),
      fc.constantFrom('halo', 'hello there'),
      place,
      (choices, how, greeting, town) => {
        const chat = talk()
        const answer = (which: number): Said => {
          const { offered } = chat.conversation
          const index = which % offered.length
          const { id, title } = offered[index] as { id: string; title: string }
          return how === 'tap' ? tap(id, title) : how === 'number' ? String(index + 1) : title
        }
        chat.say(greeting)
        chat.say(tap('screen:consent:yes'))
        chat.say(town)
        expect(chat.conversation.step).toBe('model')
        const turns = choices.slice(1).map((which) => chat.say(answer(which)))
        expect(turns.at(-1)?.result.kind).toBe('screened')
      },
    ),
  )
})
