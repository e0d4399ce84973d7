/**
 * A thread on the embedded store's file: every call here may wait for a disk, so none of it runs on the event loop.
 * `sqlite.ts` opens two on one file (WAL: neither waits for the other), a writer and a reader, and one more for the time
 * of a backup. The writer carries the log over into the database itself, a little with every so many commits: a thread
 * that did it beside the commits held them up for longer (`npm run bench -- --paced --paces 200`).
 *
 * `commit` interprets a batch as `redis.lua` does; the two are to be read side by side.
 */
import { hash } from 'node:crypto'
import { closeSync, fdatasyncSync, openSync } from 'node:fs'
import { backup as copyDatabase, DatabaseSync, type StatementSync } from 'node:sqlite'
import { workerData } from 'piscina'
import { entryId, type Stream } from '../contract/ledger.ts'
import { type Batch, encodeRecord, recordHead } from './batch.ts'
import { nameOfKey } from './keys.ts'
import type { LaneRow, Walk } from './lanes.ts'
import { type PackedStrings, unpack } from './packed-strings.ts'
import { MIGRATIONS } from './sqlite-migrations.ts'
import type { Head, Member } from './store.ts'

export type Role = 'writer' | 'reader'

/**
 * Pages in the log before they are carried over: a page that many commits change is written once for all of them. At
 * SQLite's own 1000 a sale costs this thread a fifth more.
 */
const CHECKPOINT_PAGES = 4000

const { file, role } = workerData as { file: string; role: Role }
const db = open()

function open(): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 5000 })
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -65536;
    PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
  `)
  if (role === 'writer') migrate(database)
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

/** A batch on its way between threads. */
export interface PackedBatch {
  readonly keys: PackedStrings
  readonly texts: PackedStrings
  readonly control: Int32Array
}

/** @returns one answer per proposal, in the form of `decodeOutcome`. Throws when nothing was applied. */
export function commit(packed: PackedBatch): string[] {
  const batch = { keys: unpack(packed.keys), texts: unpack(packed.texts), control: packed.control }
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

interface StreamHead {
  name: string
  lane: number
  keep: number
  number: number
  chain: string
  grew: boolean
}

function interpret({
  keys,
  texts,
  control,
}: Pick<Batch, 'keys' | 'texts'> & { control: Int32Array }): string[] {
  const now = Date.now()
  const num = (position: number): number => control[position - 1] as number
  const documents = num(2 + num(1) * 4)
  const key = (position: number): string => keys[num(position) - 1] as string
  const otherKey = (position: number): string => keys[documents + num(position) - 1] as string
  const text = (position: number): string => texts[num(position) - 1] as string

  // The heads of the streams touched: read here, written back at the end.
  const streams: StreamHead[] = []
  let at = 2
  for (let i = 0; i < num(1); i++) {
    const name = nameOfKey(otherKey(at))
    const lane = num(at + 2)
    const stored = sql('SELECT number, chain FROM heads WHERE stream = ? AND lane = ?').get(name, lane)
    const { number, chain } = (stored as { number: number; chain: string } | undefined) ?? {
      number: 0,
      chain: '',
    }
    streams.push({ name, lane, keep: num(at + 3), number, chain, grew: false })
    at += 4
  }
  at++

  /** Appends a body to a stream and returns the entry's id. */
  function append(stream: StreamHead, body: string): string {
    stream.grew = true
    stream.number += 1
    stream.chain = hash('sha1', `${stream.chain} ${now} ${body}`)
    sql('INSERT INTO entries (stream, lane, number, at_ms, body, chain) VALUES (?, ?, ?, ?, ?, ?)').run(
      stream.name,
      stream.lane,
      stream.number,
      now,
      body,
      stream.chain,
    )
    return entryId(stream.lane, stream.number)
  }

  /** Performs the writes that stand at a position of control, and takes these locks; returns the first entry's id. */
  function write(at: number, token: string, locks: readonly number[]): string | null {
    let entry: string | null = null
    let count = num(at++)
    for (; count > 0; count--, at += 2) {
      const id = append(streams[num(at) - 1] as StreamHead, text(at + 1))
      entry ??= id
    }
    for (const lock of locks) {
      sql('INSERT INTO docs (key, record) VALUES (?, ?) ON CONFLICT DO NOTHING').run(
        key(lock),
        encodeRecord(1, now, entry, token, text(lock + 1)),
      )
    }
    count = num(at++)
    for (; count > 0; count--, at += 2) {
      const name = key(at)
      if (num(at + 1) === 0) {
        sql('DELETE FROM docs WHERE key = ?').run(name)
      } else {
        const record = encodeRecord(versionOf(getRecord(name)) + 1, now, entry, token, text(at + 1))
        sql('INSERT OR REPLACE INTO docs (key, record) VALUES (?, ?)').run(name, record)
      }
    }
    count = num(at++)
    for (; count > 0; count--, at += 3) {
      const member = num(at + 1) === 0 ? (entry ?? '-') : text(at + 1)
      if (num(at + 2) === 0) {
        sql('DELETE FROM members WHERE name = ? AND member = ?').run(otherKey(at), member)
      } else {
        sql(
          `INSERT INTO members (name, member, score) VALUES (?, ?, ?)
           ON CONFLICT (name, member) DO UPDATE SET score = excluded.score`,
        ).run(otherKey(at), member, Number(text(at + 2)))
      }
    }
    return entry
  }

  /** Applies the proposal that stands at a position of control. */
  function apply(at: number): string {
    const token = text(at + 1)
    const free: number[] = []
    let held: { lock: number; record: string } | null = null
    let mine: string | null = null
    let count = num(at + 2)
    at += 3
    for (; count > 0; count--, at += 4) {
      const record = getRecord(key(at))
      if (record === undefined) {
        if (held === null) free.push(at)
        continue
      }
      const holder = recordHead(record)
      if (holder.token === token) mine = `${holder.atMs} ${holder.entry ?? '-'}`
      else if (num(at + 2) === 0 || holder.value !== text(at + 1)) held ??= { lock: at, record }
    }
    let conflict: number | null = null
    count = num(at++)
    for (; count > 0; count--, at += 3) {
      const record = getRecord(key(at))
      const isVersion = versionOf(record) === num(at + 1)
      if (isVersion && num(at + 2) === 0) continue
      const found = record === undefined ? null : recordHead(record)
      if (found?.token === token) mine = `${found.atMs} ${found.entry ?? '-'}`
      else if (!isVersion || found?.token !== text(at + 2)) conflict ??= num(at)
    }

    if (held !== null) {
      const instead = num(held.lock + 3)
      mine ??= `${now} ${(instead === 0 ? null : write(instead, token, free)) ?? '-'}`
      return `h ${num(held.lock)} ${mine} ${held.record}`
    }
    if (mine !== null) return `c ${mine}`
    if (conflict !== null) return `x ${conflict}`
    return `c ${now} ${write(at, token, free) ?? '-'}`
  }

  const answers: string[] = []
  let count = num(at++)
  for (; count > 0; count--, at = num(at)) answers.push(apply(at))
  for (const { name, lane, keep, number, chain, grew } of streams) {
    if (!grew) continue
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

const versionOf = (record: string | undefined): number =>
  record === undefined ? 0 : Number.parseInt(record, 10)

/** @returns the record of each key, or null. */
export function read(keys: PackedStrings): (string | null)[] {
  return unpack(keys).map((key) => getRecord(key) ?? null)
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

/** Of each lane, the rows that a walk reads next. */
export function lanes({ stream, walk }: { stream: Stream; walk: Walk }): LaneRow[][] {
  const statement = sql(
    `SELECT lane, number, at_ms AS atMs, body, chain FROM entries
     WHERE stream = ? AND lane = ? AND number ${walk.newestFirst ? '<' : '>'} ?
     ORDER BY number ${walk.newestFirst ? 'DESC' : 'ASC'} LIMIT ?`,
  )
  return walk.numbers.map(
    (number, lane) => statement.all(stream, lane, number, walk.perLane) as unknown as LaneRow[],
  )
}

export function entry(query: { stream: Stream; lane: number; number: number }): LaneRow | null {
  const row = sql(
    'SELECT lane, number, at_ms AS atMs, body, chain FROM entries WHERE stream = ? AND lane = ? AND number = ?',
  ).get(query.stream, query.lane, query.number)
  return (row as unknown as LaneRow | undefined) ?? null
}

export function heads(stream: Stream): Head[] {
  return sql('SELECT lane, number, chain FROM heads WHERE stream = ? ORDER BY lane').all(
    stream,
  ) as unknown as Head[]
}

/** 4 MiB between two syncs. */
const BACKUP_PAGES = 1024

/**
 * A copy of one moment, while commits go on. An open read transaction holds that moment: otherwise every commit would
 * make the copy begin again, and under load it would never end. It is synced as it grows: one large sync at the end
 * would hold up the commits' own.
 */
export async function backup(target: string): Promise<void> {
  const copy = openSync(target, 'a')
  const source = new DatabaseSync(file, { timeout: 5000 })
  try {
    source.exec('BEGIN; SELECT count(*) FROM heads')
    await copyDatabase(source, target, { rate: BACKUP_PAGES, progress: () => fdatasyncSync(copy) })
  } finally {
    source.close()
    closeSync(copy)
  }
}

export function close(): void {
  prepared.clear()
  db.close()
}
