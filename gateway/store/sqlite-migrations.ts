/**
 * The embedded store's schema: numbered, forward only. A migration that has landed is never edited; add the next one.
 * `PRAGMA user_version` says how many were applied.
 */
export const MIGRATIONS: readonly string[] = [
  // 1: the four primitives. A lock is a document that is written once.
  `
  CREATE TABLE docs (
    key    TEXT PRIMARY KEY,
    record TEXT NOT NULL
  ) WITHOUT ROWID;

  CREATE TABLE entries (
    stream TEXT    NOT NULL,
    lane   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at_ms  INTEGER NOT NULL,
    body   TEXT    NOT NULL,
    chain  TEXT    NOT NULL,
    PRIMARY KEY (stream, lane, number)
  ) WITHOUT ROWID;

  CREATE TABLE heads (
    stream TEXT    NOT NULL,
    lane   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    chain  TEXT    NOT NULL,
    PRIMARY KEY (stream, lane)
  ) WITHOUT ROWID;

  CREATE TABLE members (
    name   TEXT NOT NULL,
    member TEXT NOT NULL,
    score  REAL NOT NULL,
    PRIMARY KEY (name, member)
  ) WITHOUT ROWID;
  CREATE INDEX members_by_score ON members (name, score, member);
  `,
]
