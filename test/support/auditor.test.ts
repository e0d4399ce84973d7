import { expect, test } from 'vitest'
import { audit } from './auditor.ts'

const AT = '2026-11-22T08:15:31.000Z'

const sale = (event_id: string, serial: string, more: object = {}) => ({
  event_id,
  serial,
  model: 'EV-2',
  price: 100,
  currency: 'IDR',
  sold_at: '2026-11-22T15:15:30.123+07:00',
  channel: 'tiktok',
  seq: 1,
  ...more,
})
const from = (device: string, one: object) => ({ dealer: 'd1', device, ...one })
/** The hub keeps instants in UTC. */
const stored = (device: string, one: object) => ({
  ...from(device, one),
  sold_at: '2026-11-22T08:15:30.123Z',
})

const sent = (device: string, one: { event_id: string }) =>
  `SENT ${one.event_id} ${JSON.stringify(from(device, one))}`
const ack = (eventId: string) => `ACK ${eventId}`
const receipt = (eventId: string, entry: string, outcome: string, more: object = {}) =>
  `RECEIPT ${eventId} ${JSON.stringify({ event_id: eventId, outcome, reason: null, entry, committed_at: AT, ...more })}`
const entry = (id: string, type: string, data: object) => JSON.stringify({ entry: id, at: AT, type, data })

const first = sale('e1', 'SERIAL1')
const duplicate = sale('e2', 'SERIAL1')
const unheard = sale('e3', 'SERIAL3')
const DUPLICATE = { reason: 'duplicate_serial', first: { event_id: 'e1', dealer: 'd1', at: AT } }

/** A sale registered, a duplicate rejected, one sent and never acknowledged: as it should be. */
const JOURNAL = [
  sent('t1', first),
  ack('e1'),
  receipt('e1', '17', 'registered'),
  sent('t2', duplicate),
  ack('e2'),
  receipt('e2', '33', 'rejected', { reason: 'duplicate_serial' }),
  sent('t1', unheard),
]
const LEDGER = [
  entry('17', 'sale.registered', stored('t1', first)),
  entry('33', 'sale.rejected', { ...stored('t2', duplicate), ...DUPLICATE }),
  entry('49', 'alert.raised', { tier: 'P1' }),
]

test('an honest ledger passes, and is counted and added up', async () => {
  expect(await audit(JOURNAL, LEDGER)).toEqual({
    violations: [],
    counts: { sent: 3, acknowledged: 2, receipted: 2, registered: 1, rejected: 1 },
    totals: {
      all: { count: 1, price: 100 },
      dealers: new Map([['d1', { count: 1, price: 100 }]]),
      channels: new Map([['tiktok', { count: 1, price: 100 }]]),
    },
  })
})

test('what was sent and not acknowledged may stand in the ledger', async () => {
  const ledger = [...LEDGER, entry('65', 'sale.registered', stored('t1', unheard))]
  expect((await audit(JOURNAL, ledger)).violations).toEqual([])
})

interface Row {
  rule: string
  journal?: string[]
  ledger?: string[]
  caught: string[]
}

const without = <Value>(values: Value[], index: number) => values.toSpliced(index, 1)
const replacing = <Value>(values: Value[], index: number, value: Value) => values.with(index, value)

const rows: Row[] = [
  {
    rule: 'an acknowledged sale that is in the ledger no more is lost',
    ledger: without(LEDGER, 1),
    journal: without(JOURNAL, 5),
    caught: ['A1: event e2 was acknowledged and is not in the ledger'],
  },
  {
    rule: 'a sale nobody sent is invented',
    journal: JOURNAL.slice(0, 3),
    caught: ['A2: entry 33 is about event e2, which nobody sent'],
  },
  {
    rule: 'a sale without an event id is invented',
    ledger: [
      ...LEDGER,
      entry('65', 'sale.rejected', { dealer: 'd1', device: 't1', event_id: null, reason: 'invalid' }),
    ],
    caught: ['A2: entry 65 is about event null, which nobody sent'],
  },
  {
    rule: 'a price other than the one sent is invented',
    ledger: replacing(LEDGER, 0, entry('17', 'sale.registered', { ...stored('t1', first), price: 99 })),
    caught: ['A2: entry 17: price of e1 is 99, was sent as 100'],
  },
  {
    rule: 'a sale laid to another device is invented',
    ledger: replacing(LEDGER, 0, entry('17', 'sale.registered', stored('t9', first))),
    caught: ['A2: entry 17: device of e1 is t9, was sent as t1'],
  },
  {
    rule: 'another instant than the one sent is invented',
    ledger: replacing(
      LEDGER,
      0,
      entry('17', 'sale.registered', { ...stored('t1', first), sold_at: '2026-11-22T15:15:30.123Z' }),
    ),
    caught: [
      'A2: entry 17: sold_at of e1 is 2026-11-22T15:15:30.123Z, was sent as 2026-11-22T15:15:30.123+07:00',
    ],
  },
  {
    rule: 'an event with two entries is double',
    ledger: [...LEDGER, entry('65', 'sale.rejected', { ...stored('t1', first), ...DUPLICATE })],
    caught: ['A3: event e1 has entries 17 and 65'],
  },
  {
    rule: 'an entry id used twice is double',
    ledger: [...LEDGER, entry('49', 'alert.raised', { tier: 'P0' })],
    caught: ['A3: entry id 49 stands in the ledger more than once'],
  },
  {
    rule: 'a serial registered twice is double',
    journal: replacing(JOURNAL, 5, receipt('e2', '33', 'registered')),
    ledger: replacing(LEDGER, 1, entry('33', 'sale.registered', stored('t2', duplicate))),
    caught: ['A3: serial SERIAL1 is registered by entries 17 and 33'],
  },
  {
    rule: 'a duplicate must be one of a registered sale',
    journal: [sent('t2', duplicate)],
    ledger: LEDGER.slice(1),
    caught: ['A3: entry 33: serial SERIAL1 is a duplicate of nothing'],
  },
  {
    rule: 'a duplicate must name the sale that came first',
    ledger: replacing(
      LEDGER,
      1,
      entry('33', 'sale.rejected', { ...stored('t2', duplicate), ...DUPLICATE, first: { event_id: 'e3' } }),
    ),
    caught: ['A3: entry 33: first is e3, registered was e1'],
  },
  {
    rule: 'a receipt for what is not in the ledger misleads',
    journal: [...JOURNAL, receipt('e3', '65', 'registered')],
    caught: ['receipt: event e3: receipt registered, but it is not in the ledger'],
  },
  {
    rule: 'a receipt with another outcome misleads',
    journal: replacing(JOURNAL, 2, receipt('e1', '17', 'rejected')),
    caught: ['receipt: event e1: receipt says outcome rejected, ledger registered'],
  },
  {
    rule: 'a replay that names another entry misleads',
    journal: [...JOURNAL, receipt('e1', '18', 'replayed')],
    caught: ['receipt: event e1: receipt says entry 18, ledger 17'],
  },
  {
    rule: 'a rejection without its reason misleads',
    journal: replacing(JOURNAL, 5, receipt('e2', '33', 'rejected')),
    caught: ['receipt: event e2: receipt says reason null, ledger duplicate_serial'],
  },
]

test.each(rows)('$rule', async ({ journal = JOURNAL, ledger = LEDGER, caught }) => {
  const { violations } = await audit(journal, ledger)
  expect(violations.map(({ audit, message }) => `${audit}: ${message}`)).toEqual(caught)
})

test('a journal that cannot be read is no evidence', async () => {
  await expect(audit([...JOURNAL, 'PERHAPS e4'], LEDGER)).rejects.toThrow('PERHAPS e4')
})
