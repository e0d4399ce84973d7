/** Which driver a hub's settings mean: one arbiter, Redis or SQLite, and never one standing in for the other. */
import type { Config } from '../../config.ts'
import { openRedisStore, type RedisStoreOptions } from './redis.ts'
import { openSqliteStore } from './sqlite.ts'
import type { Store } from './store.ts'

/**
 * @param onState told when the connection to a store on a server breaks and comes back
 * @throws when the store can't be opened or must not be used; the message says why, and what to do
 */
export function openStore(
  { redisUrl, dataDir }: Pick<Config, 'redisUrl' | 'dataDir'>,
  { onState }: Pick<RedisStoreOptions, 'onState'> = {},
): Promise<Store> {
  return redisUrl === null
    ? openSqliteStore({ dataDir })
    : openRedisStore({ url: redisUrl, ...(onState && { onState }) })
}
