/** Money, activities and leads as points: what is taken back, what is added, and where it stands. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lineOf } from '../../analytics/line-protocol.ts'
import type { Point } from '../../analytics/measurements.ts'
import { pointsFor } from '../../analytics/points.ts'
import { entryOf } from './random-ledger.ts'

const AT_MS = Date.UTC(2026, 10, 22, 8, 15, 30, 500)
const KNOWN = `known_at=${AT_MS}i`
/** Entry 1000048: one millisecond and 48 nanoseconds of the time it belongs to. */
const NUMBER = 62_503
const linesOf = (type: string, data: object): string[] =>
  pointsFor(entryOf({ number: NUMBER, atMs: AT_MS, type, data })).map(lineOf)

const spend = {
  date: '2026-11-01',
  initiative: 'Year End',
  dealer: 'D001',
  region: null,
  channel: 'tiktok',
  kind: 'corporate',
  amount_minor: 500,
  currency: 'IDR',
}
const SPEND = 'spend,kind=corporate,initiative=Year\\ End,dealer=D001,region=none,channel=tiktok,currency=IDR'
const ID = 'entry="1000048",spend="S1"'
/** 10:00 UTC of the day. */
const on = (day: number) => `${Date.UTC(2026, 10, day, 10) + 1}000048`

const origin = {
  created_at: '2026-11-20T01:02:03.904Z',
  source: 'form',
  channel: 'tiktok',
  last_channel: 'event',
  region: 'Bali',
  initiative: null,
}
const TOUCH = 'region=Bali,channel=tiktok,last_channel=event,initiative=none'
const LEAD = `${TOUCH},source=form`
const LEAD_ID = 'entry="1000048",lead="L1"'
/** Within the second in which the lead came. */
const CAME = `${Date.parse('2026-11-20T01:02:03.001Z')}000048`
const COMMITTED = `${AT_MS}000048`

describe('what an entry changes', () => {
  it.each<[rule: string, type: string, data: object, lines: string[]]>([
    [
      'spend stands on its day',
      'spend.recorded',
      { spend: 'S1', version: 1, now: spend, before: null },
      [`${SPEND} count=1i,amount_minor=500i,${KNOWN},${ID} ${on(1)}`],
    ],
    [
      'another amount is the difference',
      'spend.recorded',
      { spend: 'S1', version: 2, now: { ...spend, amount_minor: 700 }, before: spend },
      [`${SPEND} count=0i,amount_minor=200i,${KNOWN},${ID} ${on(1)}`],
    ],
    [
      'another day takes it from one and gives it to the other',
      'spend.recorded',
      { spend: 'S1', version: 2, now: { ...spend, date: '2026-11-03' }, before: spend },
      [
        `${SPEND} count=-1i,amount_minor=-500i,${KNOWN},${ID} ${on(1)}`,
        `${SPEND} count=1i,amount_minor=500i,${KNOWN},${ID} ${on(3)}`,
      ],
    ],
    [
      'taken back, it is nothing',
      'spend.recorded',
      { spend: 'S1', version: 2, now: null, before: spend },
      [`${SPEND} count=-1i,amount_minor=-500i,${KNOWN},${ID} ${on(1)}`],
    ],
    [
      'a correction that changes no figure makes no point',
      'spend.recorded',
      { spend: 'S1', version: 2, now: spend, before: { ...spend } },
      [],
    ],
    [
      'what is no day makes no point',
      'spend.recorded',
      { spend: 'S1', now: { ...spend, date: 'soon' }, before: null },
      [],
    ],
    [
      'a lead comes as nobody’s',
      'lead.created',
      { lead: 'L1', source: 'form', channel: 'tiktok', origin },
      [`leads,dealer=none,${LEAD} raw=1i,unique=1i,${KNOWN},${LEAD_ID} ${CAME}`],
    ],
    [
      'a claim takes it from nobody, gives it to the dealer, and stands by itself when it was made',
      'lead.claimed',
      { lead: 'L1', round: 1, dealer: 'D001', offered_at: new Date(AT_MS - 90_000).toISOString(), origin },
      [
        `claims,dealer=D001,${TOUCH} count=1i,time_to_claim_ms=90000i,${KNOWN},${LEAD_ID} ${COMMITTED}`,
        `leads,dealer=none,${LEAD} unique=-1i,${KNOWN},${LEAD_ID} ${CAME}`,
        `leads,dealer=D001,${LEAD} unique=1i,claimed=1i,${KNOWN},${LEAD_ID} ${CAME}`,
      ],
    ],
    [
      'a claim of a later round takes it from those that were claimed before',
      'lead.claimed',
      { lead: 'L1', round: 2, dealer: 'D001', offered_at: new Date(AT_MS).toISOString(), origin },
      [
        `claims,dealer=D001,${TOUCH} count=1i,time_to_claim_ms=0i,${KNOWN},${LEAD_ID} ${COMMITTED}`,
        `leads,dealer=none,${LEAD} unique=-1i,claimed=-1i,${KNOWN},${LEAD_ID} ${CAME}`,
        `leads,dealer=D001,${LEAD} unique=1i,claimed=1i,${KNOWN},${LEAD_ID} ${CAME}`,
      ],
    ],
    [
      'an outcome stands when it was said',
      'lead.won',
      { lead: 'L1', dealer: 'D001', origin },
      [`outcomes,stage=won,dealer=D001,${TOUCH} count=1i,${KNOWN},${LEAD_ID} ${COMMITTED}`],
    ],
    [
      'of an early hub, which said nothing of where a lead came from, a claim is a claim and no more',
      'lead.claimed',
      { lead: 'L1', round: 1, dealer: 'D001', offered_at: 'once' },
      [
        `claims,dealer=D001,region=none,channel=none,last_channel=none,initiative=none count=1i,${KNOWN},${LEAD_ID} ${COMMITTED}`,
      ],
    ],
  ])('%s', (_, type, data, lines) => {
    expect(linesOf(type, data)).toEqual(lines)
  })

  it('a sale of a lead, and its void, are opposites', () => {
    const said = {
      lead: 'L1',
      serial: 'SN1',
      dealer: 'D009',
      sale: '16',
      matched_by: 'customer',
      holder: 'D001',
      last_channel: 'referral',
      facts: {
        sold_at: '2026-11-21T03:04:05.678Z',
        price: 7,
        currency: 'IDR',
        verified: true,
        region: 'Jakarta',
      },
      origin,
    }
    const [conversion, lead] = linesOf('lead.sold', said)
    const sold = `${Date.parse('2026-11-21T03:04:05.001Z')}000048`
    expect([conversion, lead]).toEqual([
      'conversions,dealer=D009,region=Jakarta,channel=tiktok,last_channel=referral,initiative=none,matched_by=customer,' +
        `currency=IDR count=1i,verified=1i,price_minor=700i,${KNOWN},${LEAD_ID},serial="SN1" ${sold}`,
      `leads,dealer=D001,${LEAD} sold=1i,sold_verified=1i,${KNOWN},${LEAD_ID} ${CAME}`,
    ])
    const negative = (line = '') =>
      line.replace(/=(\d+)i/g, (all, n) => (n === String(AT_MS) ? all : `=-${n}i`))
    expect(linesOf('lead.unsold', said)).toEqual([negative(conversion), negative(lead)])
  })

  it('an activity has a point for each of its days, and no more than a year of them', () => {
    const daysOf = (start_date: string, end_date: string) => {
      const now = { ...spend, name: 'Roadshow', start_date, end_date }
      const points = pointsFor(
        entryOf({ number: NUMBER, type: 'activity.recorded', data: { activity: 'A1', now, before: null } }),
      )
      const dayOf = ({ timeMs }: Point) => new Date(timeMs).toISOString().slice(0, 10)
      const of = (measurement: string) =>
        points.filter((point) => point.measurement === measurement).map(dayOf)
      return { activities: of('activities'), days: of('activity_days') }
    }
    expect(daysOf('2026-02-27', '2026-03-01')).toEqual({
      activities: ['2026-02-27'],
      days: ['2026-02-27', '2026-02-28', '2026-03-01'],
    })
    expect(daysOf('2026-01-01', '2036-01-01').days).toHaveLength(366)
  })

  it('of a date is that date in every zone from Honolulu to Auckland, whatever the entry’s id', () => {
    const zones = [
      'Pacific/Honolulu',
      'America/New_York',
      'UTC',
      'Asia/Jakarta',
      'Asia/Jayapura',
      'Pacific/Auckland',
    ]
    const day = fc
      .integer({ min: 0, max: 20_000 })
      .map((n) => new Date(Date.UTC(2000, 0, 1) + n * 86_400_000).toISOString().slice(0, 10))
    fc.assert(
      fc.property(day, fc.integer({ min: 1, max: 60_000_000_000_000 }), (date, number) => {
        const data = { spend: 'S1', now: { ...spend, date }, before: null }
        const [point] = pointsFor(entryOf({ number, type: 'spend.recorded', data }))
        for (const zone of zones) {
          const instant = Temporal.Instant.fromEpochMilliseconds(point?.timeMs as number)
          expect(instant.toZonedDateTimeISO(zone).toPlainDate().toString()).toBe(date)
        }
      }),
    )
  })

  it('hides no other of its day within a billion of ids', () => {
    const id = fc.integer({ min: 1, max: 60_000_000_000 })
    const apart = fc.integer({ min: 1, max: 1_000_000_000 })
    const placeOf = (number: number) => {
      const [point] = pointsFor(
        entryOf({ number, type: 'spend.recorded', data: { spend: 'S1', now: spend, before: null } }),
      )
      return `${point?.timeMs} ${point?.tiebreak}`
    }
    fc.assert(
      fc.property(id, apart, (number, distance) => {
        expect(placeOf(number)).not.toBe(placeOf(number + distance))
      }),
    )
  })
})
