/**
 * Lists page by cursor: `?limit=100&after=<next of the page before>`. `next` is null when nothing stands behind the
 * cursor that was handed in. So whoever wants it all goes on until null; whoever follows a list that grows keeps the last
 * cursor and asks again with it later.
 *
 * A filter may have to look at much to find little. A request looks at SCAN_MAX items at the most, and answers with
 * what it has found and a cursor behind the last one it looked at: a short page, even an empty one, is not the end.
 */
import { z } from 'zod'
import type { Entry } from '../contract/ledger.ts'
import type { Key } from '../store/keys.ts'
import type { Member, Position, Store } from '../store/store.ts'
import { invalidParameter } from './problem.ts'

/** What one request may look at: some tens of milliseconds, in pages between which others get their turn. */
const SCAN_MAX = 10_000
const SCAN_PAGE = 500

/** Longer than any cursor: a position on Redis has sixteen numbers. */
const CURSOR_CHARACTERS_MAX = 600

export const LIMIT_MAX = 1000

/** The two parameters every list takes. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(100).describe('Items at the most'),
  after: z
    .string()
    .min(1)
    .max(CURSOR_CHARACTERS_MAX)
    .optional()
    .describe('Cursor: next of the page before; without it, from the beginning'),
}

export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({
    items: z.array(item),
    next: z
      .string()
      .nullable()
      .describe('Hand it in as after to go on, now or later; null when nothing stood behind the cursor'),
  })

/** A cursor says what list it belongs to, so that it can't be handed in for another. */
export const encodeCursor = (list: string, place: string): string =>
  Buffer.from(`${list}:${place}`).toString('base64url')

/** @throws Problem 400 when it is no cursor of that list. */
export function decodeCursor(list: string, cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString()
  if (!text.startsWith(`${list}:`)) throw invalidCursor(cursor)
  return text.slice(list.length + 1)
}

export const invalidCursor = (cursor: string) =>
  invalidParameter('after', 'next of an earlier page of this same list', cursor)

/** A list that is read from one place on. */
export interface Source<Raw, Place> {
  /** Up to `count` items behind a place; none: there are no more. `placeAfter` is behind the first so many of them. */
  read(place: Place, count: number): Promise<{ found: readonly Raw[]; placeAfter(count: number): Place }>
}

/**
 * Up to `limit` of what `keep` makes of a source's items.
 * @param keep one answer per item: null leaves it out
 * @returns `next`: behind the last item looked at, or null when there was none to look at
 */
export async function scan<Raw, Place, Item>(
  source: Source<Raw, Place>,
  from: Place,
  limit: number,
  keep: (found: readonly Raw[]) => readonly (Item | null)[] | Promise<readonly (Item | null)[]>,
): Promise<{ items: Item[]; next: Place | null }> {
  const items: Item[] = []
  let place = from
  let looked = 0
  while (items.length < limit && looked < SCAN_MAX) {
    // Until something was left out, no more is read than is wanted.
    const count = looked === items.length ? limit - items.length : Math.min(SCAN_PAGE, SCAN_MAX - looked)
    const page = await source.read(place, count)
    if (page.found.length === 0) break
    const kept = await keep(page.found)
    let taken = 0
    while (taken < kept.length && items.length < limit) {
      const item = kept[taken++]
      if (item !== null && item !== undefined) items.push(item)
    }
    place = page.placeAfter(taken)
    looked += taken
  }
  return { items, next: looked === 0 ? null : place }
}

/** The ledger, from the oldest entry on or from the newest back. */
export const entrySource = (
  store: Pick<Store, 'entriesAfter' | 'entriesBefore'>,
  order: 'asc' | 'desc',
): Source<Entry, Position> => ({
  async read(position, count) {
    const page =
      order === 'asc'
        ? await store.entriesAfter('ledger', position, count)
        : await store.entriesBefore('ledger', position, count)
    return { found: page.entries, placeAfter: page.positionAfter }
  },
})

/** A member of an index that a page ended with. */
export type IndexPlace = Pick<Member, 'score' | 'member'> | null

/** Members of these indexes together. */
export const indexSource = (
  store: Pick<Store, 'range'>,
  names: readonly Key[],
): Source<Member, IndexPlace> => ({
  async read(place, limit) {
    const found = await store.range(names, { limit, ...(place && { after: place }) })
    return { found, placeAfter: (count) => found[count - 1] ?? place }
  },
})

export const encodeIndexPlace = (list: string, { score, member }: NonNullable<IndexPlace>): string =>
  encodeCursor(list, `${score}:${member}`)

export function decodeIndexPlace(list: string, cursor: string | undefined): IndexPlace {
  if (cursor === undefined) return null
  const [, score, member] = /^(-?\d+):(.+)$/s.exec(decodeCursor(list, cursor)) ?? []
  if (score === undefined || member === undefined) throw invalidCursor(cursor)
  return { score: Number(score), member }
}
