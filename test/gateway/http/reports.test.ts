/** What portals report by HTTP, and a sale that is taken back. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { Role } from '../../../gateway/tokens.ts'
import { describeOnBothStores } from '../../support/stores.ts'
import { allPages, type HttpHub, newSerial, openHttpHub, sale } from './hub.ts'

let reports = 0
const spend = (more: object = {}) => ({
  entry_id: `spend-${++reports}`,
  date: '2026-11-01',
  initiative: 'Launch',
  channel: 'event',
  kind: 'corporate',
  amount: 1_500_000,
  currency: 'IDR',
  ...more,
})

describeOnBothStores('spend and activities', (store) => {
  let hub: HttpHub
  beforeAll(() => {
    hub = openHttpHub(store())
    return () => hub[Symbol.asyncDispose]()
  })
  const post = (url: string, payload: object, role: Role = 'admin') => hub.post(url, role, payload)

  it('are reported, corrected and taken back, and the list has what stands now', async () => {
    const report = spend()
    const id = report.entry_id
    const said: object[] = []
    for (const body of [report, report, { ...report, amount: 2 }, { entry_id: id, void: true }]) {
      said.push((await post('/api/v1/spend', body)).json())
      if (said.length === 3) {
        const listed = await allPages(hub, '/api/v1/spend')
        expect(listed.filter(({ entry_id }) => entry_id === id)).toMatchObject([
          { version: 2, amount: 2, amount_minor: 200, currency: 'IDR', dealer_id: null },
        ])
      }
    }
    expect(said).toEqual([
      { id, outcome: 'recorded', version: 1 },
      { id, outcome: 'unchanged', version: 1 },
      { id, outcome: 'corrected', version: 2 },
      { id, outcome: 'voided', version: 3 },
    ])
    const listed = await allPages(hub, '/api/v1/spend')
    expect(listed.map(({ entry_id }) => entry_id)).not.toContain(id)
  })

  it('come newest business day first', async () => {
    for (const date of ['2026-01-02', '2026-03-01', '2026-02-01']) {
      await post('/api/v1/spend', spend({ date, initiative: 'Order' }))
    }
    const listed = await allPages(hub, '/api/v1/spend?initiative=Order')
    expect(listed.map(({ date }) => date)).toEqual(['2026-03-01', '2026-02-01', '2026-01-02'])
  })

  it('of a dealer’s token are that dealer’s, and it sees no other’s', async () => {
    const own = spend({ initiative: 'Own' })
    expect((await post('/api/v1/spend', own, 'dealer:D1')).statusCode).toBe(200)
    const foreign = await post('/api/v1/spend', spend({ dealer_id: 'D1' }), 'dealer:D2')
    expect(foreign.statusCode).toBe(422)
    expect(foreign.json().errors).toMatchObject([{ field: 'dealer_id' }])
    expect(await allPages(hub, '/api/v1/spend?initiative=Own', 'dealer:D2')).toEqual([])
    expect(await allPages(hub, '/api/v1/spend?initiative=Own', 'dealer:D1')).toMatchObject([
      { entry_id: own.entry_id, dealer_id: 'D1' },
    ])
  })

  it('that are wrong are refused, field by field, and are not put into quarantine', async () => {
    const response = await post('/api/v1/spend', spend({ amount: -1, kind: 'gift' }))
    expect(response.statusCode).toBe(422)
    expect(
      response
        .json()
        .errors.map(({ field }: { field: string }) => field)
        .sort(),
    ).toEqual(['amount', 'kind'])
    expect(await allPages(hub, '/api/v1/quarantine')).toEqual([])
  })

  it('are for those who may: an analyst reads, and reports nothing', async () => {
    expect((await post('/api/v1/spend', spend(), 'analyst')).statusCode).toBe(403)
    expect((await hub.get('/api/v1/activities', 'analyst')).statusCode).toBe(200)
  })

  it('activities have their days', async () => {
    const activity = {
      activity_id: 'a1',
      initiative: 'Launch',
      channel: 'event',
      name: 'Test ride day',
      start_date: '2026-11-01',
      end_date: '2026-11-03',
    }
    expect((await post('/api/v1/activities', activity)).json()).toMatchObject({ outcome: 'recorded' })
    expect(await allPages(hub, '/api/v1/activities')).toMatchObject([activity])
  })

  describe('a sale that is taken back', () => {
    it('frees its serial; the ledger has both', async () => {
      const serial = newSerial()
      await hub.say('D1/pos', 'sale', sale({ serial }))
      const sales = () => allPages(hub, '/api/v1/sales')
      const sold = (await sales()).find((item) => item.serial === serial) as { entry: string }
      const url = `/api/v1/sales/${sold.entry}/void`
      expect((await post(url, { reason: 'returned' }, 'dealer:D1')).statusCode).toBe(403)
      expect((await post(url, { reason: 'returned' })).json()).toEqual({ voided: sold.entry })
      expect((await post(url, { reason: 'returned' })).json()).toEqual({ voided: sold.entry })
      const voided = await allPages(hub, '/api/v1/ledger?type=sale.voided')
      expect(voided.filter(({ data }) => (data as { sale: string }).sale === sold.entry)).toHaveLength(1)

      await hub.say('D2/pos', 'sale', sale({ serial }))
      const again = (await sales()).filter((item) => item.serial === serial)
      expect(again.map(({ outcome }) => outcome)).toEqual(['registered', 'registered'])
    })

    it('that there is not, is not found', async () => {
      expect((await post('/api/v1/sales/17/void', { reason: 'x' })).statusCode).toBe(404)
    })
  })
})
