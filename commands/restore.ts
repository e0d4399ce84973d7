/** `hub restore`: a backup becomes the embedded store again. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Command } from 'commander'
import { environment, loadConfig } from '../config.ts'
import { verifyLedger } from '../gateway/ledger-file.ts'
import { isStoreInUse, SECRET_FILE } from '../gateway/secrets.ts'
import { openSqliteStore, STORE_FILE } from '../gateway/store/sqlite.ts'
import { count, print } from './output.ts'
import { lockFolder } from './start.ts'

export const restoreCommand = (): Command =>
  new Command('restore')
    .summary('and back again')
    .description('Put a backup in the place of the embedded store, with the hub stopped.')
    .argument('<file>', 'what hub backup wrote')
    .option('--force', 'when there is a store already: it is put aside, not deleted')
    .addHelpText('after', EXAMPLES)
    .action(restore)

const EXAMPLES = `
The backup is checked from end to end before anything is replaced.

Examples:
  $ hub restore /backups/hub-2026-11-22.db
  $ hub restore /backups/hub-2026-11-22.db --force && hub metrics rebuild`

const ON_REDIS =
  'with REDIS_URL the store is on that server: restore Redis instead, by starting it on a copy of its append-only ' +
  'folder or its snapshot'

const SQLITE_BUSY = 5

async function restore(path: string, { force }: { force?: true }): Promise<void> {
  const config = loadConfig(environment())
  if (config.redisUrl !== null) throw new Error(ON_REDIS)
  const { dataDir } = config
  using _lock = lockFolder(config)
  const store = join(dataDir, STORE_FILE)
  if (existsSync(store) && !force)
    throw new Error(`there is a store in ${dataDir} already; --force puts it aside`)

  const draftDir = join(dataDir, 'restoring')
  rmSync(draftDir, { recursive: true, force: true })
  mkdirSync(draftDir, { recursive: true, mode: 0o700 })
  try {
    const draft = join(draftDir, STORE_FILE)
    copyFileSync(path, draft)
    const { entries, newest, isInUse } = await check(path, draftDir, draft)
    const aside = existsSync(store) ? putAside(store) : null
    renameSync(draft, store)
    sync(dataDir)
    await print(
      `Restored ${count(entries, 'entry', 'entries')}${newest === null ? '' : `, the newest of ${newest}`}.\n`,
    )
    if (aside !== null) console.error(`The store that was there is now ${aside}`)
    console.error('Figures follow with: hub metrics rebuild')
    if (isInUse && config.secret === null && !existsSync(join(dataDir, SECRET_FILE))) {
      console.error(
        `The key of customer ids is not in a backup: put ${SECRET_FILE} into ${dataDir}, or set HUB_SECRET`,
      )
    }
  } finally {
    rmSync(draftDir, { recursive: true, force: true })
  }
}

interface Checked {
  readonly entries: number
  /** Instant of the newest entry; null when there is none. */
  readonly newest: string | null
  /** Whether a hub has made customer ids with it. */
  readonly isInUse: boolean
}

/** @throws when it is no store of a hub, is damaged, or its ledger is not sound */
async function check(path: string, draftDir: string, draft: string): Promise<Checked> {
  try {
    // Before it is opened as a store: that would make one of any database.
    using database = new DatabaseSync(draft)
    database.prepare('SELECT number FROM entries LIMIT 1').all()
    const { quick_check: found } = database.prepare('PRAGMA quick_check(1)').get() as { quick_check: string }
    if (found !== 'ok') throw new Error(found)
  } catch (cause) {
    throw new Error(`${path} is not the store of a hub, or damaged: ${(cause as Error).message}`, { cause })
  }
  await using stack = new AsyncDisposableStack()
  const store = stack.adopt(await openSqliteStore({ dataDir: draftDir }), (it) => it.close())
  const report = await verifyLedger(store)
  if (report.violationsTotal > 0) {
    throw new Error(['its ledger is not sound; nothing was replaced:', ...report.violations].join('\n'))
  }
  const isInUse = await isStoreInUse(store)
  await stack.disposeAsync()
  sync(draft)
  return { entries: report.entries, newest: report.to, isInUse }
}

/**
 * The store under another name, with its log beside it.
 * @throws when another process has it open
 */
function putAside(store: string): string {
  try {
    using database = new DatabaseSync(store)
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;')
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) {
      throw new Error(`another process has ${store} open; nothing was replaced`, { cause: error })
    }
    // A damaged store is no reason to keep it in its place.
  }
  const aside = `${store}.${new Date().toISOString().replaceAll(':', '-')}`
  for (const part of ['-wal', '-shm', ''])
    if (existsSync(store + part)) renameSync(store + part, aside + part)
  return aside
}

/** To the disk: the content of a file, or the names in a folder. */
function sync(path: string): void {
  const descriptor = openSync(path, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}
