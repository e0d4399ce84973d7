/**
 * The world's facts: who sells what, where, and which vehicle was allotted to whom. Everything is computed from the
 * options and never stored, so a world of a million vehicles weighs nothing.
 *
 * The network (dealers, terminals, models, prices) is the same for every seed, so that runs with different seeds can
 * follow each other on one hub; the seed draws the vehicles and, in `plan.ts`, everything that happens.
 *
 *   terminal   a point of sale: `{dealer}/pos-1`, … as many as its place is large
 *   unit       a telematics unit in a demonstration vehicle: `{dealer}/unit-1`, …
 *   stock      the vehicles that stand at one terminal, sold in order; a few of them should not be there
 *   ledger     the registration ledger: every vehicle, and the dealer it was allotted to (null: any)
 */
import { type DeviceName, deviceId } from '../gateway/contract/topics.ts'
import { PLACES, type Place, ZONE_OFFSET_HOURS, type Zone } from './places.ts'
import { between, chance, integer, pick, stream } from './random.ts'

export interface WorldOptions {
  /** 0 … 2³² − 1 */
  readonly seed: number
  readonly dealers: number
  /** Demonstration vehicles of each dealer. */
  readonly unitsPerDealer: number
  /** Vehicles at each terminal; when they are sold, it sells no more. */
  readonly stockPerTerminal: number
}

export const SEED_MAX = 2 ** 32 - 1

export interface Dealer {
  readonly id: string
  readonly name: string
  readonly place: Place
  /** Its province. */
  readonly region: string
  readonly zone: Zone
  readonly lat: number
  readonly lon: number
  /** Hours of its own clock, e.g. 8.5 for half past eight; every day. */
  readonly opensHour: number
  readonly closesHour: number
  /** Leads it takes a day; null: any number. */
  readonly dailyQuota: number | null
  readonly phone: string
}

export interface Device extends DeviceName {
  /** `{dealer}/{device}`, its client id. */
  readonly id: string
  readonly at: Dealer
}

export interface Terminal extends Device {
  /** Position among all terminals; part of the serials it sells. */
  readonly index: number
}

export interface Unit extends Device {
  readonly index: number
  /** The demonstration vehicle it is built into. */
  readonly vehicle: Vehicle
}

export interface Vehicle {
  readonly serial: string
  readonly model: string
  /** Null: any dealer may sell it. */
  readonly allottedDealer: string | null
  /** `YYYY-MM-DD` */
  readonly producedOn: string
}

export interface Price {
  readonly model: string
  /** Null: everywhere. */
  readonly region: string | null
  /** Rupiah. */
  readonly msrp: number
  /** Rupiah: the least that may be advertised; below it a sale is flagged. */
  readonly map: number
  /** `YYYY-MM-DD` */
  readonly validFrom: string
}

interface Model {
  /** Two characters in every serial of it. */
  readonly code: string
  readonly name: string
  readonly msrp: number
  readonly map: number
}

const MODELS: readonly Model[] = [
  { code: 'A1', name: 'ARUNA-1', msrp: 18_500_000, map: 16_900_000 },
  { code: 'A2', name: 'ARUNA-2', msrp: 21_900_000, map: 19_900_000 },
  { code: 'B1', name: 'BAYU', msrp: 25_500_000, map: 23_500_000 },
  { code: 'C1', name: 'CAKRA', msrp: 28_500_000, map: 26_250_000 },
  { code: 'C2', name: 'CAKRA-MAX', msrp: 33_900_000, map: 31_000_000 },
  { code: 'D1', name: 'DIRGA', msrp: 39_900_000, map: 36_500_000 },
  { code: 'K1', name: 'KARYA-CARGO', msrp: 44_500_000, map: 40_000_000 },
]

/** Freight makes vehicles dearer here: a price list of their own. */
const REMOTE_REGIONS = ['Maluku', 'Papua', 'Papua Selatan']

/** Long before and after any run, so that no price changes while one goes on. */
const PRICES_WERE = '2020-01-01'
const PRICES_ARE = '2024-07-01'
const PRICES_WILL_BE = '2099-01-01'

export const PRICES: readonly Price[] = MODELS.flatMap(({ name: model, msrp, map }) => [
  { model, region: null, msrp: msrp - 1_500_000, map: map - 1_500_000, validFrom: PRICES_WERE },
  { model, region: null, msrp, map, validFrom: PRICES_ARE },
  { model, region: null, msrp: msrp + 2_000_000, map: map + 2_000_000, validFrom: PRICES_WILL_BE },
  ...REMOTE_REGIONS.map((region) => ({
    model,
    region,
    msrp: msrp + 1_750_000,
    map: map + 1_500_000,
    validFrom: PRICES_ARE,
  })),
])

/** The price of a model in a region on a day (`YYYY-MM-DD`); the region's own list before the general one. */
export function priceOf(model: string, region: string, day: string): Price | null {
  const valid = PRICES.filter((price) => price.model === model && price.validFrom <= day)
  const newest = (prices: Price[]) =>
    prices.reduce<Price | null>((a, b) => (a === null || b.validFrom > a.validFrom ? b : a), null)
  return (
    newest(valid.filter((price) => price.region === region)) ??
    newest(valid.filter((price) => price.region === null))
  )
}

export const MODEL_NAMES: readonly string[] = MODELS.map(({ name }) => name)

/** Shares of the stock: vehicles that were allotted elsewhere, and those any dealer may sell. */
const DIVERTED_SHARE = 0.015
const UNALLOTTED_SHARE = 0.02

/** `MHX` model(2) seed(7) owner(3) position(4): what the hub's default SERIAL_PATTERN takes. */
const SERIAL_PATTERN = /^(MH[XD])([A-Z]\d)([0-9A-Z]{7})([0-9A-Z]{3})([0-9A-Z]{4})$/
const STOCK = 'MHX'
const DEMONSTRATION = 'MHD'
const OWNERS_MAX = 36 ** 3
const STOCK_MAX = 36 ** 4

export class World {
  readonly options: WorldOptions
  readonly dealers: readonly Dealer[]
  readonly terminals: readonly Terminal[]
  readonly units: readonly Unit[]
  readonly #dealersById: ReadonlyMap<string, Dealer>

  /** @throws RangeError naming the option that is out of bounds. */
  constructor(options: WorldOptions) {
    within('seed', options.seed, 0, SEED_MAX)
    within('dealers', options.dealers, 1, 10_000)
    within('unitsPerDealer', options.unitsPerDealer, 0, 1000)
    within('stockPerTerminal', options.stockPerTerminal, 1, STOCK_MAX)
    this.options = options
    this.dealers = dealersOf(options.dealers)
    this.#dealersById = new Map(this.dealers.map((dealer) => [dealer.id, dealer]))
    this.terminals = this.dealers
      .flatMap((at) => Array.from({ length: at.place.size }, (_, i) => device(at, `pos-${i + 1}`)))
      .map((terminal, index) => ({ ...terminal, index }))
    within('terminals', this.terminals.length, 1, OWNERS_MAX)
    within('units', options.dealers * options.unitsPerDealer, 0, OWNERS_MAX)
    this.units = this.dealers
      .flatMap((at) => Array.from({ length: options.unitsPerDealer }, (_, i) => device(at, `unit-${i + 1}`)))
      .map((unit, index) => ({ ...unit, index, vehicle: this.#demonstrationVehicle(unit.at, index) }))
  }

  get devices(): readonly Device[] {
    return [...this.terminals, ...this.units]
  }

  dealer(id: string): Dealer | null {
    return this.#dealersById.get(id) ?? null
  }

  /** The vehicle at this place of a terminal's stock, counted from 0. */
  stockOf(terminal: Terminal, position: number): Vehicle {
    const random = stream(this.options.seed, 'vehicle', terminal.index, position)
    const model = pick(random, MODELS)
    return {
      serial: this.#serial(STOCK, model, terminal.index, position),
      model: model.name,
      allottedDealer: this.#allot(random, terminal.dealer),
      producedOn: producedOn(position),
    }
  }

  /** What the registration ledger has on a serial; null when it is not there. */
  vehicle(serial: string): Vehicle | null {
    const parts = SERIAL_PATTERN.exec(serial)
    if (parts === null) return null
    const [, kind, , , ownerDigits, positionDigits] = parts as unknown as [string, ...string[]]
    const owner = Number.parseInt(ownerDigits as string, 36)
    const position = Number.parseInt(positionDigits as string, 36)
    const vehicle = kind === STOCK ? this.#stockAt(owner, position) : (this.units[owner]?.vehicle ?? null)
    // A serial with another model or seed in its middle looks alike and is a stranger.
    return vehicle?.serial === serial ? vehicle : null
  }

  /** The registration ledger, in no particular order. */
  *vehicles(): Generator<Vehicle> {
    for (const unit of this.units) yield unit.vehicle
    for (const terminal of this.terminals) {
      for (let position = 0; position < this.options.stockPerTerminal; position++) {
        yield this.stockOf(terminal, position)
      }
    }
  }

  #stockAt(terminalIndex: number, position: number): Vehicle | null {
    const terminal = this.terminals[terminalIndex]
    if (terminal === undefined || position >= this.options.stockPerTerminal) return null
    return this.stockOf(terminal, position)
  }

  #demonstrationVehicle(at: Dealer, index: number): Vehicle {
    const model = pick(stream(this.options.seed, 'demonstration', index), MODELS)
    return {
      serial: this.#serial(DEMONSTRATION, model, index, 0),
      model: model.name,
      allottedDealer: at.id,
      producedOn: producedOn(index),
    }
  }

  #allot(random: () => number, dealer: string): string | null {
    if (chance(random, UNALLOTTED_SHARE)) return null
    if (this.dealers.length === 1 || !chance(random, DIVERTED_SHARE)) return dealer
    return pick(
      random,
      this.dealers.filter(({ id }) => id !== dealer),
    ).id
  }

  #serial(kind: string, model: Model, owner: number, position: number): string {
    const digits = (value: number, width: number) => value.toString(36).toUpperCase().padStart(width, '0')
    return `${kind}${model.code}${digits(this.options.seed, 7)}${digits(owner, 3)}${digits(position, 4)}`
  }
}

/** Milliseconds to add to UTC for the dealer's clock. */
export const zoneOffsetMs = (zone: Zone): number => ZONE_OFFSET_HOURS[zone] * 3_600_000

function device(at: Dealer, name: string): Device {
  return { dealer: at.id, device: name, id: deviceId({ dealer: at.id, device: name }), at }
}

/** The largest places first, so that a small network stands where the people are; then second dealers in them. */
function dealersOf(count: number): Dealer[] {
  const places = PLACES.map((place) => ({ place, order: stream(0, 'order', place.id)() }))
    .sort((a, b) => b.place.size - a.place.size || a.order - b.order)
    .map(({ place }) => place)
  return Array.from({ length: count }, (_, index) => {
    const round = Math.floor(index / places.length) + 1
    return dealerAt(places[index % places.length] as Place, round)
  })
}

const FIRST_NAMES = ['Sinar', 'Cahaya', 'Mitra', 'Surya', 'Bintang', 'Karunia', 'Sumber', 'Putra', 'Nusa']
const LAST_NAMES = ['Jaya', 'Abadi', 'Mandiri', 'Sentosa', 'Utama', 'Makmur', 'Lestari', 'Perkasa']

function dealerAt(place: Place, round: number): Dealer {
  const id = round === 1 ? place.id : `${place.id}-${round}`
  const random = stream(0, 'dealer', id)
  const town = place.name.replace(/^(Kota|Kabupaten) /, '')
  return {
    id,
    name: `${pick(random, FIRST_NAMES)} ${pick(random, LAST_NAMES)} ${town}`,
    place,
    region: place.province,
    zone: place.zone,
    // In town, or a few kilometres out for the second and later dealers.
    lat: rounded(place.lat + between(random, -0.012, 0.012) * round),
    lon: rounded(place.lon + between(random, -0.012, 0.012) * round),
    opensHour: pick(random, [8, 8.5, 9]),
    closesHour: pick(random, [17, 18, 20, 21]),
    dailyQuota: chance(random, 0.7) ? integer(random, 4, 8) * place.size : null,
    phone: `+62215550${String(integer(random, 0, 9999)).padStart(4, '0')}`,
  }
}

const rounded = (degrees: number): number => Math.round(degrees * 1e5) / 1e5

const MS_PER_DAY = 86_400_000

/** Spread over the eight months before the first run's default day. */
const producedOn = (position: number): string =>
  new Date(Date.UTC(2026, 2, 1) + (position % 240) * MS_PER_DAY).toISOString().slice(0, 10)

function within(name: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new RangeError(`${name}: expected a whole number from ${low} to ${high}, got ${value}`)
  }
}
