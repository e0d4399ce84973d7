import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { type CrmEvent, type CrmEventType, crmEvent } from '../../../gateway/contract/crm.ts'
import { type CrmResult, type CrmTarget, startCrm } from '../../../gateway/effects/crm.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { describeOnBothStores } from '../../support/stores.ts'
import { until } from '../../support/until.ts'
import { append, customer, describeEntry, sale } from './crm-entries.ts'

const log = { info() {}, warn() {} }
const ALL: readonly CrmEventType[] = ['lead.handoff', 'lead.outcome', 'sale.registered']
const DAY_MS = 24 * 60 * 60 * 1000

interface Told {
  readonly id: string
  readonly event: CrmEvent
}

/** A CRM that answers as it is told to. */
function openCrm(answer: (told: Told, attempt: number) => CrmResult | Promise<CrmResult>) {
  const tries: Told[] = []
  const told: Told[] = []
  const target: CrmTarget = {
    name: randomUUID(),
    types: ALL,
    async deliver(id, event) {
      const one = { id, event: crmEvent.parse(event) }
      tries.push(one)
      const result = await answer(one, tries.filter((other) => other.id === id).length)
      if (result.result === 'delivered') told.push(one)
      return result
    },
  }
  return { target, tries, told, ids: () => told.map(({ id }) => id) }
}

const takesAll = () => openCrm(() => ({ result: 'delivered' }))
const later: CrmResult = { result: 'retry', reason: 'http_500', quietMs: null }

/** A hub that tells these CRMs; its clock stands until it is moved. */
async function openHub(store: Store, targets: readonly CrmTarget[], describe = describeEntry) {
  const clock = { nowMs: Date.parse('2026-11-22T08:00:00Z') }
  const crm = await startCrm({ store, targets, describe, log, now: () => clock.nowMs, random: () => 0 })
  onTestFinished(() => crm.stop())
  return {
    crm,
    pass: (ms: number) => {
      clock.nowMs += ms
    },
    until: (what: string, probe: () => unknown) =>
      until(what, () => {
        crm.wake()
        return probe()
      }),
  }
}

async function refusals(store: Store, target: string): Promise<Record<string, unknown>[]> {
  const { entries } = await store.entriesBefore('ledger', '', 1000)
  return entries
    .filter(({ type, data }) => type === 'crm.refused' && data.target === target)
    .map(({ data }) => data)
}

describeOnBothStores('a CRM', (store) => {
  it('hears of what happens from the day it is named: handoffs, outcomes and registrations', async () => {
    const lead = randomUUID()
    await append(store(), 'lead.claimed', { lead: randomUUID() })
    const crm = takesAll()
    const hub = await openHub(store(), [crm.target])
    const ids = [
      await append(store(), 'lead.claimed', { lead }),
      await append(store(), 'lead.won', { lead, reason: null }),
      await append(store(), 'lead.lost', { lead, reason: 'price' }),
      await append(store(), 'sale.registered', { ...sale, lead_id: lead }),
    ]
    await append(store(), 'lead.offered', { lead })
    await hub.until('all are told', () => crm.told.length === 4)
    expect(crm.ids()).toEqual(ids)
    expect(crm.told.map(({ event }) => event)).toMatchObject([
      {
        type: 'lead.handoff',
        data: { entry: ids[0], lead, customer, dealer: { id: 'D001' }, area: 'Kemang' },
      },
      { type: 'lead.outcome', data: { outcome: 'won', reason: null, lead } },
      { type: 'lead.outcome', data: { outcome: 'lost', reason: 'price', lead } },
      { type: 'sale.registered', data: { serial: 'SER001', price: 28_500_000, lead, customer, flags: [] } },
    ])
    expect(Date.parse(crm.told[0]?.event.timestamp as string)).toBeGreaterThan(Date.now() - 60_000)
  })

  it('hears of a lead in order, however often it fails, and of other leads meanwhile', async () => {
    const [stuck, free] = [randomUUID(), randomUUID()]
    const crm = openCrm(({ event }, attempt) =>
      event.type === 'lead.handoff' && event.data.lead === stuck && attempt < 4
        ? later
        : { result: 'delivered' },
    )
    const hub = await openHub(store(), [crm.target])
    const first = await append(store(), 'lead.claimed', { lead: stuck })
    const second = await append(store(), 'lead.won', { lead: stuck })
    const other = await append(store(), 'lead.claimed', { lead: free })
    await hub.until('the other lead is told', () => crm.told.length === 1)
    expect(crm.ids()).toEqual([other])
    expect(crm.tries.map(({ id }) => id)).not.toContain(second)

    await hub.until('it is told at last', () => {
      hub.pass(60_000)
      return crm.told.length === 3 && hub.crm.state.get(crm.target.name)?.waiting === 0
    })
    expect(crm.ids()).toEqual([other, first, second])
    expect(crm.tries.filter(({ id }) => id === first)).toHaveLength(4)
    expect(hub.crm.state.get(crm.target.name)).toMatchObject({
      delivered: 3,
      retried: 3,
      refused: 0,
      waiting: 0,
    })
  })

  it('that refuses one is told the next; the ledger says what was refused, once and without a name', async () => {
    const lead = randomUUID()
    const crm = openCrm(({ event }) =>
      event.type === 'lead.handoff' ? { result: 'refused', reason: 'http_422' } : { result: 'delivered' },
    )
    const hub = await openHub(store(), [crm.target])
    const entry = await append(store(), 'lead.claimed', { lead })
    const next = await append(store(), 'lead.won', { lead })
    await hub.until('the next is told', () => crm.told.length === 1)
    expect(crm.ids()).toEqual([next])
    expect(await refusals(store(), crm.target.name)).toEqual([
      { target: crm.target.name, entry, reason: 'http_422', attempts: 1 },
    ])
  })

  it('that refuses one twice, since the first time was not written down, is in the ledger once', async () => {
    const crm = openCrm(() => ({ result: 'refused', reason: 'http_422' }))
    let failures = 0
    const unsteady: Store = {
      ...store(),
      async commit(proposals) {
        const isCheckpoint = proposals.some(({ set }) =>
          set?.some(({ key }) => key.includes('checkpoint:crm-')),
        )
        if (isCheckpoint && crm.tries.length === 1 && failures++ === 0) throw new Error('the store is away')
        return store().commit(proposals)
      },
    }
    const hub = await openHub(unsteady, [crm.target])
    await append(store(), 'lead.claimed', { lead: randomUUID() })
    await hub.until('it is refused twice', () => hub.crm.state.get(crm.target.name)?.refused === 2)
    expect(crm.tries).toHaveLength(2)
    expect(await refusals(store(), crm.target.name)).toHaveLength(1)
  })

  it('that is gone is left alone, and hears of what waited when the hub starts again', async () => {
    let isGone = true
    const crm = openCrm(() => (isGone ? { result: 'stopped', reason: 'http_410' } : { result: 'delivered' }))
    const hub = await openHub(store(), [crm.target])
    const entry = await append(store(), 'lead.claimed', { lead: randomUUID() })
    await hub.until('it is gone', () => hub.crm.state.get(crm.target.name)?.stopped === 'http_410')
    await append(store(), 'lead.claimed', { lead: randomUUID() })
    const beside = takesAll()
    const besideHub = await openHub(store(), [beside.target])
    const mark = await append(store(), 'lead.claimed', { lead: randomUUID() })
    await besideHub.until('another CRM has heard of it', () => beside.ids().includes(mark))
    expect(crm.tries).toHaveLength(1)

    isGone = false
    await hub.crm.stop()
    const again = await openHub(store(), [crm.target])
    await again.until('all are told', () => crm.told.length === 3)
    expect(crm.ids()[0]).toBe(entry)
  })

  it('that asks for quiet is asked nothing before its time', async () => {
    const crm = openCrm((_, attempt) =>
      attempt === 1 ? { result: 'retry', reason: 'http_429', quietMs: 120_000 } : { result: 'delivered' },
    )
    const hub = await openHub(store(), [crm.target])
    const first = await append(store(), 'lead.claimed', { lead: randomUUID() })
    await hub.until('it asks for quiet', () => hub.crm.state.get(crm.target.name)?.retried === 1)
    await append(store(), 'lead.claimed', { lead: randomUUID() })
    hub.pass(119_999)
    await hub.until('the other waits as well', () => hub.crm.state.get(crm.target.name)?.waiting === 2)
    expect(crm.tries.map(({ id }) => id)).toEqual([first])
    await hub.until('the time has come', () => {
      hub.pass(1)
      return crm.told.length === 1
    })
  })

  it('that is away does not keep another one waiting', async () => {
    const away = openCrm(() => Promise.reject(new Error('no route')))
    const crm = takesAll()
    const hub = await openHub(store(), [away.target, crm.target])
    const entry = await append(store(), 'lead.claimed', { lead: randomUUID() })
    await hub.until('the other is told', () => crm.ids().includes(entry))
    expect(away.told).toEqual([])
  })

  it.each([
    { rule: 'is given up when others get through for days and one does not', others: true },
    { rule: 'is not given up on while it is away, however long', others: false },
  ])('$rule', async ({ others }) => {
    const lead = randomUUID()
    const crm = openCrm(({ event }) =>
      others && event.type === 'sale.registered' ? { result: 'delivered' } : later,
    )
    const hub = await openHub(store(), [crm.target])
    const entry = await append(store(), 'lead.claimed', { lead })
    await hub.until('it is tried', () => crm.tries.length > 0)
    hub.pass(1000)
    await append(store(), 'sale.registered', { ...sale, serial: randomUUID() })
    await hub.until('the other is tried', () =>
      crm.tries.some(({ event }) => event.type === 'sale.registered'),
    )
    hub.pass(4 * DAY_MS)
    const before = crm.tries.filter(({ id }) => id === entry).length
    await hub.until('it is tried once more', () => {
      hub.pass(3_600_000)
      return crm.tries.filter(({ id }) => id === entry).length > before
    })
    await hub.until('that is written down', () => (hub.crm.state.get(crm.target.name)?.retried ?? 0) > 0)
    const gaveUp = [{ target: crm.target.name, entry, reason: 'gave_up_http_500', attempts: before + 1 }]
    await until('it is settled', async () => {
      hub.crm.wake()
      const found = await refusals(store(), crm.target.name)
      return found.length === (others ? 1 : 0)
    })
    expect(await refusals(store(), crm.target.name)).toEqual(others ? gaveUp : [])
  })

  it('hears of it later when the hub cannot say who the customer is', async () => {
    const crm = takesAll()
    let isAway = true
    const hub = await openHub(store(), [crm.target], (entry) =>
      isAway ? Promise.reject(new Error('the store is away')) : describeEntry(entry),
    )
    const entry = await append(store(), 'lead.claimed', { lead: randomUUID() })
    await until('it could not be said', () => hub.crm.state.get(crm.target.name)?.waiting === 1)
    isAway = false
    await until('it is told', () => crm.ids().includes(entry))
  })

  it('takes many, more than may wait at once', async () => {
    const crm = takesAll()
    const hub = await openHub(store(), [crm.target])
    const leads = Array.from({ length: 700 }, () => randomUUID())
    const ids = await Promise.all(leads.map((lead) => append(store(), 'lead.claimed', { lead })))
    await hub.until('all are told', () => crm.told.length === 700)
    expect(new Set(crm.ids())).toEqual(new Set(ids))
  })
})
