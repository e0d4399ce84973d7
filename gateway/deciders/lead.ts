/**
 * What happens to a lead, as changes of its document: created, offered, widened, released, expired. A decider makes a
 * change and hands it to `proposeChange`; the claim itself, which is raced for, is in `claim.ts`.
 */
import type { MessageContent } from '../contract/bridge.ts'
import type { LeadEntry, LeadEntryType, LeadOrigin } from '../contract/leads.ts'
import { isOpen } from '../contract/leads.ts'
import type { AlertEntry } from '../contract/ledger.ts'
import type { RepRow } from '../documents.ts'
import {
  type Contact,
  type JobDoc,
  jobId,
  jobKey,
  jobsIndex,
  type LeadDoc,
  leadEntriesIndex,
  leadKey,
  leadsIndex,
  type Offer,
  openLeadsIndex,
  type ShiftsDoc,
  shardOfLead,
  type Timer,
  type TooSlow,
  timerMember,
  timersIndex,
} from '../race-documents.ts'
import type { Shard } from '../store/keys.ts'
import { type Doc, ENTRY_ID, type Json, type Writes } from '../store/store.ts'
import type { Docs, Keys, Moment, ProposedWrite } from './decision.ts'
import { offerContent } from './race-texts.ts'
import { type Route, roundKm, route } from './routing.ts'

/** Rings a lead is offered to before it expires. */
export const RINGS_MAX = 4
/** What a person is told without being asked, is told within this time or not at all. */
const NOTICE_MS = 3_600_000
/** A message that was not yet handed to its bridge waits this long for the hub that decided it, then any hub takes it. */
const HAND_OVER_MS = 5000
/** WhatsApp: free text only within 24 hours of what the person last wrote. A minute less, for the way. */
const WINDOW_MS = 24 * 3_600_000 - 60_000

// — the parts of a change —

export interface NewEntry {
  readonly type: string
  readonly data: object
}

export const entryOf = <Type extends LeadEntryType>(type: Type, data: LeadEntry<Type>): NewEntry => ({
  type,
  data,
})

/** What every entry that changes a figure of its lead repeats. */
export const originFor = ({ created_at, source, origin, region, initiative }: LeadDoc): LeadOrigin => ({
  created_at,
  source,
  channel: origin.channel,
  last_channel: origin.last_channel ?? origin.channel,
  region,
  initiative,
})

export const alertOf = (data: AlertEntry): NewEntry => ({ type: 'alert.raised', data })

/** A message to be sent. */
export interface Job {
  readonly contact: Contact
  readonly content: MessageContent | null
  readonly too_slow?: TooSlow
  readonly otherwise?: MessageContent
  readonly about: JobDoc['about']
  readonly expiresAtMs: number
}

/** A lead as it will be, and all that goes with it. */
export interface Change {
  readonly lead: LeadDoc
  readonly entries: readonly NewEntry[]
  readonly jobs: readonly Job[]
  /** By when they are due, ms; null removes one. */
  readonly timers: readonly { readonly timer: Timer; readonly n: number; readonly atMs: number | null }[]
}

// — what a change writes —

/**
 * The writes of a change, to be put into a proposal that takes or checks something.
 *
 * @param cause the event behind it: makes the ids of its messages
 */
export function writesOf(change: Change, cause: string, nowMs: number): { writes: Writes; jobs: string[] } {
  const { lead, entries, timers } = change
  const shard = shardOfLead(lead.lead)
  const sent = jobWrites(shard, cause, change.jobs, nowMs)
  return {
    writes: {
      set: [{ key: leadKey(lead.lead), value: lead as unknown as Json }, ...sent.set],
      append: entries.map((entry) => ({ stream: 'ledger', ...entry })),
      index: [
        { name: leadsIndex(shard), member: lead.lead, score: -Date.parse(lead.created_at) },
        {
          name: openLeadsIndex(shard),
          member: lead.lead,
          score: isOpen(lead.state) ? -Date.parse(lead.created_at) : null,
        },
        ...(entries.length === 0
          ? []
          : [{ name: leadEntriesIndex(lead.lead), member: ENTRY_ID, score: nowMs }]),
        ...timers.map(({ timer, n, atMs }) => ({
          name: timersIndex(shard),
          member: timerMember(timer, lead.lead, n),
          score: atMs,
        })),
        ...sent.index,
      ],
    },
    jobs: sent.jobs,
  }
}

/** The documents of messages and their places in the outbox. */
export function jobWrites(shard: Shard, cause: string, jobs: readonly Job[], nowMs: number) {
  const ids: string[] = []
  const set: { key: string; value: Json }[] = []
  const index: { name: string; member: string; score: number }[] = []
  jobs.forEach(({ contact, content, too_slow, otherwise, about, expiresAtMs }, at) => {
    const id = jobId(shard, cause, String(at))
    const doc: JobDoc = {
      ...contact,
      content,
      ...(too_slow && { too_slow }),
      ...(otherwise && { otherwise }),
      about,
      expires_at: new Date(expiresAtMs).toISOString(),
      state: 'waiting',
    }
    ids.push(id)
    set.push({ key: jobKey(id), value: doc as unknown as Json })
    index.push({ name: jobsIndex(shard, contact.bridge), member: id, score: nowMs + HAND_OVER_MS })
  })
  return { jobs: ids, set, index }
}

/** A change of a lead that was read: it holds only if nobody else has changed it meanwhile. */
export function proposeChange(
  change: Change,
  before: Doc | null,
  cause: string,
  nowMs: number,
): { proposal: ProposedWrite; jobs: string[] } {
  const { writes, jobs } = writesOf(change, cause, nowMs)
  const key = leadKey(change.lead.lead)
  return {
    proposal: {
      shard: shardOfLead(change.lead.lead),
      check: [{ key, version: before?.version ?? 0 }],
      ...writes,
    },
    jobs,
  }
}

// — offering —

/** Which documents this lead is offered by, so far as those that were read tell. */
export const offerNeeds = (lead: LeadDoc, docs: Docs<string>, moment: Moment): Keys<string> =>
  route(requestOf(lead), docs, moment).wants

/**
 * Offers an open lead to the next ring, or has it wait until a dealer opens, or lets it expire when nobody is left.
 *
 * @param docs all that `offerNeeds` named
 */
export function offerNext(lead: LeadDoc, docs: Docs<string>, moment: Moment): Change {
  const { route: found } = route(requestOf(lead), docs, moment)
  if (found === null) throw new Error('a lead was offered before all was read')
  const { chosen, opensAtMs } = found
  if (lead.ring >= RINGS_MAX) return expire(lead)
  if (chosen.length > 0) return offer(lead, found, docs, moment)
  return opensAtMs === null ? expire(lead, found) : waitForOpening(lead, found)
}

const requestOf = ({ lead, place, offers }: LeadDoc) => ({
  lead,
  place,
  askedBefore: new Set(offers.map(({ dealer }) => dealer)),
})

function offer(lead: LeadDoc, { chosen, skipped }: Route, docs: Docs<string>, moment: Moment): Change {
  const { nowMs, rules } = moment
  const ring = lead.ring + 1
  const invited = chosen.flatMap(({ dealer, distanceKm, reps }) =>
    reps.map((rep) => ({ rep, dealer: dealer.dealer_id, distance_km: roundKm(distanceKm) })),
  )
  const offers: Offer[] = invited.map(({ rep, dealer, distance_km }) => ({
    rep: rep.rep_id,
    dealer,
    round: lead.round,
    ring,
    distance_km,
  }))
  const dueMs = nowMs + rules.claimSlaMs
  const after: LeadDoc = { ...lead, ring, offered_at: null, offers: [...lead.offers, ...offers] }
  return {
    lead: after,
    entries: [
      entryOf('lead.offered', {
        lead: lead.lead,
        round: lead.round,
        ring,
        offers: offers.map(({ dealer, rep, distance_km }) => ({ dealer, rep, distance_km })),
        skipped: [...skipped],
      }),
    ],
    jobs: invited.map(({ rep, dealer, distance_km }) =>
      offerJob(after, rep, distance_km, docs[`shifts ${dealer}`]?.value as ShiftsDoc | undefined, moment),
    ),
    timers: [{ timer: 'claim', n: ring, atMs: dueMs }],
  }
}

/** Within the rep's 24 hours with buttons, outside them as the registered template. */
function offerJob(
  lead: LeadDoc,
  rep: RepRow,
  distanceKm: number,
  shifts: ShiftsDoc | undefined,
  { nowMs, rules }: Moment,
): Job {
  const content = offerContent(lead, rep.language, distanceKm, nowMs)
  const isFree = isWindowOpen(shifts?.[rep.rep_id]?.last_inbound_at, nowMs)
  return {
    contact: contactOf(rep, shifts, rules.bridge),
    content: isFree ? content.buttons : content.template,
    ...(isFree && { otherwise: content.template }),
    about: { lead: lead.lead, rep: rep.rep_id },
    expiresAtMs: nowMs + rules.claimSlaMs,
  }
}

function waitForOpening(lead: LeadDoc, { skipped, opensAtMs }: Route): Change {
  const atMs = opensAtMs as number
  return {
    lead,
    entries: [
      entryOf('lead.waiting', {
        lead: lead.lead,
        ring: lead.ring,
        skipped: [...skipped],
        until: new Date(atMs).toISOString(),
      }),
    ],
    jobs: [],
    timers: [{ timer: 'open', n: lead.ring, atMs }],
  }
}

function expire(lead: LeadDoc, tried: Route | null = null): Change {
  return {
    lead: { ...lead, state: 'EXPIRED' },
    entries: [
      entryOf('lead.expired', {
        lead: lead.lead,
        customer: lead.customer,
        rings: lead.ring,
        skipped: [...(tried?.skipped ?? [])],
        origin: originFor(lead),
      }),
      alertOf({ tier: 'P0', cause: 'lead_expired', lead: lead.lead, customer: lead.customer }),
    ],
    jobs: [],
    timers: [],
  }
}

// — who is written to, and until when —

export const isWindowOpen = (lastInboundAt: string | null | undefined, nowMs: number): boolean =>
  lastInboundAt != null && nowMs - Date.parse(lastInboundAt) < WINDOW_MS

/** Where the rep last wrote from; else the number the directory has. */
export const contactOf = (rep: RepRow, shifts: ShiftsDoc | undefined, bridge: string): Contact =>
  shifts?.[rep.rep_id]?.contact ?? { bridge, to: { phone: rep.phone } }

/** A notice that nobody asked for: only within the person's 24 hours, since no template is registered for it. */
export function noticeTo(
  contact: Contact | null,
  lastInboundAt: string | null | undefined,
  content: MessageContent,
  about: JobDoc['about'],
  nowMs: number,
): Job[] {
  if (contact === null || !isWindowOpen(lastInboundAt, nowMs)) return []
  return [{ contact, content, about, expiresAtMs: nowMs + NOTICE_MS }]
}

/** An answer to somebody who has just written: its 24 hours are open. */
export const answerTo = (
  contact: Contact,
  content: MessageContent,
  about: JobDoc['about'],
  nowMs: number,
): Job => ({ contact, content, about, expiresAtMs: nowMs + NOTICE_MS })

/** Changes made one after the other, as one. */
export const both = (first: Change, second: Change): Change => ({
  lead: second.lead,
  entries: [...first.entries, ...second.entries],
  jobs: [...first.jobs, ...second.jobs],
  timers: [...first.timers, ...second.timers],
})

/** When the current ring was offered, by the store's clock; a document written once since has remembered it. */
export function offeredAt(doc: Doc): string {
  const lead = doc.value as LeadDoc
  return lead.offered_at ?? (doc.atMs > 0 ? new Date(doc.atMs).toISOString() : lead.created_at)
}
