/** What customers and the bot say to each other, line by line: the customer's words, and what the answer says. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { TEXTS } from '../../../gateway/screening/texts.ts'
import { here, PHOTO, type Said, talk, tap } from './talk.ts'

type Line = readonly [customer: Said, bot: string | null]

interface Dialogue {
  readonly lines: readonly Line[]
  /** How it ends, and with what. */
  readonly ends: object
}

const area = (name: string) => expect.objectContaining({ name })
const screened = (answers: object) => ({
  kind: 'screened',
  answers: expect.objectContaining({ consent: true, ...answers }),
})
const GOING_ON = { kind: 'going_on' }

const DIALOGUES: Readonly<Record<string, Dialogue>> = {
  'Bahasa Indonesia, one answer after the other': {
    lines: [
      ['Halo kak', 'Halo Kak, terima kasih sudah menghubungi kami! Supaya dealer terdekat'],
      ['ya', 'Kakak tinggal di kota atau kabupaten mana?'],
      ['Bandung', 'Baik, kami catat: Kota Bandung. Model mana yang Kakak minati?'],
      ['gesits g1', 'Baik, kami catat: Gesits G1. Apa yang Kakak butuhkan saat ini?'],
      ['mau test ride dulu', 'Kira-kira kapan rencananya, Kak?'],
      ['minggu ini kak', 'Kami catat: Gesits G1, Kota Bandung, test ride, minggu ini. Tim dealer terdekat'],
    ],
    ends: screened({
      area: area('Kota Bandung'),
      model: 'Gesits G1',
      intent: 'test_ride',
      when: 'this_week',
      message: 'Halo kak',
    }),
  },
  'English, with numbers': {
    lines: [
      ['Hello, do you have electric bikes?', 'Hello, and thank you for contacting us!'],
      ['1', 'Which city or regency do you live in?'],
      ['South Jakarta', 'Noted: Kota Jakarta Selatan. Which model are you interested in?'],
      ['2', 'Noted: Gesits Raya. What can we help you with?'],
      ['1.', 'Noted: buy. When are you planning to do this?'],
      ['no. 4', 'Gesits Raya, Kota Jakarta Selatan, buy, next month. The nearest dealer will contact you'],
    ],
    ends: screened({
      area: area('Kota Jakarta Selatan'),
      model: 'Gesits Raya',
      intent: 'buy',
      when: 'next_month',
    }),
  },
  'everything in the first message: only consent is asked': {
    lines: [
      ['mau beli Gesits Raya di Bandung bulan ini', 'Apakah Kakak setuju?'],
      ['Setuju', 'Kami catat: Gesits Raya, Kota Bandung, beli, bulan ini.'],
    ],
    ends: screened({ area: area('Kota Bandung'), model: 'Gesits Raya', intent: 'buy', when: 'this_month' }),
  },
  'everything in the first message, in English': {
    lines: [
      ['I want to buy the Volt 100 in Surabaya this month', 'Do you agree?'],
      ['yes please', 'Volt 100, Kota Surabaya, buy, this month.'],
    ],
    ends: screened({ area: area('Kota Surabaya'), model: 'Volt 100', intent: 'buy', when: 'this_month' }),
  },
  'the text that an advertisement brings': {
    lines: [
      ['Halo, saya tertarik dengan Volt 100. Boleh minta info harga?', 'Apakah Kakak setuju?'],
      [tap('screen:consent:yes'), 'Baik, kami catat: Volt 100, tanya harga / info. Kakak tinggal di'],
      [here(-6.21, 106.82), 'Baik, kami catat: Kota Jakarta'],
      [tap('screen:when:later'), 'nanti / belum pasti'],
    ],
    ends: screened({
      area: expect.objectContaining({ lat: -6.21, lon: 106.82 }),
      intent: 'price',
      when: 'later',
    }),
  },
  'taps that come as their titles (Qontak)': {
    lines: [
      ['Selamat siang', 'Apakah Kakak setuju?'],
      [{ kind: 'choice', choice: { id: '', title: 'Setuju' } }, 'Kakak tinggal di'],
      ['Sleman', 'Model mana'],
      ['Belum tahu', 'Apa yang Kakak butuhkan'],
      [{ kind: 'choice', choice: { id: '', title: 'Kredit / cicilan' } }, 'Kira-kira kapan'],
      ['Nanti / belum pasti', 'Kami catat: Kabupaten Sleman, kredit / cicilan, nanti / belum pasti.'],
    ],
    ends: screened({ area: area('Kabupaten Sleman'), model: null, intent: 'credit', when: 'later' }),
  },
  'slips of the finger': {
    lines: [
      ['hallo', 'Apakah Kakak setuju?'],
      ['setju', 'Kakak tinggal di'],
      ['surabya', 'Kota Surabaya'],
      ['gesit raya', 'Gesits Raya'],
      ['Test rid', 'test ride'],
      ['bulan dpan', 'bulan depan'],
    ],
    ends: screened({ area: area('Kota Surabaya'), model: 'Gesits Raya', when: 'next_month' }),
  },
  'a place that may be several': {
    lines: [
      ['halo', 'setuju?'],
      ['ok', 'kabupaten mana?'],
      ['Jakarta', 'Yang mana tepatnya, Kak?'],
      ['timur', 'Kota Jakarta Timur'],
    ],
    ends: GOING_ON,
  },
  'a province too large for a list': {
    lines: [
      ['halo', 'setuju?'],
      ['ok', 'kabupaten mana?'],
      ['jawa barat', 'Jawa Barat itu luas, Kak. Kota atau kabupaten mana tepatnya?'],
      ['kab bandung', 'Baik, kami catat: Kabupaten Bandung.'],
    ],
    ends: GOING_ON,
  },
  'a place named twice in the country': {
    lines: [
      ['mau beli di kota banjar atau kabupaten banjar', 'setuju?'],
      ['iya', 'Yang mana tepatnya, Kak?'],
      ['2', 'Kabupaten Banjar'],
    ],
    ends: GOING_ON,
  },
  'a wrong answer twice, and then the right one': {
    lines: [
      ['halo', 'setuju?'],
      ['boleh', 'kabupaten mana?'],
      ['xyzzy', 'Maaf, kami belum mengenali tempatnya.'],
      ['planet mars', 'Maaf Kak, tempatnya masih belum ketemu.'],
      ['depok', 'Kota Depok'],
    ],
    ends: GOING_ON,
  },
  'three wrong answers, and then a human': {
    lines: [
      ['halo', 'setuju?'],
      ['hmm untuk apa ya', 'Balas dengan angka saja, ya:\n1. Setuju\n2. Tidak setuju'],
      ['apa ini', 'Balas SETUJU untuk lanjut atau TIDAK'],
      ['hah', 'Kami sambungkan dengan tim kami'],
    ],
    ends: { kind: 'human', reason: 'not_understood' },
  },
  'consent refused': {
    lines: [
      ['halo', 'setuju?'],
      ['gak mau', 'data Kakak tidak kami teruskan ke dealer'],
    ],
    ends: { kind: 'declined' },
  },
  'consent refused by a tap, and given after all': {
    lines: [
      ['hello', 'Do you agree?'],
      [tap('screen:consent:no'), 'we will not pass your details on'],
      ['ok', null],
      [tap('screen:consent:yes'), 'Which city or regency do you live in?'],
    ],
    ends: GOING_ON,
  },
  'a human is wanted': {
    lines: [
      ['halo admin', 'setuju?'],
      ['bisa bicara dengan orang aja?', 'Baik Kak, kami sambungkan dengan tim kami.'],
      ['oke makasih', null],
      ['saya tunggu di rumah', 'pesannya kami teruskan ke tim kami'],
      ['halo?', null],
    ],
    ends: { kind: 'over' },
  },
  'photos and voice messages': {
    lines: [
      [PHOTO, 'kami belum bisa membuka foto, video, atau pesan suara di sini. Supaya dealer'],
      ['ya', 'kabupaten mana?'],
      [PHOTO, 'kami belum bisa membuka foto, video, atau pesan suara di sini. Kakak tinggal di'],
      [{ kind: 'media', text: 'saya di Klaten' }, 'Kabupaten Klaten'],
    ],
    ends: GOING_ON,
  },
  'begun anew': {
    lines: [
      ['halo', 'setuju?'],
      ['ya', 'kabupaten mana?'],
      ['Medan', 'Kota Medan'],
      ['ulang', 'Halo Kak, terima kasih sudah menghubungi kami!'],
      ['ya', 'Kakak tinggal di kota'],
    ],
    ends: GOING_ON,
  },
  'another language on the way': {
    lines: [
      ['halo', 'Apakah Kakak setuju?'],
      ['sorry, can you speak English please?', 'Before we go on, we need your permission'],
      ['yes', 'Which city or regency'],
      ['saya di Solo kak', 'Baik, kami catat: Kota Surakarta.'],
    ],
    ends: GOING_ON,
  },
}

describe('a dialogue', () => {
  it.each(Object.entries(DIALOGUES))('%s', (_, { lines, ends }) => {
    const chat = talk()
    const answers = lines.map(([said]) => chat.say(said))
    const heard = answers.map(({ say }, index) => {
      const expected = (lines[index] as Line)[1]
      return expected === null || say?.body?.includes(expected) ? expected : (say?.body ?? null)
    })
    expect(heard).toEqual(lines.map(([, bot]) => bot))
    expect(answers.at(-1)?.result).toEqual(ends)
  })
})

it('both languages say all there is to say, and nothing twice', () => {
  const shape = (texts: object): unknown =>
    Object.entries(texts).map(([name, value]) => [
      name,
      typeof value === 'object' ? shape(value) : typeof value,
    ])
  expect(shape(TEXTS.en)).toEqual(shape(TEXTS.id))
  for (const { questions } of Object.values(TEXTS))
    for (const wordings of Object.values(questions)) expect(new Set(wordings).size).toBe(3)
})

/** `> **Customer:** …` and `> **Bot:** …`, over several lines; choices in backticks. */
function dialoguesOf(markdown: string): Line[][] {
  return [...markdown.matchAll(/(?:^>.*\n)+/gm)].map(([quote]) => {
    const text = quote.replace(/^> ?/gm, '').replace(/\s+/g, ' ')
    const turns = text.split(/\*\*(?=Customer:|Bot:)/).slice(1)
    const words = turns.map((turn) =>
      turn
        .replace(/^\w+:\*\* /, '')
        .replace(/`[^`]*`/g, '')
        .trim(),
    )
    return words.flatMap((word, index) =>
      index % 2 === 0 ? [[word, words[index + 1] ?? null] as const] : [],
    )
  })
}

it('the dialogues that the documentation shows are what customers get', () => {
  const markdown = readFileSync(join(import.meta.dirname, '../../../docs/whatsapp.md'), 'utf8')
  const dialogues = dialoguesOf(markdown)
  expect(dialogues.map((lines) => lines.length)).toEqual([6, 2])
  for (const lines of dialogues) {
    const chat = talk()
    const turns = lines.map(([customer]) => chat.say(customer))
    expect(turns.map(({ say }) => say?.body)).toEqual(lines.map(([, bot]) => bot))
    expect(turns.at(-1)?.result.kind).toBe('screened')
  }
})
