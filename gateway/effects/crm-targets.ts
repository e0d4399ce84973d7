/** The CRMs that the settings name: one's own by webhook, Qontak's by its gateway. */
import type { Config } from '../../config.ts'
import { systemClock } from '../bridges/clock.ts'
import { createQontakClient } from '../bridges/qontak/client.ts'
import { createQontakCrm } from '../bridges/qontak/crm.ts'
import type { Store } from '../store/store.ts'
import type { CrmTarget } from './crm.ts'
import { createCrmWebhook } from './crm-webhook.ts'
import { createQontakRecords } from './qontak-records.ts'

export function crmTargets(
  { crmWebhook, qontak }: Pick<Config, 'crmWebhook' | 'qontak'>,
  store: Pick<Store, 'read' | 'commit'>,
): CrmTarget[] {
  const targets: CrmTarget[] = []
  if (crmWebhook !== null) targets.push(createCrmWebhook(crmWebhook))
  if (qontak !== null) {
    const client = createQontakClient({ access: qontak, clock: systemClock })
    targets.push(createQontakCrm({ client, ...createQontakRecords(store) }))
  }
  return targets
}
