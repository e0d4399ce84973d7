/** The rules of the conversation that a dialogue alone does not show: time, order, repeats, the end. */
import { describe, expect, it } from 'vitest'
import { takeTurn } from '../../../gateway/screening/conversation.ts'
import {
  CLOSED_FOR_MS,
  DAY_MS,
  HOUR_MS,
  heardFrom,
  here,
  MODELS,
  messageOf,
  PHOTO,
  REACTION,
  type Said,
  STALE_AFTER_MS,
  talk,
  tap,
  upTo,
} from './talk.ts'

const LATE = { lateMs: STALE_AFTER_MS + 1 }

describe('a stale message', () => {
  it('counts, and is not answered', () => {
    const chat = upTo('location')
    const turn = chat.say('Bandung', LATE)
    expect(turn.say).toBeNull()
    expect(turn.conversation).toMatchObject({ step: 'model', answers: { area: { name: 'Kota Bandung' } } })
  })

  it('that is just not too old is answered', () => {
    expect(upTo('location').say('Bandung', { lateMs: STALE_AFTER_MS }).say).not.toBeNull()
  })

  it('is followed by the open question, and an apology, when the customer writes again', () => {
    const chat = upTo('location')
    chat.say('Bandung', LATE)
    expect(heardFrom(chat.say('halo?', { afterMs: 2 * HOUR_MS }))).toBe(
      'Maaf, kami baru bisa membalas. Model mana yang Kakak minati?',
    )
  })

  it('that began the conversation is greeted late', () => {
    const chat = talk()
    expect(chat.say('halo', LATE).say).toBeNull()
    const answer = heardFrom(chat.say('kok ga dibalas', { afterMs: 2 * HOUR_MS }))
    expect(answer).toMatch(/^Halo Kak, terima kasih .* Maaf, kami baru bisa membalas\. Supaya dealer/)
  })

  it('is no wrong answer', () => {
    const chat = upTo('location')
    for (const said of ['xyzzy', 'plugh', 'frobnicate', 'quux']) chat.say(said, LATE)
    expect(chat.conversation).toMatchObject({ step: 'location', tries: 0 })
  })

  it('that completes the answers makes a lead, and the customer hears of it when writing again', () => {
    const chat = upTo('when')
    expect(chat.say('besok', LATE)).toMatchObject({ say: null, result: { kind: 'screened' } })
    expect(heardFrom(chat.say('halo?', { afterMs: 2 * HOUR_MS }))).toContain(
      'Maaf, kami baru bisa membalas. Terima kasih',
    )
    expect(heardFrom(chat.say('kapan dihubungi'))).toContain('kami teruskan')
    expect(heardFrom(chat.say('halo??'))).toBeNull()
  })

  it('does not answer a question that was never put: «ya» to nothing is no consent', () => {
    const chat = talk()
    chat.say('halo', LATE)
    chat.say('ya', LATE)
    chat.say('1', LATE)
    expect(chat.conversation.answers.consent).toBeUndefined()
  })

  it('a whole backlog that tells everything needs one answer, to what comes next', () => {
    const chat = talk()
    const backlog = ['halo', 'mau beli Volt 100', 'di Bandung', 'bulan ini bisa?'].map((said) =>
      chat.say(said, LATE),
    )
    expect(backlog.every(({ say }) => say === null)).toBe(true)
    chat.say('halo?', { afterMs: 3 * HOUR_MS })
    expect(heardFrom(chat.say('ya'))).toBe(
      'Baik, kami catat: Volt 100, Kota Bandung, beli. Kira-kira kapan rencananya, Kak?',
    )
  })

  it('that says stop is obeyed', () => {
    expect(upTo('model').say('stop', LATE)).toMatchObject({ say: null, result: { kind: 'declined' } })
  })
})

describe('silence', () => {
  it('of a day and more: the open question is put again, and wrong answers are forgotten', () => {
    const chat = upTo('model')
    chat.say('xyzzy')
    chat.say('plugh')
    const turn = chat.say('halo', { afterMs: DAY_MS + 1 })
    expect(heardFrom(turn)).toBe('Halo lagi, Kak! Kita lanjutkan, ya. Model mana yang Kakak minati?')
    expect(turn.conversation.tries).toBe(0)
  })

  it('of a day and more, and then the answer: it goes on', () => {
    expect(heardFrom(upTo('model').say('Volt 100', { afterMs: 3 * DAY_MS }))).toContain(
      'Apa yang Kakak butuhkan',
    )
  })

  it('of an hour is none', () => {
    expect(heardFrom(upTo('model').say('halo', { afterMs: HOUR_MS }))).toContain('belum mengenali modelnya')
  })
})

describe('what comes out of order, or twice', () => {
  it('bubbles sent before the question could be read count, and are not answered', () => {
    const chat = talk()
    chat.say('halo kak')
    expect(chat.say('mau tanya', { afterMs: 2_000 }).say).toBeNull()
    expect(chat.say('Volt 100 di Bandung ada?', { afterMs: 2_000 }).say).toBeNull()
    expect(chat.conversation).toMatchObject({
      step: 'consent',
      tries: 0,
      answers: { model: 'Volt 100', intent: 'price' },
    })
  })

  it('a photo album is answered once', () => {
    const chat = upTo('model')
    const album = [chat.say(PHOTO), chat.say(PHOTO, { afterMs: 1_000 }), chat.say(PHOTO, { afterMs: 1_000 })]
    expect(album.map(({ say }) => say !== null)).toEqual([true, false, false])
    expect(chat.conversation.tries).toBe(1)
  })

  it('a number sent before the question is no answer to it', () => {
    const chat = talk()
    chat.say('halo')
    const early = chat.message('1')
    chat.say('hmm')
    expect(chat.repeat(early)).toMatchObject({ say: null, conversation: { step: 'consent', answers: {} } })
  })

  it('the same tap twice is answered once', () => {
    const chat = talk()
    chat.say('halo')
    expect(chat.say(tap('screen:consent:yes')).say).not.toBeNull()
    expect(chat.say(tap('screen:consent:yes')).say).toBeNull()
    expect(chat.conversation).toMatchObject({ step: 'location', tries: 0 })
  })
})

describe('a button of an earlier question', () => {
  it('changes that answer, and the open question is put again', () => {
    const chat = upTo('when')
    const turn = chat.say(tap('screen:intent:credit'))
    expect(heardFrom(turn)).toBe('Baik, kami catat: kredit / cicilan. Kira-kira kapan rencananya, Kak?')
    expect(turn.conversation).toMatchObject({ step: 'when', tries: 0, answers: { intent: 'credit' } })
  })

  it('of consent withdraws it', () => {
    const turn = upTo('when').say(tap('screen:consent:no'))
    expect(turn).toMatchObject({ result: { kind: 'declined' }, conversation: { answers: {} } })
  })

  it('of a later question counts before its time', () => {
    expect(upTo('location').say(tap('screen:when:today')).conversation.answers.when).toBe('today')
  })

  it('changes nothing once the screening is over', () => {
    const chat = upTo('when')
    const { answers } = chat.say('besok').conversation
    expect(chat.say(tap('screen:intent:price'))).toMatchObject({
      result: { kind: 'over' },
      conversation: { answers },
    })
  })

  it('of a model no longer on sale is a wrong answer', () => {
    expect(heardFrom(upTo('model').say(tap('screen:model:Elang X')))).toContain('belum mengenali modelnya')
  })

  it('with an answer that nobody offered is a wrong answer', () => {
    for (const id of [
      'screen:consent:perhaps',
      'screen:intent:fly',
      'screen:when:never',
      'screen:location:Atlantis',
    ])
      expect(upTo('consent').say(tap(id)).conversation).toMatchObject({
        tries: 1,
        answers: { message: 'halo kak' },
      })
  })

  it('never changes the language', () => {
    expect(upTo('consent').say(tap('screen:consent:yes', 'I agree to this')).conversation.language).toBe('id')
  })
})

it('a WhatsApp location changes the place whenever it comes; a typed place only fills it', () => {
  const chat = upTo('intent')
  expect(chat.say('di Medan').conversation.answers.area?.name).toBe('Kota Bandung')
  expect(chat.say(here(3.6, 98.67)).conversation.answers.area).toMatchObject({
    name: 'Kota Medan',
    lat: 3.6,
    lon: 98.67,
  })
})

describe('wrong answers', () => {
  it.each(['consent', 'location', 'model', 'intent', 'when'] as const)(
    'to %s: asked again twice, in other words each time, and then a human',
    (step) => {
      const chat = upTo(step)
      const turns = ['xyzzy', 'plugh', 'frobnicate'].map((said) => chat.say(said))
      expect(turns.map(({ result }) => result.kind)).toEqual(['going_on', 'going_on', 'human'])
      expect(new Set(turns.map(heardFrom)).size).toBe(3)
      expect(turns[2]?.result).toEqual({ kind: 'human', reason: 'not_understood' })
    },
  )

  it('are counted by question', () => {
    const chat = upTo('location')
    chat.say('xyzzy')
    chat.say('plugh')
    chat.say('Bandung')
    expect(chat.conversation).toMatchObject({ step: 'model', tries: 0 })
  })

  it('a second place that may be several is one, and so is a third', () => {
    const chat = upTo('location')
    expect(['Jakarta', 'Bali', 'Lombok'].map((said) => chat.say(said).result.kind)).toEqual([
      'going_on',
      'going_on',
      'human',
    ])
  })

  it('are not: an answer to another question, or another page', () => {
    const chat = upTo('location')
    chat.say('mau beli')
    chat.say(tap('screen:when:later'))
    expect(chat.conversation).toMatchObject({ step: 'location', tries: 0 })
  })
})

it('reactions, edits and group messages are never answered, and change nothing', () => {
  for (const chat of [talk(), upTo('model'), upTo('when')]) expect(chat.say(REACTION).say).toBeNull()
  const chat = upTo('model')
  const before = chat.conversation
  expect(chat.say(REACTION).conversation).toEqual({ ...before, last_inbound_at: expect.any(String) })
})

describe('stop', () => {
  const chat = () => {
    const stopped = upTo('model')
    stopped.say('STOP!')
    return stopped
  }

  it.each<Said>(['stop', 'berhenti kak', 'tidak', 'ok makasih', '🙏', tap('screen:intent:buy'), REACTION])(
    'and then «%s»: nothing is said',
    (said) => expect(chat().say(said)).toMatchObject({ say: null, result: { kind: 'over' } }),
  )

  it.each<Said>(['halo', 'mau beli', PHOTO, here(-6.9, 107.6)])(
    'and then %s: the conversation begins anew',
    (said) => expect(heardFrom(chat().say(said))).toMatch(/^Halo Kak, terima kasih/),
  )

  it('forgets the answers', () => expect(chat().conversation.answers).toEqual({}))

  it('is not undone by a message that was sent before it', () => {
    const stopped = upTo('model')
    const before = stopped.message('mau beli')
    stopped.say('stop')
    expect(stopped.repeat(before).say).toBeNull()
  })

  it('is obeyed when a human has taken over', () => {
    const handed = upTo('model')
    handed.say('cs')
    expect(handed.say('stop').result).toEqual({ kind: 'declined' })
  })
})

describe('after the end', () => {
  const screened = () => {
    const chat = upTo('when')
    chat.say('besok')
    return chat
  }

  it('one more message is answered, the others are not, and no second lead is made', () => {
    const chat = screened()
    const turns = ['apa bisa COD?', 'halo', 'ulang', 'mau beli Volt 100'].map((said) => chat.say(said))
    expect(turns.map((turn) => heardFrom(turn) !== null)).toEqual([true, false, false, false])
    expect(new Set(turns.map(({ result }) => result.kind))).toEqual(new Set(['over']))
  })

  it('a thank-you needs no answer', () => expect(screened().say('siap kak, terima kasih').say).toBeNull())

  it('a while later a new conversation begins, in the customer’s language', () => {
    const chat = upTo('when', 'en')
    chat.say('tomorrow')
    expect(chat.say('Volt 100', { afterMs: CLOSED_FOR_MS - HOUR_MS }).result.kind).toBe('over')
    expect(heardFrom(chat.say('Volt 100', { afterMs: HOUR_MS }))).toMatch(/^Hello, and thank you/)
    expect(chat.conversation.answers).toEqual({ model: 'Volt 100', message: 'Volt 100' })
  })
})

describe('models', () => {
  const many = Array.from({ length: 20 }, (_, index) => `Tipe ${String.fromCharCode(65 + index)}${index}`)
  const asked = (models: readonly string[]) => {
    const chat = talk(models)
    for (const said of ['halo', 'ya']) chat.say(said)
    return { chat, turn: chat.say('Bandung') }
  }
  const titles = (turn: ReturnType<typeof takeTurn>) => turn.say?.choices?.map(({ title }) => title)

  it('none on sale: not asked', () => {
    const { chat, turn } = asked([])
    expect(heardFrom(turn)).toContain('Apa yang Kakak butuhkan')
    chat.say('beli')
    expect(chat.say('besok').result).toMatchObject({ kind: 'screened', answers: { model: null } })
  })

  it('nine fit one list', () => {
    expect(titles(asked(many.slice(0, 9)).turn)).toEqual([...many.slice(0, 9), 'Belum tahu'])
  })

  it('more are paged, round and round; a page is no wrong answer', () => {
    const { chat, turn } = asked(many)
    expect(titles(turn)).toEqual([...many.slice(0, 8), 'Belum tahu', 'Model lainnya…'])
    expect(titles(chat.say('10'))).toEqual([...many.slice(8, 16), 'Belum tahu', 'Model lainnya…'])
    expect(titles(chat.say('model lainnya'))).toEqual([...many.slice(16), 'Belum tahu', 'Model lainnya…'])
    expect(titles(chat.say(tap('screen:models_page:0')))?.[0]).toBe(many[0])
    expect(chat.conversation.tries).toBe(0)
    chat.say('10')
    expect(chat.say('2').conversation.answers.model).toBe(many[9])
  })

  it('one of another page may be typed', () => {
    expect(asked(many).chat.say('tipe t19').conversation.answers.model).toBe('Tipe T19')
  })

  it('a name they share: asked which', () => {
    const { chat } = asked(MODELS)
    expect(chat.say('gesits').conversation).toMatchObject({ step: 'model', tries: 1 })
  })
})

it('a conversation of another version begins anew', () => {
  const chat = upTo('when')
  const old = { ...chat.conversation, version: 0 } as never
  const message = messageOf('halo', Date.parse('2026-11-22T09:00:00Z'))
  const context = {
    now: Date.parse(message.at),
    models: MODELS,
    staleAfterMs: STALE_AFTER_MS,
    closedForMs: CLOSED_FOR_MS,
  }
  expect(takeTurn(old, message, context)).toEqual(takeTurn(null, message, context))
})
