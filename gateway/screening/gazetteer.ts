/**
 * From what people type, or from where they are, to a regency or city of Indonesia.
 *
 *   «bandung»           Kota Bandung: where a city and the regency around it share a name, the city is meant,
 *   «kab bandung»       unless the regency is said, or its seat: «Soreang», «Cikarang, Bekasi»
 *   «banjar»            two places in two provinces: both, and the customer is asked
 *   «banjar, jabar»     a province narrows
 *   «jakarta», «bali»   a province or an island: all its places, cities first
 */
import { EVERYDAY_WORDS, NO_PLACES, PLACE_ALIASES, PROVINCE_ALIASES } from './place-names.ts'
import { REGENCIES } from './regencies.ts'
import { plain, slips, wordsOf } from './words.ts'

export interface Area {
  /** Official, with its kind: `Kota Bandung`, `Kabupaten Bandung`. Unique. */
  readonly name: string
  readonly kind: 'kota' | 'kabupaten'
  readonly province: string
  /** Degrees (WGS 84): the centre or seat, or exactly where the customer is. */
  readonly lat: number
  readonly lon: number
}

/** `name`: an official name or a usual one; `seat`: the town a regency is governed from; `province`: a whole province. */
type Meaning = { readonly how: 'name' | 'seat' | 'province'; readonly areas: readonly Area[] }

export const AREAS: readonly Area[] = Object.entries(REGENCIES).flatMap(([province, rows]) =>
  rows.map(([name, lat, lon]): Area => {
    const kind = name.startsWith('Kota ') ? 'kota' : 'kabupaten'
    return { name, kind, province, lat, lon }
  }),
)

const byName = new Map(AREAS.map((area) => [area.name, area]))
/** By what is typed, without spaces: `pangkal pinang` is `pangkalpinang`. */
const MEANINGS = meanings()
const PLACE_WORDS_MAX = 5
/** A longer text is no place name with a slip in it. */
const SLIPPED_TEXT_WORDS_MAX = 6
const SLIPPED_NAME_LETTERS_MIN = 5
const BEFORE_A_PLACE = new Set(
  'di ke dari daerah kota kab kabupaten area lokasi domisili sekitar dekat in at near from to around'.split(
    ' ',
  ),
)
const BEFORE_A_STREET = new Set(['jl', 'jln', 'jalan', 'gang', 'gg', 'street'])

/** The place of that official name. */
export const areaNamed = (name: string): Area | null => byName.get(name) ?? null

/** Where a point is: the point itself, named after the nearest centre or seat. Far out at sea too. */
export function areaAt(lat: number, lon: number): Area {
  let nearest = AREAS[0] as Area
  let least = Number.POSITIVE_INFINITY
  for (const area of AREAS) {
    const away = haversine(lat, lon, area.lat, area.lon)
    if (away < least) {
      least = away
      nearest = area
    }
  }
  return { ...nearest, lat, lon }
}

/**
 * The places a text may mean, likeliest first. None: no place; one: that is it; several: the customer has to be asked.
 * `in passing`: the text is about something else too, so only what is surely a place counts, spelt right.
 */
export function findPlace(text: string, how: 'as the answer' | 'in passing' = 'as the answer'): Area[] {
  const words = wordsOf(text)
  const found = mentions(words, how)
  if (how === 'as the answer' && found.every((meaning) => meaning.how === 'province'))
    found.push(...slippedMention(words, found.length === 0 ? 1 : 2))
  const as = (wanted: Meaning['how']) => found.filter((meaning) => meaning.how === wanted)

  const seats = as('seat').flatMap(({ areas }) => areas)
  const names = as('name').flatMap(({ areas }) => areas)
  const named = names.map((area) => [...seats, ...names].find((other) => isAround(other, area)) ?? area)
  const provinces = as('province').flatMap(({ areas }) => areas)

  const meant = named.length > 0 ? named : seats.length > 0 ? seats : provinces
  const narrowed = provinces.length > 0 ? meant.filter((area) => provinces.includes(area)) : meant
  return [...new Set(narrowed.length > 0 ? narrowed : meant)]
}

/** «Cikarang, Bekasi»: the regency Bekasi, of which Cikarang is the seat, and not the city. */
const isAround = (regency: Area, city: Area): boolean =>
  regency.kind === 'kabupaten' && regency.province === city.province && bare(regency.name) === bare(city.name)

function bare(name: string): string {
  return name.replace(/^(Kota|Kabupaten) /, '')
}

/** The longest names first; a word belongs to one of them only. */
function mentions(words: readonly string[], how: 'as the answer' | 'in passing'): Meaning[] {
  const found: Meaning[] = []
  const taken = new Set<number>()
  for (let length = Math.min(PLACE_WORDS_MAX, words.length); length > 0; length--) {
    for (let start = 0; start + length <= words.length; start++) {
      const span = Array.from({ length }, (_, offset) => start + offset)
      const typed = words.slice(start, start + length).join('')
      const meaning = MEANINGS.get(typed)
      if (meaning === undefined || span.some((position) => taken.has(position))) continue
      const before = words[start - 1] ?? ''
      if (BEFORE_A_STREET.has(before)) continue
      if (how === 'in passing' && meaning.how === 'seat') continue
      if (how === 'in passing' && EVERYDAY_WORDS.has(typed) && !BEFORE_A_PLACE.has(before)) continue
      for (const position of span) taken.add(position)
      found.push(meaning)
    }
  }
  return found
}

/** The nearest name with a slip or two, of that many words; several when they are equally near. */
function slippedMention(words: readonly string[], wordsMin: number): Meaning[] {
  if (words.length > SLIPPED_TEXT_WORDS_MAX) return []
  let fewest = Number.POSITIVE_INFINITY
  let nearest: Meaning[] = []
  for (let start = 0; start < words.length; start++)
    for (let end = start + wordsMin; end <= Math.min(words.length, start + PLACE_WORDS_MAX); end++) {
      const typed = words.slice(start, end).join('')
      if (typed.length < SLIPPED_NAME_LETTERS_MIN || NO_PLACES.has(typed)) continue
      for (const [name, meaning] of MEANINGS) {
        const count = slips(typed, name)
        if (count === null || count === 0 || count > fewest) continue
        nearest = count < fewest ? [meaning] : [...nearest, meaning]
        fewest = count
      }
    }
  return nearest
}

function meanings(): Map<string, Meaning> {
  const all = new Map<string, Meaning>()
  /** What is said first about a name stays: official names before usual ones, these before seats and provinces. */
  const say = (name: string, how: Meaning['how'], areas: readonly Area[]) => {
    const typed = plain(name).replaceAll(' ', '')
    if (!all.has(typed)) all.set(typed, { how, areas })
  }
  const named = (name: string): Area => {
    const area = byName.get(name)
    if (area === undefined) throw new Error(`place-names.ts names ${name}, which regencies.ts does not have`)
    return area
  }

  for (const area of AREAS) {
    const kinds = area.kind === 'kota' ? ['kota'] : ['kabupaten', 'kab']
    for (const kind of kinds) {
      say(`${kind} ${bare(area.name)}`, 'name', [area])
      say(`${bare(area.name)} ${kind}`, 'name', [area])
    }
  }
  for (const [alias, names] of Object.entries(PLACE_ALIASES)) say(alias, 'name', names.map(named))
  for (const area of AREAS) {
    const namesakes = AREAS.filter((other) => bare(other.name) === bare(area.name))
    const meant = namesakes.filter(
      ({ kind, province }) =>
        kind === 'kota' || !namesakes.some((other) => other.kind === 'kota' && other.province === province),
    )
    for (const form of [bare(area.name), `kota ${bare(area.name)}`, `kab ${bare(area.name)}`])
      say(form, 'name', citiesFirst(meant))
  }
  const seats = Map.groupBy(
    Object.values(REGENCIES)
      .flat()
      .filter((row) => row[3] !== undefined),
    ([, , , seat]) => seat as string,
  )
  for (const [seat, rows] of seats)
    say(
      seat,
      'seat',
      rows.map(([name]) => named(name)),
    )
  for (const province of Object.keys(REGENCIES)) say(province, 'province', areasOf(province))
  for (const [alias, province] of Object.entries(PROVINCE_ALIASES)) say(alias, 'province', areasOf(province))
  return all
}

function areasOf(province: string): Area[] {
  return citiesFirst(AREAS.filter((area) => area.province === province))
}

function citiesFirst(areas: readonly Area[]): Area[] {
  return [...areas.filter(({ kind }) => kind === 'kota'), ...areas.filter(({ kind }) => kind === 'kabupaten')]
}

const EARTH_RADIUS_KM = 6371

function haversine(lat1: number, lon1: number, lat2: number, lon2: number): number {
  const radians = (degrees: number) => (degrees * Math.PI) / 180
  const half = (degrees: number) => Math.sin(radians(degrees) / 2) ** 2
  const chord = half(lat2 - lat1) + Math.cos(radians(lat1)) * Math.cos(radians(lat2)) * half(lon2 - lon1)
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, chord)))
}
