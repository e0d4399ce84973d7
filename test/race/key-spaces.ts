/** Empty stores to race on, one after the other, each with as many connections as there are hubs. */
import { Redis } from 'ioredis'
import { openRedisStore } from '../../gateway/store/redis.ts'
import { openSqliteStore } from '../../gateway/store/sqlite.ts'
import type { Store } from '../../gateway/store/store.ts'
import { startRedis } from '../support/services.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

export interface KeySpaces extends AsyncDisposable {
  /** Empty until it is used; the one before is gone. One store for each hub. */
  race<Result>(hubs: number, work: (stores: readonly Store[]) => Promise<Result>): Promise<Result>
}

/** A file is one process', hence one store, however many intakes work on it. */
export const embeddedKeySpaces = async (): Promise<KeySpaces> => ({
  async race(hubs, work) {
    using folder = temporaryFolder('races')
    const store = await openSqliteStore({ dataDir: folder.path })
    try {
      return await work(Array.from({ length: hubs }, () => store))
    } finally {
      await store.close()
    }
  },
  async [Symbol.asyncDispose]() {},
})

export async function redisKeySpaces(): Promise<KeySpaces> {
  const server = await startRedis()
  const client = new Redis(server.url)
  return {
    async race(hubs, work) {
      await client.flushall()
      const stores = await Promise.all(
        Array.from({ length: hubs }, () => openRedisStore({ url: server.url })),
      )
      try {
        return await work(stores)
      } finally {
        await Promise.all(stores.map((store) => store.close()))
      }
    },
    async [Symbol.asyncDispose]() {
      client.disconnect()
      await server.stop()
    },
  }
}
