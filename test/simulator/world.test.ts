import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sale as saleSchema, status as statusSchema } from '../../gateway/contract/events.ts'
import { NAME_PATTERN, parseDeviceId } from '../../gateway/contract/topics.ts'
import { expectationOf } from '../../simulator/expectation.ts'
import { writeWorldFiles } from '../../simulator/files.ts'
import { PLACES } from '../../simulator/places.ts'
import { type Action, planTraffic } from '../../simulator/plan.ts'
import { TimeQueue } from '../../simulator/time-queue.ts'
import { priceOf, World, zoneOffsetMs } from '../../simulator/world.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { MONDAY_MS, SMALL_PLAN, smallWorld } from './play.ts'

const KM_PER_DEGREE = 111.195

function distanceKm(from: { lat: number; lon: number }, to: { lat: number; lon: number }): number {
  const radians = Math.PI / 180
  const [latA, latB] = [from.lat * radians, to.lat * radians]
  const cosine =
    Math.sin(latA) * Math.sin(latB) +
    Math.cos(latA) * Math.cos(latB) * Math.cos((to.lon - from.lon) * radians)
  return (Math.acos(Math.min(1, cosine)) / radians) * KM_PER_DEGREE
}

const place = (id: string) => PLACES.find((candidate) => candidate.id === id) as (typeof PLACES)[number]

describe('the table of places', () => {
  test('has more than 110 places of all 38 provinces, each fit for a topic and none twice', () => {
    expect(PLACES.length).toBeGreaterThan(110)
    expect(new Set(PLACES.map(({ province }) => province)).size).toBe(38)
    expect(new Set(PLACES.map(({ id }) => id)).size).toBe(PLACES.length)
    expect(PLACES.filter(({ id }) => !NAME_PATTERN.test(id))).toEqual([])
  })

  test('stays within Indonesia, and in the clock of its longitude', () => {
    for (const { lat, lon, zone } of PLACES) {
      expect(lat).toBeGreaterThan(-11.1)
      expect(lat).toBeLessThan(6.1)
      expect(lon).toBeGreaterThan(95)
      expect(lon).toBeLessThan(141.1)
      const zones = { WIB: [95, 114.6], WITA: [114.4, 125.3], WIT: [124, 141.1] }[zone] as [number, number]
      expect(lon).toBeGreaterThan(zones[0])
      expect(lon).toBeLessThan(zones[1])
    }
  })

  test.each([
    ['jakarta-pusat', 'surabaya', 663],
    ['medan', 'banda-aceh', 429],
    ['makassar', 'manado', 949],
    ['denpasar', 'kupang', 938],
    ['pontianak', 'balikpapan', 847],
    ['ambon', 'jayapura', 1399],
    ['yogyakarta', 'surakarta', 56],
  ])('has %s and %s about %i km apart', (from, to, km) => {
    expect(Math.abs(distanceKm(place(from), place(to)) - km)).toBeLessThan(0.02 * km + 5)
  })
})

describe('the world', () => {
  test('has its dealers near their places, with devices whose names make topics', () => {
    const world = new World({ seed: 1, dealers: 200, unitsPerDealer: 2, stockPerTerminal: 1 })
    for (const dealer of world.dealers) expect(distanceKm(dealer, dealer.place)).toBeLessThan(5)
    for (const { id } of world.devices) expect(parseDeviceId(id)).not.toBeNull()
    expect(new Set(world.devices.map(({ id }) => id)).size).toBe(world.devices.length)
  })

  test('knows every vehicle of its registration ledger by its serial, and no other', () => {
    const world = smallWorld(7)
    const vehicles = [...world.vehicles()]
    expect(new Set(vehicles.map(({ serial }) => serial)).size).toBe(vehicles.length)
    expect(vehicles.filter(({ serial }) => !/^[A-Z0-9]{6,32}$/.test(serial))).toEqual([])
    expect(vehicles.map(({ serial }) => world.vehicle(serial))).toEqual(vehicles)
    const other = smallWorld(8)
    expect(vehicles.filter(({ serial }) => other.vehicle(serial) !== null)).toEqual([])
  })

  test('prices a model by the region before the general list, and by the day', () => {
    expect(priceOf('CAKRA', 'Bali', '2026-11-23')).toMatchObject({ region: null, map: 26_250_000 })
    expect(priceOf('CAKRA', 'Papua', '2026-11-23')).toMatchObject({ region: 'Papua', map: 27_750_000 })
    expect(priceOf('CAKRA', 'Bali', '2022-01-01')).toMatchObject({ map: 24_750_000 })
    expect(priceOf('CAKRA', 'Bali', '2019-01-01')).toBeNull()
    expect(priceOf('NO-SUCH', 'Bali', '2026-11-23')).toBeNull()
  })

  test.each([
    [{ seed: -1 }, 'seed: expected a whole number from 0 to 4294967295, got -1'],
    [{ dealers: 0 }, 'dealers: expected a whole number from 1 to 10000, got 0'],
    [{ stockPerTerminal: 0.5 }, 'stockPerTerminal: expected a whole number from 1 to 1679616, got 0.5'],
  ])('refuses %o', (options, message) => {
    const good = { seed: 1, dealers: 1, unitsPerDealer: 0, stockPerTerminal: 1 }
    expect(() => new World({ ...good, ...options })).toThrow(message)
  })

  test('writes itself as the files that a hub imports', async () => {
    using folder = temporaryFolder('world')
    const world = smallWorld(1)
    const files = await writeWorldFiles(world, join(folder.path, 'files'))
    const lines = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n')
    expect(lines(files.dealers)[0]).toBe('dealer_id,name,region,lat,lon,opens,closes,daily_quota,phone')
    expect(lines(files.dealers)).toHaveLength(1 + 12)
    expect(lines(files.dealers)[1]).toMatch(
      /^semarang,[^,]+,Jawa Tengah,-6\.9\d+,110\.4\d+,08:30,18:00,\d*,\+62\d+$/,
    )
    expect(lines(files.serials)[0]).toBe('serial,model,dealer_id,produced_on')
    expect(lines(files.serials)).toHaveLength(1 + [...world.vehicles()].length)
    expect(lines(files.prices)[0]).toBe('model,region,msrp,map,valid_from')
    expect(lines(files.prices)).toContain('CAKRA,,28500000,26250000,2024-07-01')
    expect(lines(files.devices)).toEqual([
      'dealer_id,device_id',
      ...world.devices.map(({ id }) => id.replace('/', ',')),
    ])
  })
})

/** The trace as text: every action with its bytes. */
const traceOf = (world: World): string[] =>
  [...planTraffic(world, SMALL_PLAN)].map((action) =>
    JSON.stringify(
      action.kind === 'health' ? action : { ...action, payload: action.payload.toString('base64') },
    ),
  )

const salesOf = (world: World): Action[] =>
  [...planTraffic(world, SMALL_PLAN)].filter(({ kind }) => kind === 'sale')

describe('the trace', () => {
  test('is the same for the same seed, byte for byte, today and tomorrow', () => {
    const trace = traceOf(smallWorld(1))
    expect(traceOf(smallWorld(1))).toEqual(trace)
    const digest = createHash('sha256').update(trace.join('\n')).digest('hex')
    expect(digest).toBe('1045197c9c91ec72ae3eced7e7e68546af59bb843521933614ae3e9406797a57')
  })

  test('is another for another seed', () => {
    expect(traceOf(smallWorld(2))).not.toEqual(traceOf(smallWorld(1)))
  })

  test('of the terminals does not depend on who else is in the world', () => {
    const options = { seed: 1, dealers: 12, stockPerTerminal: 200 }
    const alone = new World({ ...options, unitsPerDealer: 0 })
    const crowded = new World({ ...options, unitsPerDealer: 5 })
    expect(salesOf(crowded)).toEqual(salesOf(alone))
  })

  test('goes forward in time, and dealers ring up only while they trade', () => {
    const world = smallWorld(3)
    let lastMs = 0
    const allDay = { ...SMALL_PLAN, spanMs: 2 * 86_400_000 }
    for (const action of planTraffic(world, allDay)) {
      expect(action.atMs).toBeGreaterThanOrEqual(lastMs)
      lastMs = action.atMs
    }
    const times = [...planTraffic(world, allDay)]
      .filter(({ kind }) => kind === 'sale')
      .map(({ atMs, device }) => {
        const dealer = world.dealer(device.split('/')[0] as string) as (typeof world.dealers)[number]
        const hour = ((atMs + zoneOffsetMs(dealer.zone)) / 3_600_000) % 24
        return hour >= dealer.opensHour && hour < dealer.closesHour
      })
    // Who sells a vehicle that is not his does not mind the hour.
    expect(times.filter((isOpen) => !isOpen).length).toBeLessThan(0.01 * times.length)
  })

  test('numbers the sales of a terminal by one, from one', () => {
    const last = new Map<string, number>()
    for (const action of salesOf(smallWorld(1))) {
      if (action.kind === 'health') continue
      const { seq } = JSON.parse(action.payload.toString())
      expect(seq).toBe((last.get(action.device) ?? 0) + 1)
      last.set(action.device, seq)
    }
  })

  test('ends after as many sales as it was asked for, and what they set off', () => {
    const plan = { ...SMALL_PLAN, salesMax: 50 }
    const sales = [...planTraffic(smallWorld(1), plan)].filter(({ kind }) => kind === 'sale')
    expect(sales.length).toBeGreaterThanOrEqual(50)
    expect(sales.length).toBeLessThan(60)
  })

  test('stops selling when the stock is sold', () => {
    const world = new World({ seed: 1, dealers: 1, unitsPerDealer: 0, stockPerTerminal: 3 })
    const serials = salesOf(world).map(
      (action) => action.kind !== 'health' && JSON.parse(String(action.payload)).serial,
    )
    const sold = new Set(serials.filter((serial) => world.vehicle(serial) !== null))
    expect(sold.size).toBe(3 * world.terminals.length)
    // Six hours at twelve an hour would have been more.
    expect(serials.length).toBeLessThan(2 * sold.size)
  })

  test('has all that a hub must tell apart, in small shares', () => {
    const world = new World({ seed: 1, dealers: 40, unitsPerDealer: 1, stockPerTerminal: 500 })
    const counts = new Map<string, number>()
    const serials = new Set<string>()
    const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1)
    for (const action of planTraffic(world, SMALL_PLAN)) {
      if (action.kind !== 'sale') {
        count(action.kind)
        continue
      }
      const expectation = expectationOf(world, action.device.split('/')[0] as string, action.payload)
      if (expectation.outcome === 'registered_or_duplicate') {
        count(serials.has(expectation.sale.serial) ? 'duplicate' : 'sale')
        serials.add(expectation.sale.serial)
        for (const flag of expectation.marks.flags) count(flag)
      } else count(expectation.outcome)
    }
    const share = (name: string) => (counts.get(name) ?? 0) / (counts.get('sale') as number)
    const mischief = [
      'duplicate',
      'unknown_serial',
      'invalid',
      'garbage',
      'replay',
      'diversion',
      'below_map',
      'model_mismatch',
    ]
    for (const name of mischief) {
      expect(share(name), name).toBeGreaterThan(0)
      expect(share(name), name).toBeLessThan(0.05)
    }
  })

  test('sends nothing undecodable by accident', () => {
    for (const action of planTraffic(smallWorld(1), { ...SMALL_PLAN, startAtMs: MONDAY_MS + 1 })) {
      if (action.kind === 'status') statusSchema.parse(JSON.parse(action.payload.toString()))
      if (action.kind === 'garbage')
        expect(() => saleSchema.parse(JSON.parse(action.payload.toString()))).toThrow()
    }
  })
})

test('items of a time queue come out in order of time, and in their own order within an instant', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 100 }), (times) => {
      const queue = new TimeQueue<number>()
      for (const [order, atMs] of times.entries()) queue.push(atMs, order)
      const out = Array.from(times, () => queue.pop())
      const sorted = [...times.entries()].sort(([a, atA], [b, atB]) => atA - atB || a - b)
      expect(out.map((slot) => slot?.item)).toEqual(sorted.map(([order]) => order))
      expect(queue.pop()).toBeNull()
    }),
  )
})
