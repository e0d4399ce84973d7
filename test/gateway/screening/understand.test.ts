/** What customers' words mean: tables of texts and their meaning. */
import { describe, expect, it } from 'vitest'
import {
  consentIn,
  isCourtesy,
  languageOf,
  numberIn,
  titleIn,
  understand,
  wishIn,
} from '../../../gateway/screening/understand.ts'
import { plain, shorten, slips } from '../../../gateway/screening/words.ts'

const table = <Meaning>(meaning: (text: string) => Meaning, rows: readonly (readonly [string, Meaning])[]) =>
  it.each(rows)('«%s» → %s', (text, expected) => expect(meaning(text)).toEqual(expected))

describe('consent', () => {
  table<boolean | null>(consentIn, [
    ['ya', true],
    ['Iya kak', true],
    ['Okeee', true],
    ['boleh min', true],
    ['saya setuju', true],
    ['ya, saya di Bandung', true],
    ['gak apa apa', true],
    ['👍', true],
    ['yes please', true],
    ['I agree', true],
    ['tidak', false],
    ['Gak setuju', false],
    ['ngga mau kak', false],
    ['no thanks', false],
    ['I do not agree', false],
    ['harganya berapa ya', null],
    ['boleh tanya harga', null],
    ['setuju untuk apa?', null],
    ['ya?', null],
    ['mau beli', null],
    ['saya belum tahu, tidak bisa jawab sekarang ya kak', null],
    ['Bandung', null],
    ['kak', null],
    ['', null],
  ])
})

describe('a wish', () => {
  table<string | null>(wishIn, [
    ['stop', 'stop'],
    ['STOP!!', 'stop'],
    ['berhenti dong kak', 'stop'],
    ['jangan hubungi saya lagi', 'stop'],
    ['ulang', 'restart'],
    ['mulai lagi ya', 'restart'],
    ['start over please', 'restart'],
    ['cs', 'human'],
    ['mau ke manusia aja', 'human'],
    ['can I talk to a person', 'human'],
    ['orang', 'human'],
    ['bicara dengan orang', 'human'],
    ['human please', 'human'],
    ['untuk 2 orang', null],
    ['halo admin', null],
    ['non stop kak jalannya?', null],
    ['tidak berhenti di lampu merah', null],
    ['', null],
  ])
})

describe('a last courtesy', () => {
  table(isCourtesy, [
    ['ok', true],
    ['siap kak, terima kasih', true],
    ['🙏🙏', true],
    ['👍🏽', true],
    ['thanks!', true],
    ['ok besok ya', false],
    ['halo', false],
    ['1', false],
    ['', false],
  ])
})

describe('the language', () => {
  table<string | null>(languageOf, [
    ['halo kak', 'id'],
    ['mau tanya harga', 'id'],
    ['Hello', 'en'],
    ['hi, how much is this', 'en'],
    ['yes', 'en'],
    ['english please', 'en'],
    ['pakai bahasa inggris bisa?', 'en'],
    ['bahasa indonesia saja', 'id'],
    ['test ride', null],
    ['Gesits G1', null],
    ['ok', null],
    ['Bandung', null],
    ['saya want to buy', null],
    ['the Volt Raya Turbo Sport', null],
    ['', null],
  ])
})

describe('what is wished for', () => {
  table(
    (text) => understand(text, [], 'intent').intent,
    [
      ['beli', 'buy'],
      ['mau beli cash', 'buy'],
      ['test ride dulu', 'test_ride'],
      ['mau coba motornya', 'test_ride'],
      ['bisa kredit?', 'credit'],
      ['mau beli, bisa dicicil?', 'credit'],
      ['harganya berapa', 'price'],
      ['belum mau beli, tanya dulu', 'price'],
      ["I don't want to buy, just asking for information", 'price'],
      ['coba kirim fotonya', undefined],
      ['halo', undefined],
    ],
  )
})

describe('when, in answer to «when?»', () => {
  table(
    (text) => understand(text, [], 'when').when,
    [
      ['hari ini', 'today'],
      ['sekarang kak', 'today'],
      ['besok', 'this_week'],
      ['minggu ini', 'this_week'],
      ['minggu depan', 'this_month'],
      ['bulan ini', 'this_month'],
      ['bulan depan', 'next_month'],
      ['nanti aja', 'later'],
      ['belum tahu', 'later'],
      ['next week', 'this_month'],
      ['not sure', 'later'],
      ['pink', undefined],
    ],
  )
})

it('a time in passing counts beside a wish only', () => {
  const when = (text: string) => understand(text, [], null).when
  expect(when('mau beli bulan depan')).toBe('next_month')
  expect(when('promo bulan ini apa?')).toBeUndefined()
  expect(when('nanti saya kirim lokasi, mau beli')).toBeUndefined()
})

describe('a model', () => {
  const models = ['Gesits G1', 'Gesits Raya', 'Volt 100', 'Solo']
  table(
    (text) => understand(text, models, 'model').models,
    [
      ['gesits g1', ['Gesits G1']],
      ['yang Gesits-G1 itu', ['Gesits G1']],
      ['gesitsg1', ['Gesits G1']],
      ['g1', ['Gesits G1']],
      ['raya', ['Gesits Raya']],
      ['volt', ['Volt 100']],
      ['gesits rayaa', ['Gesits Raya']],
      ['gesits', ['Gesits G1', 'Gesits Raya']],
      ['100', []],
      ['motor listrik', []],
      ['terserah', null],
      ['', []],
    ],
  )

  it('named after a town is no place, until the place is asked for', () => {
    expect(understand('mau beli Solo', models, null).areas).toEqual([])
    expect(understand('Solo', models, 'location').areas).toMatchObject([{ name: 'Kota Surakarta' }])
  })

  it('is not named by a place that shares a word with it', () => {
    expect(understand('Kubu Raya', models, 'location')).toMatchObject({ models: [], areas: [{}] })
    expect(understand('mau Raya di Kubu Raya', models, null)).toMatchObject({ models: [], areas: [{}] })
    expect(understand('volt di Kubu Raya', models, null)).toMatchObject({ models: ['Volt 100'], areas: [{}] })
  })

  it('whose name holds another’s is the longer one', () => {
    expect(understand('volt 100 plus', ['Volt 100', 'Volt 100 Plus'], null).models).toEqual(['Volt 100 Plus'])
  })
})

describe('a number', () => {
  table<number | null>(numberIn, [
    ['1', 1],
    [' 2. ', 2],
    ['no 3', 3],
    ['pilih 10', 10],
    ['nomor 2', 2],
    ['12 bulan', null],
    ['satu', null],
    ['123', null],
    ['g1', null],
  ])
})

describe('a title', () => {
  const offered = ['Hari ini', 'Minggu ini', 'Bulan ini', 'Bulan depan'].map((title) => ({ title }))
  table(
    (text) => titleIn(text, offered)?.title,
    [
      ['bulan depan', 'Bulan depan'],
      ['BULAN  DEPAN!', 'Bulan depan'],
      ['bulan dpan', 'Bulan depan'],
      ['depan', 'Bulan depan'],
      ['minggu', 'Minggu ini'],
      ['bulan', undefined],
      ['ini', undefined],
      ['kak', undefined],
      ['', undefined],
    ],
  )
})

describe('words', () => {
  it('are compared without case, accents, punctuation and drawn-out letters', () => {
    expect(plain('  Okéééé,   KAK!! ')).toBe('oke kak')
    expect(plain('Ba’a')).toBe('baa')
  })

  it.each([
    ['setuju', 'setuju', 0],
    ['setju', 'setuju', 1],
    ['seutju', 'setuju', 1],
    ['betuju', 'setuju', null],
    ['beli', 'bali', null],
    ['yogyakrata', 'yogyakarta', 1],
    ['yogykrta', 'yogyakarta', 2],
    ['ygykrta', 'yogyakarta', null],
  ])('%s for %s: %s slips', (typed, word, expected) => expect(slips(typed, word)).toBe(expected))

  it('are cut between characters', () => {
    expect(shorten('Gesits 🛵🛵', 9)).toBe('Gesits…')
    expect(shorten(' Volt ', 4)).toBe('Volt')
  })
})
