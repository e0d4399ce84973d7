import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addToRanges, countIn, gapsIn, RANGES_MAX, type Ranges } from '../../gateway/sequences.ts'

const addAll = (batches: readonly (readonly number[])[]): Ranges =>
  batches.reduce<Ranges>((seen, batch) => addToRanges(seen, batch), [])

describe('sequence numbers seen', () => {
  it.each<[string, number[][], Ranges, Ranges]>([
    ['numbers in order make one range', [[1, 2, 3], [4]], [[1, 4]], []],
    ['a device may begin at any number', [[17]], [[17, 17]], []],
    [
      'what did not come is a gap',
      [[1, 2, 5]],
      [
        [1, 2],
        [5, 5],
      ],
      [[3, 4]],
    ],
    ['a late number closes its gap', [[1, 2], [4], [3]], [[1, 4]], []],
    [
      'a late number splits a longer gap',
      [[1, 5], [3]],
      [
        [1, 1],
        [3, 3],
        [5, 5],
      ],
      [
        [2, 2],
        [4, 4],
      ],
    ],
    ['a number that came before changes nothing', [[1, 2, 3], [2, 2], [1]], [[1, 3]], []],
    ['zero is a number', [[0, 1]], [[0, 1]], []],
    [
      'the largest number is a number',
      [[Number.MAX_SAFE_INTEGER]],
      [[Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]],
      [],
    ],
  ])('%s', (_, batches, seen, gaps) => {
    const found = addAll(batches)
    expect(found).toEqual(seen)
    expect(gapsIn(found)).toEqual(gaps)
  })

  it('come out the same in any order, in any batches, however often they come (property)', () => {
    const numbers = fc.array(fc.nat(150), { minLength: 1, maxLength: 120 })
    fc.assert(
      fc.property(
        numbers,
        fc.infiniteStream(fc.nat()),
        fc.integer({ min: 1, max: 20 }),
        (first, dice, size) => {
          const again = [...first, ...first.filter(() => (dice.next().value as number) % 3 === 0)]
          const shuffled = again
            .map((number) => ({ number, rank: dice.next().value as number }))
            .sort((a, b) => a.rank - b.rank)
            .map(({ number }) => number)
          const batches: number[][] = []
          for (let at = 0; at < shuffled.length; at += size) batches.push(shuffled.slice(at, at + size))

          const seen = addAll(batches)
          expect(seen).toEqual(addToRanges([], first))

          const held = new Set(first)
          expect(countIn(seen)).toBe(held.size)
          const missing = gapsIn(seen).flatMap(([from, to]) =>
            Array.from({ length: to - from + 1 }, (_, i) => from + i),
          )
          const [lowest, highest] = [Math.min(...first), Math.max(...first)]
          const expected = Array.from({ length: highest - lowest + 1 }, (_, i) => lowest + i)
          expect(missing).toEqual(expected.filter((number) => !held.has(number)))
        },
      ),
    )
  })

  it('are the very same object when nothing was new, so that nothing need be written', () => {
    const seen: Ranges = [
      [1, 4],
      [6, 9],
    ]
    expect(addToRanges(seen, [1, 4, 7])).toBe(seen)
    expect(seen).toEqual([
      [1, 4],
      [6, 9],
    ])
  })

  it('are bounded: the oldest gaps are given up first, and never is a number called missing that came', () => {
    const every2nd = Array.from({ length: RANGES_MAX + 5 }, (_, i) => i * 2)
    const seen = addToRanges([], every2nd)
    expect(seen).toHaveLength(RANGES_MAX)
    expect(seen[0]).toEqual([0, 10])
    expect(gapsIn(seen)[0]).toEqual([11, 11])
    expect(addToRanges(seen, [1, 3]), 'a number of a gap that was given up').toBe(seen)
  })
})
