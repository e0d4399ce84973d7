/**
 * A race as it was run: every step of a lead, out of the ledger and in its order, with how long after the offer it came
 * and, of each tap, its place in the order of taps and how far it was behind the winner.
 *
 * All entries of a lead stand in one lane, so their numbers are their order, and their instants come from one clock, the
 * store's. `leadEntriesIndex` names the first entry of each proposal about the lead; the others of that proposal follow
 * it in the lane, with the same instant.
 */
import type { LeadEntry } from './contract/leads.ts'
import { type Entry, entryId, parseEntryId } from './contract/ledger.ts'
import { offeredAt } from './deciders/lead.ts'
import type { Directory } from './directory.ts'
import { claimKey, isLeadId, type LeadDoc, leadEntriesIndex, leadKey } from './race-documents.ts'
import type { Doc, Store } from './store/store.ts'

/** Entries that one proposal appends: what a customer said, then what became of the lead. */
const PROPOSAL_ENTRIES_MAX = 8
const PAGE_PROPOSALS = 100

export interface Race {
  readonly lead: LeadDoc
  readonly outcome: LeadOutcome
  readonly steps: readonly Step[]
  /** Whether `steps` are all there are. */
  readonly isComplete: boolean
}

/** One entry about the lead. */
export interface Step {
  readonly entry: string
  /** ISO 8601, UTC, store clock. */
  readonly at: string
  readonly type: string
  /** Since the newest offer before it; null: nothing was offered yet. */
  readonly since_offer_ms: number | null
  readonly dealer: string | null
  readonly dealer_name: string | null
  readonly rep: string | null
  readonly rep_name: string | null
  readonly tap: TapPlace | null
  readonly data: Readonly<Record<string, unknown>>
}

/** Of a tap on an offer. */
export interface TapPlace {
  /** 1, 2, 3 … within its round, refused ones included. */
  readonly order: number
  /** Behind the tap that won the round; null: nobody had won it. */
  readonly margin_ms: number | null
}

/** Where a lead ended up so far. */
export interface LeadOutcome {
  /** Who holds it, or held it when it was won or lost; null: nobody. */
  readonly dealer: string | null
  readonly rep: string | null
  /** As the directory had it when they claimed. */
  readonly rep_name: string | null
  /** ISO 8601, store clock: when the newest ring was asked. */
  readonly offered_at: string | null
  readonly claimed_at: string | null
  readonly time_to_claim_s: number | null
  readonly sale_status: SaleStatus
}

export const SALE_STATUSES = ['open', 'won', 'sold', 'lost', 'expired'] as const
/** `won`: says the rep; `sold`: a vehicle's sale was registered for it. */
export type SaleStatus = (typeof SALE_STATUSES)[number]

/**
 * @param entriesMax how many entries are read at the most, about
 * @returns null when there is no such lead
 */
export async function readRace(
  store: Pick<Store, 'read' | 'range' | 'entry'>,
  directory: Directory,
  id: string,
  entriesMax: number,
): Promise<Race | null> {
  if (!isLeadId(id)) return null
  const [doc] = await store.read([leadKey(id)])
  if (doc == null) return null
  const lead = doc.value as LeadDoc
  const [claim = null] = await store.read([claimKey(id, lead.round)])
  const { entries, isComplete } = await readEntries(store, id, entriesMax)
  return { lead, outcome: leadOutcome(doc, claim), steps: stepsOf(entries, directory), isComplete }
}

/** @param claim the lock of the lead's current round */
export function leadOutcome(doc: Doc, claim: Doc | null): LeadOutcome {
  const lead = doc.value as LeadDoc
  const holder = lead.claims[lead.round - 1] ?? null
  const offered_at = lead.offers.length === 0 ? null : offeredAt(doc)
  const isClaimed = holder !== null && claim !== null
  return {
    dealer: holder?.dealer ?? null,
    rep: holder?.rep ?? null,
    rep_name: holder?.name ?? null,
    offered_at,
    claimed_at: isClaimed ? new Date(claim.atMs).toISOString() : null,
    time_to_claim_s: isClaimed && offered_at !== null ? secondsBetween(offered_at, claim.atMs) : null,
    sale_status: saleStatusOf(lead),
  }
}

/** Seconds to the millisecond. */
export const secondsBetween = (from: string, toMs: number): number => (toMs - Date.parse(from)) / 1000

function saleStatusOf({ serial, state }: LeadDoc): SaleStatus {
  if (serial !== null) return 'sold'
  if (state === 'WON') return 'won'
  if (state === 'LOST') return 'lost'
  return state === 'EXPIRED' ? 'expired' : 'open'
}

/** What became of the claim that won a round. */
export const claimOutcome = (lead: LeadDoc, round: number): LeadDoc['state'] | 'RELEASED' =>
  lead.round === round ? lead.state : 'RELEASED'

// — entries —

async function readEntries(
  store: Pick<Store, 'range' | 'entry'>,
  lead: string,
  entriesMax: number,
): Promise<{ entries: Entry[]; isComplete: boolean }> {
  const found = new Map<number, Entry>()
  let after: { score: number; member: string } | undefined
  let isComplete = false
  while (found.size < entriesMax) {
    const page = await store.range([leadEntriesIndex(lead)], {
      limit: PAGE_PROPOSALS,
      ...(after && { after }),
    })
    const proposals = await Promise.all(page.map(({ member }) => readProposal(store, lead, member)))
    for (const entry of proposals.flat()) found.set(entry.number, entry)
    after = page.at(-1)
    isComplete = page.length < PAGE_PROPOSALS
    if (isComplete) break
  }
  return { entries: [...found.values()].sort((a, b) => a.number - b.number), isComplete }
}

async function readProposal(store: Pick<Store, 'entry'>, lead: string, first: string): Promise<Entry[]> {
  const place = parseEntryId(first)
  if (place === null) return []
  const entries: Entry[] = []
  let at: string | null = null
  for (let n = 0; n < PROPOSAL_ENTRIES_MAX; n++) {
    const entry = await store.entry('ledger', entryId(place.lane, place.number + n))
    if (entry === null || (at !== null && entry.at !== at)) break
    at = entry.at
    if (isStep(entry, lead)) entries.push(entry)
    // What stands before them is what the customer said; what stands behind them is another proposal's.
    else if (entries.length > 0) break
  }
  return entries
}

const isStep = ({ type, data }: Entry, lead: string): boolean =>
  data.lead === lead && (type === 'alert.raised' || (type.startsWith('lead.') && type !== 'lead.duplicate'))

// — steps —

function stepsOf(entries: readonly Entry[], directory: Directory): Step[] {
  let offeredMs: number | null = null
  let round = 1
  const taps = new Map<number, number>()
  const claimedMs = new Map<number, number>()

  function placeOf({ type, data }: Entry, atMs: number): TapPlace | null {
    if (!isTap(type, data)) return null
    // A refused tap does not say in which round it came.
    const raced = (data.round as number | undefined) ?? round
    const order = (taps.get(raced) ?? 0) + 1
    taps.set(raced, order)
    if (type === 'lead.claimed') claimedMs.set(raced, atMs)
    const wonMs = claimedMs.get(raced)
    return { order, margin_ms: wonMs === undefined ? null : atMs - wonMs }
  }

  return entries.map((entry) => {
    const { type, data } = entry
    const atMs = Date.parse(entry.at)
    if (type === 'lead.offered') {
      offeredMs = atMs
      round = (data as LeadEntry<'lead.offered'>).round
    }
    const dealer = textOf(data.dealer)
    const rep = textOf(data.rep)
    return {
      entry: entry.entry,
      at: entry.at,
      type,
      since_offer_ms: offeredMs === null ? null : atMs - offeredMs,
      dealer,
      dealer_name: dealer === null ? null : (directory.dealer(dealer)?.name ?? null),
      rep,
      rep_name: rep === null ? null : (directory.rep(rep)?.name ?? null),
      tap: placeOf(entry, atMs),
      data,
    }
  })
}

const TAPS: ReadonlySet<string> = new Set(['lead.claimed', 'lead.too_slow', 'lead.claim_repeated'])

const isTap = (type: string, { action }: Entry['data']): boolean =>
  TAPS.has(type) || (type === 'lead.tap_refused' && action === 'claim')

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)
