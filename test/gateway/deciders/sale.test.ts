import { describe, expect, it } from 'vitest'
import type { SaleEntry } from '../../../gateway/contract/ledger.ts'
import { DEFAULT_RACE_RULES, type Decision } from '../../../gateway/deciders/decision.ts'
import { dayOf, fingerprintOf, priceOn, saleDecider } from '../../../gateway/deciders/sale.ts'
import type { DecodedSale } from '../../../gateway/decode.ts'
import { createDirectory } from '../../../gateway/directory.ts'
import {
  eventKey,
  type PriceRow,
  pricesKey,
  type ReferenceDoc,
  referenceKey,
  registrationKey,
  rejectedKey,
  serialKey,
} from '../../../gateway/documents.ts'
import type { Doc } from '../../../gateway/store/store.ts'

const name = { dealer: 'D1', device: 'pos' }
const event: DecodedSale = {
  event_id: 'e1',
  serial: 'SERIAL0001',
  model: 'volt',
  price: 28_000_000,
  currency: 'IDR',
  sold_at: '2026-11-22T08:15:30.123Z',
  seq: 17,
  customer: null,
}
const imported = { current: 1, staging: null, aborted: [], rows: 1, imported_at: '2026-11-01T00:00:00.000Z' }
const versioned = (row: object) => [{ generation: 1, row }]
const doc = (value: unknown, entry = '100'): Doc => ({ value, version: 1, atMs: 1_763_800_000_000, entry })

const allotted = (row: object): Record<string, Doc> => ({
  [referenceKey('serials')]: doc(imported),
  [registrationKey(event.serial)]: doc(versioned(row)),
})
const priced = (map: number): Record<string, Doc> => ({
  [pricesKey('volt')]: doc([{ region: null, msrp: 30_000_000, map, valid_from: '2026-01-01' }]),
})
const soldAs = (holder: object) => ({ [serialKey(event.serial)]: doc(holder, '55') })
const fingerprint = fingerprintOf(event)

function decide(docs: Record<string, Doc>, sale = event): Decision {
  const report = { name, event: sale }
  const keys = saleDecider.keys(report)
  const found = Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, docs[key] ?? null]))
  const prices = docs[pricesKey('volt')]?.value as PriceRow[] | undefined
  const directory = createDirectory({
    dealers: [],
    reps: [],
    managers: [],
    prices: new Map(prices && [['volt', prices]]),
    serials: (docs[referenceKey('serials')]?.value as ReferenceDoc | undefined) ?? null,
  })
  const moment = { nowMs: 1, timezone: 'Asia/Jakarta', directory, rules: DEFAULT_RACE_RULES }
  return saleDecider.decide(report, found as Parameters<typeof saleDecider.decide>[1], keys, moment)
}

/** What a decision appends, as `type cause-or-reason`, and what its receipt says. */
function summary({ proposals, receipt }: Decision) {
  const appended = (proposals[0]?.append ?? []).map(({ type, data }) => {
    const { reason, flags, cause } = data as SaleEntry & { cause?: string }
    return [type, reason, cause, ...(flags ?? [])].filter(Boolean).join(' ')
  })
  return { appended, member: receipt?.member }
}

describe('a sale', () => {
  it.each([
    ['before any import is registered, unverified', {}, ['sale.registered']],
    [
      'of an allotted serial is registered',
      allotted({ model: 'volt', dealer_id: 'D1', produced_on: null }),
      ['sale.registered'],
    ],
    [
      'of a serial any dealer may sell is registered',
      allotted({ model: 'volt', dealer_id: null, produced_on: null }),
      ['sale.registered'],
    ],
    [
      'of a serial that is not in the registration ledger is rejected',
      { [referenceKey('serials')]: doc(imported) },
      ['sale.rejected unknown_serial', 'alert.raised unknown_serial'],
    ],
    [
      'of a serial staged by an import that died is rejected as unknown',
      {
        [referenceKey('serials')]: doc({ ...imported, current: 2, aborted: [1] }),
        [registrationKey(event.serial)]: doc(versioned({ model: 'volt', dealer_id: null })),
      },
      ['sale.rejected unknown_serial', 'alert.raised unknown_serial'],
    ],
    [
      'of a serial allotted to another dealer is registered as diversion',
      allotted({ model: 'volt', dealer_id: 'D2', produced_on: null }),
      ['sale.registered wrong_dealer diversion', 'alert.raised diversion'],
    ],
    [
      'of another model than allotted is registered and flagged',
      allotted({ model: 'bolt', dealer_id: 'D1', produced_on: null }),
      ['sale.registered model_mismatch', 'alert.raised model_mismatch'],
    ],
    [
      'under MAP is registered and flagged',
      priced(28_000_001),
      ['sale.registered below_map', 'alert.raised below_map'],
    ],
    ['at MAP is registered', priced(28_000_000), ['sale.registered']],
    [
      'of a serial that another event sold is rejected, and both parties are kept',
      soldAs({ event_id: 'e0', dealer: 'D2', device: 'pos', fingerprint: 'x' }),
      ['sale.rejected duplicate_serial', 'alert.raised duplicate_serial'],
    ],
    [
      'with the event id of another dealer’s sale of that serial is a duplicate, not a replay',
      soldAs({ event_id: 'e1', dealer: 'D2', device: 'pos', fingerprint }),
      ['sale.rejected duplicate_serial', 'alert.raised duplicate_serial'],
    ],
    [
      'whose event id already means another sale is rejected as invalid',
      { [eventKey(name, 'e1')]: doc('another fingerprint') },
      ['sale.rejected invalid'],
    ],
  ])('%s', (_, docs, appended) => {
    expect(summary(decide(docs as Record<string, Doc>))).toEqual({ appended, member: '$entry' })
  })

  it.each([
    ['was registered', soldAs({ event_id: 'e1', dealer: 'D1', device: 'pos', fingerprint }), '55:replayed'],
    [
      'was registered by another terminal of the dealer',
      soldAs({ event_id: 'e1', dealer: 'D1', device: 'old-pos', fingerprint }),
      '55:replayed',
    ],
    ['was rejected', { [rejectedKey(event.serial, name, 'e1', fingerprint)]: doc(1, '77') }, '77:replayed'],
  ])('that %s is replayed: nothing new in the ledger', (_, docs, member) => {
    expect(summary(decide(docs))).toEqual({ appended: [], member })
  })

  it('names the first sale in a duplicate’s entry', () => {
    const decision = decide(soldAs({ event_id: 'e0', dealer: 'D2', device: 'pos', fingerprint: 'x' }))
    expect(decision.receipt?.entry?.data).toMatchObject({
      first: { event_id: 'e0', dealer: 'D2', at: new Date(1_763_800_000_000).toISOString() },
    })
  })

  it('keeps the phone beside the ledger and only the customer’s id in it', () => {
    const sale = { ...event, customer: { id: 'cus_1', phone: '+628123' } }
    const decision = decide({}, sale)
    expect(decision.receipt?.entry?.data).toMatchObject({ customer: 'cus_1' })
    expect(JSON.stringify(decision.proposals.map(({ append }) => append))).not.toContain('+628123')
    expect(JSON.stringify(decision.proposals[1])).toContain('+628123')
  })

  it('has another fingerprint whenever what it says differs', () => {
    const variants: DecodedSale[] = [
      event,
      { ...event, price: 1 },
      { ...event, serial: 'SERIAL0002' },
      { ...event, sold_at: '2026-11-22T08:15:30.124Z' },
      { ...event, channel: 'tiktok' },
      { ...event, lead_id: 'tiktok' },
      { ...event, seq: 18 },
    ]
    expect(new Set(variants.map(fingerprintOf)).size).toBe(variants.length)
    expect(fingerprintOf({ ...event })).toBe(fingerprint)
  })
})

describe('the price that counts', () => {
  const all = { region: null, msrp: 3, map: 3, valid_from: '2026-01-01' }
  const allLater = { region: null, msrp: 4, map: 4, valid_from: '2026-06-01' }
  const java = { region: 'Java', msrp: 2, map: 2, valid_from: '2026-02-01' }
  it.each([
    ['the latest that is valid', [all, allLater], 'Bali', '2026-07-01', 4],
    ['not one that is not valid yet', [all, allLater], 'Bali', '2026-05-31', 3],
    ['from its very day', [all, allLater], 'Bali', '2026-06-01', 4],
    ['that of the region before that of all', [all, allLater, java], 'Java', '2026-07-01', 2],
    ['that of all while the region’s is not valid yet', [all, java], 'Java', '2026-01-15', 3],
    ['none before the first', [all], 'Bali', '2025-12-31', undefined],
    ['none of another region', [java], 'Bali', '2026-07-01', undefined],
    ['that of all for a dealer outside the directory', [all, java], null, '2026-07-01', 3],
  ])('%s', (_, prices, region, day, map) => {
    expect(priceOn(prices, region, day)?.map).toBe(map)
  })

  it('goes by the business day, not the UTC day', () => {
    expect(dayOf('2026-11-21T17:00:00.000Z', 'Asia/Jakarta')).toBe('2026-11-22')
    expect(dayOf('2026-11-21T16:59:59.999Z', 'Asia/Jakarta')).toBe('2026-11-21')
  })
})
