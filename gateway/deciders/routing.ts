/**
 * Who is asked: the three nearest dealers that are able, by great-circle distance. A dealer is passed over, each time
 * with its reason in the ledger, when
 *
 *   asked_before   it had this lead in an earlier ring
 *   holiday        it is closed all day: a weekday or a date in its column `closed_on` (`sun;2026-12-25`)
 *   closed         it is outside its trading hours, hub time zone
 *   no_rep         none of its reps is on shift
 *   quota          it has won as many leads today as it can serve
 *
 * Ties. Distances are compared to the nearest 100 m. Dealers as near as each other are ordered by a lot drawn from the
 * lead's id, so that over many leads none of them is preferred.
 *
 * Pure, and asked twice: documents it still needs are named, and when they were read it is asked again.
 */
import { hash } from 'node:crypto'
import type { SkipReason } from '../contract/leads.ts'
import type { Directory } from '../directory.ts'
import type { DealerRow, RepRow } from '../documents.ts'
import { type ShiftsDoc, shardOfLead, shiftsKey, type WonDoc, wonKey } from '../race-documents.ts'
import { type Key, SHARDS } from '../store/keys.ts'
import type { Docs, Keys, Moment } from './decision.ts'
import { dayOf } from './sale.ts'

/** Dealers in one ring. */
export const RING_DEALERS = 3
/** Dealers looked at for one ring; whoever is farther away is not asked. */
const CANDIDATES_MAX = 100
/**
 * Dealers whose documents are read together: three that are able are nearly always among them. If not, twice as many as
 * were read so far, so that even a hundred take four turns: the intake follows documents eight times at most.
 */
const READ_TOGETHER = 6
/** Days looked ahead for the next opening. */
const DAYS_AHEAD = 14

export interface Chosen {
  readonly dealer: DealerRow
  readonly distanceKm: number
  /** On shift; never empty. */
  readonly reps: readonly RepRow[]
}

export interface Skipped {
  readonly dealer: string
  readonly distance_km: number
  readonly reason: SkipReason
}

export interface Route {
  /** By distance, at most RING_DEALERS. */
  readonly chosen: readonly Chosen[]
  /** Nearer than the last one chosen. */
  readonly skipped: readonly Skipped[]
  /** When the first of those that are closed opens, ms; null: none is closed. */
  readonly opensAtMs: number | null
}

export interface RouteRequest {
  readonly lead: string
  readonly place: { readonly lat: number; readonly lon: number }
  /** Dealers that had it before. */
  readonly askedBefore: ReadonlySet<string>
}

/** What `route` reads, by the names it gives them in `docs`. */
const shiftsName = (dealer: string): string => `shifts ${dealer}`
const wonName = (dealer: string, shard: number): string => `won ${dealer} ${shard}`

/**
 * @returns `wants`: all documents it looks at, read or not; `route`: null as long as some of them were not read
 */
export function route(
  { lead, place, askedBefore }: RouteRequest,
  docs: Docs<string>,
  { directory, nowMs, timezone }: Moment,
): { readonly wants: Keys<string>; readonly route: Route | null } {
  const today = dayOf(new Date(nowMs).toISOString(), timezone)
  const chosen: Chosen[] = []
  const skipped: Skipped[] = []
  const wants: Record<string, Key> = {}
  let opensAtMs: number | null = null
  let read = 0
  let unread = 0
  for (const { dealer, distanceKm } of byDistance(directory, place, lead)) {
    if (chosen.length === RING_DEALERS || unread === Math.max(READ_TOGETHER, 2 * read)) break
    const id = dealer.dealer_id
    const skip = (reason: SkipReason) =>
      skipped.push({ dealer: id, distance_km: roundKm(distanceKm), reason })
    if (askedBefore.has(id)) {
      skip('asked_before')
      continue
    }
    const closed = whyClosed(dealer, nowMs, timezone)
    if (closed !== null) {
      skip(closed)
      const opens = nextOpening(dealer, nowMs, timezone)
      if (opens !== null && (opensAtMs === null || opens < opensAtMs)) opensAtMs = opens
      continue
    }
    const wanted = documentsOf(dealer, today)
    Object.assign(wants, wanted)
    if (Object.keys(wanted).some((name) => !(name in docs))) {
      unread++
      continue
    }
    read++
    const shifts = docs[shiftsName(id)]?.value as ShiftsDoc | undefined
    const reps = directory.repsOf(id).filter(({ rep_id }) => shifts?.[rep_id]?.on_shift !== false)
    if (reps.length === 0) skip('no_rep')
    else if (isFull(dealer, docs)) skip('quota')
    else chosen.push({ dealer, distanceKm, reps })
  }
  return { wants, route: unread > 0 ? null : { chosen, skipped, opensAtMs } }
}

export const roundKm = (km: number): number => Math.round(km * 10) / 10

function byDistance(directory: Directory, { lat, lon }: { lat: number; lon: number }, lead: string) {
  return directory
    .nearest(lat, lon, CANDIDATES_MAX)
    .map((near) => ({ ...near, km: roundKm(near.distanceKm), lot: lot(lead, near.dealer.dealer_id) }))
    .sort((a, b) => a.km - b.km || (a.lot < b.lot ? -1 : 1))
}

const lot = (lead: string, dealer: string): string => hash('sha256', `${lead}/${dealer}`, 'hex')

function documentsOf({ dealer_id, daily_quota }: DealerRow, day: string): Keys<string> {
  const keys: Record<string, Key> = { [shiftsName(dealer_id)]: shiftsKey(dealer_id) }
  if (daily_quota === null) return keys
  for (const shard of SHARDS) keys[wonName(dealer_id, shard)] = wonKey(shard, dealer_id, day)
  return keys
}

/** What a dealer wins is counted in the shard of each lead: a claim and its count are one proposal. */
function isFull({ dealer_id, daily_quota }: DealerRow, docs: Docs<string>): boolean {
  if (daily_quota === null) return false
  const counts = SHARDS.map((shard) => docs[wonName(dealer_id, shard)]?.value as WonDoc | undefined)
  return counts.reduce((sum, doc) => sum + (doc?.count ?? 0), 0) >= daily_quota
}

/** The document that counts a lead won by this dealer now, or null when nobody counts. */
export function wonKeyOf(lead: string, dealer: string, { directory, nowMs, timezone }: Moment): Key | null {
  const quota = directory.dealer(dealer)?.daily_quota ?? null
  const day = dayOf(new Date(nowMs).toISOString(), timezone)
  return quota === null ? null : wonKey(shardOfLead(lead), dealer, day)
}

// — trading hours —

const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

/** Null: it is open. */
export function whyClosed(dealer: DealerRow, nowMs: number, timezone: string): 'closed' | 'holiday' | null {
  const now = Temporal.Instant.fromEpochMilliseconds(nowMs).toZonedDateTimeISO(timezone)
  const minute = now.hour * 60 + now.minute
  const [opens, closes] = [minutes(dealer.opens), minutes(dealer.closes)]
  // After midnight the shop that opened yesterday may still be open.
  const isNight = closes <= opens
  const isLate = isNight && minute < closes
  const day = isLate ? now.subtract({ days: 1 }) : now
  if (isHoliday(dealer, day.toPlainDate())) return 'holiday'
  const isOpen = isNight ? isLate || minute >= opens : minute >= opens && minute < closes
  return isOpen ? null : 'closed'
}

function isHoliday({ attributes }: DealerRow, day: Temporal.PlainDate): boolean {
  const closedOn = (attributes?.closed_on ?? '').toLowerCase().split(/[;,\s]+/)
  return closedOn.includes(WEEKDAYS[day.dayOfWeek % 7] as string) || closedOn.includes(day.toString())
}

function nextOpening(dealer: DealerRow, nowMs: number, timezone: string): number | null {
  const today = Temporal.Instant.fromEpochMilliseconds(nowMs).toZonedDateTimeISO(timezone).toPlainDate()
  for (let ahead = 0; ahead <= DAYS_AHEAD; ahead++) {
    const day = today.add({ days: ahead })
    if (isHoliday(dealer, day)) continue
    const opening = day.toZonedDateTime({ timeZone: timezone }).add({ minutes: minutes(dealer.opens) })
    if (opening.epochMilliseconds > nowMs) return opening.epochMilliseconds
  }
  return null
}

function minutes(time: string): number {
  const [hour = 0, minute = 0] = time.split(':').map(Number)
  return hour * 60 + minute
}
