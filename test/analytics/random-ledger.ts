/**
 * Random ledgers for fast-check, and the figures they must give: folded straight from the entries, in memory, by the
 * rules of `docs/analysts.md` and without anything of `analytics/`.
 */
import fc from 'fast-check'
import { CHANNELS } from '../../gateway/contract/events.ts'
import { type Entry, entryId, LANES } from '../../gateway/contract/ledger.ts'

/** 2026-03-25 UTC: five days before the clocks change in Europe. */
export const START_MS = Date.UTC(2026, 2, 25)
const HOUR_MS = 3_600_000
export const RANGE = { firstDay: '2026-03-01', lastDay: '2026-04-30' }

const pick = fc.constantFrom
const instant = fc
  .oneof(
    fc.integer({ min: 0, max: 10 * 24 }).map((hours) => START_MS + hours * HOUR_MS),
    fc.integer({ min: 0, max: 10 * 24 }).map((hours) => START_MS + hours * HOUR_MS - 1),
    fc.integer({ min: START_MS, max: START_MS + 240 * HOUR_MS }),
  )
  .map((timeMs) => new Date(timeMs).toISOString())
const dealer = pick('D001', 'D002', 'd-3.x')
const device = pick('pos1', 'pos2')
const serial = fc.integer({ min: 0, max: 999_999 }).map((number) => `SN${number}`)
const region = pick(
  'Jawa Barat',
  "Côte d'Ivoire",
  'a,b=c "d"',
  'back\\slash',
  'two\nlines',
  '日本',
  undefined,
)
const model = pick('Zeta', 'LX 125', 'none', 'Zeta\\', ' lead', undefined)

const registered = fc.record({
  dealer,
  device,
  serial,
  region,
  model,
  channel: pick(...CHANNELS, undefined),
  currency: pick('IDR', 'USD'),
  price: fc.integer({ min: 0, max: 1_000_000_000_000 }),
  sold_at: instant,
  verified: fc.boolean(),
  reason: pick(null, 'wrong_dealer'),
  flags: fc.subarray(['diversion', 'model_mismatch', 'below_map']),
  allotted_model: pick('Omega', undefined),
})

const rejected = fc.record({
  dealer,
  device,
  serial: pick('SN1', undefined),
  region,
  model: pick('anything', undefined),
  price: pick(5, 1.5, undefined),
  sold_at: fc.oneof(instant, pick(undefined, 'yesterday', '9999-12-31T00:00:00Z', '0001-01-01T00:00:00Z')),
  channel: pick('tiktok', 'smoke signals', undefined),
  reason: pick('duplicate_serial', 'unknown_serial', 'invalid'),
})

const alert = fc.record({
  tier: pick('P0', 'P1'),
  cause: pick('diversion', 'below_map'),
  dealer,
  device,
  serial,
})

const quarantined = fc.record({
  topic: pick('hub/v1/D001/pos1/status', 'hub/v1/D001/pos1/nonsense', 'elsewhere'),
  sender: pick('D001/pos1', 'D002/pos2', 'api'),
})

const vehicleStatus = fc.record({
  dealer,
  device,
  serial,
  state: pick('parked', 'riding', 'charging', 'fault'),
  odometer_km: fc.double({ min: 0, max: 1e7, noNaN: true }),
  battery_pct: fc.double({ min: 0, max: 100, noNaN: true }),
})

const health = fc.record({ dealer, device, online: fc.boolean(), rssi_dbm: pick(-60.5, undefined) })

export type Body = { readonly type: string; readonly data: Record<string, unknown> }
const body = (type: string, data: fc.Arbitrary<object>): fc.Arbitrary<Body> =>
  data.map((value) => ({ type, data: value as Record<string, unknown> }))

const bodies = fc.oneof(
  { weight: 6, arbitrary: body('sale.registered', registered) },
  { weight: 2, arbitrary: body('sale.rejected', rejected) },
  body('alert.raised', alert),
  body('message.quarantined', quarantined),
  body('vehicle.status', vehicleStatus),
  body('device.health', health),
  body('something.new', fc.record({ dealer })),
)

/** That many things that happened, always the same from one seed. */
export const randomBodies = (count: number, seed: number): Body[] =>
  fc.sample(bodies, { numRuns: count, seed })

/** Entries as a hub commits them: many in one millisecond, in lanes, numbered without gaps. */
export const randomLedger: fc.Arbitrary<Entry[]> = fc
  .array(fc.tuple(bodies, fc.integer({ min: 0, max: LANES - 1 }), pick(0, 0, 0, 1, HOUR_MS)), {
    maxLength: 60,
  })
  .map((steps) => {
    const numbers = new Map<number, number>()
    let atMs = START_MS
    return steps.map(([{ type, data }, lane, pauseMs]) => {
      atMs += pauseMs
      const number = (numbers.get(lane) ?? 0) + 1
      numbers.set(lane, number)
      return entryOf({ lane, number, atMs, type, data })
    })
  })

export function entryOf(given: {
  lane?: number
  number: number
  atMs?: number
  type: string
  data: object
}): Entry {
  const { lane = 0, number, atMs = START_MS, type, data } = given
  return {
    entry: entryId(lane, number),
    lane,
    number,
    at: new Date(atMs).toISOString(),
    type,
    data: data as Record<string, unknown>,
    chain: `chain of ${lane}/${number}`,
  }
}

// — the figures —

export interface Figure {
  readonly measurement: string
  readonly by: Readonly<Record<string, string>>
  readonly sums: Readonly<Record<string, number>>
}

/** What each entry adds to which figure. */
export function figuresOf(entries: readonly Entry[], timezone: string): Figure[] {
  return entries.flatMap(({ type, data, at }) => {
    const { sold_at, flags, price, verified, ...said } = data as Record<string, unknown>
    const tags = (names: Record<string, unknown>) =>
      Object.fromEntries(Object.entries(names).map(([name, value]) => [name, tagOf(value)]))
    if (type === 'sale.registered') {
      const { dealer, region, channel, model, allotted_model, reason, currency } = said
      const flag = (name: string) => Number((flags as string[]).includes(name))
      return [
        {
          measurement: 'sales',
          by: {
            day: dayOf(sold_at as string, timezone),
            outcome: 'registered',
            ...tags({ dealer, region, channel, model: allotted_model ?? model, reason, currency }),
          },
          sums: {
            count: 1,
            price: price as number,
            verified: Number(verified),
            diversion: flag('diversion'),
            model_mismatch: flag('model_mismatch'),
            below_map: flag('below_map'),
          },
        },
      ]
    }
    if (type === 'sale.rejected') {
      const { dealer, region, channel, reason } = said
      const isSensible = typeof sold_at === 'string' && sold_at.startsWith('2026')
      return [
        {
          measurement: 'sales',
          by: {
            day: dayOf(isSensible ? sold_at : at, timezone),
            outcome: 'rejected',
            ...tags({ dealer, region, reason, channel: channel === 'tiktok' ? channel : null }),
            ...tags({ model: null, currency: null }),
          },
          sums: { count: 1, price: 0, verified: 0, diversion: 0, model_mismatch: 0, below_map: 0 },
        },
      ]
    }
    const { dealer, tier, cause, topic, sender, state, online } = said
    const counted: Record<string, { measurement: string; by: Record<string, unknown> }> = {
      'alert.raised': { measurement: 'alerts', by: { dealer, tier, cause } },
      'message.quarantined': {
        measurement: 'quarantine',
        by: {
          dealer: sender === 'api' ? null : (sender as string)?.split('/')[0],
          kind: topic === 'hub/v1/D001/pos1/status' ? 'status' : null,
        },
      },
      'vehicle.status': { measurement: 'vehicle_status', by: { dealer, state } },
      'device.health': { measurement: 'device_health', by: { dealer, online: String(online) } },
    }
    const found = counted[type]
    if (found === undefined) return []
    const { measurement, by } = found
    return [{ measurement, by: { day: dayOf(at, timezone), ...tags(by) }, sums: { count: 1 } }]
  })
}

export const tagOf = (value: unknown): string =>
  typeof value === 'string' && value !== '' ? value.replace(/[\\\n]/g, '_') : 'none'

/** The figures of one measurement by some of its names, as `Metrics.totals` must answer. */
export function totalsOf(
  figures: readonly Figure[],
  { measurement, by }: { measurement: string; by: readonly string[] },
): { by: Record<string, string>; sums: Record<string, number> }[] {
  const totals = new Map<string, { by: Record<string, string>; sums: Record<string, number> }>()
  for (const figure of figures) {
    if (figure.measurement !== measurement) continue
    const monthOf = ({ day = '' }: Figure['by']) => day.slice(0, 7)
    const group = Object.fromEntries(
      by.map((name) => [name, name === 'month' ? monthOf(figure.by) : (figure.by[name] as string)]),
    )
    const key = JSON.stringify(group)
    const total = totals.get(key) ?? { by: group, sums: {} }
    totals.set(key, total)
    for (const [name, value] of Object.entries(figure.sums)) {
      total.sums[name] = (total.sums[name] ?? 0) + value
    }
  }
  const keyOf = (total: { by: Record<string, string> }) => by.map((name) => total.by[name] as string)
  return [...totals.values()].sort((a, b) => compare(keyOf(a), keyOf(b)))
}

function compare(a: readonly string[], b: readonly string[]): number {
  const index = a.findIndex((value, at) => value !== b[at])
  return index === -1 ? 0 : (a[index] as string) < (b[index] as string) ? -1 : 1
}

const formats = new Map<string, Intl.DateTimeFormat>()

export function dayOf(at: string, timezone: string): string {
  let format = formats.get(timezone)
  if (format === undefined) {
    format = new Intl.DateTimeFormat('sv-SE', { timeZone: timezone, dateStyle: 'short' })
    formats.set(timezone, format)
  }
  return format.format(new Date(at))
}
