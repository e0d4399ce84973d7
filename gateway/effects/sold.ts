/**
 * Links sales to leads: follows the ledger and tells the intake of each registered sale that names a lead or a buyer, and of
 * each that was voided.
 * The checkpoint moves after the intake has taken them; a lead takes its first sale only, so repeats change nothing.
 */
import { randomUUID } from 'node:crypto'
import type { EconomicsEntry } from '../contract/economics.ts'
import type { Entry, SaleEntry } from '../contract/ledger.ts'
import { internalMessage } from '../decode/internal.ts'
import type { Inbound } from '../decode.ts'
import { type CheckpointDoc, checkpointKey } from '../documents.ts'
import { createLease } from '../lease.ts'
import { shardOfKey } from '../store/keys.ts'
import { START, type Store } from '../store/store.ts'
import { startWorker, type Worker, type WorkerLog } from './worker.ts'

/** As the other followers read them, so that pages are shared. */
const PAGE_ENTRIES = 1000
const POLL_MS = 500

export interface SoldServices {
  readonly store: Pick<Store, 'read' | 'commit' | 'entriesAfter' | 'entry'>
  readonly accept: (message: Inbound) => Promise<unknown>
  readonly log: WorkerLog
}

export function startSold({ store, accept, log }: SoldServices): Pick<Worker, 'stop'> {
  const lease = createLease(store, 'sold')
  const key = checkpointKey('sold')

  async function tell({ entry, type, data }: Entry): Promise<void> {
    if (type === 'sale.registered') {
      const { serial, dealer, lead_id = null, customer = null, ...said } = data as unknown as SaleEntry
      if (lead_id === null && customer === null) return
      const { sold_at, price, currency, verified, region = null } = said
      const facts = { sold_at, price, currency, verified, region }
      await accept(internalMessage('sold', { sale: entry, serial, dealer, lead_id, customer, facts }))
    }
    if (type === 'sale.voided') {
      const { sale } = data as EconomicsEntry<'sale.voided'>
      const voided = await store.entry('ledger', sale)
      const { lead_id = null, customer = null } = (voided?.data ?? {}) as Partial<SaleEntry>
      await accept(internalMessage('unsold', { sale, lead_id, customer }))
    }
  }

  async function step(): Promise<boolean> {
    if (!(await lease.hold())) return false
    const [doc = null] = await store.read([key])
    const from = (doc?.value as CheckpointDoc | undefined)?.position ?? START
    const { entries, position } = await store.entriesAfter('ledger', from, PAGE_ENTRIES)
    if (entries.length === 0) return false
    // A sale before its void: what comes before a void is taken before it.
    const taking: Promise<unknown>[] = []
    for (const entry of entries) {
      if (entry.type === 'sale.voided') await Promise.all(taking.splice(0))
      taking.push(tell(entry))
    }
    await Promise.all(taking)
    await store.commit([
      {
        shard: shardOfKey(key),
        token: randomUUID(),
        check: [{ key, version: doc?.version ?? 0 }],
        set: [{ key, value: { position } satisfies CheckpointDoc }],
      },
    ])
    return entries.length === PAGE_ENTRIES
  }

  const worker = startWorker({ name: 'sales of leads', step, pollMs: POLL_MS, log })
  return {
    async stop() {
      await worker.stop()
      await lease.release().catch(() => {})
    },
  }
}
