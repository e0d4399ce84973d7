/**
 * Where the rows of a file wait until all of them were seen: a temporary database, which SQLite keeps on disk when it
 * grows and removes when it is closed. So a file of any size takes the same memory, may come through a pipe, and can't
 * change between being checked and being applied.
 */
import { DatabaseSync } from 'node:sqlite'
import type { Key } from '../store/keys.ts'
import type { Json } from '../store/store.ts'
import type { ReferenceRow } from './files.ts'

export interface Sheet extends Disposable {
  /** @param key by which rows are given out: that of the document it will stand in */
  add(line: number, key: Key, row: ReferenceRow): void
  readonly rows: number
  /** Rows whose identity an earlier line has, by line. */
  duplicates(): Iterable<{ identity: string; line: number; earlierLine: number }>
  /** By key: neighbours in the store are written together, not all over it. */
  all(): Iterable<ReferenceRow>
}

/** Kept in memory of all the rows. */
const CACHE_KIB = 16_384

export function openSheet(): Sheet {
  // No name: private to this connection, and gone with it. Nothing in it has to survive, so nothing is synced.
  const database = new DatabaseSync('')
  database.exec(`
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -${CACHE_KIB};
    CREATE TABLE rows (
      line      INTEGER PRIMARY KEY,
      key       TEXT NOT NULL,
      aggregate TEXT NOT NULL,
      identity  TEXT NOT NULL,
      value     TEXT NOT NULL
    );
    BEGIN;
  `)
  const insert = database.prepare(
    'INSERT INTO rows (line, key, aggregate, identity, value) VALUES (?, ?, ?, ?, ?)',
  )
  let rows = 0
  return {
    add(line, key, { aggregate, identity, value }) {
      insert.run(line, key, aggregate, identity, JSON.stringify(value))
      rows++
    },
    get rows() {
      return rows
    },
    duplicates() {
      // Made at the end, by sorting: kept up row by row it would take three times as long.
      database.exec('CREATE INDEX IF NOT EXISTS rows_by_identity ON rows (identity, line)')
      return database
        .prepare(
          `SELECT identity, line, earlierLine FROM (
             SELECT identity, line, lag(line) OVER (PARTITION BY identity ORDER BY line) AS earlierLine FROM rows
           ) WHERE earlierLine IS NOT NULL ORDER BY line`,
        )
        .iterate() as Iterable<{ identity: string; line: number; earlierLine: number }>
    },
    *all() {
      const found = database
        .prepare('SELECT aggregate, identity, value FROM rows ORDER BY key, line')
        .iterate()
      for (const { aggregate, identity, value } of found as Iterable<Record<keyof ReferenceRow, string>>) {
        yield { aggregate, identity, value: JSON.parse(value) as Json }
      }
    },
    [Symbol.dispose]: () => database.close(),
  }
}
