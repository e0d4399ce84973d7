/** What the CRM of Qontak was given, in the store: outlives the hub, and is the same for all of them. */
import { randomUUID } from 'node:crypto'
import type { QontakCrmOptions } from '../bridges/qontak/crm.ts'
import { type QontakRecordDoc, qontakRecordKey } from '../documents.ts'
import { commitUntilAnswered } from '../store/commit-until-answered.ts'
import { shardOfKey } from '../store/keys.ts'
import type { Store } from '../store/store.ts'

export function createQontakRecords(
  store: Pick<Store, 'read' | 'commit'>,
): Pick<QontakCrmOptions, 'recall' | 'remember'> {
  return {
    async recall(about) {
      const [doc] = await store.read([qontakRecordKey(about)])
      return (doc?.value as QontakRecordDoc | undefined) ?? null
    },
    async remember(about, value) {
      const key = qontakRecordKey(about)
      await commitUntilAnswered(store, [
        { shard: shardOfKey(key), token: randomUUID(), set: [{ key, value }] },
      ])
    },
  }
}
