/** The CRMs that the settings name: one's own by webhook, Qontak's by its gateway. */
import { randomUUID } from 'node:crypto'
import type { Config } from '../../config.ts'
import { systemClock } from '../bridges/clock.ts'
import { createQontakClient } from '../bridges/qontak/client.ts'
import { createQontakCrm } from '../bridges/qontak/crm.ts'
import { type QontakRecordDoc, qontakRecordKey } from '../documents.ts'
import { commitUntilAnswered } from '../store/commit-until-answered.ts'
import { shardOfKey } from '../store/keys.ts'
import type { Json, Store } from '../store/store.ts'
import type { CrmTarget } from './crm.ts'
import { createCrmWebhook } from './crm-webhook.ts'

export function crmTargets(
  { crmWebhook, qontak }: Pick<Config, 'crmWebhook' | 'qontak'>,
  store: Pick<Store, 'read' | 'commit'>,
): CrmTarget[] {
  const targets: CrmTarget[] = []
  if (crmWebhook !== null) targets.push(createCrmWebhook(crmWebhook))
  if (qontak !== null) {
    const client = createQontakClient({ access: qontak, clock: systemClock })
    targets.push(createQontakCrm({ client, ...qontakRecords(store) }))
  }
  return targets
}

function qontakRecords(store: Pick<Store, 'read' | 'commit'>) {
  return {
    async recall(about: string): Promise<QontakRecordDoc | null> {
      const [doc] = await store.read([qontakRecordKey(about)])
      return (doc?.value as QontakRecordDoc | undefined) ?? null
    },
    async remember(about: string, record: QontakRecordDoc): Promise<void> {
      const key = qontakRecordKey(about)
      const set = [{ key, value: record as unknown as Json }]
      await commitUntilAnswered(store, [{ shard: shardOfKey(key), token: randomUUID(), set }])
    },
  }
}
