/** The ledger of the worked example in `docs/analysts.md`: a November with all that may happen to its figures later. */
import type { Entry } from '../../gateway/contract/ledger.ts'
import { entryOf } from './random-ledger.ts'

export const NOVEMBER = { from: '2026-11-01', to: '2026-11-30' }
/** Before anything was corrected. */
export const FIRST_OF_DECEMBER = '2026-12-01T05:00:00.000Z'

const RUPIAH = 100
const million = (amount: number): number => amount * 1_000_000 * RUPIAH

let number = 0
const committed = (at: string, type: string, data: object): Entry =>
  entryOf({ number: ++number, atMs: Date.parse(at), type, data })

const spend = (id: string, date: string, kind: string, channel: string, amount_minor: number) => ({
  spend: id,
  version: 1,
  before: null,
  now: {
    date,
    initiative: 'Year End',
    dealer: kind === 'corporate' ? null : 'D001',
    region: 'Jawa Barat',
    channel,
    kind,
    amount_minor,
    currency: 'IDR',
  },
})

const activity = (id: string, start_date: string, end_date: string) => ({
  activity: id,
  version: 1,
  before: null,
  now: {
    initiative: 'Year End',
    dealer: 'D001',
    region: 'Jawa Barat',
    channel: 'event',
    name: 'Roadshow',
    start_date,
    end_date,
  },
})

const origin = (created_at: string, channel: string) => ({
  created_at,
  source: 'form',
  channel,
  last_channel: channel,
  region: 'Jawa Barat',
  initiative: 'Year End',
})
const LEADS = [
  ['L1', '2026-11-02T03:00:00.000Z', 'tiktok'],
  ['L2', '2026-11-05T03:00:00.000Z', 'tiktok'],
  ['L3', '2026-11-09T03:00:00.000Z', 'event'],
  ['L4', '2026-11-20T03:00:00.000Z', 'tiktok'],
] as const
const originOf = (lead: string) => {
  const [, at, channel] = LEADS.find(([id]) => id === lead) as (typeof LEADS)[number]
  return origin(at, channel)
}

const facts = (sold_at: string) => ({
  sold_at,
  price: 28_500_000,
  currency: 'IDR',
  verified: true,
  region: 'Jawa Barat',
})
const sale = (serial: string, sold_at: string, channel: string) => ({
  ...facts(sold_at),
  dealer: 'D001',
  device: 'pos1',
  serial,
  model: 'Zeta',
  channel,
  reason: null,
  flags: [],
})

const corporate = spend('S1', '2026-11-01', 'corporate', 'tiktok', million(60))
const toLead = committed(
  '2026-11-12T04:00:01.000Z',
  'sale.registered',
  sale('SN1', '2026-11-12T04:00:00.000Z', 'other'),
)
const returned = committed(
  '2026-11-28T04:00:01.000Z',
  'sale.registered',
  sale('SN3', '2026-11-28T04:00:00.000Z', 'walk_in'),
)

/** By when they were committed. */
export const WORKED_EXAMPLE: readonly Entry[] = [
  committed('2026-11-01T02:00:00.000Z', 'spend.recorded', corporate),
  committed(
    '2026-11-01T02:00:00.000Z',
    'spend.recorded',
    spend('S2', '2026-11-01', 'baseline', 'other', million(20)),
  ),
  committed(
    '2026-11-07T02:00:00.000Z',
    'spend.recorded',
    spend('S3', '2026-11-07', 'subsidy', 'event', million(10)),
  ),
  committed(
    '2026-11-07T02:00:00.000Z',
    'spend.recorded',
    spend('S4', '2026-11-07', 'out_of_pocket', 'event', million(5)),
  ),
  committed('2026-11-07T02:00:00.000Z', 'activity.recorded', activity('A1', '2026-11-07', '2026-11-09')),
  committed('2026-11-09T02:00:00.000Z', 'activity.recorded', activity('A2', '2026-11-09', '2026-11-10')),
  ...LEADS.map(([lead, at, channel]) =>
    committed(at, 'lead.created', { lead, source: 'form', channel, origin: originOf(lead) }),
  ),
  committed('2026-11-03T03:00:00.000Z', 'lead.duplicate', { lead: 'L1', source: 'form', channel: 'event' }),
  ...(['L1', 'L2'] as const).map((lead) => {
    const { created_at } = originOf(lead)
    const claimedMs = Date.parse(created_at) + 90_000
    return committed(new Date(claimedMs).toISOString(), 'lead.claimed', {
      lead,
      round: 1,
      dealer: 'D001',
      rep: 'r1',
      offered_at: created_at,
      origin: originOf(lead),
    })
  }),
  ...(['contacted', 'won'] as const).map((stage) =>
    committed('2026-11-04T03:00:00.000Z', `lead.${stage}`, {
      lead: 'L1',
      dealer: 'D001',
      origin: originOf('L1'),
    }),
  ),
  toLead,
  committed('2026-11-12T04:00:02.000Z', 'lead.sold', {
    lead: 'L1',
    serial: 'SN1',
    dealer: 'D001',
    sale: toLead.entry,
    matched_by: 'lead_id',
    holder: 'D001',
    last_channel: 'event',
    facts: facts('2026-11-12T04:00:00.000Z'),
    origin: originOf('L1'),
  }),
  committed('2026-11-15T04:00:01.000Z', 'sale.registered', sale('SN2', '2026-11-15T04:00:00.000Z', 'tiktok')),
  returned,
  // The spend was less than reported; the last vehicle came back; and one was sold offline on 30 November.
  committed('2026-12-03T02:00:00.000Z', 'spend.recorded', {
    spend: 'S1',
    version: 2,
    before: corporate.now,
    now: { ...corporate.now, amount_minor: million(50) },
  }),
  committed('2026-12-05T02:00:00.000Z', 'sale.voided', {
    ...returned.data,
    sale: returned.entry,
    lead: null,
    reason: 'returned',
  }),
  committed(
    '2026-12-06T02:00:00.000Z',
    'sale.registered',
    sale('SN4', '2026-11-30T10:00:00.000Z', 'walk_in'),
  ),
]
