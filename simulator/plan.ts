/**
 * What everybody in the world is going to do, in order of time: the trace. It is made ahead of what happens, from the
 * world and its seed alone, so the same seed gives the same trace, byte for byte, on any machine and against any hub.
 *
 *   sale      a sale as its terminal sends it; most are honest, a few are the mischief in SHARES
 *   replay    the very bytes of an earlier sale once more
 *   garbage   bytes on the sale topic that nobody can decode, not even their event_id
 *   status    a report of a demonstration vehicle
 *   health    a device says how it is
 */
import type { CHANNELS, Sale, Status } from '../gateway/contract/events.ts'
import { between, chance, integer, pick, type Random, stream, waiting, weighted } from './random.ts'
import { TimeQueue } from './time-queue.ts'
import {
  type Dealer,
  type Device,
  MODEL_NAMES,
  priceOf,
  type Terminal,
  type Unit,
  type Vehicle,
  type World,
  zoneOffsetMs,
} from './world.ts'

export interface PlanOptions {
  /** When the world's clock begins: milliseconds since 1970. */
  readonly startAtMs: number
  /** How long it goes on, by the world's clock. */
  readonly spanMs: number
  /** Ends earlier, after this many sales; null: by time alone. */
  readonly salesMax: number | null
  /** Sales of a dealer in an hour of its trading. */
  readonly salesPerDealerHour: number
}

export type Action = Letter | ({ readonly kind: 'health'; readonly rssiDbm: number } & Happening)

/** Something to be sent. */
export interface Letter extends Happening {
  readonly kind: 'sale' | 'replay' | 'garbage' | 'status'
  /** The event's id; that of garbage is known to the simulator alone. A replay bears its sale's. */
  readonly id: string
  readonly payload: Buffer
}

interface Happening {
  /** By the world's clock. */
  readonly atMs: number
  /** Client id of the device that does it. */
  readonly device: string
}

/**
 * Of the sales that are rung up, the share that …
 * (The stock adds its own: vehicles that were allotted to another dealer, see `world.ts`.)
 */
export const SHARES = {
  /** … is sold a second time, at another dealer. */
  soldElsewhere: 0.015,
  /** … is rung up twice at the same terminal. */
  retyped: 0.005,
  /** … carries a serial the registration ledger does not have. */
  unknownSerial: 0.01,
  /** … goes below the MAP threshold. */
  belowMap: 0.02,
  /** … goes at exactly the MAP threshold, which is allowed. */
  atMap: 0.02,
  /** … names another model than the registration ledger. */
  wrongModel: 0.005,
  /** … is sent again later, byte for byte. */
  replayed: 0.02,
  /** … has a field of the wrong form. */
  invalid: 0.005,
  /** … is followed by bytes that are no sale at all. */
  garbage: 0.005,
} as const

/** Of the sales sold elsewhere, those at the same moment: a race. */
const RACE_SHARE = 0.4

const CHANNEL_WEIGHTS: Record<(typeof CHANNELS)[number], number> = {
  tiktok: 22,
  google_search: 18,
  walk_in: 30,
  meta_ads: 14,
  event: 6,
  referral: 7,
  other: 3,
}

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const HEALTH_EVERY_MS = 30 * MINUTE_MS
const REPORT_EVERY_MS = { riding: 5 * MINUTE_MS, charging: 15 * MINUTE_MS, parked: 30 * MINUTE_MS } as const

/** A device's own memory while the plan is made. */
interface Actor {
  readonly device: Device
  readonly random: Random
  /** Of the last event it made. */
  seq: number
}

interface Clerk extends Actor {
  readonly terminal: Terminal
  /** Next vehicle of the stock. */
  position: number
  garbageSent: number
}

interface Rider extends Actor {
  readonly unit: Unit
  state: 'riding' | 'charging' | 'parked'
  lat: number
  lon: number
  odometerKm: number
  batteryPct: number
}

/** What is due: each gives at most one action, and may make further things due. */
type Due = (atMs: number) => Action | null

/** @yields actions by rising `atMs` */
export function* planTraffic(world: World, options: PlanOptions): Generator<Action, void> {
  const endAtMs = options.startAtMs + options.spanMs
  const queue = new TimeQueue<{ due: Due; followUp: boolean }>()
  const later = (atMs: number, due: Due, followUp = false) => {
    if (atMs < endAtMs) queue.push(Math.floor(atMs), { due, followUp })
  }
  let sales = 0
  const shop: Shop = { world, options, later, clerks: [] }
  for (const terminal of world.terminals) shop.clerks.push(openTill(shop, terminal))
  for (const unit of world.units) startReports(shop, unit)
  for (const device of world.devices) startHealth(shop, device)
  for (let next = queue.pop(); next !== null; next = queue.pop()) {
    const { due, followUp } = next.item
    // After the last sale only what earlier sales have set off still happens.
    if (options.salesMax !== null && sales >= options.salesMax && !followUp) continue
    const action = due(next.atMs)
    if (action === null) continue
    if (action.kind === 'sale') sales++
    yield action
  }
}

interface Shop {
  readonly world: World
  readonly options: PlanOptions
  readonly later: (atMs: number, due: Due, followUp?: boolean) => void
  readonly clerks: Clerk[]
}

function openTill(shop: Shop, terminal: Terminal): Clerk {
  const { world, options } = shop
  const random = stream(world.options.seed, 'terminal', terminal.id)
  const clerk: Clerk = { device: terminal, terminal, random, seq: 0, position: 0, garbageSent: 0 }
  const tills = terminal.at.place.size
  const gapMs = (HOUR_MS * tills) / options.salesPerDealerHour
  const ringNext = (fromMs: number) => {
    shop.later(tradingTime(terminal.at, fromMs, waiting(random, gapMs)), (atMs) => {
      ringNext(atMs)
      return ringUp(shop, clerk, atMs)
    })
  }
  ringNext(options.startAtMs)
  return clerk
}

/** One customer at the till. Null when nothing is left to sell. */
function ringUp(shop: Shop, clerk: Clerk, atMs: number): Action | null {
  const { world } = shop
  const { random, terminal } = clerk
  if (clerk.position >= world.options.stockPerTerminal) return null
  const vehicle = world.stockOf(terminal, clerk.position)
  const draft = draftSale(random, terminal.at, vehicle, atMs)
  if (chance(random, SHARES.garbage)) followWithGarbage(shop, clerk, draft, atMs)
  // The vehicle stays in stock: its buyer comes back when the mistake is noticed.
  if (chance(random, SHARES.unknownSerial)) {
    return sale(shop, clerk, atMs, { ...draft, serial: mistyped(world, random, vehicle.serial) })
  }
  if (chance(random, SHARES.invalid)) return sale(shop, clerk, atMs, malformed(random, draft))
  clerk.position++
  if (chance(random, SHARES.soldElsewhere)) sellElsewhere(shop, clerk, vehicle, atMs)
  if (chance(random, SHARES.retyped)) retype(shop, clerk, draft, atMs)
  const action = sale(shop, clerk, atMs, draft)
  if (chance(random, SHARES.replayed)) {
    const waitMs = between(random, SECOND_MS, 10 * MINUTE_MS)
    const replay: Due = (replayAtMs) => ({ ...action, kind: 'replay', atMs: replayAtMs })
    shop.later(atMs + waitMs, replay, true)
  }
  return action
}

function followWithGarbage({ world, later }: Shop, clerk: Clerk, draft: Draft, saleAtMs: number): void {
  const { random, device } = clerk
  const id = `${world.options.seed}-${device.dealer}-${device.device}-garbage-${++clerk.garbageSent}`
  const payload = garbage(random, draft)
  const due: Due = (atMs) => ({ kind: 'garbage', atMs, device: device.id, id, payload })
  later(saleAtMs + between(random, 0, MINUTE_MS), due, true)
}

function sellElsewhere(shop: Shop, clerk: Clerk, vehicle: Vehicle, saleAtMs: number): void {
  if (shop.world.dealers.length === 1) return
  const { random, device } = clerk
  let other = pick(random, shop.clerks)
  while (other.device.dealer === device.dealer) other = pick(random, shop.clerks)
  const waitMs = chance(random, RACE_SHARE) ? 0 : between(random, 10 * SECOND_MS, HOUR_MS)
  const draft = draftSale(random, other.terminal.at, vehicle, saleAtMs + waitMs)
  shop.later(saleAtMs + waitMs, (atMs) => sale(shop, other, atMs, draft), true)
}

function retype(shop: Shop, clerk: Clerk, draft: Draft, saleAtMs: number): void {
  const againAtMs = saleAtMs + between(clerk.random, 5 * SECOND_MS, 2 * MINUTE_MS)
  const again = { ...draft, sold_at: soldAt(clerk.random, clerk.terminal.at, againAtMs) }
  shop.later(againAtMs, (atMs) => sale(shop, clerk, atMs, again), true)
}

type Draft = Omit<Sale, 'event_id' | 'seq'>

function draftSale(random: Random, at: Dealer, vehicle: Vehicle, atMs: number): Draft {
  const model = chance(random, SHARES.wrongModel)
    ? pick(
        random,
        MODEL_NAMES.filter((name) => name !== vehicle.model),
      )
    : vehicle.model
  return {
    serial: vehicle.serial,
    model,
    price: priceAsked(random, model, at, atMs),
    currency: 'IDR',
    sold_at: soldAt(random, at, atMs),
    channel: weighted(random, CHANNEL_WEIGHTS),
    ...(chance(random, 0.4) && { customer_phone: mobileNumber(random) }),
  }
}

/** Gives the draft its number and its id, and makes it bytes. What was drafted may since have been spoiled. */
function sale(shop: Shop, clerk: Clerk, atMs: number, draft: object): Letter {
  clerk.seq++
  const id = eventIdOf(shop.world, clerk)
  const payload = Buffer.from(JSON.stringify({ event_id: id, ...draft, seq: clerk.seq }))
  return { kind: 'sale', atMs, device: clerk.device.id, id, payload }
}

/** `1-denpasar-pos-1-17`: the seed, the device, its sequence number. */
const eventIdOf = (world: World, { device, seq }: Actor): string =>
  `${world.options.seed}-${device.dealer}-${device.device}-${seq}`

/** Prefixes of Indonesian mobile networks. */
const MOBILE_PREFIXES = ['811', '812', '813', '821', '822', '852', '853', '857', '858', '877', '878', '895']

const mobileNumber = (random: Random): string =>
  `+62${pick(random, MOBILE_PREFIXES)}${integer(random, 10_000_000, 99_999_999)}`

function priceAsked(random: Random, model: string, at: Dealer, atMs: number): number {
  const day = new Date(atMs).toISOString().slice(0, 10)
  const price = priceOf(model, at.region, day)
  if (price === null) throw new Error(`the world has no price for ${model} on ${day}`)
  if (chance(random, SHARES.belowMap)) return price.map - 1000 * integer(random, 1, 2500)
  if (chance(random, SHARES.atMap)) return price.map
  const discounts = Math.floor((price.msrp - price.map) / 50_000)
  return price.msrp - 50_000 * integer(random, 0, discounts)
}

/** Some tills write UTC, others their own clock with its offset. */
function soldAt(random: Random, { zone }: Dealer, atMs: number): string {
  if (chance(random, 0.5)) return new Date(atMs).toISOString()
  const local = new Date(atMs + zoneOffsetMs(zone)).toISOString()
  return local.replace('Z', `+0${zoneOffsetMs(zone) / HOUR_MS}:00`)
}

function mistyped(world: World, random: Random, serial: string): string {
  const alphabet = '0123456789ABCDEFGHJKLMNPRSTUVWXYZ'
  for (;;) {
    const at = integer(random, 3, serial.length - 1)
    const typed = `${serial.slice(0, at)}${pick(random, [...alphabet])}${serial.slice(at + 1)}`
    if (world.vehicle(typed) === null) return typed
  }
}

function malformed(random: Random, draft: Draft): object {
  const { model: _, ...withoutModel } = draft
  return pick(random, [
    { ...draft, price: `Rp ${draft.price}` },
    { ...draft, sold_at: draft.sold_at.slice(0, 10) },
    { ...draft, currency: 'Rp' },
    { ...draft, price: -draft.price },
    withoutModel,
  ])
}

function garbage(random: Random, draft: Draft): Buffer {
  const text = Buffer.from(JSON.stringify(draft))
  // Cut off before its end, or noise that is not even UTF-8.
  if (chance(random, 0.5)) return text.subarray(0, integer(random, 1, text.length - 1))
  return Buffer.from([0xff, ...Array.from({ length: integer(random, 8, 64) }, () => integer(random, 0, 255))])
}

/** `waitMs` of trading after `fromMs`: nights do not count. */
function tradingTime(dealer: Dealer, fromMs: number, waitMs: number): number {
  const offsetMs = zoneOffsetMs(dealer.zone)
  const dayStart = (ms: number) => Math.floor((ms + offsetMs) / DAY_MS) * DAY_MS - offsetMs
  let atMs = fromMs
  let leftMs = waitMs
  for (;;) {
    const opensAtMs = dayStart(atMs) + dealer.opensHour * HOUR_MS
    const closesAtMs = dayStart(atMs) + dealer.closesHour * HOUR_MS
    atMs = Math.max(atMs, opensAtMs)
    if (atMs + leftMs < closesAtMs) return Math.floor(atMs + leftMs)
    leftMs -= Math.max(0, closesAtMs - atMs)
    atMs = dayStart(atMs) + DAY_MS
  }
}

function startHealth({ world, options, later }: Shop, device: Device): void {
  const random = stream(world.options.seed, 'health', device.id)
  const signalDbm = integer(random, -95, -55)
  const report: Due = (atMs) => {
    later(atMs + between(random, 0.9, 1.1) * HEALTH_EVERY_MS, report)
    return { kind: 'health', atMs, device: device.id, rssiDbm: signalDbm + integer(random, -6, 6) }
  }
  later(options.startAtMs + random() * HEALTH_EVERY_MS, report)
}

function startReports({ world, options, later }: Shop, unit: Unit): void {
  const random = stream(world.options.seed, 'unit', unit.id)
  const { lat, lon } = unit.at
  const rider: Rider = {
    device: unit,
    unit,
    random,
    seq: 0,
    state: 'parked',
    lat,
    lon,
    odometerKm: integer(random, 10, 4000),
    batteryPct: integer(random, 60, 100),
  }
  const report: Due = (atMs) => {
    const status = statusOf(world, rider, atMs)
    const payload = Buffer.from(JSON.stringify(status))
    const waitMs = between(random, 0.8, 1.2) * REPORT_EVERY_MS[rider.state]
    ride(rider, waitMs)
    later(atMs + waitMs, report)
    return { kind: 'status', atMs, device: unit.id, id: status.event_id, payload }
  }
  later(options.startAtMs + random() * REPORT_EVERY_MS.parked, report)
}

function statusOf(world: World, rider: Rider, atMs: number): Status {
  rider.seq++
  const faulty = chance(rider.random, 0.002)
  return {
    event_id: eventIdOf(world, rider),
    serial: rider.unit.vehicle.serial,
    at: new Date(atMs).toISOString(),
    odometer_km: Math.round(rider.odometerKm * 10) / 10,
    battery_pct: Math.round(rider.batteryPct),
    lat: Math.round(rider.lat * 1e5) / 1e5,
    lon: Math.round(rider.lon * 1e5) / 1e5,
    state: faulty ? 'fault' : rider.state,
    ...(faulty && { fault_code: pick(rider.random, ['BMS-12', 'MCU-03', 'TEMP-07']) }),
  }
}

const KM_PER_DEGREE = 111.2

/** What a vehicle does until its next report: rides about its dealer, charges, stands. */
function ride(rider: Rider, waitMs: number): void {
  const { random, unit } = rider
  const hours = waitMs / HOUR_MS
  if (rider.state === 'charging') rider.batteryPct = Math.min(100, rider.batteryPct + 40 * hours)
  if (rider.state === 'riding') {
    const km = between(random, 15, 35) * hours
    const bearing = between(random, 0, 2 * Math.PI)
    // Drawn back towards its dealer, so that a long run does not leave the island.
    rider.lat += (km * Math.cos(bearing)) / KM_PER_DEGREE + (unit.at.lat - rider.lat) * 0.2
    rider.lon += (km * Math.sin(bearing)) / KM_PER_DEGREE + (unit.at.lon - rider.lon) * 0.2
    rider.odometerKm += km
    rider.batteryPct = Math.max(3, rider.batteryPct - km * 1.1)
  }
  if (rider.batteryPct < 20) rider.state = 'charging'
  else if (rider.state === 'charging' && rider.batteryPct < 90) rider.state = 'charging'
  else rider.state = weighted(random, { riding: 35, parked: 65 })
}
