/**
 * Two years of a network as a hub's ledger would have them: 110 dealers, 7 channels, a campaign each month. Spend and
 * activities by dealer, channel and month; leads that are offered, claimed, followed up and sometimes sold; sales without a
 * lead; and now and then a correction, a release, a void. Always the same from one seed.
 */
import { CHANNELS } from '../gateway/contract/events.ts'
import { type Entry, entryId, LANES } from '../gateway/contract/ledger.ts'
import { mulberry32 } from '../test/support/random.ts'

export const DEALERS = 110
export const FIRST_DAY = '2024-12-01'
export const LAST_DAY = '2026-11-30'

const DAY_MS = 86_400_000
const REGIONS = ['Jabodetabek', 'Jawa Barat', 'Jawa Tengah', 'Jawa Timur', 'Bali', 'Sumatera Utara']
const MODELS = ['Zeta', 'Volt One', 'LX 125']
const MINUTE_MS = 60_000

/** About so many entries, in the order in which they were committed. */
export function economicsLedger(count: number): Entry[] {
  const random = mulberry32(2026)
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item
  const startMs = Date.parse(FIRST_DAY) - 7 * 3_600_000
  const days = (Date.parse(LAST_DAY) - Date.parse(FIRST_DAY)) / DAY_MS + 1
  const happened: { atMs: number; type: string; data: Record<string, unknown> }[] = []
  const happens = (atMs: number, type: string, data: Record<string, unknown>): void => {
    happened.push({ atMs, type, data })
  }
  const dealerAt = (n: number) => ({ dealer: `dealer-${n}`, region: REGIONS[n % REGIONS.length] as string })

  for (let month = 0; month < 24; month++) {
    const first = new Date(Date.UTC(2024, 11 + month, 1))
    const date = first.toISOString().slice(0, 10)
    const initiative = `Campaign ${date.slice(0, 7)}`
    for (let n = 0; n < DEALERS; n++) {
      const where = { ...dealerAt(n), initiative, currency: 'IDR' }
      const spend = (channel: string, kind: string) => {
        const id = `${date}-${n}-${channel}-${kind}`
        const now = { ...where, date, channel, kind, amount_minor: Math.floor(random() * 5e9) }
        happens(first.getTime() + random() * DAY_MS, 'spend.recorded', {
          spend: id,
          version: 1,
          now,
          before: null,
        })
        if (random() < 0.05) {
          const corrected = { ...now, amount_minor: Math.floor(random() * 5e9) }
          const atMs = first.getTime() + 20 * DAY_MS * random() + DAY_MS
          happens(atMs, 'spend.recorded', { spend: id, version: 2, now: corrected, before: now })
        }
      }
      for (const channel of CHANNELS) spend(channel, 'corporate')
      spend('event', 'subsidy')
      spend('other', 'baseline')
      spend('event', 'out_of_pocket')
      const begin = new Date(first.getTime() + Math.floor(random() * 25) * DAY_MS)
      const end = new Date(begin.getTime() + Math.floor(random() * 4) * DAY_MS)
      const now = {
        ...where,
        channel: 'event',
        name: 'Roadshow',
        start_date: begin.toISOString().slice(0, 10),
        end_date: end.toISOString().slice(0, 10),
      }
      happens(begin.getTime(), 'activity.recorded', {
        activity: `${date}-${n}`,
        version: 1,
        now,
        before: null,
      })
    }
  }

  for (let leads = 0; happened.length < count; leads++) {
    const atMs = Math.floor(startMs + random() * days * DAY_MS)
    const at = (afterMs: number) => atMs + afterMs
    const n = Math.floor(random() * DEALERS)
    const { dealer, region } = dealerAt(n)
    const channel = pick(CHANNELS)
    const serial = `SN${String(leads).padStart(8, '0')}`
    const sold_at = new Date(at(2 * DAY_MS * random())).toISOString()
    const facts = { sold_at, price: 28_500_000, currency: 'IDR', verified: random() < 0.97, region }
    const sale = {
      ...facts,
      event_id: serial,
      dealer,
      device: 'pos1',
      serial,
      model: pick(MODELS),
      flags: [],
    }
    const soldMs = Date.parse(sold_at) + random() * 3_600_000
    if (random() < 0.3) {
      happens(soldMs, 'sale.registered', sale)
      continue
    }
    const lead = `L00-${leads}`
    const month = new Date(at(7 * 3_600_000)).toISOString().slice(0, 7)
    const origin = {
      created_at: new Date(atMs).toISOString(),
      source: random() < 0.5 ? 'form' : 'whatsapp',
      channel,
      last_channel: random() < 0.85 ? channel : pick(CHANNELS),
      region,
      initiative: random() < 0.5 ? `Campaign ${month}` : null,
    }
    happens(atMs, 'lead.created', { lead, customer: `cus_${leads}`, source: origin.source, channel, origin })
    happens(at(1), 'lead.offered', { lead, round: 1, ring: 1, offers: [], skipped: [] })
    if (random() < 0.2) continue
    const claim = { lead, dealer, rep: `rep-${n}`, event_id: `wamid.${leads}`, origin }
    const offered_at = new Date(at(1)).toISOString()
    happens(at(MINUTE_MS * 4 * random()), 'lead.claimed', { ...claim, round: 1, offered_at, distance_km: 3 })
    if (random() < 0.05) {
      happens(at(20 * MINUTE_MS), 'lead.released', { ...claim, round: 1 })
      continue
    }
    happens(at(10 * MINUTE_MS), 'lead.contacted', claim)
    if (random() < 0.75) continue
    happens(soldMs, 'sale.registered', { ...sale, lead_id: lead })
    const sold = {
      lead,
      serial,
      dealer,
      sale: '1',
      matched_by: 'lead_id',
      holder: dealer,
      last_channel: channel,
      facts,
      origin,
    }
    happens(soldMs + 500, 'lead.sold', sold)
    happens(soldMs + 500, 'lead.won', { ...claim, serial })
    if (random() < 0.01) {
      happens(soldMs + 3 * DAY_MS, 'sale.voided', { ...sale, sale: '1', lead, reason: 'returned' })
      happens(soldMs + 3 * DAY_MS + 500, 'lead.unsold', sold)
    }
  }

  happened.sort((a, b) => a.atMs - b.atMs)
  return happened.map(({ atMs, type, data }, index): Entry => {
    const lane = index % LANES
    const number = Math.floor(index / LANES) + 1
    const at = new Date(Math.floor(atMs)).toISOString()
    return { entry: entryId(lane, number), lane, number, at, type, data, chain: '' }
  })
}
