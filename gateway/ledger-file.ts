/**
 * The ledger as a whole: read from its beginning, followed at its end, and checked. What is checked:
 *
 *   numbers   1, 2, 3 … in every lane: a missing one is a missing entry
 *   chain     every entry's link is made of the one before, its instant and its body: an edited entry breaks it
 *   heads     the store remembers each lane's newest entry apart from the lane: one cut short is noticed
 *   instants  rising in a lane. A clock that was set back is no fault of the ledger: told, not held against it
 */
import { createHash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { type Entry, entryId, LANES } from './contract/ledger.ts'
import { type Head, type Position, START, type Store } from './store/store.ts'

const PAGE_ENTRIES = 1000
/** Between two looks at the ledger's end. */
const FOLLOW_MS = 250
/** Violations told in full; of the others only how many there are. */
export const VIOLATIONS_MAX = 100

type LedgerStore = Pick<Store, 'entriesAfter' | 'entriesBefore' | 'end' | 'heads'>

/** An entry as `hub ledger export` prints it. */
export const ledgerLine = ({ entry, at, type, data }: Entry): string =>
  `${JSON.stringify({ entry, at, type, data })}\n`

/**
 * Every entry that was there when the reading began, page by page: in order within a lane, by instant across lanes.
 * So a ledger that grows faster than it is read still comes to an end.
 */
export async function* readLedger(store: LedgerStore): AsyncGenerator<Entry[]> {
  const ends = numbersByLane(await store.heads('ledger'))
  for await (const entries of pagesUpTo(store, ends)) {
    yield entries.filter(({ lane, number }) => number <= (ends[lane] as number))
  }
}

/**
 * The last `newest` entries, oldest first, then what comes, until `signal` is aborted.
 * @throws what the store throws: a follower may begin again
 */
export async function* followLedger(
  store: LedgerStore,
  { newest, signal }: { newest: number; signal: AbortSignal },
): AsyncGenerator<Entry[]> {
  let position = await store.end('ledger')
  const last = newest === 0 ? [] : (await store.entriesBefore('ledger', START, newest)).entries
  yield last.toReversed()
  // Committed between the two questions: they come once more.
  const told = new Set(last.map(({ entry }) => entry))
  while (!signal.aborted) {
    const page = await store.entriesAfter('ledger', position, PAGE_ENTRIES)
    position = page.position
    if (page.entries.length > 0) yield page.entries.filter(({ entry }) => !told.has(entry))
    else await wait(FOLLOW_MS, undefined, { signal }).catch(() => {})
  }
}

export interface LedgerReport {
  readonly entries: number
  /** Lanes that hold entries. */
  readonly lanes: number
  /** Instants of the oldest and newest entry, ISO 8601; null when there is none. */
  readonly from: string | null
  readonly to: string | null
  /** The first VIOLATIONS_MAX, in whole sentences. */
  readonly violations: readonly string[]
  readonly violationsTotal: number
  /** Entries that are older than the one before them in their lane. */
  readonly clockSetBack: number
}

/** Checks every entry that was there when the checking began. @throws when the store is away. */
export async function verifyLedger(
  store: LedgerStore,
  onProgress: (entries: number) => void = () => {},
): Promise<LedgerReport> {
  const violations: string[] = []
  let violationsTotal = 0
  const violation = (text: string): void => {
    violationsTotal++
    if (violations.length < VIOLATIONS_MAX) violations.push(text)
  }
  const heads = await store.heads('ledger')
  const ends = numbersByLane(heads)
  const chains = new Map(heads.map(({ lane, chain }) => [lane, chain]))
  const lanes: (Entry | undefined)[] = new Array(LANES).fill(undefined)
  let entries = 0
  let clockSetBack = 0
  let from: string | null = null
  let to: string | null = null

  function check(entry: Entry): void {
    const before = lanes[entry.lane]
    lanes[entry.lane] = entry
    entries++
    if (from === null || entry.at < from) from = entry.at
    if (to === null || entry.at > to) to = entry.at
    if (before !== undefined && entry.at < before.at) clockSetBack++
    const expected = (before?.number ?? 0) + 1
    if (entry.number !== expected) violation(missing(entry.lane, expected, entry.number - 1))
    else if (entry.chain !== linkOf(before?.chain ?? '', entry)) {
      violation(
        `${nameOf(entry)} was altered: its link does not follow from its content and the entry before it`,
      )
    }
    if (entry.number === ends[entry.lane] && entry.chain !== chains.get(entry.lane)) {
      violation(`${nameOf(entry)} is not the one that the store remembers as the newest of its lane`)
    }
  }

  try {
    for await (const page of pagesUpTo(store, ends)) {
      for (const entry of page) if (entry.number <= (ends[entry.lane] as number)) check(entry)
      onProgress(entries)
    }
    for (const { lane, number } of heads) {
      const last = lanes[lane]?.number ?? 0
      if (last < number) violation(missing(lane, last + 1, number))
    }
  } catch (error) {
    // What a body that is no JSON, or an instant that is none, makes of reading; a store that is away throws otherwise.
    if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error
    const reached = lanes.flatMap((entry) => (entry === undefined ? [] : [nameOf(entry)]))
    violation(
      `an entry can't be read (${error.message}); read up to ${reached.join(', ') || 'the first one'}`,
    )
  }
  return {
    entries,
    lanes: lanes.filter((entry) => entry !== undefined).length,
    from,
    to,
    violations,
    violationsTotal,
    clockSetBack,
  }
}

/** Pages of entries until each lane has reached its end, or nothing is left. */
async function* pagesUpTo(store: LedgerStore, ends: readonly number[]): AsyncGenerator<Entry[]> {
  const open = new Set(ends.keys().filter((lane) => (ends[lane] as number) > 0))
  let position: Position = START
  while (open.size > 0) {
    const page = await store.entriesAfter('ledger', position, PAGE_ENTRIES)
    if (page.entries.length === 0) return
    for (const { lane, number } of page.entries) if (number >= (ends[lane] as number)) open.delete(lane)
    position = page.position
    yield page.entries
  }
}

function numbersByLane(heads: readonly Head[]): number[] {
  const numbers: number[] = new Array(LANES).fill(0)
  for (const { lane, number } of heads) numbers[lane] = number
  return numbers
}

/** As the drivers make it (`contract/ledger.ts`, «chain»). */
const linkOf = (chain: string, { at, type, data }: Entry): string =>
  createHash('sha1')
    .update(`${chain} ${Date.parse(at)} ${JSON.stringify({ type, data })}`)
    .digest('hex')

const nameOf = ({ entry, lane, number }: Entry): string => `entry ${entry} (number ${number} of lane ${lane})`

const missing = (lane: number, from: number, to: number): string =>
  from === to
    ? `entry ${entryId(lane, from)} (number ${from} of lane ${lane}) is missing`
    : `entries ${entryId(lane, from)} to ${entryId(lane, to)} (numbers ${from} to ${to} of lane ${lane}) are missing`
