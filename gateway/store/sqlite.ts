/**
 * The embedded store: one SQLite file in the data folder, for one process (other processes of the same machine, such
 * as `hub import`, may write to it too). A commit returns after fsync (`synchronous=FULL`).
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Piscina } from 'piscina'
import { parseEntryId, type Stream } from '../contract/ledger.ts'
import { decodeOutcome, decodeRecord, encodeBatch, mergeMembers, PING } from './batch.ts'
import { groupCommits } from './group-commit.ts'
import { endOf, entryOfRow, type LaneRow, pageOf, walkFrom } from './lanes.ts'
import { pack } from './packed-strings.ts'
import type { Role } from './sqlite-worker.ts'
import type { Durability, Head, Member, Position, Store } from './store.ts'

export const STORE_FILE = 'hub.db'

export const EMBEDDED_DURABILITY: Durability = {
  promise: 'embedded SQLite, synchronous=FULL: an acknowledged event is on disk and survives a power cut',
  powerCut: true,
}

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
  const writer = openThread(file, 'writer')
  await writer.run('heads', 'ledger')
  const reader = openThread(file, 'reader')

  async function page(stream: Stream, position: Position, limit: number, newestFirst: boolean) {
    const walk = walkFrom(position, limit, newestFirst)
    return pageOf(await reader.run('lanes', { stream, walk }), walk, position, limit)
  }

  const heads = (stream: Stream): Promise<Head[]> => reader.run('heads', stream)

  const writes = groupCommits(async (proposals) => {
    const batch = encodeBatch(proposals)
    const control = Int32Array.from(batch.control)
    const packed = { keys: pack(batch.keys), texts: pack(batch.texts), control }
    const answers: string[] = await writer.run('commit', packed)
    return answers.map((answer) => decodeOutcome(answer, batch.keys))
  })

  return {
    async read(keys) {
      const records: (string | null)[] = await reader.run('read', pack(keys))
      return records.map((record) => (record === null ? null : decodeRecord(record)))
    },
    commit: writes.commit,
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
    entriesAfter: (stream, position, limit) => page(stream, position, limit, false),
    entriesBefore: (stream, position, limit) => page(stream, position, limit, true),
    async entry(stream, id) {
      const place = parseEntryId(id)
      if (place === null) return null
      const row: LaneRow | null = await reader.run('entry', { stream, ...place })
      return row === null ? null : entryOfRow(row)
    },
    end: async (stream) => endOf(await heads(stream)),
    heads,
    async ping() {
      await writes.commit(PING)
    },
    durability: EMBEDDED_DURABILITY,
    async backup(target) {
      const copier = openThread(file, 'reader')
      try {
        await copier.run('backup', target)
      } finally {
        await copier.close()
      }
    },
    async close() {
      await writes.settled()
      await Promise.all([writer.close(), reader.close()])
    },
  }
}

/** One thread, so that calls are answered in the order they were made. */
function openThread(file: string, role: Role) {
  const pool = new Piscina({
    filename: new URL('./sqlite-worker.ts', import.meta.url).href,
    workerData: { file, role },
    minThreads: 1,
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    // Without it Piscina puts the task whose turn it is behind the others whenever it finds the thread busy.
    stricterFIFO: true,
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
