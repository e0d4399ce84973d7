/**
 * What a decider is: a pure function `(event, the documents it read, now) → decision`. No I/O, no clock, no randomness.
 * All business rules live in this folder and nowhere else.
 */
import type { Directory } from '../directory.ts'
import type { Key } from '../store/keys.ts'
import type { Doc, Proposal } from '../store/store.ts'

/** `Name` is what the decider calls a document; its key says where it is. */
export interface Decider<Message, Name extends string = string> {
  readonly keys: (message: Message) => Keys<Name>
  /** What is read before the first decision; the other documents are null then. */
  readonly reads: readonly Name[]
  /** What is read before it decides again, because the store has said that a lock is held or a version has moved on. */
  readonly readsAgain: readonly Name[]
  /**
   * Documents whose keys only other documents tell (a tap names a lead, the lead its customer): by name, all that it
   * wants to see, so far as it can tell. It is asked again with what was found, until it names nothing new.
   */
  readonly follow?: (message: Message, docs: Docs<string>, moment: Moment) => Keys<string>
  readonly decide: (message: Message, docs: Docs<Name>, keys: Keys<Name>, moment: Moment) => Decision
}

export type Keys<Name extends string> = Readonly<Record<Name, Key>>

/** The documents that were read; null: there is none. What `follow` named is among them. */
export type Docs<Name extends string> = Readonly<Record<Name, Doc | null>>

/** Now and here, as an argument. */
export interface Moment {
  /** The hub's clock, milliseconds since 1970: orders the outbox, decides nothing. What counts is the store's clock. */
  readonly nowMs: number
  /** Of business days. */
  readonly timezone: string
  /** Dealers, reps, prices, as the imports that count have them. */
  readonly directory: Directory
  readonly rules: RaceRules
}

export interface Decision {
  /** The first one decides; the others accompany it, and may find that their work was done before. */
  readonly proposals: readonly ProposedWrite[]
  /** The answer the sender waits for, or null. */
  readonly receipt: PendingReceipt | null
  /** Messages that the proposals may have put into the outbox, by id. */
  readonly jobs?: readonly string[]
  /** What is answered to a sender who waits within the hub: the API. */
  readonly reply?: object
}

/** Of the race; settings in milliseconds. */
export interface RaceRules {
  /** From an offer until it is widened. */
  readonly claimSlaMs: number
  /** From a claim until it is released. */
  readonly contactSlaMs: number
  /** A customer who comes again within this time is the same lead. */
  readonly oneLeadMs: number
  /** A message older than this is taken into account, but not answered. */
  readonly staleMs: number
  /** The bridge that writes to people who were never heard of. */
  readonly bridge: string
}

export const DEFAULT_RACE_RULES: RaceRules = {
  claimSlaMs: 300_000,
  contactSlaMs: 900_000,
  oneLeadMs: 7 * 86_400_000,
  staleMs: 3_600_000,
  bridge: 'meta',
}

/** A proposal before the intake gives it its token. */
export type ProposedWrite = Omit<Proposal, 'token'>

/** A receipt to be sent until its device acknowledges it. */
export interface PendingReceipt {
  /** `{dealer}/{device}` */
  readonly device: string
  /** The member of the outbox index: see `receiptMember`. */
  readonly member: string
  /**
   * The entry the first proposal appends: the ledger itself leads back to this receipt. Null when it is about an older
   * entry: then the first proposal puts it into the outbox.
   */
  readonly entry: { readonly type: string; readonly data: object } | null
}

/** An outbox member: the entry a receipt is about, and whether the sale had come before. */
export const receiptMember = (entry: string, replayed: boolean): string =>
  replayed ? `${entry}:replayed` : entry

export function parseReceiptMember(member: string): { entry: string; replayed: boolean } {
  const [entry = '', mark] = member.split(':')
  return { entry, replayed: mark === 'replayed' }
}

/** Nothing to write: the event is known. */
export const NOTHING: Decision = { proposals: [], receipt: null }
