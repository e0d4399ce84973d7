/**
 * A sales rep writes or taps: an offer, an outcome of a lead they hold, their shift. Anything else is answered with what
 * they may say. Whatever a rep writes opens their 24 hours, so their contact is kept up to date with it.
 */
import { isHeld, type LeadState } from '../contract/leads.ts'
import type { DecodedMessage } from '../decode/people.ts'
import type { RepRow } from '../documents.ts'
import {
  type Contact,
  isLeadId,
  type LeadDoc,
  type ShiftsDoc,
  saidKey,
  shiftsKey,
} from '../race-documents.ts'
import { shardOfKey } from '../store/keys.ts'
import type { Json } from '../store/store.ts'
import { answer, decideClaim, refuseTap, saidOnce, type Tap, tapNeeds } from './claim.ts'
import { type Decision, type Docs, type Keys, type Moment, NOTHING, type ProposedWrite } from './decision.ts'
import { answerTo, entryOf, jobWrites, offeredAt, originFor, proposeChange } from './lead.ts'
import { isOutcome, type Outcome, readChoice, repText } from './race-texts.ts'
import { contactFrom, saidDoc } from './said.ts'

/** Rewritten at most this often while a rep taps and taps. */
const CONTACT_KEPT_MS = 30 * 60_000

type Action =
  | { readonly kind: 'claim' | Outcome; readonly lead: string }
  | { readonly kind: 'check_in' | 'check_out' | 'help' }

const CHECK_IN = new Set(['masuk', 'hadir', 'in', 'check in', 'check-in', 'checkin', 'on'])
const CHECK_OUT = new Set(['pulang', 'keluar', 'out', 'check out', 'check-out', 'checkout', 'off'])
const CLAIM_WORDS = new Set(['ambil', 'claim'])

/** What a rep means: by the button's id, or in words (`ambil L07-…`, `masuk`). */
export function actionOf({ message: { choice, text } }: DecodedMessage): Action {
  const tapped = readChoice(choice?.id ?? '')
  if (tapped !== null) return tapped
  const words = (choice?.title ?? text ?? '').trim().toLowerCase()
  if (CHECK_IN.has(words)) return { kind: 'check_in' }
  if (CHECK_OUT.has(words)) return { kind: 'check_out' }
  const [word = '', named = ''] = words.split(/\s+/)
  const id = named.toUpperCase().slice(0, 1) + named.slice(1)
  if (isLeadId(id) && CLAIM_WORDS.has(word)) return { kind: 'claim', lead: id }
  if (isLeadId(id) && isOutcome(word)) return { kind: word, lead: id }
  return { kind: 'help' }
}

function tapOf(message: DecodedMessage, rep: RepRow, lead: string): Tap {
  return {
    rep,
    lead,
    bridge: message.bridge,
    eventId: message.message.event_id,
    contact: contactFrom(message),
    said: saidDoc(message),
  }
}

export function repNeeds(
  message: DecodedMessage,
  rep: RepRow,
  docs: Docs<string>,
  moment: Moment,
): Keys<string> {
  const action = actionOf(message)
  const shifts = shiftsKey(rep.dealer_id)
  if ('lead' in action) return { shifts, ...tapNeeds(tapOf(message, rep, action.lead), docs, moment) }
  return { shifts, said: saidKey(shardOfKey(shifts), message.bridge, message.message.event_id) }
}

export function decideRep(
  message: DecodedMessage,
  rep: RepRow,
  docs: Docs<string>,
  moment: Moment,
): Decision {
  const action = actionOf(message)
  if (!('lead' in action)) return decideShift(message, rep, action.kind, docs, moment)
  const tap = tapOf(message, rep, action.lead)
  const decision =
    action.kind === 'claim' ? decideClaim(tap, docs, moment) : decideOutcome(tap, action.kind, docs, moment)
  return { ...decision, proposals: [...decision.proposals, ...keepContact(message, rep, docs, moment)] }
}

// — the outcome of a lead —

/** A winner may skip steps, but never go back. */
const NEXT: Readonly<Record<Outcome, { from: readonly LeadState[]; to: LeadState }>> = {
  contacted: { from: ['CLAIMED'], to: 'CONTACTED' },
  demo: { from: ['CLAIMED', 'CONTACTED'], to: 'DEMO' },
  won: { from: ['CLAIMED', 'CONTACTED', 'DEMO'], to: 'WON' },
  lost: { from: ['CLAIMED', 'CONTACTED', 'DEMO'], to: 'LOST' },
}

function decideOutcome(tap: Tap, outcome: Outcome, docs: Docs<string>, moment: Moment): Decision {
  if (docs.said != null) return NOTHING
  const doc = docs.lead ?? null
  const before = doc?.value as LeadDoc | undefined
  if (doc === null || before === undefined) return refuseTap(tap, outcome, 'unknown_lead', docs, moment)
  const holder = before.claims[before.round - 1]
  const isMine = holder?.rep === tap.rep.rep_id
  if (!isMine) return refuseTap(tap, outcome, reasonNotMine(before, tap.rep), docs, moment)
  const { nowMs } = moment
  const { language } = tap.rep
  const about = { lead: before.lead, rep: tap.rep.rep_id }
  const { from, to } = NEXT[outcome]
  if (!from.includes(before.state)) {
    const content =
      before.state === to
        ? repText.outcome(outcome, before.lead, language)
        : repText.outcomeStands(before.state, before.lead, language)
    const job = answerTo(tap.contact, content, about, nowMs)
    if (before.state === to) return answer(tap, [], [job], docs, moment)
    const entry = entryOf('lead.tap_refused', {
      lead: before.lead,
      rep: tap.rep.rep_id,
      dealer: tap.rep.dealer_id,
      action: outcome,
      reason: 'finished',
      event_id: tap.eventId,
    })
    return answer(tap, [entry], [job], docs, moment)
  }
  const lead: LeadDoc = {
    ...before,
    state: to,
    offered_at: offeredAt(doc),
    contacted_at: before.contacted_at ?? new Date(nowMs).toISOString(),
  }
  const facts = {
    lead: lead.lead,
    dealer: tap.rep.dealer_id,
    rep: tap.rep.rep_id,
    event_id: tap.eventId,
    origin: originFor(lead),
  }
  const { customer } = lead
  const entry =
    outcome === 'won'
      ? entryOf('lead.won', { ...facts, customer, serial: lead.serial })
      : outcome === 'lost'
        ? entryOf('lead.lost', { ...facts, customer })
        : entryOf(`lead.${outcome}`, facts)
  const change = {
    lead,
    entries: [entry],
    jobs: [answerTo(tap.contact, repText.outcome(outcome, lead.lead, language), about, nowMs)],
    timers: [{ timer: 'contact', n: lead.round, atMs: null } as const],
  }
  const { proposal, jobs } = proposeChange(change, doc, tap.eventId, nowMs)
  return { proposals: [{ ...proposal, once: [saidOnce(tap)] }], receipt: null, jobs }
}

function reasonNotMine(lead: LeadDoc, rep: RepRow) {
  if (lead.state === 'EXPIRED') return 'expired'
  if (lead.claims.some((claim) => claim?.rep === rep.rep_id)) return 'withdrawn'
  if (!lead.offers.some((offer) => offer.rep === rep.rep_id)) return 'not_invited'
  return isHeld(lead.state)
    ? 'not_yours'
    : lead.state === 'WON' || lead.state === 'LOST'
      ? 'finished'
      : 'not_yours'
}

// — the shift —

function decideShift(
  message: DecodedMessage,
  rep: RepRow,
  kind: 'check_in' | 'check_out' | 'help',
  docs: Docs<string>,
  { nowMs }: Moment,
): Decision {
  if (docs.said != null) return NOTHING
  const key = shiftsKey(rep.dealer_id)
  const shard = shardOfKey(key)
  const doc = docs.shifts ?? null
  const shifts = (doc?.value as ShiftsDoc | undefined) ?? {}
  const contact = contactFrom(message)
  const heard = shifts[rep.rep_id]?.last_inbound_at
  const now = { contact, last_inbound_at: later(heard, message.message.at) }
  const isOn = kind === 'help' ? {} : { on_shift: kind === 'check_in' }
  const value: ShiftsDoc = { ...shifts, [rep.rep_id]: { ...shifts[rep.rep_id], ...now, ...isOn } }
  const content =
    kind === 'check_in'
      ? repText.checkedIn(rep.name, rep.language)
      : kind === 'check_out'
        ? repText.checkedOut(rep.name, rep.language)
        : repText.help(rep.language)
  const eventId = message.message.event_id
  const sent = jobWrites(shard, eventId, [answerTo(contact, content, { rep: rep.rep_id }, nowMs)], nowMs)
  const facts = { rep: rep.rep_id, dealer: rep.dealer_id, event_id: eventId }
  const entries =
    kind === 'help' ? [] : [entryOf(kind === 'check_in' ? 'rep.checked_in' : 'rep.checked_out', facts)]
  return {
    proposals: [
      {
        shard,
        once: [{ key: saidKey(shard, message.bridge, eventId), value: saidDoc(message) }],
        check: [{ key, version: doc?.version ?? 0 }],
        set: [{ key, value: value as unknown as Json }, ...sent.set],
        append: entries.map((entry) => ({ stream: 'ledger', ...entry })),
        index: sent.index,
      },
    ],
    receipt: null,
    jobs: sent.jobs,
  }
}

/** Where and when the rep was last heard of; not with every tap, since nothing depends on the minute. */
function keepContact(
  message: DecodedMessage,
  rep: RepRow,
  docs: Docs<string>,
  { nowMs }: Moment,
): ProposedWrite[] {
  const key = shiftsKey(rep.dealer_id)
  const doc = docs.shifts ?? null
  const shifts = (doc?.value as ShiftsDoc | undefined) ?? {}
  const known = shifts[rep.rep_id]
  const contact: Contact = contactFrom(message)
  const isKnown = JSON.stringify(known?.contact) === JSON.stringify(contact)
  const isFresh = nowMs - Date.parse(known?.last_inbound_at ?? '') < CONTACT_KEPT_MS
  if (isKnown && isFresh) return []
  const value: ShiftsDoc = {
    ...shifts,
    [rep.rep_id]: { ...known, contact, last_inbound_at: later(known?.last_inbound_at, message.message.at) },
  }
  return [
    {
      shard: shardOfKey(key),
      check: [{ key, version: doc?.version ?? 0 }],
      set: [{ key, value: value as unknown as Json }],
    },
  ]
}

/** A provider may bring an old message after a new one. Instants in ISO 8601, UTC. */
const later = (known: string | undefined, now: string): string =>
  known !== undefined && known > now ? known : now
