/**
 * From messages to decisions, for a whole batch: reads what the deciders ask for in one round trip, follows documents to
 * further ones, and asks each decider. Nothing is written here.
 */

import { BatchDocs } from './batch-docs.ts'
import { deciderOf } from './deciders/deciders.ts'
import { type Decision, type Keys, NOTHING, type RaceRules } from './deciders/decision.ts'
import type { Decode, Decoded, Inbound } from './decode.ts'
import { createDirectoryLoader, DIRECTORY_KEYS } from './reference/load-directory.ts'
import type { Key } from './store/keys.ts'
import type { Doc, Store } from './store/store.ts'

/** How often a decider may follow what it read to further documents: tap → lead → customer → … */
const FOLLOWS_MAX = 8

export interface DecidingServices {
  readonly store: Pick<Store, 'read' | 'range'>
  readonly decode: Decode
  readonly timezone: string
  readonly rules: RaceRules
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** A message on its way through a batch. */
export interface Work {
  readonly inbound: Inbound
  decoded: Decoded
  keys: Keys<string>
  /** What the documents led to. */
  followed: Keys<string> | null
  decision: Decision
}

export interface Deciding {
  begin(inbound: Inbound): Work
  /** Reads what these ask for. @param round 1, and more for those that are decided again. Rejects when the store is away. */
  read(open: readonly Work[], round: number): Promise<BatchDocs>
  /** False: a message before it in this batch has led it to documents that nobody has read yet. */
  isReady(work: Work, docs: BatchDocs): boolean
  decide(work: Work, docs: BatchDocs): Decision
}

export function createDeciding({ store, decode, timezone, rules, now }: DecidingServices): Deciding {
  const directories = createDirectoryLoader(store)

  async function read(open: readonly Work[], round: number): Promise<BatchDocs> {
    const wanted = new Set<Key>(DIRECTORY_KEYS)
    for (const { decoded, keys } of open) {
      const { reads, readsAgain } = deciderOf(decoded)
      for (const name of round === 1 ? reads : readsAgain) wanted.add(keys[name] as Key)
    }
    const list = [...wanted]
    const found = await store.read(list)
    const directory = await directories.at(found.slice(0, DIRECTORY_KEYS.length))
    const docs = new BatchDocs(list, found, { nowMs: now(), timezone, rules, directory })
    await follow(open, docs)
    return docs
  }

  /** Reads what the documents read so far lead to, for all messages of the batch together. */
  async function follow(open: readonly Work[], docs: BatchDocs): Promise<void> {
    let following = open.filter(({ decoded }) => deciderOf(decoded).follow !== undefined)
    for (let step = 0; following.length > 0; step++) {
      if (step === FOLLOWS_MAX) throw new Error(`a decider followed documents more than ${FOLLOWS_MAX} times`)
      const wanted = new Set<Key>()
      following = following.filter((work) => {
        const missing = docs.missing(followedKeys(work, docs))
        for (const key of missing) wanted.add(key)
        return missing.length > 0
      })
      const list = [...wanted]
      if (list.length > 0) docs.add(list, await store.read(list))
    }
  }

  /** What the documents that were read lead to, whichever message of the batch they were read for. */
  function followedKeys(work: Work, docs: BatchDocs): Keys<string> {
    const decider = deciderOf(work.decoded)
    if (decider.follow === undefined) return NO_KEYS
    for (let step = 0; step <= FOLLOWS_MAX; step++) {
      const found = seenBy(work, docs)
      try {
        work.followed = decider.follow(work.decoded, found, docs.moment)
      } catch {
        // It will throw the same when it decides, and there it is dealt with.
        work.followed = null
        return NO_KEYS
      }
      const isNew = Object.keys(work.followed).some((name) => !(name in found))
      if (!isNew || docs.missing(work.followed).length > 0) return work.followed
    }
    throw new Error(`a decider followed documents more than ${FOLLOWS_MAX} times`)
  }

  function seenBy({ decoded, keys, followed }: Work, docs: BatchDocs): Record<string, Doc | null> {
    const found = docs.of(deciderOf(decoded).readsAgain, keys)
    if (followed !== null) docs.into(found, followed)
    return found
  }

  /** A message that a decider cannot cope with must not hold up the others for ever: it goes to quarantine. */
  function decide(work: Work, docs: BatchDocs): Decision {
    try {
      return decideOn(work, docs)
    } catch (error) {
      const received = `${(error as Error).name}: ${(error as Error).message}`
      const fault = { field: 'payload', expected: 'a message this hub can decide', received }
      work.decoded = { kind: 'undecodable', inbound: work.inbound, errors: [fault], answerTo: null }
      work.keys = deciderOf(work.decoded).keys(work.decoded)
      work.followed = null
      return decideOn(work, docs)
    }
  }

  const decideOn = (work: Work, docs: BatchDocs): Decision =>
    deciderOf(work.decoded).decide(work.decoded, seenBy(work, docs), work.keys, docs.moment)

  return {
    begin(inbound) {
      const decoded = decode(inbound)
      return { inbound, decoded, keys: deciderOf(decoded).keys(decoded), followed: null, decision: NOTHING }
    },
    read,
    isReady: (work, docs) =>
      deciderOf(work.decoded).follow === undefined || docs.missing(followedKeys(work, docs)).length === 0,
    decide,
  }
}

const NO_KEYS: Keys<string> = {}
