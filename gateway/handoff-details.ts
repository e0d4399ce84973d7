/** Who and what an entry is about, with personal data, as the documents have it now: what a CRM is told. */
import type { DescribeEntry, HandoffDetails } from './contract/crm.ts'
import type { LeadEntry } from './contract/leads.ts'
import type { Entry, SaleEntry } from './contract/ledger.ts'
import { type CustomerDoc, customerKey } from './documents.ts'
import { isLeadId, type LeadDoc, leadKey, type PersonDoc, personKey } from './race-documents.ts'
import { createDirectoryLoader, DIRECTORY_KEYS } from './reference/load-directory.ts'
import type { Store } from './store/store.ts'

type Claimed = LeadEntry<'lead.claimed'>

/** @returns what describes an entry of a claim, an outcome or a sale. It rejects when the store is away. */
export function createDescribe(store: Pick<Store, 'read' | 'range'>): DescribeEntry {
  const directories = createDirectoryLoader(store)
  return async (entry) => {
    const data = entry.data as Partial<Claimed & SaleEntry>
    const lead = data.lead ?? data.lead_id ?? null
    const [leadDoc, ...imports] = await store.read([
      leadKey(lead !== null && isLeadId(lead) ? lead : NO_LEAD),
      ...DIRECTORY_KEYS,
    ])
    const directory = await directories.at(imports)
    const found = leadDoc?.value as LeadDoc | undefined
    const id = data.customer ?? found?.customer ?? null
    const [personDoc, buyerDoc] = id === null ? [] : await store.read([personKey(id), customerKey(id)])
    const person = personDoc?.value as PersonDoc | undefined
    const buyer = buyerDoc?.value as CustomerDoc | undefined
    const dealer = data.dealer === undefined ? null : directory.dealer(data.dealer)
    const rep = data.rep === undefined ? null : directory.rep(data.rep)
    return {
      lead,
      customer:
        id === null
          ? null
          : {
              id,
              name: person?.name ?? null,
              phone: person?.phone ?? buyer?.phone ?? null,
              user_id: person?.user_id ?? null,
            },
      dealer:
        data.dealer === undefined
          ? null
          : { id: data.dealer, name: dealer?.name ?? null, region: dealer?.region ?? null },
      rep:
        data.rep === undefined ? null : { id: data.rep, name: rep?.name ?? null, phone: rep?.phone ?? null },
      model: data.model ?? found?.model ?? null,
      area: found?.place.area ?? null,
      intent: found?.intent ?? null,
      when: found?.when ?? null,
      channel: data.channel ?? found?.origin.channel ?? null,
      ...claimTimes(entry),
    }
  }
}

/** Where no lead stands. */
const NO_LEAD = 'L00-000000000000'

function claimTimes({ type, at, data }: Entry): Pick<HandoffDetails, 'claimed_at' | 'time_to_claim_s'> {
  if (type !== 'lead.claimed') return { claimed_at: null, time_to_claim_s: null }
  const waitedMs = Date.parse(at) - Date.parse((data as Claimed).offered_at)
  return { claimed_at: at, time_to_claim_s: Math.max(0, waitedMs) / 1000 }
}
