/**
 * The form in which proposals travel to a driver's interpreter (`redis.lua`, `sqlite-worker.ts`) and its answers come
 * back. Texts are serialised once, here; the interpreters only move them.
 *
 *   keys      every key the batch touches, once each                          (KEYS of the script)
 *   control   numbers only: which key, which text, in what role; from 1 up    (ARGV[1], as JSON)
 *   texts     document values, entry bodies, index members, scores, tokens    (ARGV[2 …])
 *
 * A document is kept as one text, its record: `version atMs entry token value`, entry `-` when none was appended.
 */
import { type Entry, entryId, type Stream } from '../contract/ledger.ts'
import { type Key, keyIn, type Shard } from './keys.ts'
import { type Doc, ENTRY_ID, type Member, type Outcome, type Proposal, type Writes } from './store.ts'

/** Telemetry kept per lane; the ledger is never trimmed. 16 lanes: the last million entries. */
export const TELEMETRY_LANE_ENTRIES = 62_500

/** [key, head key, lane, entries to keep (0: all)] */
type StreamControl = [stream: number, head: number, lane: number, keep: number]

/** Each list holds positions in keys or texts; text 0 means null, member text 0 means the new entry's id. */
export interface WritesControl {
  append: [stream: number, body: number][]
  set: [key: number, value: number][]
  index: [name: number, member: number, score: number][]
}

export interface ProposalControl extends WritesControl {
  token: number
  /** `otherwise`: 0, or from 1 up in `instead`. */
  once: [key: number, value: number, equalIsMine: 0 | 1, otherwise: number][]
  check: [key: number, version: number][]
  instead: WritesControl[]
}

export interface Control {
  streams: StreamControl[]
  proposals: ProposalControl[]
}

export interface Batch {
  keys: Key[]
  texts: string[]
  control: Control
}

export const streamKey = (stream: Stream, shard: Shard): Key => keyIn(shard, stream)
export const headKey = (stream: Stream, shard: Shard): Key => keyIn(shard, `${stream}:head`)

export function encodeBatch(proposals: readonly Proposal[]): Batch {
  const keys: Key[] = []
  const keyPositions = new Map<Key, number>()
  const texts: string[] = []
  const streams: StreamControl[] = []
  const streamPositions = new Map<Key, number>()

  const key = (name: Key): number => {
    let position = keyPositions.get(name)
    if (position === undefined) {
      position = keys.push(name)
      keyPositions.set(name, position)
    }
    return position
  }
  const text = (value: string): number => texts.push(value)
  const streamAt = (stream: Stream, shard: Shard): number => {
    const name = streamKey(stream, shard)
    let position = streamPositions.get(name)
    if (position === undefined) {
      const keep = stream === 'telemetry' ? TELEMETRY_LANE_ENTRIES : 0
      position = streams.push([key(name), key(headKey(stream, shard)), shard, keep])
      streamPositions.set(name, position)
    }
    return position
  }
  const writes = ({ append = [], set = [], index = [] }: Writes, shard: Shard): WritesControl => ({
    append: append.map(({ stream, type, data }) => [
      streamAt(stream, shard),
      text(JSON.stringify({ type, data })),
    ]),
    set: set.map(({ key: name, value }) => [key(name), value === null ? 0 : text(JSON.stringify(value))]),
    index: index.map(({ name, member, score }) => [
      key(name),
      member === ENTRY_ID ? 0 : text(member),
      score === null ? 0 : text(String(score)),
    ]),
  })

  const encoded = proposals.map((proposal): ProposalControl => {
    const instead: WritesControl[] = []
    return {
      token: text(proposal.token),
      once: (proposal.once ?? []).map(({ key: name, value, equalIsMine }) => {
        const other = proposal.otherwise?.[name]
        return [
          key(name),
          text(JSON.stringify(value)),
          equalIsMine ? 1 : 0,
          other === undefined ? 0 : instead.push(writes(other, proposal.shard)),
        ]
      }),
      check: (proposal.check ?? []).map(({ key: name, version }) => [key(name), version]),
      ...writes(proposal, proposal.shard),
      instead,
    }
  })
  return { keys, texts, control: { streams, proposals: encoded } }
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

export function decodeEntry(lane: number, number: number, atMs: number, body: string, chain: string): Entry {
  const { type, data } = JSON.parse(body) as { type: string; data: Record<string, unknown> }
  return { entry: entryId(lane, number), lane, number, at: new Date(atMs).toISOString(), type, data, chain }
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
