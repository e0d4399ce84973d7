/** What a store holds of races, in the auditor's words. */

import {
  type JobDoc,
  jobKey,
  jobsIndex,
  type LeadDoc,
  leadKey,
  leadsIndex,
  openLeadsIndex,
  settledJobsIndex,
  timersIndex,
  type WonDoc,
  wonKey,
} from '../../gateway/race-documents.ts'
import { SHARDS } from '../../gateway/store/keys.ts'
import { START, type Store } from '../../gateway/store/store.ts'
import type { Evidence, KeptJob, KeptLead, LedgerEntry } from './auditor.ts'
import type { RaceWorld } from './world.ts'

const PAGE = 5000

type Reading = Pick<Store, 'read' | 'range' | 'entriesAfter'>
type Kept = Pick<Evidence, 'entries' | 'jobs' | 'leads' | 'openLeads' | 'timers' | 'won' | 'reps' | 'quotas'>

export async function keptIn(
  store: Reading,
  world: RaceWorld,
  { bridges, days }: { bridges: readonly string[]; days: readonly string[] },
): Promise<Kept> {
  const leads = await docs<LeadDoc>(store, await members(store, leadsIndex), leadKey)
  const outbox = await Promise.all(
    bridges.map((bridge) => members(store, (shard) => jobsIndex(shard, bridge))),
  )
  const settled = await members(store, settledJobsIndex)
  const jobs = await docs<JobDoc>(store, [...new Set([...outbox.flat(), ...settled])], jobKey)
  return {
    entries: await ledger(store),
    jobs: new Map([...jobs].map(([id, { about, state }]) => [id, { about, state } satisfies KeptJob])),
    leads: [...leads.values()] satisfies KeptLead[],
    openLeads: new Set(await members(store, openLeadsIndex)),
    timers: new Set(await members(store, timersIndex)),
    won: await wonOf(store, world, days),
    reps: new Map(world.reps.map((rep) => [rep.rep, rep])),
    quotas: new Map(world.dealers.flatMap(({ id, quota }) => (quota === null ? [] : [[id, quota]]))),
  }
}

async function ledger(store: Reading): Promise<LedgerEntry[]> {
  const all: LedgerEntry[] = []
  for (let position = START; ; ) {
    const page = await store.entriesAfter('ledger', position, PAGE)
    for (const { entry, at, type, data } of page.entries) all.push({ entry, at, type, data })
    if (page.entries.length === 0) return all
    position = page.position
  }
}

async function members(store: Reading, index: (shard: number) => string): Promise<string[]> {
  const all: string[] = []
  let after: { score: number; member: string } | undefined
  for (;;) {
    const page = await store.range(SHARDS.map(index), { limit: PAGE, ...(after && { after }) })
    for (const { member } of page) all.push(member)
    after = page.at(-1)
    if (page.length < PAGE) return all
  }
}

async function docs<Value>(
  store: Reading,
  ids: readonly string[],
  key: (id: string) => string,
): Promise<Map<string, Value>> {
  const found = new Map<string, Value>()
  for (let at = 0; at < ids.length; at += PAGE) {
    const page = ids.slice(at, at + PAGE)
    const records = await store.read(page.map(key))
    records.forEach((doc, i) => {
      if (doc !== null) found.set(page[i] as string, doc.value as Value)
    })
  }
  return found
}

async function wonOf(
  store: Reading,
  { dealers }: RaceWorld,
  days: readonly string[],
): Promise<Map<string, number>> {
  const counted = dealers.filter(({ quota }) => quota !== null)
  const won = new Map<string, number>()
  for (const { id } of counted) {
    const keys = days.flatMap((day) => SHARDS.map((shard) => wonKey(shard, id, day)))
    const records = await store.read(keys)
    won.set(
      id,
      records.reduce((sum, doc) => sum + ((doc?.value as WonDoc | undefined)?.count ?? 0), 0),
    )
  }
  return won
}
