/**
 * A stream is kept in lanes; a reader walks them side by side. Its position is the number it has reached in each lane,
 * joined by dots (`~`: a backward reader that has not begun there). Shared by the drivers, so that a position means the same
 * to both.
 */
import { type Entry, entryId, LANES } from '../contract/ledger.ts'
import { instantOf } from './instant.ts'
import { type EntriesPage, type Head, type Position, START } from './store.ts'

/** An entry as a driver keeps it. */
export interface LaneRow {
  readonly lane: number
  readonly number: number
  readonly atMs: number
  readonly body: string
  readonly chain: string
}

export interface Walk {
  /** By lane: only entries beyond these numbers. */
  readonly numbers: readonly number[]
  /** Entries to read of each lane. */
  readonly perLane: number
  readonly newestFirst: boolean
}

/** @throws RangeError when it is no position. */
export function walkFrom(position: Position, limit: number, newestFirst: boolean): Walk {
  return {
    numbers: parsePosition(position, newestFirst ? Number.POSITIVE_INFINITY : 0),
    // The newest few may all stand in one lane; a walk from the start takes its share of each.
    perLane: newestFirst ? limit : Math.ceil(limit / LANES),
    newestFirst,
  }
}

/** What the lanes gave, as one page: by instant across lanes, never out of order within one, at most `limit`. */
export function pageOf(
  lanes: readonly (readonly LaneRow[])[],
  walk: Walk,
  position: Position,
  limit: number,
): EntriesPage {
  const rows = merge(lanes, limit, walk.newestFirst)
  const positionAfter = (count: number): Position => {
    if (count === 0) return position
    const numbers = [...walk.numbers]
    for (let i = 0; i < count; i++) {
      const { lane, number } = rows[i] as LaneRow
      numbers[lane] = number
    }
    return formatPosition(numbers)
  }
  return { entries: rows.map(entryOfRow), position: positionAfter(rows.length), positionAfter }
}

export function entryOfRow({ lane, number, atMs, body, chain }: LaneRow): Entry {
  const { type, data } = JSON.parse(body) as { type: string; data: Record<string, unknown> }
  return { entry: entryId(lane, number), lane, number, at: instantOf(atMs), type, data, chain }
}

/** The position after these newest entries. */
export function endOf(heads: readonly Head[]): Position {
  const numbers: number[] = new Array(LANES).fill(0)
  for (const { lane, number } of heads) numbers[lane] = number
  return formatPosition(numbers)
}

function merge(lanes: readonly (readonly LaneRow[])[], limit: number, newestFirst: boolean): LaneRow[] {
  const merged: LaneRow[] = []
  const next = lanes.map(() => 0)
  while (merged.length < limit) {
    let best = -1
    let bestAtMs = 0
    for (let i = 0; i < lanes.length; i++) {
      const row = lanes[i]?.[next[i] as number]
      if (row === undefined) continue
      if (best === -1 || (newestFirst ? row.atMs > bestAtMs : row.atMs < bestAtMs)) {
        best = i
        bestAtMs = row.atMs
      }
    }
    if (best === -1) break
    merged.push(lanes[best]?.[next[best] as number] as LaneRow)
    next[best] = (next[best] as number) + 1
  }
  return merged
}

function parsePosition(position: Position, start: number): number[] {
  if (position === START) return new Array(LANES).fill(start)
  const numbers = position
    .split('.')
    .map((part) => (part === '~' ? Number.POSITIVE_INFINITY : /^\d{1,15}$/.test(part) ? Number(part) : -1))
  if (numbers.length !== LANES || numbers.includes(-1)) throw new RangeError(`not a position: ${position}`)
  return numbers
}

const formatPosition = (numbers: readonly number[]): Position =>
  numbers.map((number) => (number === Number.POSITIVE_INFINITY ? '~' : number)).join('.')
