/**
 * Random lives of spend, activities, leads and sales for fast-check, as a hub commits them; and the figures they must give,
 * folded by a model that knows nothing of points: it keeps what stands (a report by its id, a lead with who holds it, the
 * sales that were not voided) and counts that. So it is also what was known at an instant: the fold of the entries till then.
 */
import fc from 'fast-check'
import { CHANNELS } from '../../gateway/contract/events.ts'
import { type Entry, LANES } from '../../gateway/contract/ledger.ts'
import { dayOf, entryOf, type Figure, START_MS, tagOf } from './random-ledger.ts'

type Data = Record<string, unknown>

const pick = fc.constantFrom
const date = fc
  .integer({ min: 0, max: 40 })
  .map((day) => new Date(START_MS + (day - 20) * 86_400_000).toISOString().slice(0, 10))
const dealer = pick('D001', 'D002', 'd-3.x')
const region = pick('Jawa Barat', "Côte d'Ivoire", null)
const channel = pick(...CHANNELS)
const maybeChannel = pick(...CHANNELS, null)
const initiative = pick('Lebaran', 'Year End, "2026"', 'back\\slash')
const where = { initiative, dealer: fc.option(dealer), region, channel }

const spend = fc.record({
  ...where,
  date,
  kind: pick('corporate', 'subsidy', 'baseline', 'out_of_pocket'),
  amount_minor: fc.integer({ min: 0, max: 100_000_000_000_000 }),
  currency: pick('IDR', 'USD'),
})
const activity = fc
  .record({ ...where, name: pick('Roadshow'), start_date: date, days: fc.integer({ min: 0, max: 25 }) })
  .map(({ days, ...facts }) => ({
    ...facts,
    end_date: new Date(Date.parse(facts.start_date) + days * 86_400_000).toISOString().slice(0, 10),
  }))
const origin = fc.record({
  source: pick('whatsapp', 'form'),
  channel: maybeChannel,
  last_channel: maybeChannel,
  region,
  initiative: fc.option(initiative),
})
const soldAt = fc
  .integer({ min: 0, max: 12 * 24 * 60 })
  .map((minutes) => new Date(START_MS + minutes * 60_000).toISOString())
const sale = fc.record({
  dealer,
  region: pick('Jawa Barat', undefined),
  channel: pick(...CHANNELS, undefined),
  model: pick('Zeta', 'LX 125'),
  price: fc.integer({ min: 0, max: 1_000_000_000_000 }),
  currency: pick('IDR', 'USD'),
  sold_at: soldAt,
  verified: fc.boolean(),
  flags: fc.subarray(['diversion', 'below_map']),
})

/** What may happen; what can't (a lead that is not there is claimed) does not. */
const id = fc.integer({ min: 1, max: 3 })
const happening = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: pick('spend'), id, facts: fc.option(spend, { freq: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ do: pick('activity'), id, facts: fc.option(activity, { freq: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ do: pick('lead'), origin }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: pick('claim', 'release', 'contacted', 'lost', 'duplicate', 'expired'),
      id,
      dealer,
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: pick('sale'), sale, of: fc.option(id), touched: maybeChannel }) },
  { weight: 1, arbitrary: fc.record({ do: pick('void'), id }) },
)

interface Lead {
  readonly lead: string
  readonly origin: Data
  round: number
  holder: string | null
  isSold: boolean
}

/** Entries as the deciders write them: `before` is what stood, `origin` is repeated, a void repeats its sale, `lead.unsold` what was sold. */
export const randomEconomics: fc.Arbitrary<Entry[]> = fc
  .array(fc.tuple(happening, fc.integer({ min: 0, max: LANES - 1 }), pick(0, 0, 1, 3_600_000, 30_000_000)), {
    maxLength: 50,
    size: 'max',
  })
  .map((steps) => {
    const reports = new Map<string, { version: number; now: unknown }>()
    const leads: Lead[] = []
    const sales: { entry: string; data: Data; sold: Data | null }[] = []
    const numbers = new Map<number, number>()
    const entries: Entry[] = []
    let atMs = START_MS
    const commit = (lane: number, type: string, data: Data): Entry => {
      const number = (numbers.get(lane) ?? 0) + 1
      numbers.set(lane, number)
      const entry = entryOf({ lane, number, atMs, type, data })
      entries.push(entry)
      return entry
    }
    for (const [step, lane, pauseMs] of steps) {
      atMs += pauseMs
      const at = new Date(atMs).toISOString()
      if (step.do === 'spend' || step.do === 'activity') {
        const { do: about, id, facts } = step as { do: string; id: number; facts: Data | null }
        const stood = reports.get(`${about}${id}`) ?? { version: 0, now: null }
        const report = { version: stood.version + 1, now: facts }
        reports.set(`${about}${id}`, report)
        commit(lane, `${about}.recorded`, { [about]: `${about}${id}`, ...report, before: stood.now })
      } else if (step.do === 'lead') {
        const { origin } = step as { origin: Data }
        // The hub's clock is not the store's.
        const lead = {
          lead: `L${leads.length}`,
          origin: { ...origin, created_at: new Date(atMs - 1).toISOString() },
        }
        leads.push({ ...lead, round: 1, holder: null, isSold: false })
        commit(lane, 'lead.created', { ...lead, source: origin.source, channel: origin.channel })
      } else if (step.do === 'sale') {
        const { sale: data, of, touched } = step as { sale: Data; of: number | null; touched: string | null }
        const { entry } = commit(lane, 'sale.registered', {
          ...data,
          reason: (data.flags as string[]).includes('diversion') ? 'wrong_dealer' : null,
          serial: `SN${sales.length}`,
        })
        const lead = of === null ? undefined : leads.at(-of)
        let sold: Data | null = null
        if (lead !== undefined && !lead.isSold) {
          lead.isSold = true
          const { sold_at, price, currency, verified, region = null } = data
          sold = {
            lead: lead.lead,
            serial: `SN${sales.length}`,
            dealer: data.dealer,
            sale: entry,
            matched_by: 'lead_id',
            holder: lead.holder,
            last_channel: touched,
            facts: { sold_at, price, currency, verified, region },
            origin: lead.origin,
          }
          commit(lane, 'lead.sold', sold)
        }
        sales.push({ entry, data, sold })
      } else if (step.do === 'void') {
        const [voided] = sales.splice(-(step as { id: number }).id, 1)
        if (voided !== undefined) {
          commit(lane, 'sale.voided', { ...voided.data, sale: voided.entry, reason: 'returned' })
          if (voided.sold !== null) {
            commit(lane, 'lead.unsold', voided.sold)
            const lead = leads.find(({ lead }) => lead === voided.sold?.lead)
            if (lead !== undefined) lead.isSold = false
          }
        }
      } else {
        const { do: what, id, dealer } = step as { do: string; id: number; dealer: string }
        const lead = leads.at(-id)
        if (lead === undefined) continue
        const about = { lead: lead.lead, origin: lead.origin }
        if (what === 'duplicate')
          commit(lane, 'lead.duplicate', { lead: lead.lead, source: 'form', channel: 'tiktok' })
        else if (what === 'claim' && lead.holder === null && !lead.isSold) {
          lead.holder = dealer
          const offered_at = new Date(atMs - 1234).toISOString()
          commit(lane, 'lead.claimed', { ...about, round: lead.round, dealer, offered_at, at })
        } else if (what === 'release' && lead.holder !== null && !lead.isSold) {
          commit(lane, 'lead.released', { ...about, round: lead.round, dealer: lead.holder })
          lead.holder = null
          lead.round += 1
        } else if (what === 'expired' && lead.holder === null) commit(lane, 'lead.expired', about)
        else if (lead.holder !== null && (what === 'contacted' || what === 'lost')) {
          commit(lane, `lead.${what}`, { ...about, dealer: lead.holder })
        }
      }
    }
    return entries
  })

// — the model —

/** What stands after these entries, as figures. */
export function economicFiguresOf(entries: readonly Entry[], timezone: string): Figure[] {
  const reports = new Map<string, Data | null>()
  const leads = new Map<string, { origin: Data; holder: unknown; claimed: boolean; sold: Data | null }>()
  const sales = new Map<string, Data>()
  const figures: Figure[] = []
  const add = (measurement: string, day: string, by: Data, sums: Record<string, number>) => {
    const tags = Object.fromEntries(Object.entries(by).map(([name, value]) => [name, tagOf(value)]))
    figures.push({ measurement, by: { day, ...tags }, sums })
  }
  const touch = ({ region, channel, last_channel, initiative }: Data) => ({
    region,
    channel,
    last_channel,
    initiative,
  })

  for (const { entry, at, type, data } of entries) {
    const lead = leads.get(data.lead as string)
    if (type === 'spend.recorded') reports.set(data.spend as string, data.now as Data | null)
    if (type === 'activity.recorded') reports.set(data.activity as string, data.now as Data | null)
    if (type === 'sale.registered') sales.set(entry, data)
    if (type === 'sale.voided') sales.delete(data.sale as string)
    if (type === 'lead.unsold' && lead !== undefined) lead.sold = null
    if (type === 'lead.created')
      leads.set(data.lead as string, {
        origin: data.origin as Data,
        holder: null,
        claimed: false,
        sold: null,
      })
    if (type === 'lead.duplicate') {
      const tags = {
        dealer: null,
        region: null,
        channel: data.channel,
        last_channel: data.channel,
        initiative: null,
        source: data.source,
      }
      add('leads', dayOf(at, timezone), tags, { ...NO_LEAD, raw: 1 })
    }
    if (lead === undefined) continue
    if (type === 'lead.claimed') {
      Object.assign(lead, { holder: data.dealer, claimed: true })
      const sums = { count: 1, time_to_claim_ms: 1234 }
      add('claims', dayOf(at, timezone), { ...touch(lead.origin), dealer: data.dealer }, sums)
    }
    if (type === 'lead.released') lead.holder = null
    if (type === 'lead.sold') lead.sold = data
    if (['lead.contacted', 'lead.lost', 'lead.expired'].includes(type)) {
      const by = { ...touch(lead.origin), dealer: data.dealer, stage: type.slice(5) }
      add('outcomes', dayOf(at, timezone), by, { count: 1 })
    }
  }

  for (const facts of reports.values()) {
    if (facts === null) continue
    const { initiative, dealer, region, channel, kind, currency, date, start_date, end_date } = facts
    const by = { initiative, dealer, region, channel }
    if (date !== undefined) {
      const sums = { count: 1, amount_minor: facts.amount_minor as number }
      add('spend', date as string, { ...by, kind, currency }, sums)
      continue
    }
    add('activities', start_date as string, by, { count: 1 })
    for (let day = start_date as string; day <= (end_date as string); day = dayAfter(day))
      add('activity_days', day, by, { count: 1 })
  }
  for (const { origin, holder, claimed, sold } of leads.values()) {
    const day = dayOf(origin.created_at as string, timezone)
    const by = { ...touch(origin), source: origin.source }
    add('leads', day, { ...by, dealer: null }, { ...NO_LEAD, raw: 1 })
    add('leads', day, { ...by, dealer: holder }, { ...NO_LEAD, unique: 1, claimed: Number(claimed) })
    if (sold === null) continue
    const { verified, sold_at, price, currency, region } = sold.facts as Data
    add(
      'leads',
      day,
      { ...by, dealer: sold.holder },
      { ...NO_LEAD, sold: 1, sold_verified: Number(verified) },
    )
    const { dealer, matched_by, last_channel } = sold
    add(
      'conversions',
      dayOf(sold_at as string, timezone),
      { ...touch(origin), last_channel, dealer, region, matched_by, currency },
      { count: 1, verified: Number(verified), price_minor: (price as number) * 100 },
    )
  }
  for (const {
    dealer,
    region,
    channel,
    model,
    currency,
    price,
    verified,
    flags,
    sold_at,
  } of sales.values()) {
    const flag = (name: string) => Number((flags as string[]).includes(name))
    const reason = flag('diversion') ? 'wrong_dealer' : null
    add(
      'sales',
      dayOf(sold_at as string, timezone),
      { dealer, region, channel, model, outcome: 'registered', reason, currency },
      {
        count: 1,
        price: price as number,
        verified: Number(verified),
        diversion: flag('diversion'),
        model_mismatch: 0,
        below_map: flag('below_map'),
      },
    )
  }
  return figures
}

const NO_LEAD = { raw: 0, unique: 0, claimed: 0, sold: 0, sold_verified: 0 }

const dayAfter = (day: string): string => new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10)
