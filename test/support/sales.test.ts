import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sale } from '../../gateway/contract/events.ts'
import { saleSource } from './sales.ts'

const SERIAL_PATTERN = /^[A-Z0-9]{6,32}$/
const seeds = fc.nat({ max: 2 ** 32 - 1 })

function sales(seed: number, count: number) {
  const next = saleSource(seed)
  return Array.from({ length: count }, () => next())
}

test('every sale is valid, and its event id and serial are its own', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const made = sales(seed, 200)
      for (const one of made) {
        expect(sale.parse(one)).toEqual(one)
        expect(one.serial).toMatch(SERIAL_PATTERN)
      }
      expect(new Set(made.map(({ event_id }) => event_id)).size).toBe(made.length)
      expect(new Set(made.map(({ serial }) => serial)).size).toBe(made.length)
    }),
    { numRuns: 20 },
  )
})

test('the same seed gives the same sales, another seed none of them', () => {
  fc.assert(
    fc.property(seeds, seeds, (one, other) => {
      fc.pre(one !== other)
      expect(sales(one, 20)).toEqual(sales(one, 20))
      const ids = new Set(sales(one, 20).map(({ event_id }) => event_id))
      expect(sales(other, 20).filter(({ event_id }) => ids.has(event_id))).toEqual([])
    }),
  )
})

test('what is given stands in the sale', () => {
  expect(saleSource(1)({ serial: 'GIVEN01', seq: 7 })).toMatchObject({ serial: 'GIVEN01', seq: 7 })
})
