/**
 * The metrics port: what the projector writes to and figures are read from. `influx.ts` and `sqlite.ts` are its
 * drivers; `test/contracts/metrics.ts` is what both must do. What is kept is described in `measurements.ts`.
 *
 *   totals      the one question: sums over a range of business days, by any tags, filtered by any tags; as they are
 *               known now, or as they were known at an instant
 *   entriesBehind   which ledger entries a figure is made of
 *   checkpoint  how far the projection has come, kept in the metrics database itself: one that was dropped, replaced
 *               or restored from a backup says by itself what it lacks
 *   generation  rises with each reset, so that a hub which still writes does not undo another's reset
 */
import type { Stream } from '../gateway/contract/ledger.ts'
import type { DayRange } from './business-days.ts'
import { designOf, type Measurement, type Point, type SumOf, type TagOf } from './measurements.ts'

/** An entry that was projected, and the link of its chain: the same id with another link is another ledger. */
export interface Anchor {
  readonly entry: string
  readonly chain: string
}

export interface Checkpoint {
  readonly generation: number
  /** `DESIGN` of the points written so far. */
  readonly design: number
  /** Where to go on in each stream; '' is the start. */
  readonly positions: Readonly<Record<Stream, string>>
  /** The first ledger entry projected, and the last one of each lane (by lane number). */
  readonly first: Anchor | null
  readonly heads: Readonly<Record<string, Anchor>>
}

/** Of a metrics database in which nothing was written yet. */
export const EMPTY: Checkpoint = {
  generation: 0,
  design: 0,
  positions: { ledger: '', telemetry: '' },
  first: null,
  heads: {},
}

export interface Question<M extends Measurement, By extends string> extends DayRange {
  readonly measurement: M
  /** `day`, `month` and tags; empty for one total. */
  readonly by: readonly By[]
  /** Only points whose tag has this value, or one of these. */
  readonly where?: Readonly<Partial<Record<TagOf<M>, string | readonly string[]>>>
  /** Only what the ledger knew by then: committed at or before this instant, ms. Of the ledger's measurements. */
  readonly knownAt?: number | undefined
  /** Only what the ledger came to know later: committed after this instant, ms. Of the ledger's measurements. */
  readonly knownAfter?: number | undefined
}

export interface EntriesBehind {
  /** Ids, by the time of their points, oldest first. */
  readonly entries: readonly string[]
  /** False: there are more. */
  readonly isComplete: boolean
}

export interface Total<M extends Measurement, By extends string> {
  /** `day` as `YYYY-MM-DD`, `month` as `YYYY-MM`; tags as kept, `none` where there is none. */
  readonly by: Readonly<Record<By, string>>
  readonly sums: Readonly<Record<SumOf<M>, number>>
}

export interface Metrics {
  /** How far the projection has come, a pending `reset` carried out first. Only the one projector at work calls it. */
  checkpoint(): Promise<Checkpoint>
  /**
   * Keeps the points, then the checkpoint. The same points again change nothing. When it rejects, any part may have
   * been kept: go on from `checkpoint()`.
   */
  write(points: readonly Point[], checkpoint: Checkpoint): Promise<void>
  /**
   * Has everything that came from the ledger forgotten: the next `checkpoint()` is empty. What came from telemetry
   * stays, since that stream is trimmed and could not give it again. Any process may call it at any time.
   */
  reset(): Promise<void>
  /**
   * Sums by group, sorted by the groups' values in the order of `by`; groups in which nothing stands are left out.
   * @throws RangeError for an unknown tag, no day, or a sum that is too large to be exact
   */
  totals<M extends Measurement, By extends 'day' | 'month' | TagOf<M>>(
    question: Question<M, By>,
  ): Promise<Total<M, By>[]>
  /**
   * The ledger entries of the first `limit` points that such a question sums up (`by` does not matter).
   * @throws RangeError as `totals` does
   */
  entriesBehind<M extends Measurement>(question: Question<M, never>, limit: number): Promise<EntriesBehind>
  /** Answers when the database does; rejects with what is wrong. */
  ping(): Promise<void>
  close(): Promise<void>
}

/** The metrics database is away or refuses; try again. */
export class MetricsError extends Error {
  /** How long it asked to be left alone, or null. */
  readonly retryAfterMs: number | null
  constructor(
    message: string,
    { cause, retryAfterMs = null }: { cause?: unknown; retryAfterMs?: number | null } = {},
  ) {
    super(message, { cause })
    this.name = 'MetricsError'
    this.retryAfterMs = retryAfterMs
  }
}

// — for the drivers —

/** @throws RangeError for names that the measurement does not have: they become part of a query. */
export function checkQuestion(question: Question<Measurement, string>): void {
  const { measurement, by, where = {}, knownAt, knownAfter } = question
  const { tags, stream } = designOf(measurement)
  const isTime = (name: string) => name === 'day' || name === 'month'
  for (const name of [...by.filter((name) => !isTime(name)), ...Object.keys(where)]) {
    if (!tags.includes(name)) {
      throw new RangeError(`${measurement} has no tag ${name}; it has ${tags.join(', ')}`)
    }
  }
  for (const instant of [knownAt, knownAfter]) {
    if (instant === undefined) continue
    if (stream !== 'ledger') throw new RangeError(`${measurement} is not kept as it was known at an instant`)
    if (!Number.isSafeInteger(instant)) throw new RangeError(`${instant} is no instant in milliseconds`)
  }
}

/** Points looked at for `entriesBehind`, one more than wanted, as its answer. */
export const entriesOf = (found: readonly string[], limit: number): EntriesBehind => ({
  entries: [...new Set(found.slice(0, limit))],
  isComplete: found.length <= limit,
})

/** Conditions on tags: all must hold, each by one of its values. */
export const conditionsOf = ({ where = {} }: Question<Measurement, string>): [string, readonly string[]][] =>
  Object.entries(where).map(([tag, value]) => [tag, typeof value === 'string' ? [value] : value])

export interface Group {
  readonly by: Readonly<Record<string, string>>
  readonly sums: Readonly<Record<string, number>>
}

/** Groups of one question's spans as its answer: a day that lies in two spans is one day. */
export function answer<M extends Measurement, By extends string>(
  { by }: Question<M, By>,
  groups: readonly Group[],
): Total<M, By>[] {
  const totals = new Map<string, { by: Group['by']; sums: Record<string, number> }>()
  for (const group of groups) {
    const key = JSON.stringify(by.map((name) => group.by[name]))
    const total = totals.get(key)
    if (total === undefined) {
      totals.set(key, { by: group.by, sums: { ...group.sums } })
      continue
    }
    for (const [name, sum] of Object.entries(group.sums)) total.sums[name] = (total.sums[name] ?? 0) + sum
  }
  const standing = [...totals.values()].filter(({ sums }) => Object.values(sums).some((sum) => sum !== 0))
  const sorted = standing.sort((a, b) => {
    const name = by.find((candidate) => a.by[candidate] !== b.by[candidate])
    return name === undefined ? 0 : (a.by[name] as string) < (b.by[name] as string) ? -1 : 1
  })
  for (const { sums } of sorted) {
    for (const [name, sum] of Object.entries(sums)) {
      if (!Number.isSafeInteger(sum)) throw new RangeError(`the sum of ${name} is too large to be exact`)
    }
  }
  return sorted as Total<M, By>[]
}
