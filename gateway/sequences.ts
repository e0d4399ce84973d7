/**
 * Sequence numbers of a device's sales, as ranges. A terminal may number its sales, rising by one; what is missing
 * between the numbers that came is a gap: a sale that the terminal made and the hub has not heard of. Pure.
 *
 *   seen  [[1, 5], [8, 9]]   came: 1 to 5, 8 and 9
 *   gaps  [[6, 7]]           missing: 6 and 7
 *
 * The ledger's entries may be read in any order and any number of times: the ranges come out the same.
 */

/** Inclusive, rising, not touching. */
export type Ranges = [from: number, to: number][]

/**
 * Ranges kept of one device. Beyond it the oldest gap is given up, as if it had been filled: a device that numbers at
 * random must not make a document without end, and the newest gaps are those somebody can still do something about.
 */
export const RANGES_MAX = 100

/** `seen` with these numbers in it; `seen` itself when they were all in it. The numbers come in any order. */
export function addToRanges(seen: Ranges, numbers: readonly number[]): Ranges {
  const added: Ranges = numbers
    .filter((number) => !isIn(seen, number))
    .map((number): Ranges[number] => [number, number])
  if (added.length === 0) return seen
  const merged: Ranges = []
  for (const [from, to] of [...seen, ...added].sort(([a], [b]) => a - b)) {
    const last = merged.at(-1)
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else merged.push([from, to])
  }
  const surplus = merged.length - RANGES_MAX
  if (surplus <= 0) return merged
  const [oldest] = merged[0] as Ranges[number]
  const [, upTo] = merged[surplus] as Ranges[number]
  return [[oldest, upTo], ...merged.slice(surplus + 1)]
}

/** What is missing between the first and the last number seen. */
export function gapsIn(seen: Ranges): Ranges {
  return seen.slice(1).map(([from], i) => [(seen[i] as Ranges[number])[1] + 1, from - 1])
}

/** How many numbers lie in these ranges. */
export const countIn = (ranges: Ranges): number =>
  ranges.reduce((count, [from, to]) => count + to - from + 1, 0)

/** Searched from the end: nearly always the last range decides. */
function isIn(ranges: Ranges, number: number): boolean {
  const range = ranges.findLast(([from]) => from <= number)
  return range !== undefined && number <= range[1]
}
