/**
 * The thread that owns the embedded store's file: every call here may wait for a disk, so none of it runs on the
 * event loop. `sqlite.ts` opens two such threads on one file, a writer and a reader (WAL: neither waits for the other).
 *
 * `commit` interprets a batch as `redis.lua` does; the two are to be read side by side.
 */
import { createHash } from 'node:crypto'
import { backup as copyDatabase, DatabaseSync, type StatementSync } from 'node:sqlite'
import { workerData } from 'piscina'
import { entryId, type Stream } from '../contract/ledger.ts'
import { type Batch, encodeRecord, type ProposalControl, recordHead, type WritesControl } from './batch.ts'
import { nameOfKey } from './keys.ts'
import { MIGRATIONS } from './sqlite-migrations.ts'
import type { Head, Member } from './store.ts'

const { file, readOnly } = workerData as { file: string; readOnly: boolean }
const db = open()

function open(): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 5000 })
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -65536;
    PRAGMA temp_store = MEMORY;
  `)
  if (!readOnly) migrate(database)
  return database
}

function migrate(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE')
  const { user_version: applied } = database.prepare('PRAGMA user_version').get() as { user_version: number }
  if (applied > MIGRATIONS.length) {
    database.exec('ROLLBACK')
    throw new Error(
      `${file} was written by a newer hub (schema ${applied}; this one knows ${MIGRATIONS.length})`,
    )
  }
  for (const migration of MIGRATIONS.slice(applied)) database.exec(migration)
  database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`)
  database.exec('COMMIT')
}

const prepared = new Map<string, StatementSync>()
/** Prepared at its first use, since the reader's thread may open the file before it has tables. */
function sql(statement: string): StatementSync {
  let found = prepared.get(statement)
  if (found === undefined) {
    found = db.prepare(statement)
    prepared.set(statement, found)
  }
  return found
}

const getRecord = (key: string): string | undefined =>
  (sql('SELECT record FROM docs WHERE key = ?').get(key) as { record: string } | undefined)?.record

/** @returns one answer per proposal, in the form of `decodeOutcome`. Throws when nothing was applied. */
export function commit(batch: Batch): string[] {
  db.exec('BEGIN IMMEDIATE')
  try {
    const answers = interpret(batch)
    db.exec('COMMIT')
    return answers
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

function interpret({ keys, texts, control }: Batch): string[] {
  const now = Date.now()
  const heads = new Map<number, { number: number; chain: string }>()
  const key = (position: number): string => keys[position - 1] as string
  const text = (position: number): string => texts[position - 1] as string

  function append(position: number, body: string): string {
    const [stream, , lane] = control.streams[position - 1] as [number, number, number, number]
    const name = nameOfKey(key(stream))
    let head = heads.get(position)
    if (head === undefined) {
      const stored = sql('SELECT number, chain FROM heads WHERE stream = ? AND lane = ?').get(name, lane)
      head = (stored as typeof head) ?? { number: 0, chain: '' }
      heads.set(position, head)
    }
    head.number += 1
    head.chain = createHash('sha1').update(`${head.chain} ${now} ${body}`).digest('hex')
    sql('INSERT INTO entries (stream, lane, number, at_ms, body, chain) VALUES (?, ?, ?, ?, ?, ?)').run(
      name,
      lane,
      head.number,
      now,
      body,
      head.chain,
    )
    return entryId(lane, head.number)
  }

  function put(name: string, token: string, entry: string | null, value: string): void {
    const existing = getRecord(name)
    const version = existing === undefined ? 1 : recordHead(existing).version + 1
    sql('INSERT OR REPLACE INTO docs (key, record) VALUES (?, ?)').run(
      name,
      encodeRecord(version, now, entry, token, value),
    )
  }

  /** The id of the first entry appended, or null. */
  function appendAll(writes: WritesControl): string | null {
    let first: string | null = null
    for (const [stream, body] of writes.append) {
      const id = append(stream, text(body))
      first ??= id
    }
    return first
  }

  function setAndIndex(writes: WritesControl, token: string, entry: string | null): void {
    for (const [name, value] of writes.set) {
      if (value === 0) sql('DELETE FROM docs WHERE key = ?').run(key(name))
      else put(key(name), token, entry, text(value))
    }
    for (const [name, memberText, score] of writes.index) {
      const member = memberText === 0 ? (entry ?? '-') : text(memberText)
      if (score === 0) {
        sql('DELETE FROM members WHERE name = ? AND member = ?').run(key(name), member)
      } else {
        sql('INSERT OR REPLACE INTO members (name, member, score) VALUES (?, ?, ?)').run(
          key(name),
          member,
          Number(text(score)),
        )
      }
    }
  }

  function apply(proposal: ProposalControl): string {
    const token = text(proposal.token)
    const free: ProposalControl['once'] = []
    let held: { lock: ProposalControl['once'][number]; record: string } | null = null
    let mine: { atMs: number; entry: string | null } | null = null
    for (const lock of proposal.once) {
      const record = getRecord(key(lock[0]))
      if (record === undefined) {
        if (held === null) free.push(lock)
        continue
      }
      const holder = recordHead(record)
      if (holder.token === token) mine = holder
      else if (lock[2] === 0 || holder.value !== text(lock[1])) held ??= { lock, record }
    }
    let conflict: number | null = null
    for (const [name, version] of proposal.check) {
      const record = getRecord(key(name))
      const found = record === undefined ? null : recordHead(record)
      if ((found?.version ?? 0) === version) continue
      if (found?.token === token) mine = found
      else conflict ??= name
    }

    if (mine !== null) {
      return held === null
        ? `c ${mine.atMs} ${mine.entry ?? '-'}`
        : `h ${held.lock[0]} ${mine.atMs} ${mine.entry ?? '-'} ${held.record}`
    }
    if (held !== null) {
      const instead = proposal.instead[held.lock[3] - 1]
      let entry: string | null = null
      if (instead !== undefined) {
        entry = appendAll(instead)
        for (const lock of free) put(key(lock[0]), token, entry, text(lock[1]))
        setAndIndex(instead, token, entry)
      }
      return `h ${held.lock[0]} ${now} ${entry ?? '-'} ${held.record}`
    }
    if (conflict !== null) return `x ${conflict}`

    const entry = appendAll(proposal)
    for (const lock of free) {
      sql('INSERT INTO docs (key, record) VALUES (?, ?) ON CONFLICT DO NOTHING').run(
        key(lock[0]),
        encodeRecord(1, now, entry, token, text(lock[1])),
      )
    }
    setAndIndex(proposal, token, entry)
    return `c ${now} ${entry ?? '-'}`
  }

  const answers = control.proposals.map(apply)
  for (const [position, { number, chain }] of heads) {
    const [stream, , lane, keep] = control.streams[position - 1] as [number, number, number, number]
    const name = nameOfKey(key(stream))
    sql('INSERT OR REPLACE INTO heads (stream, lane, number, chain) VALUES (?, ?, ?, ?)').run(
      name,
      lane,
      number,
      chain,
    )
    if (keep > 0) {
      sql('DELETE FROM entries WHERE stream = ? AND lane = ? AND number <= ?').run(name, lane, number - keep)
    }
  }
  return answers
}

/** @returns the record of each key, or null. */
export function read(keys: readonly string[]): (string | null)[] {
  return keys.map((key) => getRecord(key) ?? null)
}

export function range(query: {
  names: readonly string[]
  min: number
  max: number
  afterMember: string
  limit: number
}): Member[] {
  return query.names.flatMap(
    (name) =>
      sql(
        `SELECT name, member, score FROM members WHERE name = ? AND (score, member) > (?, ?) AND score <= ?
         ORDER BY score, member LIMIT ?`,
      ).all(name, query.min, query.afterMember, query.max, query.limit) as unknown as Member[],
  )
}

export interface EntryRow {
  position: number
  lane: number
  number: number
  at_ms: number
  body: string
  chain: string
}

/** Entries with `after < position < before`, by rising or falling position. */
export function entries(query: {
  stream: Stream
  after: number
  before: number
  limit: number
  newestFirst: boolean
}): EntryRow[] {
  return sql(
    `SELECT position, lane, number, at_ms, body, chain FROM entries
     WHERE position > ? AND position < ? AND stream = ?
     ORDER BY position ${query.newestFirst ? 'DESC' : 'ASC'} LIMIT ?`,
  ).all(query.after, query.before, query.stream, query.limit) as unknown as EntryRow[]
}

export function entry(query: { stream: Stream; lane: number; number: number }): EntryRow | null {
  const row = sql(
    'SELECT position, lane, number, at_ms, body, chain FROM entries WHERE stream = ? AND lane = ? AND number = ?',
  ).get(query.stream, query.lane, query.number)
  return (row as unknown as EntryRow | undefined) ?? null
}

export function end(): number {
  const row = sql('SELECT max(position) AS position FROM entries').get() as { position: number | null }
  return row.position ?? 0
}

export function heads(stream: Stream): Head[] {
  return sql('SELECT lane, number, chain FROM heads WHERE stream = ? ORDER BY lane').all(
    stream,
  ) as unknown as Head[]
}

/** A consistent copy while running: SQLite's online backup. */
export async function backup(target: string): Promise<void> {
  await copyDatabase(db, target)
}

export function close(): void {
  prepared.clear()
  db.close()
}
