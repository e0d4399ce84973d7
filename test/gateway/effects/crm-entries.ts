/** Leads in a ledger, as far as a CRM hears of them. */
import { randomUUID } from 'node:crypto'
import type { DescribeEntry, HandoffDetails } from '../../../gateway/contract/crm.ts'
import { keyIn, shardOf } from '../../../gateway/store/keys.ts'
import type { Store } from '../../../gateway/store/store.ts'

/** @returns the entry's id. */
export async function append(store: Pick<Store, 'commit'>, type: string, data: Record<string, unknown>) {
  const shard = shardOf(String(data.lead ?? data.lead_id ?? data.serial))
  const id = randomUUID()
  const [outcome] = await store.commit([
    {
      shard,
      token: id,
      once: [{ key: keyIn(shard, `test:${id}`), value: 1 }],
      append: [{ stream: 'ledger', type, data }],
    },
  ])
  if (outcome?.outcome !== 'committed' || outcome.entry === null) throw new Error('not appended')
  return outcome.entry
}

export const customer = { id: 'cus_1', name: 'Rina', phone: '+6281200000001', user_id: null }

export const details: HandoffDetails = {
  lead: null,
  customer,
  dealer: { id: 'D001', name: 'Sinar Motor', region: 'west' },
  rep: { id: 'R1', name: 'Budi', phone: '+6281200000009' },
  model: 'EV-2',
  area: 'Kemang',
  intent: 'buy',
  when: 'this month',
  channel: 'tiktok',
  claimed_at: '2026-11-22T08:15:31.000Z',
  time_to_claim_s: 12.5,
}

export const describeEntry: DescribeEntry = async ({ data }) => ({
  ...details,
  lead: typeof data.lead === 'string' ? data.lead : null,
})

export const sale = {
  event_id: 'e1',
  dealer: 'D001',
  device: 'till-1',
  serial: 'SER001',
  model: 'EV-2',
  price: 28_500_000,
  currency: 'IDR',
  sold_at: '2026-11-22T08:15:30.123Z',
  customer: 'cus_1',
  verified: true,
}
