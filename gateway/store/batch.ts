/**
 * The form in which proposals travel to a driver's interpreter (`redis.lua`, `sqlite-worker.ts`) and its answers come
 * back. Texts are serialised once, here; the interpreters only move them.
 *
 *   keys      every key the batch touches, once each: documents (and locks), then the others   (KEYS of the script)
 *   texts     document values, entry bodies, index members, scores, tokens    (ARGV[2 …])
 *   control   numbers only: which key, which text, in what role; positions count from 1, 0 means none   (ARGV[1])
 *
 *   control   streams, documents, proposals
 *   streams   count, then each: stream key (other), head key (other), lane, entries to keep (0: all)
 *   documents count
 *   proposals count, then each: position of the next one, token text,
 *               locks    count, then each: document, value text, equal is mine (0|1), position of the writes instead (0)
 *               checks   count, then each: document, version, token text of who must have written it (0: anybody)
 *               writes   what to do; behind it, the writes instead, where locks point
 *   writes    appends  count, then each: stream, body text
 *             sets     count, then each: document, value text (0: remove)
 *             indexes  count, then each: name key (other), member text (0: the new entry's id), score text (0: remove)
 *
 * Documents and other keys are counted each by themselves: the nth other key stands n behind the last document.
 *
 * It is flat because an interpreter spends more on taking nested control apart than on the work itself.
 *
 * A document is kept as one text, its record: `version atMs entry token value`, entry `-` when none was appended.
 */
import type { Stream } from '../contract/ledger.ts'
import { type Key, keyIn, SHARDS, type Shard } from './keys.ts'
import { type Doc, ENTRY_ID, type Member, type Outcome, type Proposal, type Writes } from './store.ts'

/** Telemetry kept per lane; the ledger is never trimmed. 16 lanes: the last million entries. */
export const TELEMETRY_LANE_ENTRIES = 62_500

export interface Batch {
  readonly keys: Key[]
  readonly texts: string[]
  readonly control: number[]
}

export const streamKey = (stream: Stream, shard: Shard): Key => keyIn(shard, stream)
export const headKey = (stream: Stream, shard: Shard): Key => keyIn(shard, `${stream}:head`)

/** What nobody reads, in every shard: a store that is full, or that has become a replica, still reads and does not write. */
export const PING: readonly Proposal[] = SHARDS.map((shard) => ({
  shard,
  token: 'ping',
  set: [{ key: keyIn(shard, 'ping'), value: 1 }],
}))

const NONE: readonly never[] = []

export function encodeBatch(proposals: readonly Proposal[]): Batch {
  const documents = new Positions()
  const others = new Positions()
  const texts: string[] = []
  const streams: number[] = []
  const streamPositions = new Map<Key, number>()

  const text = (value: string): number => texts.push(value)
  const streamAt = (stream: Stream, shard: Shard): number => {
    const name = streamKey(stream, shard)
    let position = streamPositions.get(name)
    if (position === undefined) {
      const keep = stream === 'telemetry' ? TELEMETRY_LANE_ENTRIES : 0
      position = streams.push(others.of(name), others.of(headKey(stream, shard)), shard, keep) / 4
      streamPositions.set(name, position)
    }
    return position
  }

  // First the proposals: only then the streams they touch are known, and with them where the proposals will stand.
  const body: number[] = []
  const positionsToShift: number[] = []
  const pushPosition = (): number => {
    positionsToShift.push(body.length)
    return body.push(0) - 1
  }
  const pushWrites = ({ append = NONE, set = NONE, index = NONE }: Writes, shard: Shard): void => {
    body.push(append.length)
    for (const { stream, type, data } of append) {
      body.push(streamAt(stream, shard), text(JSON.stringify({ type, data })))
    }
    body.push(set.length)
    for (const { key: name, value } of set) {
      body.push(documents.of(name), value === null ? 0 : text(JSON.stringify(value)))
    }
    body.push(index.length)
    for (const { name, member, score } of index) {
      body.push(
        others.of(name),
        member === ENTRY_ID ? 0 : text(member),
        score === null ? 0 : text(String(score)),
      )
    }
  }
  for (const proposal of proposals) {
    const { once = NONE, check = NONE, otherwise, shard } = proposal
    const next = pushPosition()
    body.push(text(proposal.token), once.length)
    const instead: { at: number; writes: Writes }[] = []
    for (const { key: name, value, equalIsMine } of once) {
      body.push(documents.of(name), text(JSON.stringify(value)), equalIsMine ? 1 : 0)
      const writes = otherwise?.[name]
      if (writes === undefined) body.push(0)
      else instead.push({ at: pushPosition(), writes })
    }
    body.push(check.length)
    for (const { key: name, version, by } of check) {
      body.push(documents.of(name), version, by === undefined ? 0 : text(by))
    }
    pushWrites(proposal, shard)
    for (const { at, writes } of instead) {
      body[at] = body.length
      pushWrites(writes, shard)
    }
    body[next] = body.length
  }

  const control = [streams.length / 4, ...streams, documents.keys.length, proposals.length]
  const shift = control.length + 1
  for (const at of positionsToShift) body[at] = (body[at] as number) + shift
  for (const number of body) control.push(number)
  return { keys: [...documents.keys, ...others.keys], texts, control }
}

/** Keys, once each, and where each stands, counted from 1. */
class Positions {
  readonly keys: Key[] = []
  readonly #positions = new Map<Key, number>()

  of(key: Key): number {
    let position = this.#positions.get(key)
    if (position === undefined) {
      position = this.keys.push(key)
      this.#positions.set(key, position)
    }
    return position
  }
}

/**
 * An interpreter's answer to one proposal:
 *   `c <atMs> <entry>`                     committed
 *   `h <key> <atMs> <entry> <record>`      held, by this record
 *   `x <key>`                              conflict
 */
export function decodeOutcome(answer: string, keys: readonly Key[]): Outcome {
  const parts = answer.split(' ', 4)
  const [kind, second, third, fourth] = parts as [string, string, string, string]
  switch (kind) {
    case 'c':
      return { outcome: 'committed', atMs: Number(second), entry: entryOf(third) }
    case 'h': {
      const record = answer.slice(parts.join(' ').length + 1)
      return {
        outcome: 'held',
        key: keyAt(keys, second),
        holder: decodeRecord(record),
        atMs: Number(third),
        entry: entryOf(fourth),
      }
    }
    case 'x':
      return { outcome: 'conflict', key: keyAt(keys, second) }
    default:
      throw new Error(`the store answered in an unknown form: ${answer.slice(0, 100)}`)
  }
}

export const encodeRecord = (
  version: number,
  atMs: number,
  entry: string | null,
  token: string,
  value: string,
): string => `${version} ${atMs} ${entry ?? '-'} ${token} ${value}`

/** The parts of a record before its value. */
export function recordHead(record: string): {
  version: number
  atMs: number
  entry: string | null
  token: string
  value: string
} {
  const a = record.indexOf(' ')
  const b = record.indexOf(' ', a + 1)
  const c = record.indexOf(' ', b + 1)
  const d = record.indexOf(' ', c + 1)
  return {
    version: Number(record.slice(0, a)),
    atMs: Number(record.slice(a + 1, b)),
    entry: entryOf(record.slice(b + 1, c)),
    token: record.slice(c + 1, d),
    value: record.slice(d + 1),
  }
}

export function decodeRecord(record: string): Doc {
  const { version, atMs, entry, value } = recordHead(record)
  return { value: JSON.parse(value), version, atMs, entry }
}

/** What several sorted sets gave, as one list of at most `limit`. */
export const mergeMembers = (members: Member[], limit: number): Member[] =>
  members
    .sort((a, b) => a.score - b.score || (a.member < b.member ? -1 : a.member > b.member ? 1 : 0))
    .slice(0, limit)

const entryOf = (text: string): string | null => (text === '-' ? null : text)

function keyAt(keys: readonly Key[], position: string): Key {
  const key = keys[Number(position) - 1]
  if (key === undefined) throw new Error(`the store named a key that was not asked about: ${position}`)
  return key
}
