import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Config, environment, loadConfig } from '../config.ts'
import { openStore } from '../gateway/store/open.ts'
import { STORE_FILE } from '../gateway/store/sqlite.ts'
import type { Store } from '../gateway/store/store.ts'

/**
 * Opens the store that the settings name, makes it when there is none, and closes it whatever happens.
 * @throws ConfigError; what `use` throws
 */
export async function withStore<Result>(
  use: (store: Store, config: Config) => Promise<Result>,
): Promise<Result> {
  const config = loadConfig(environment())
  const store = await openStore(config)
  try {
    return await use(store, config)
  } finally {
    await store.close()
  }
}

/** The same for commands that only look: an empty store made by mistake would answer them that there is nothing. */
export async function withExistingStore<Result>(
  use: (store: Store, config: Config) => Promise<Result>,
): Promise<Result> {
  const { redisUrl, dataDir } = loadConfig(environment())
  if (redisUrl === null && !existsSync(join(dataDir, STORE_FILE))) {
    throw new Error(`there is no store in ${dataDir} yet: is HUB_DATA_DIR the folder of your hub?`)
  }
  return withStore(use)
}
