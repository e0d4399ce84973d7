import { describe, expect, it } from 'vitest'
import { createQontakClient } from '../../../../gateway/bridges/qontak/client.ts'
import { createQontakCrm } from '../../../../gateway/bridges/qontak/crm.ts'
import type { CrmHandoff } from '../../../../gateway/contract/crm.ts'
import type { QontakRecordDoc } from '../../../../gateway/documents.ts'
import { createQontakRecords } from '../../../../gateway/effects/qontak-records.ts'
import type { Fault, QontakCloud } from '../../../../simulator/whatsapp/qontak-cloud.ts'
import { describeOnBothStores } from '../../../support/stores.ts'
import { details } from '../../effects/crm-entries.ts'
import { openCloud, settingsOf } from './open-bridge.ts'

const handoff = (lead: string, more: Partial<CrmHandoff['data']> = {}): CrmHandoff => ({
  type: 'lead.handoff',
  timestamp: '2026-11-22T08:15:31.000Z',
  data: { entry: '17', ...details, lead, ...more },
})

/** A hub that tells the CRM of one Qontak; what it remembers outlives it. */
function openHub(
  cloud: QontakCloud,
  records = new Map<string, QontakRecordDoc>(),
  { settings = {}, onRemember = () => {} }: { settings?: object; onRemember?: (about: string) => void } = {},
) {
  const client = createQontakClient({
    access: { ...settingsOf(cloud), ...settings },
    clock: { now: Date.now },
    timeoutMs: 300,
  })
  const target = createQontakCrm({
    client,
    recall: async (about) => records.get(about) ?? null,
    remember: async (about, record) => {
      onRemember(about)
      records.set(about, record)
    },
  })
  return {
    records,
    tell: (event: CrmHandoff) => target.deliver('17', event, new AbortController().signal),
  }
}

const counts = ({ crm }: QontakCloud) => [crm.contacts.length, crm.deals.length, crm.notes.length]

describe('a handoff', () => {
  it('makes a contact, a deal on it, and a note on both', async () => {
    const cloud = await openCloud()
    expect(await openHub(cloud).tell(handoff('L1'))).toEqual({ result: 'delivered' })
    const [contact, deal, note] = [cloud.crm.contacts[0], cloud.crm.deals[0], cloud.crm.notes[0]]
    expect(contact).toMatchObject({ first_name: 'Rina', telephone: '+6281200000001', customer_id: 'cus_1' })
    expect(deal).toMatchObject({ name: 'EV-2, Kemang [L1]', crm_lead_ids: [contact?.id] })
    expect(note).toMatchObject({ crm_person_id: contact?.id, crm_deal_id: deal?.id })
    expect(note?.note.split('\n')).toEqual([
      'Lead: L1',
      'Model: EV-2',
      'Area: Kemang',
      'Minat / intent: buy',
      'Kapan / when: this month',
      'Kanal / channel: tiktok',
      'Dealer: Sinar Motor, D001',
      'Sales: Budi, +6281200000009',
      'Diambil / claimed: 2026-11-22T08:15:31.000Z',
    ])
  })

  it('told again, makes nothing more', async () => {
    const cloud = await openCloud()
    const hub = openHub(cloud)
    for (const _ of [1, 2]) await hub.tell(handoff('L1'))
    expect(counts(cloud)).toEqual([1, 1, 1])
  })

  it('of a second lead of a customer is a second deal on the same contact', async () => {
    const cloud = await openCloud()
    const hub = openHub(cloud)
    await hub.tell(handoff('L1'))
    await hub.tell(handoff('L2'))
    expect(counts(cloud)).toEqual([1, 2, 2])
    expect(cloud.crm.contacts[0]?.crm_deal_ids).toHaveLength(2)
  })

  it('of two leads of a customer at once makes one contact', async () => {
    const cloud = await openCloud()
    const hub = openHub(cloud)
    await Promise.all(['L1', 'L2', 'L3'].map((lead) => hub.tell(handoff(lead))))
    expect(counts(cloud)).toEqual([1, 3, 3])
  })

  it('of a customer who was erased tells no name and no phone', async () => {
    const cloud = await openCloud()
    const customer = { id: 'cus_9', name: null, phone: null, user_id: null }
    await openHub(cloud).tell(handoff('L1', { customer }))
    expect(cloud.crm.contacts).toMatchObject([{ first_name: 'cus_9', telephone: null, customer_id: 'cus_9' }])
  })
})

const CALLS = ['contacts', 'deals', 'notes'] as const

describe.each(CALLS)('when the call for %s', (kind) => {
  const on = new RegExp(`^POST /qontak/crm/${kind}$`)

  it.each<Fault['answer']>([{ status: 500 }, { status: 429 }, 'reset', 'never'])(
    'comes to nothing (%o), it goes on from there the next time',
    async (answer) => {
      const cloud = await openCloud()
      const hub = openHub(cloud)
      cloud.fault({ on, answer, times: 1 })
      expect(await hub.tell(handoff('L1'))).toMatchObject({ result: 'retry' })
      expect(await hub.tell(handoff('L1'))).toEqual({ result: 'delivered' })
      expect(counts(cloud)).toEqual([1, 1, 1])
    },
  )

  it.each<Fault['answer']>(['reset-after', 'never-after', { status: 200, body: {} }])(
    'was done and its answer is lost (%o): what can be found is not made twice',
    async (answer) => {
      const cloud = await openCloud()
      const hub = openHub(cloud)
      const isDone = typeof answer === 'string'
      cloud.fault({ on, answer, times: 1 })
      expect(await hub.tell(handoff('L1'))).toMatchObject({ result: 'retry' })
      expect(await hub.tell(handoff('L1'))).toEqual({ result: 'delivered' })
      // A note can't be looked for.
      expect(counts(cloud)).toEqual([1, 1, kind === 'notes' && isDone ? 2 : 1])
    },
  )

  it('was done and the hub died before it could remember: the next one finds it', async () => {
    const cloud = await openCloud()
    let writes = 0
    const records = new Map<string, QontakRecordDoc>()
    const dying = openHub(cloud, records, {
      onRemember: (about) => {
        if (about.startsWith(kind.slice(0, -1)) && ++writes === 2) throw new Error('killed')
      },
    })
    await expect(dying.tell(handoff('L1'))).rejects.toThrow('killed')
    expect(await openHub(cloud, records).tell(handoff('L1'))).toEqual({ result: 'delivered' })
    expect(counts(cloud)).toEqual([1, 1, kind === 'notes' ? 2 : 1])
  })
})

describe('what the gateway answers', () => {
  it.each([
    [422, { result: 'refused', reason: 'http_422' }],
    [404, { result: 'refused', reason: 'http_404' }],
    [408, { result: 'retry', reason: 'http_408', quietMs: null }],
    [500, { result: 'retry', reason: 'http_500', quietMs: null }],
    [429, { result: 'retry', reason: 'http_429', quietMs: 9000 }],
    [503, { result: 'retry', reason: 'http_503', quietMs: 9000 }],
  ])('%i', async (status, result) => {
    const cloud = await openCloud()
    cloud.fault({ on: /contacts/, answer: { status, headers: { 'retry-after': '9' } }, times: 1 })
    expect(await openHub(cloud).tell(handoff('L1'))).toEqual(result)
  })

  it('to a wrong secret is that nobody is told anything for a while, and nothing is lost', async () => {
    const cloud = await openCloud()
    const hub = openHub(cloud, undefined, { settings: { clientSecret: 'wrong' } })
    expect(await hub.tell(handoff('L1'))).toEqual({ result: 'retry', reason: 'http_401', quietMs: 300_000 })
  })

  it('a contact is found on a later page as well, and by its phone', async () => {
    const cloud = await openCloud()
    const { gateway } = createQontakClient({ access: settingsOf(cloud), clock: { now: Date.now } })
    const contact = (body: object) => gateway({ method: 'POST', path: '/qontak/crm/contacts', body })
    for (let i = 0; i < 60; i++) await contact({ first_name: `Other ${i}` })
    await contact({ first_name: 'Rina', telephone: '6281200000001' })
    const asked = new Map([['contact/cus_1', { id: null, asked_ms: Date.now() }]])
    await openHub(cloud, asked).tell(handoff('L1'))
    expect(cloud.crm.contacts).toHaveLength(61)
    expect(cloud.crm.deals[0]?.crm_lead_ids).toEqual([cloud.crm.contacts[60]?.id])
  })
})

describeOnBothStores('what Qontak was given', (store) => {
  it('is remembered, and changed, for every hub', async () => {
    const records = createQontakRecords(store())
    expect(await records.recall('contact/cus_1')).toBeNull()
    await records.remember('contact/cus_1', { id: null, asked_ms: 17 })
    await records.remember('contact/cus_1', { id: '4', asked_ms: 17 })
    expect(await createQontakRecords(store()).recall('contact/cus_1')).toEqual({ id: '4', asked_ms: 17 })
  })
})
