/** The regencies and cities of Indonesia, and how people name them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AREAS, areaAt, areaNamed, findPlace } from '../../../gateway/screening/gazetteer.ts'
import {
  EVERYDAY_WORDS,
  NO_PLACES,
  PLACE_ALIASES,
  PROVINCE_ALIASES,
} from '../../../gateway/screening/place-names.ts'
import { REGENCIES } from '../../../gateway/screening/regencies.ts'
import * as vocabulary from '../../../gateway/screening/vocabulary.ts'
import { plain } from '../../../gateway/screening/words.ts'

const names = (areas: readonly { name: string }[]) => areas.map(({ name }) => name)

/** By the Ministry of Home Affairs' list: regencies and cities of each province. */
const COUNTS: Readonly<Record<string, readonly [kabupaten: number, kota: number]>> = {
  Aceh: [18, 5],
  'Sumatera Utara': [25, 8],
  'Sumatera Barat': [12, 7],
  Riau: [10, 2],
  Jambi: [9, 2],
  'Sumatera Selatan': [13, 4],
  Bengkulu: [9, 1],
  Lampung: [13, 2],
  'Kepulauan Bangka Belitung': [6, 1],
  'Kepulauan Riau': [5, 2],
  'DKI Jakarta': [1, 5],
  'Jawa Barat': [18, 9],
  'Jawa Tengah': [29, 6],
  'DI Yogyakarta': [4, 1],
  'Jawa Timur': [29, 9],
  Banten: [4, 4],
  Bali: [8, 1],
  'Nusa Tenggara Barat': [8, 2],
  'Nusa Tenggara Timur': [21, 1],
  'Kalimantan Barat': [12, 2],
  'Kalimantan Tengah': [13, 1],
  'Kalimantan Selatan': [11, 2],
  'Kalimantan Timur': [7, 3],
  'Kalimantan Utara': [4, 1],
  'Sulawesi Utara': [11, 4],
  'Sulawesi Tengah': [12, 1],
  'Sulawesi Selatan': [21, 3],
  'Sulawesi Tenggara': [15, 2],
  Gorontalo: [5, 1],
  'Sulawesi Barat': [6, 0],
  Maluku: [9, 2],
  'Maluku Utara': [8, 2],
  Papua: [8, 1],
  'Papua Barat': [7, 0],
  'Papua Barat Daya': [5, 1],
  'Papua Selatan': [4, 0],
  'Papua Tengah': [8, 0],
  'Papua Pegunungan': [8, 0],
}

describe('the table', () => {
  it('has 416 regencies and 98 cities in 38 provinces, each name once', () => {
    expect(AREAS).toHaveLength(514)
    expect(new Set(names(AREAS)).size).toBe(514)
    expect(AREAS.filter(({ kind }) => kind === 'kota')).toHaveLength(98)
    expect(Object.keys(REGENCIES)).toHaveLength(38)
  })

  it('has as many in each province as there are', () => {
    const count = (province: string, kind: string) =>
      AREAS.filter((area) => area.province === province && area.kind === kind).length
    const counts = Object.keys(REGENCIES).map((province) => [
      province,
      [count(province, 'kabupaten'), count(province, 'kota')],
    ])
    expect(Object.fromEntries(counts)).toEqual(COUNTS)
  })

  it('lies in Indonesia, no two places on one point', () => {
    for (const { name, lat, lon } of AREAS) {
      expect(lat, name).toBeGreaterThan(-11.1)
      expect(lat, name).toBeLessThan(6.1)
      expect(lon, name).toBeGreaterThan(95)
      expect(lon, name).toBeLessThan(141.1)
    }
    expect(new Set(AREAS.map(({ lat, lon }) => `${lat} ${lon}`)).size).toBe(514)
  })

  // A swapped digit throws a place out of its province, the widest of which is Maluku.
  it.each(Object.keys(REGENCIES))('%s holds together', (province) => {
    const degrees = (a: { lat: number; lon: number }, b: { lat: number; lon: number }) =>
      Math.hypot(a.lat - b.lat, a.lon - b.lon)
    for (const area of AREAS.filter((one) => one.province === province)) {
      const kin = AREAS.filter((one) => one !== area && one.province === province)
      expect(Math.min(...kin.map((other) => degrees(area, other))), area.name).toBeLessThan(3.6)
    }
  })
})

describe('a place is found', () => {
  it.each(AREAS.map(({ name }) => name))('%s, by its own name, and nothing else', (name) => {
    expect(names(findPlace(name))).toEqual([name])
    expect(names(findPlace(`rumah saya di ${name.toUpperCase()}, kak`, 'in passing'))).toEqual([name])
  })

  it('by its seat', () => {
    for (const [name, , , seat] of Object.values(REGENCIES).flat())
      if (seat !== undefined) expect(names(findPlace(seat)), seat).toContain(name)
  })

  it.each(Object.entries(PLACE_ALIASES))('by a usual name: %s', (alias, meant) => {
    const found = names(findPlace(alias))
    for (const name of meant) expect(found).toContain(name)
    for (const name of meant) expect(areaNamed(name)).not.toBeNull()
  })

  it.each(Object.entries(PROVINCE_ALIASES))('by a short name of its province: %s', (alias, province) => {
    expect(new Set(findPlace(alias).map((area) => area.province))).toEqual(new Set([province]))
  })

  it.each([
    ['Bandung', ['Kota Bandung']],
    ['kab. bandung', ['Kabupaten Bandung']],
    ['bandung barat', ['Kabupaten Bandung Barat']],
    ['Bandung kabupaten', ['Kabupaten Bandung']],
    ['kota garut', ['Kabupaten Garut']],
    ['kab cimahi', ['Kota Cimahi']],
    ['cikarang, bekasi', ['Kabupaten Bekasi']],
    ['Soreang Bandung', ['Kabupaten Bandung']],
    ['Slawi, Tegal', ['Kabupaten Tegal']],
    ['malang', ['Kota Malang']],
    ['kepanjen malang', ['Kabupaten Malang']],
    ['banjar', ['Kota Banjar', 'Kabupaten Banjar']],
    ['banjar jawa barat', ['Kota Banjar']],
    ['Banjar, Kalsel', ['Kabupaten Banjar']],
    ['parigi', ['Kabupaten Pangandaran', 'Kabupaten Parigi Moutong']],
    ['pangkal pinang', ['Kota Pangkalpinang']],
    ['bau-bau', ['Kota Baubau']],
    ['Jl. Surabaya no. 5, Jakarta Pusat', ['Kota Jakarta Pusat']],
    ['jakarta selatn', ['Kota Jakarta Selatan']],
    ['semarng', ['Kota Semarang']],
    ['Jogyakarta', ['Kota Yogyakarta']],
    ['Yogyakarta', ['Kota Yogyakarta']],
    ['Banyuwnagi', ['Kabupaten Banyuwangi']],
    ['sekarang', []],
    ['tidak tahu', []],
    ['', []],
    ['👋', []],
  ] as const)('«%s»', (typed, expected) => expect(names(findPlace(typed))).toEqual(expected))

  it('in passing only where it is surely a place', () => {
    expect(findPlace('motor batu saya solo, pati', 'in passing')).toEqual([])
    expect(names(findPlace('saya di batu', 'in passing'))).toEqual(['Kota Batu'])
    expect(findPlace('salak pandan di rantau', 'in passing')).toEqual([])
    expect(findPlace('surabya', 'in passing')).toEqual([])
  })

  it('in none of the words customers use otherwise', () => {
    const phrases = Object.values(vocabulary).flatMap((table): string[] =>
      table instanceof Set
        ? [...table]
        : Array.isArray(table)
          ? table.flatMap((entry) => (typeof entry === 'string' ? [entry] : (entry[1] as string[])))
          : [],
    )
    expect(phrases.length).toBeGreaterThan(500)
    const mistaken = phrases.filter(
      (phrase) => findPlace(phrase).length > 0 || findPlace(phrase, 'in passing').length > 0,
    )
    expect(mistaken).toEqual([])
    for (const word of NO_PLACES) expect(findPlace(word), word).toEqual([])
  })

  it('and every everyday word is the name of one', () => {
    expect(
      [...EVERYDAY_WORDS].filter((word) => plain(word) !== word || findPlace(word).length === 0),
    ).toEqual([])
  })
})

describe('where somebody is', () => {
  it('is the point itself, by the name of the nearest place', () => {
    expect(areaAt(-6.2146, 106.8451)).toEqual({
      name: 'Kota Jakarta Pusat',
      kind: 'kota',
      province: 'DKI Jakarta',
      lat: -6.2146,
      lon: 106.8451,
    })
    expect(areaAt(-6.9, 107.6).name).toBe('Kota Bandung')
    expect(areaAt(-8.72, 115.17).name).toBe('Kota Denpasar')
  })

  it('has a name far from everywhere, and across the date line', () => {
    expect(areaAt(12, 90).name).toBe('Kota Sabang')
    expect(areaAt(0, -170).province).toBe('Papua')
  })

  it('at a place is that place', () => {
    for (const area of AREAS) expect(areaAt(area.lat, area.lon)).toEqual(area)
  })
})

it('any text is read without fail, and finds each place once', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
      for (const how of ['as the answer', 'in passing'] as const) {
        const found = findPlace(text, how)
        expect(new Set(found).size).toBe(found.length)
      }
    }),
  )
})
