/**
 * One hub to a data folder. The lock is an open transaction on a file of its own: the system gives it back when the
 * process ends, however it ends, so a hub that was killed leaves no lock behind.
 *
 * Commands that merely read or write the store beside a running hub (`hub import`, `hub ledger export`) do not take it.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

const LOCK_FILE = 'hub.lock'
const SQLITE_BUSY = 5

/** @returns the lock, to be disposed when the hub has stopped; null when another process has it. */
export function lockDataFolder(dataDir: string): Disposable | null {
  mkdirSync(dataDir, { recursive: true })
  const database = new DatabaseSync(join(dataDir, LOCK_FILE))
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return null
    throw error
  }
  return { [Symbol.dispose]: () => database.close() }
}
