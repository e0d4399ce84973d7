/**
 * Every document, lock and index of the race, beside those in `documents.ts`.
 *
 *   customer   what the hub knows of a person, the conversation with it and its leads; all leads of a customer stand in
 *              the customer's shard, so that a lead and the conversation that made it are written in one proposal
 *   lead       state, offers and claims; a lock for each round of the race
 *   job        a message to be sent by a bridge, kept until the bridge has told what became of it
 */
import { hash } from 'node:crypto'
import type { MessageContent, Recipient, Referral } from './contract/bridge.ts'
import type { Channel } from './contract/events.ts'
import type { LeadEntry, LeadState } from './contract/leads.ts'
import type { Conversation } from './screening/conversation.ts'
import { type Key, keyFor, keyIn, type Shard, shardOf } from './store/keys.ts'

// — people —

/** Document: whose a handle other than a phone number is (`People.handle`). */
export type IdentityDoc = { customer: string } | { rep: string }
export const identityKey = (handle: string): Key => keyFor('identity', handle)

/** Where somebody is written to. */
export interface Contact {
  bridge: string
  to: Recipient
}

/** Where a lead came from; the first touch stays. */
export interface Origin {
  channel: Channel | null
  campaign: string | null
  referral: Referral | null
  /** Where they came from the last time; absent: as the first time. */
  last_channel?: Channel
}

/** Document: personal data of a customer, apart from the ledger; erasing it leaves the ledger whole. */
export interface PersonDoc {
  phone: string | null
  user_id: string | null
  email: string | null
  name: string | null
  /** What they wrote in a form. */
  message: string | null
  contact: Contact | null
  /** ISO 8601: the 24 hours in which free text may be sent begin here. */
  last_inbound_at: string | null
  conversation: Conversation | null
  origin: Origin
  /** Newest last; `at` by the hub's clock, ISO 8601. */
  leads: { lead: string; at: string }[]
}
export const personKey = (customer: string): Key => keyFor('person', customer)

/** Lock: a message that a bridge brought. Providers bring some more than once, and days later. */
export interface SaidDoc {
  at: string
  kind: string
  text?: string
  choice?: string
  /** As the provider sent it, where the normal form does not hold it. */
  raw?: unknown
}
export const saidKey = (shard: Shard, bridge: string, eventId: string): Key =>
  keyIn(shard, `said:${bridge}/${eventId}`)

/** Lock in the customer's shard: a form that was sent in, and what was answered. */
export interface SubmissionDoc {
  lead: string | null
  state: 'UNCLAIMED' | 'DUPLICATE' | 'SCREENING'
}
export const submissionKey = (customer: string, eventId: string): Key =>
  keyIn(shardOf(customer), `submission:${eventId}`)

/** Document: a dealer's reps: who is on shift, and where they were last heard of. */
export interface ShiftsDoc {
  [rep: string]: {
    /** Absent: never said; a rep with a phone number is on shift until they check out. */
    on_shift?: boolean
    contact?: Contact
    last_inbound_at?: string
  }
}
export const shiftsKey = (dealer: string): Key => keyFor('shifts', dealer)

// — leads —

export interface Offer {
  rep: string
  dealer: string
  /** The race it belongs to; see `LeadDoc.round`. */
  round: number
  ring: number
  distance_km: number
}

export interface Claim {
  rep: string
  dealer: string
  /** Of the rep, as the directory had it. */
  name: string
}

/** Document. When it was written: the doc's `atMs`. */
export interface LeadDoc {
  lead: string
  customer: string
  state: LeadState
  /** 1, 2, …: one race each, with a lock of its own; a lead that is released is raced for anew. */
  round: number
  /** 1, 2, …: three dealers each; 0: nobody could be asked yet. */
  ring: number
  place: { lat: number; lon: number; area: string }
  model: string | null
  intent: string | null
  when: string | null
  origin: Origin
  source: 'whatsapp' | 'form'
  /** Of the dealer nearest to the customer when the lead came; null: there is no dealer. */
  region: string | null
  /** The campaign it came of, when spend or an activity has named it. */
  initiative: string | null
  /** Hub clock, ISO 8601. */
  created_at: string
  /** Store clock, ISO 8601: when the newest ring was offered; null until it is written again. */
  offered_at: string | null
  offers: Offer[]
  /** By round. */
  claims: Claim[]
  /** Serial of the vehicle the customer bought. */
  serial: string | null
  /** What the ledger says of that sale. */
  sold?: LeadEntry<'lead.sold'>
  /** Entries of sales that were this lead's until they were voided. */
  voided?: string[]
  contacted_at: string | null
}

const ID = /^([LJ])(0\d|1[0-5])-[0-9a-v]{12}$/

/** An id that names its shard: `L07-3f2avk…`; 60 bits of a hash, so that the same causes make the same id. */
function idOf(letter: 'L' | 'J', shard: Shard, causes: readonly string[]): string {
  const bits = BigInt(`0x${hash('sha256', JSON.stringify(causes), 'hex').slice(0, 15)}`)
  return `${letter}${String(shard).padStart(2, '0')}-${bits.toString(32).padStart(12, '0')}`
}

const shardOfId = (id: string): Shard => Number(id.slice(1, 3))

/** @param cause the event that made it, unique among the customer's */
export const leadId = (customer: string, cause: string): string =>
  idOf('L', shardOf(customer), [customer, cause])
export const isLeadId = (text: string): boolean => ID.test(text) && text.startsWith('L')
export const shardOfLead: (lead: string) => Shard = shardOfId
export const leadKey = (lead: string): Key => keyIn(shardOfLead(lead), `lead:${lead}`)

/** Lock: who won this round of the race. */
export interface ClaimHolder {
  rep: string
  dealer: string
}
export const claimKey = (lead: string, round: number): Key =>
  keyIn(shardOfLead(lead), round === 1 ? `claim:${lead}` : `claim:${lead}:${round}`)

/** Indexes, newest first: by minus when they came (ms, hub clock). All leads, and those nobody holds. */
export const leadsIndex = (shard: Shard): Key => keyIn(shard, 'leads')
export const openLeadsIndex = (shard: Shard): Key => keyIn(shard, 'open-leads')
/** Index: the ledger entries about a lead. */
export const leadEntriesIndex = (lead: string): Key => keyIn(shardOfLead(lead), `lead-entries:${lead}`)

/** Document in a lead's shard: leads of that shard a dealer has won on a business day; see `daily_quota`. */
export interface WonDoc {
  count: number
}
export const wonKey = (shard: Shard, dealer: string, day: string): Key => keyIn(shard, `won:${dealer}:${day}`)

// — timers —

export const TIMERS = ['claim', 'contact', 'open'] as const
/**
 *   claim    `n` = ring: nobody has claimed what that ring was offered
 *   contact  `n` = round: the winner has not contacted the customer
 *   open     `n` = ring: a dealer opens who may be asked then
 */
export type Timer = (typeof TIMERS)[number]
/** Index, one in each shard: timers by when they are due (ms, hub clock). */
export const timersIndex = (shard: Shard): Key => keyIn(shard, 'timers')
export const timerMember = (timer: Timer, lead: string, n: number): string => `${timer}:${lead}:${n}`

export function parseTimerMember(member: string): { timer: Timer; lead: string; n: number } | null {
  const [timer, lead = '', n] = member.split(':')
  if (!(TIMERS as readonly (string | undefined)[]).includes(timer) || !isLeadId(lead)) return null
  return { timer: timer as Timer, lead, n: Number(n) }
}

// — messages to be sent —

/** What a loser is told is known only after the commit that decided: the margin is the distance of two commits. */
export interface TooSlow {
  lead: string
  round: number
  language: 'id' | 'en'
}

/** Document: a message in the outbox. Its commit is `atMs` of version 1. */
export interface JobDoc {
  bridge: string
  to: Recipient
  /** null once it is sent: then only what became of it is kept. */
  content: MessageContent | null
  /** Instead of a content. */
  too_slow?: TooSlow
  /** Sent when the provider says that the 24 hours are over. */
  otherwise?: MessageContent
  about: { lead?: string; rep?: string; customer?: string }
  expires_at: string
  state: 'waiting' | 'sent' | 'delivered' | 'read' | 'failed'
  provider_id?: string
  error?: { code: string; message: string }
}

/** @param causes what made it: an event, a timer; and to whom */
export const jobId = (shard: Shard, ...causes: string[]): string => idOf('J', shard, causes)
export const isJobId = (text: string): boolean => ID.test(text) && text.startsWith('J')
export const shardOfJob: (job: string) => Shard = shardOfId
export const jobKey = (job: string): Key => keyIn(shardOfJob(job), `job:${job}`)
/** Index, one for each shard and bridge: jobs by when they are to be handed over (ms, hub clock). */
export const jobsIndex = (shard: Shard, bridge: string): Key => keyIn(shard, `jobs:${bridge}`)
/** Index, one in each shard: jobs whose fate is known, by when (ms): forgotten after `JOBS_KEPT_MS`. */
export const settledJobsIndex = (shard: Shard): Key => keyIn(shard, 'settled-jobs')
