/**
 * The embedded store: one SQLite file in the data folder, for one process (other processes of the same machine, such
 * as `hub import`, may write to it too). A commit returns after fsync (`synchronous=FULL`).
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Piscina } from 'piscina'
import { type Entry, parseEntryId, type Stream } from '../contract/ledger.ts'
import { decodeEntry, decodeOutcome, decodeRecord, encodeBatch, mergeMembers } from './batch.ts'
import type { EntryRow } from './sqlite-worker.ts'
import { type EntriesPage, type Member, type Position, START, type Store } from './store.ts'

export const STORE_FILE = 'hub.db'

export interface SqliteStore extends Store {
  /** A consistent copy of the store in a new file, while running. */
  backup(file: string): Promise<void>
}

export interface SqliteOptions {
  /** Folder of the file; made when missing. */
  readonly dataDir: string
}

export async function openSqliteStore({ dataDir }: SqliteOptions): Promise<SqliteStore> {
  mkdirSync(dataDir, { recursive: true })
  const file = join(dataDir, STORE_FILE)
  const writer = openThread(file, false)
  await writer.run('end')
  const reader = openThread(file, true)

  async function page(
    stream: Stream,
    query: { after: number; before: number; limit: number; newestFirst: boolean },
    position: Position,
  ): Promise<EntriesPage> {
    const rows: EntryRow[] = await reader.run('entries', { stream, ...query })
    const positionAfter = (count: number): Position =>
      count === 0 ? position : String((rows[count - 1] as EntryRow).position)
    return { entries: rows.map(entryOfRow), position: positionAfter(rows.length), positionAfter }
  }

  return {
    async read(keys) {
      const records: (string | null)[] = await reader.run('read', keys)
      return records.map((record) => (record === null ? null : decodeRecord(record)))
    },
    async commit(proposals) {
      const batch = encodeBatch(proposals)
      const answers: string[] = await writer.run('commit', batch)
      return answers.map((answer) => decodeOutcome(answer, batch.keys))
    },
    async range(names, { min = -Infinity, max = Infinity, after, limit }) {
      const members: Member[] = await reader.run('range', {
        names,
        min: after?.score ?? min,
        max,
        afterMember: after?.member ?? '',
        limit,
      })
      return mergeMembers(members, limit)
    },
    entriesAfter: (stream, position, limit) =>
      page(
        stream,
        { after: parsePosition(position, 0), before: Number.MAX_SAFE_INTEGER, limit, newestFirst: false },
        position,
      ),
    entriesBefore: (stream, position, limit) =>
      page(
        stream,
        { after: 0, before: parsePosition(position, Number.MAX_SAFE_INTEGER), limit, newestFirst: true },
        position,
      ),
    async entry(stream, id) {
      const place = parseEntryId(id)
      if (place === null) return null
      const row: EntryRow | null = await reader.run('entry', { stream, ...place })
      return row === null ? null : entryOfRow(row)
    },
    async end() {
      return String(await reader.run('end'))
    },
    async heads(stream) {
      return reader.run('heads', stream)
    },
    async ping() {
      await reader.run('end')
    },
    durability: {
      promise: 'embedded SQLite, synchronous=FULL: an acknowledged event is on disk and survives a power cut',
      powerCut: true,
    },
    async backup(target) {
      await writer.run('backup', target)
    },
    async close() {
      await Promise.all([writer.close(), reader.close()])
    },
  }
}

/** One thread, so that calls are answered in the order they were made. */
function openThread(file: string, readOnly: boolean) {
  const pool = new Piscina({
    filename: new URL('./sqlite-worker.ts', import.meta.url).href,
    workerData: { file, readOnly },
    minThreads: 1,
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
  })
  return {
    async run(name: string, argument?: unknown) {
      try {
        return await pool.run(argument, { name })
      } catch (cause) {
        throw new Error(`the embedded store could not ${name}: ${(cause as Error).message}`, { cause })
      }
    },
    async close() {
      await pool.run(undefined, { name: 'close' })
      await pool.close()
    },
  }
}

const entryOfRow = (row: EntryRow): Entry => decodeEntry(row.lane, row.number, row.at_ms, row.body, row.chain)

function parsePosition(position: Position, start: number): number {
  if (position === START) return start
  const value = Number(position)
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a position: ${position}`)
  return value
}
