/**
 * A hub that does nothing but tell a CRM: `node crm-process.ts DATA_DIR URL SECRET CLOCK_OFFSET_MS`. For tests that kill
 * it; the offset lets the next one take over the lease of one that was killed.
 */
import { startCrm } from '../../../gateway/effects/crm.ts'
import { createCrmWebhook } from '../../../gateway/effects/crm-webhook.ts'
import { openSqliteStore } from '../../../gateway/store/sqlite.ts'
import { describeEntry } from './crm-entries.ts'

const [dataDir, url, secret, offsetMs] = process.argv.slice(2) as [string, string, string, string]
const systemNow = Date.now
Date.now = () => systemNow() + Number(offsetMs)

const store = await openSqliteStore({ dataDir })
// The receiver's clock is the system's.
const webhook = createCrmWebhook({ url, secret, now: systemNow })
await startCrm({ store, targets: [webhook], describe: describeEntry, log: { info() {}, warn() {} } })
console.log('following')
