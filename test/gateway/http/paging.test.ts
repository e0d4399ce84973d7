import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeCursor,
  decodeIndexPlace,
  encodeCursor,
  encodeIndexPlace,
  type Source,
  scan,
} from '../../../gateway/http/paging.ts'
import { Problem } from '../../../gateway/http/problem.ts'

/** Numbers from 0 up to `size`; a place is how many were passed. A page may be short without being the last. */
function countingTo(size: number, pageMax = Number.POSITIVE_INFINITY) {
  const source = {
    looked: 0,
    async read(place: number, count: number) {
      const length = Math.max(0, Math.min(count, pageMax, size - place))
      source.looked += length
      const found = Array.from({ length }, (_, i) => place + i)
      return { found, placeAfter: (taken: number) => place + taken }
    },
  } satisfies Source<number, number> & { looked: number }
  return source
}

describe('a list by cursor', () => {
  it('gives each item that is wanted once, in order, whatever the limit and the filter (property)', async () => {
    const sizes = fc.record({
      size: fc.nat(3000),
      pageMax: fc.integer({ min: 1, max: 700 }),
      limit: fc.integer({ min: 1, max: 1000 }),
      every: fc.integer({ min: 1, max: 50 }),
    })
    await fc.assert(
      fc.asyncProperty(sizes, async ({ size, pageMax, limit, every }) => {
        const source = countingTo(size, pageMax)
        const all: number[] = []
        for (let place: number | null = 0; place !== null; ) {
          const page: { items: number[]; next: number | null } = await scan(source, place, limit, (found) =>
            found.map((number) => (number % every === 0 ? number : null)),
          )
          expect(page.items.length).toBeLessThanOrEqual(limit)
          all.push(...page.items)
          place = page.next
        }
        expect(all).toEqual(Array.from({ length: Math.ceil(size / every) }, (_, i) => i * every))
      }),
    )
  })

  it('looks at no more than a bound in one request, and says where to go on', async () => {
    const source = countingTo(1_000_000)
    const { items, next } = await scan(source, 0, 100, (found) => found.map(() => null))
    expect(items).toEqual([])
    expect(next).toBe(10_000)
    expect(source.looked).toBe(10_000)
  })

  it('reads no more than is asked for when nothing is left out', async () => {
    const source = countingTo(1_000_000)
    expect((await scan(source, 0, 7, (found) => found)).next).toBe(7)
    expect(source.looked).toBe(7)
  })

  it('has ended only when nothing stands behind the cursor', async () => {
    expect(await scan(countingTo(3), 0, 100, (found) => found)).toEqual({ items: [0, 1, 2], next: 3 })
    expect(await scan(countingTo(3), 3, 100, (found) => found)).toEqual({ items: [], next: null })
  })
})

describe('a cursor', () => {
  it('comes back as it went', () => {
    for (const place of ['', '17', '1.2.~.4', 'ä:b'])
      expect(decodeCursor('a', encodeCursor('a', place))).toBe(place)
    for (const score of [1_795_334_400_123, -1_795_334_400_123, 0]) {
      const member = { score, member: 'D001/till:1' }
      expect(decodeIndexPlace('b', encodeIndexPlace('b', member))).toEqual(member)
    }
    expect(decodeIndexPlace('b', undefined)).toBeNull()
  })

  it.each(['', 'x', '!', 'null', encodeCursor('other', '1'), encodeCursor('lists', '1')])(
    'of something else is refused (%s)',
    (cursor) => {
      expect(() => decodeCursor('list', cursor)).toThrow(Problem)
      expect(() => decodeIndexPlace('list', cursor)).toThrow(Problem)
    },
  )

  it.each(['', '1', ':a', 'x:a', '-:a', '--1:a', '1:', '-1:'])(
    'to a place that is none is refused (%s)',
    (place) => {
      expect(() => decodeIndexPlace('list', encodeCursor('list', place))).toThrow(Problem)
    },
  )
})
