import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lineOf } from '../../analytics/line-protocol.ts'
import { designOf } from '../../analytics/measurements.ts'
import { pointsFor } from '../../analytics/points.ts'
import { type Entry, LANES } from '../../gateway/contract/ledger.ts'
import { entryOf, randomLedger } from './random-ledger.ts'

const AT_MS = Date.UTC(2026, 10, 22, 8, 15, 30, 500)
const NUMBER = 62_503
/** (62,503 · 16 + 0) mod 1,000,000 */
const TIEBREAK = '000048'

const linesFor = (type: string, data: object): string[] =>
  pointsFor(entryOf({ number: NUMBER, atMs: AT_MS, type, data })).map(lineOf)

const sale = {
  event_id: 'e1',
  dealer: 'D001',
  device: 'pos1',
  serial: 'SN1',
  model: 'Zeta',
  price: 28_500_000,
  currency: 'IDR',
  sold_at: '2026-11-20T01:02:03.004Z',
  channel: 'tiktok',
  customer: 'cus_1',
  region: 'Jawa Barat',
  verified: true,
  reason: null,
  flags: [],
}
const SOLD_AT = `1795136523004${TIEBREAK}`
const COMMITTED_AT = `${AT_MS}${TIEBREAK}`
const KNOWN = `known_at=${AT_MS}i`
const WHO = 'entry="1000048",serial="SN1",device="pos1"'

describe('an entry becomes a point', () => {
  it.each<[rule: string, type: string, data: object, line: string | null]>([
    [
      'a registered sale stands when it was sold',
      'sale.registered',
      sale,
      `sales,dealer=D001,region=Jawa\\ Barat,channel=tiktok,model=Zeta,outcome=registered,reason=none,currency=IDR count=1i,price=28500000i,verified=1i,${KNOWN},${WHO} ${SOLD_AT}`,
    ],
    [
      'its flags are counted, and the registration ledger says which model it is',
      'sale.registered',
      {
        ...sale,
        region: undefined,
        channel: undefined,
        reason: 'wrong_dealer',
        flags: ['diversion', 'model_mismatch', 'below_map'],
        allotted_model: 'Omega',
      },
      `sales,dealer=D001,region=none,channel=none,model=Omega,outcome=registered,reason=wrong_dealer,currency=IDR count=1i,price=28500000i,verified=1i,diversion=1i,model_mismatch=1i,below_map=1i,${KNOWN},${WHO} ${SOLD_AT}`,
    ],
    [
      'a refused sale counts without money, model and currency',
      'sale.rejected',
      { ...sale, verified: undefined, flags: undefined, reason: 'duplicate_serial' },
      `sales,dealer=D001,region=Jawa\\ Barat,channel=tiktok,model=none,outcome=rejected,reason=duplicate_serial,currency=none count=1i,${KNOWN},${WHO} ${SOLD_AT}`,
    ],
    [
      'an invalid sale stands when it was committed, and none of its odd values is believed',
      'sale.rejected',
      {
        event_id: null,
        dealer: 'D001',
        device: 'pos1',
        serial: 7,
        price: 'much',
        channel: 'smoke signals',
        reason: 'invalid',
      },
      `sales,dealer=D001,region=none,channel=none,model=none,outcome=rejected,reason=invalid,currency=none count=1i,${KNOWN},entry="1000048",device="pos1" ${COMMITTED_AT}`,
    ],
    [
      'a clock out of all bounds does not move a sale there',
      'sale.registered',
      { ...sale, sold_at: '9999-12-31T23:59:59Z' },
      `sales,dealer=D001,region=Jawa\\ Barat,channel=tiktok,model=Zeta,outcome=registered,reason=none,currency=IDR count=1i,price=28500000i,verified=1i,${KNOWN},${WHO} ${COMMITTED_AT}`,
    ],
    [
      'texts are quoted, and what no line can hold becomes an underscore',
      'sale.registered',
      { ...sale, region: 'a,b=c\\\n\ud800', serial: 'S"N\u0000' },
      `sales,dealer=D001,region=a\\,b\\=c___,channel=tiktok,model=Zeta,outcome=registered,reason=none,currency=IDR count=1i,price=28500000i,verified=1i,${KNOWN},entry="1000048",serial="S\\"N_",device="pos1" ${SOLD_AT}`,
    ],
    [
      'an alert',
      'alert.raised',
      { tier: 'P1', cause: 'diversion', dealer: 'D001', device: 'pos1', serial: 'SN1', event_id: 'e1' },
      `alerts,dealer=D001,tier=P1,cause=diversion count=1i,${KNOWN},${WHO} ${COMMITTED_AT}`,
    ],
    [
      'an alert about a lead that nobody holds',
      'alert.raised',
      { tier: 'P0', cause: 'lead_expired', lead: 'L07-3f2a5b7c9d1e', customer: 'cus_1' },
      `alerts,dealer=none,tier=P0,cause=lead_expired count=1i,${KNOWN},entry="1000048" ${COMMITTED_AT}`,
    ],
    [
      'a quarantined message, by whom and of which kind',
      'message.quarantined',
      { quarantine: 'q1', topic: 'hub/v1/D001/tbox/status', sender: 'D001/tbox', errors: [] },
      `quarantine,dealer=D001,kind=status count=1i,${KNOWN},entry="1000048",sender="D001/tbox" ${COMMITTED_AT}`,
    ],
    [
      'a quarantined message of somebody who is no device, on a topic that is none of theirs',
      'message.quarantined',
      { quarantine: 'q1', topic: 'hub/v1/D001/tbox/SN123456', sender: 'api', errors: [] },
      `quarantine,dealer=none,kind=none count=1i,${KNOWN},entry="1000048",sender="api" ${COMMITTED_AT}`,
    ],
    [
      'a vehicle’s status, without its place',
      'vehicle.status',
      {
        event_id: 'e1',
        dealer: 'D001',
        device: 'tbox',
        serial: 'SN1',
        at: '2026-11-20T01:02:03.004Z',
        odometer_km: 12,
        battery_pct: 80.5,
        lat: -6.2,
        lon: 106.8,
        state: 'fault',
        fault_code: 'E "7"',
      },
      `vehicle_status,dealer=D001,state=fault count=1i,odometer_km=12,battery_pct=80.5,entry="1000048",serial="SN1",device="tbox",fault_code="E \\"7\\"" ${COMMITTED_AT}`,
    ],
    [
      'a device’s health',
      'device.health',
      { dealer: 'D001', device: 'pos1', at: null, online: false, queue_depth: 3, rssi_dbm: -71 },
      `device_health,dealer=D001,online=false count=1i,queue_depth=3,rssi_dbm=-71,entry="1000048",device="pos1" ${COMMITTED_AT}`,
    ],
    ['what it does not know makes no point', 'something.new', { dealer: 'D001' }, null],
  ])('%s', (_, type, data, line) => {
    expect(linesFor(type, data)).toEqual(line === null ? [] : [line])
  })

  it('the identical one, however often', () => {
    fc.assert(
      fc.property(randomLedger, (ledger) => {
        const again = JSON.parse(JSON.stringify(ledger)) as Entry[]
        expect(again.map(pointsFor)).toEqual(ledger.map(pointsFor))
      }),
    )
  })

  it('with every tag of its measurement, and no value in a tag that belongs to one vehicle, device or event', () => {
    fc.assert(
      fc.property(randomLedger, (ledger) => {
        for (const entry of ledger) {
          for (const point of pointsFor(entry)) {
            for (const name of designOf(point.measurement).tags) {
              const value = point.values[name]
              expect(value).toEqual(expect.stringMatching(/./))
              const { serial, device, lead, spend, activity } = entry.data
              expect([serial, device, lead, spend, activity, entry.entry]).not.toContain(value)
            }
          }
        }
      }),
    )
  })

  it('that no neighbour within a million ids hides, even in one series and one millisecond', () => {
    const lane = fc.integer({ min: 0, max: LANES - 1 })
    const number = fc.integer({ min: 1, max: 60_000_000_000 })
    const distance = fc.integer({ min: 1, max: 999_999 })
    fc.assert(
      fc.property(lane, number, distance, (laneOfFirst, numberOfFirst, ids) => {
        const first = numberOfFirst * LANES + laneOfFirst
        const timeOf = (id: number) => {
          const entry = { ...entryOf({ number: 1, type: 'sale.registered', data: sale }), entry: String(id) }
          const [point] = pointsFor(entry)
          return `${point?.timeMs} ${point?.tiebreak}`
        }
        expect(timeOf(first)).not.toBe(timeOf(first + ids))
        expect(timeOf(first)).toBe(timeOf(first))
      }),
      { numRuns: 1000 },
    )
  })
})
