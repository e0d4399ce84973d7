/** Both drivers of the store, for rules that must hold on each: an empty one of its own for every test file. */
import { afterAll, beforeAll, describe } from 'vitest'
import { openRedisStore } from '../../gateway/store/redis.ts'
import { openSqliteStore } from '../../gateway/store/sqlite.ts'
import type { Store } from '../../gateway/store/store.ts'
import { type RedisServer, startRedis } from './services.ts'
import { temporaryFolder } from './temporary-folder.ts'

/**
 * Runs the same tests on the embedded store and on a real Redis.
 * @param define is given the store (opened once, before the first test) and a way to open it once more, as another hub
 */
export function describeOnBothStores(
  name: string,
  define: (store: () => Store, open: () => Promise<Store>) => void,
): void {
  describe(`${name}, on the embedded store`, () => {
    const { path: dataDir } = temporaryFolder('store')
    run(() => openSqliteStore({ dataDir }))
  })
  describe(`${name}, on Redis`, () => {
    let redis: RedisServer
    beforeAll(async () => {
      redis = await startRedis()
    })
    afterAll(() => redis?.stop())
    run(() => openRedisStore({ url: redis.url }))
  })

  function run(open: () => Promise<Store>): void {
    let store: Store
    beforeAll(async () => {
      store = await open()
    })
    afterAll(() => store?.close())
    define(() => store, open)
  }
}
