/** `hub backup`: the embedded store as one file, while the hub runs. */
import { closeSync, existsSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { environment, loadConfig } from '../config.ts'
import { SECRET_FILE } from '../gateway/secrets.ts'
import { openSqliteStore, STORE_FILE } from '../gateway/store/sqlite.ts'
import { print } from './output.ts'

export const backupCommand = (): Command =>
  new Command('backup')
    .summary('the embedded store as a file')
    .description('Copy the embedded store to a file: of one moment, while the hub runs.')
    .argument('<file>')
    .option('--force', 'replace the file when it is there')
    .addHelpText('after', EXAMPLES)
    .action(backup)

const EXAMPLES = `
The file holds everything but the key of customer ids (${SECRET_FILE} in the data folder, or HUB_SECRET): keep that
with it, in a safe place. Metrics are made again from the ledger.

Examples:
  $ hub backup /backups/hub-$(date +%F).db
  $ hub restore /backups/hub-2026-11-22.db`

const ON_REDIS =
  'with REDIS_URL the store is on that server: back up Redis instead, by copying its append-only folder or its ' +
  'snapshot (BGSAVE), or by a replica'

async function backup(path: string, { force }: { force?: true }): Promise<void> {
  const { redisUrl, dataDir } = loadConfig(environment())
  if (redisUrl !== null) throw new Error(ON_REDIS)
  if (!existsSync(join(dataDir, STORE_FILE))) throw new Error(`there is no store in ${dataDir} yet`)
  if (existsSync(path) && !force) throw new Error(`${path} is there already; --force replaces it`)
  // Under another name until it is whole, and for its owner's eyes: it holds phone numbers.
  const draft = `${path}.draft`
  rmSync(draft, { force: true })
  closeSync(openSync(draft, 'wx', 0o600))
  try {
    await using stack = new AsyncDisposableStack()
    const store = stack.adopt(await openSqliteStore({ dataDir }), (it) => it.close())
    await store.backup(draft)
    renameSync(draft, path)
  } finally {
    rmSync(draft, { force: true })
  }
  const megabytes = (statSync(path).size / 1e6).toFixed(1)
  await print(`${path}: ${megabytes} MB\n`)
}
