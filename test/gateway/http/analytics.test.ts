/** The unit economics over HTTP: reported, sold and raced for through the intake, projected, asked. */
import { beforeAll, describe, expect, it } from 'vitest'
import { createEconomics } from '../../../analytics/economics.ts'
import { MetricsError } from '../../../analytics/metrics.ts'
import { type Projector, startProjector } from '../../../analytics/projector.ts'
import { openSqliteMetrics } from '../../../analytics/sqlite.ts'
import { startSold } from '../../../gateway/effects/sold.ts'
import type { Store } from '../../../gateway/store/store.ts'
import type { Role } from '../../../gateway/tokens.ts'
import { describeOnBothStores } from '../../support/stores.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { until } from '../../support/until.ts'
import { allPages, type HttpHub, openHttpHub, sale } from './hub.ts'
import { newLead, newPhone, settleTown, tap } from './race-town.ts'

const TIMEZONE = 'Asia/Jakarta'
const SILENT = { info: () => {}, warn: () => {}, error: () => {} }

const today = (): string => new Date(Date.now() + 7 * 3_600_000).toISOString().slice(0, 10)

let reports = 0
const spend = (more: object = {}) => ({
  entry_id: `spend-${++reports}`,
  date: today(),
  initiative: 'Year End',
  channel: 'tiktok',
  kind: 'corporate',
  amount: 1_000_000,
  currency: 'IDR',
  ...more,
})

describeOnBothStores('the unit economics over HTTP', (store) => {
  let hub: HttpHub
  let projector: Projector

  beforeAll(async () => {
    await using opened = new AsyncDisposableStack()
    await settleTown(store())
    const { path: dataDir } = temporaryFolder('metrics')
    const metrics = opened.adopt(await openSqliteMetrics({ dataDir, timezone: TIMEZONE }), (it) => it.close())
    const lease = { hold: async () => true }
    projector = opened.adopt(
      startProjector({ source: store(), metrics, lease, log: SILENT, timing: { pollMs: 20, lingerMs: 1 } }),
      (it) => it.stop(),
    )
    hub = opened.use(openHttpHub(store(), { economics: createEconomics({ metrics, timezone: TIMEZONE }) }))
    opened.adopt(followSales(store(), hub), (it) => it.stop())
    const closing = opened.move()
    return () => closing.disposeAsync()
  })

  /** Sales find their leads by the hub's own follower. */
  const followSales = (store: Store, hub: HttpHub) =>
    startSold({
      store,
      accept: ({ topic, payload }) => hub.say('internal', topic.split('/').at(-1) ?? '', payload.toString()),
      log: SILENT,
    })

  async function ask(path: string, query: Record<string, string> = {}, role: Role = 'analyst') {
    await projector.caughtUp()
    const parameters = new URLSearchParams({ from: today(), to: today(), ...query })
    const response = await hub.get(`/api/v1/analytics/${path}?${parameters}`, role)
    expect(response.statusCode, response.body).toBe(200)
    return response
  }
  const askJson = async (...asked: Parameters<typeof ask>) => (await ask(...asked)).json()
  const typesOf = async () => (await allPages(hub, '/api/v1/ledger')).map(({ type }) => type)

  describe('a day', () => {
    let lead: string
    let beforeCorrection: string

    beforeAll(async () => {
      const post = async (kind: string, body: object) => {
        const response = await hub.post(`/api/v1/${kind}`, 'admin', body)
        expect(response.statusCode, response.body).toBe(200)
      }
      const first = spend()
      await post('spend', first)
      await post('spend', spend({ kind: 'subsidy', channel: 'event', dealer_id: 'middle', amount: 500_000 }))
      await post('spend', spend({ kind: 'baseline', channel: 'other', dealer_id: 'north', amount: 250_000 }))
      const days = { start_date: today(), end_date: today() }
      const roadshow = {
        activity_id: 'a1',
        initiative: 'Year End',
        channel: 'event',
        name: 'Roadshow',
        ...days,
      }
      await post('activities', { ...roadshow, dealer_id: 'middle' })

      const phone = newPhone()
      lead = await newLead(hub, { phone, channel: 'tiktok', campaign: 'Year End' })
      await tap(hub, 'r-middle', 'claim', lead)
      await newLead(hub, { channel: 'event', campaign: 'nobody pays for this' })
      const sold_at = new Date().toISOString()
      await hub.say('middle/pos1', 'sale', sale({ lead_id: lead, sold_at, channel: 'other' }))
      await hub.say('north/pos1', 'sale', sale({ sold_at, channel: 'tiktok' }))
      await until('the lead is sold', async () => (await typesOf()).includes('lead.sold'))

      await projector.caughtUp()
      // The store's clock, of what was committed last.
      beforeCorrection = (await allPages(hub, '/api/v1/ledger'))
        .map(({ at }) => at as string)
        .sort()
        .at(-1) as string
      await until('time has passed', async () => Date.now() > Date.parse(beforeCorrection) + 2)
      await post('spend', { ...first, amount: 2_000_000 })
    })

    it('has the ten variables, by any dimensions', async () => {
      const { rows, ...head } = await askJson('variables')
      expect(head).toMatchObject({
        by: [],
        currency: 'IDR',
        other_currencies: [],
        known_at: null,
        before: null,
        attribution: { name: 'first_touch', rule: expect.stringContaining('first') },
      })
      expect(rows).toEqual([
        {
          by: {},
          variables: {
            total_event_spend: 2_000_000_00,
            dealer_support_cost: 500_000_00,
            baseline_dealer_cost: 250_000_00,
            out_of_pocket_dealer_spend: 0,
            average_cost_per_activity: { numerator: 2_500_000_00, denominator: 1, value: 2_500_000_00 },
            average_cost_per_day: { numerator: 2_500_000_00, denominator: 1, value: 2_500_000_00 },
            cost_per_lead: { numerator: 2_750_000_00, denominator: 2, value: 1_375_000_00 },
            total_activity_volume: 1,
            active_duration_days: { union: 1, sum: 1 },
            // Nothing was ever imported to the registration ledger, so the sale is not verified.
            verified_sell_through: { numerator: 0, denominator: 2, value: 0 },
          },
        },
      ])
      const by = async (dimension: string) => {
        const found = await askJson('variables', { by: dimension })
        return found.rows.map((row: { by: object; variables: { cost_per_lead: object } }) => [
          ...Object.values(row.by),
          ...Object.values(row.variables.cost_per_lead).slice(0, 2),
        ])
      }
      expect(await by('channel')).toEqual([
        ['event', 500_000_00, 1],
        ['other', 250_000_00, 0],
        ['tiktok', 2_000_000_00, 1],
      ])
      // A campaign that nobody has spent on is no initiative.
      expect(await by('initiative')).toEqual([
        ['Year End', 2_750_000_00, 1],
        ['none', 0, 1],
      ])
      expect(await by('dealer,region')).toEqual([
        ['middle', 'Jawa Barat', 500_000_00, 1],
        ['none', 'Jawa Barat', 0, 1],
        ['none', 'none', 2_000_000_00, 0],
        ['north', 'Jawa Barat', 250_000_00, 0],
      ])
    })

    it('can be asked as it was known before a correction', async () => {
      const { rows, known_at } = await askJson('variables', { known_at: beforeCorrection })
      expect(known_at).toBe(beforeCorrection)
      expect(rows[0].variables.total_event_spend).toBe(1_000_000_00)
    })

    it('has channels with the sale of the lead and the walk-in, whatever the terminals said', async () => {
      const { channels, matching, total } = await askJson('channels')
      const tiktok = channels.find(({ channel }: { channel: string }) => channel === 'tiktok').figures
      expect(tiktok).toMatchObject({
        spend: 2_000_000_00,
        inquiries: 1,
        leads: 1,
        claim_rate: { value: 1 },
        time_to_claim_ms: { denominator: 1 },
        cost_per_lead: { value: 2_000_000_00 },
      })
      expect(total).toMatchObject({ leads: 2, claim_rate: { value: 0.5 } })
      expect(matching.map(({ name }: { name: string }) => name)).toEqual([
        'lead_id',
        'customer',
        'serial',
        'none',
      ])
    })

    it('has a flow, and the cost per lead of its month and of itself', async () => {
      const { links } = await askJson('flow')
      expect(links).toContainEqual({ source: 'lead', target: 'claimed', value: 1 })
      const { months, days } = await askJson('cpl')
      expect(months).toMatchObject([
        { month: today().slice(0, 7), leads: 2, cost_per_lead: { value: 1_375_000_00 } },
      ])
      expect(days).toMatchObject([{ day: today(), burn: 2_750_000_00 }])
    })

    it('compares itself with the day before', async () => {
      const yesterday = new Date(Date.parse(today()) - 86_400_000).toISOString().slice(0, 10)
      const { before, rows } = await askJson('variables', { compare: 'previous' })
      expect(before).toEqual({ from: yesterday, to: yesterday })
      expect(rows[0].before).toBeNull()
    })

    it('is explained by the entries behind it', async () => {
      const { explain } = await askJson('variables', { explain: 'true', channel: 'tiktok' })
      const entries = await allPages(hub, '/api/v1/ledger')
      const typeOf = (id: string) => entries.find(({ entry }) => entry === id)?.type
      expect(explain.entries.spend.entries.map(typeOf)).toEqual(['spend.recorded', 'spend.recorded'])
      expect(new Set(explain.entries.leads.entries.map(typeOf))).toEqual(
        new Set(['lead.created', 'lead.claimed', 'lead.sold']),
      )
    })

    it('gives the same as CSV, by parameter or by what is accepted', async () => {
      const response = await ask('variables', { format: 'csv', by: 'channel' })
      expect(response.headers['content-type']).toMatch(/^text\/csv/)
      const [header, ...lines] = response.body.trim().split(/\r?\n/)
      expect(header).toBe(
        'channel,total_event_spend,dealer_support_cost,baseline_dealer_cost,out_of_pocket_dealer_spend,' +
          'average_cost_per_activity,average_cost_per_day,cost_per_lead,total_activity_volume,' +
          'active_duration_days_union,active_duration_days_sum,verified_sell_through,currency',
      )
      expect(lines).toEqual([
        'event,0,50000000,0,0,50000000,50000000,50000000,1,1,1,0,IDR',
        'other,0,0,25000000,0,,,,0,0,0,,IDR',
        'tiktok,200000000,0,0,0,,,200000000,0,0,0,0,IDR',
      ])
      const url = `/api/v1/analytics/channels?from=${today()}&to=${today()}`
      const authorization = `Bearer ${await hub.token('analyst')}`
      const accepted = await hub.app.inject({ url, headers: { accept: 'text/csv', authorization } })
      expect(accepted.body).toMatch(/^channel,spend,inquiries,.*\r?\n/)
      for (const path of ['cpl', 'flow']) {
        const rows = (await ask(path, { format: 'csv' })).body.trim().split(/\r?\n/)
        expect(rows.length).toBeGreaterThan(1)
      }
    })

    it('shows a dealer its own figures only', async () => {
      const { where, rows } = await askJson('variables', { by: 'dealer' }, 'dealer:middle')
      expect(where).toEqual({ dealer: ['middle'] })
      expect(rows.map((row: { by: object }) => row.by)).toEqual([{ dealer: 'middle' }])
      const { total } = await askJson('channels', {}, 'dealer:middle')
      expect(total).toMatchObject({ spend: 500_000_00, leads: 1 })
      const other = await hub.get(
        `/api/v1/analytics/variables?from=${today()}&to=${today()}&dealer=middle,north`,
        'dealer:middle',
      )
      expect(other.statusCode).toBe(403)
    })

    it('gives the lead back when its sale is void', async () => {
      const { entry } = (await allPages(hub, '/api/v1/ledger')).find(({ type, data }) => {
        return type === 'sale.registered' && (data as { lead_id?: string }).lead_id === lead
      }) as { entry: string }
      const response = await hub.post(`/api/v1/sales/${entry}/void`, 'admin', { reason: 'returned' })
      expect(response.statusCode, response.body).toBe(200)
      await until('the lead has lost its sale', async () => (await typesOf()).includes('lead.unsold'))
      const found = await hub.get(`/api/v1/leads/${lead}`)
      expect(found.json()).toMatchObject({ lead, serial: null })
    })
  })

  it('tells what was restated since', async () => {
    const date = new Date(Date.now() - 5 * 86_400_000).toISOString().slice(0, 10)
    const since = new Date().toISOString()
    await until('time has passed', async () => Date.now() > Date.parse(since) + 2)
    await hub.post('/api/v1/spend', 'admin', spend({ date }))
    const { changes, closed } = await askJson('restated', { from: date, since })
    expect(closed).toContain('6 hours')
    expect(changes).toMatchObject([
      { day: date, what: 'spend.count', currency: 'IDR', before: 0, after: 1 },
      { day: date, what: 'spend.amount_minor', currency: 'IDR', before: 0, after: 1_000_000_00 },
    ])
  })

  it.each([
    ['no period', 'variables', {}, 'from'],
    ['a period that ends before it begins', 'variables', { from: '2026-11-02', to: '2026-11-01' }, 'to'],
    ['too long a period', 'variables', { from: '2020-01-01', to: '2026-01-01' }, 'from'],
    ['too long a period by day', 'variables', { from: '2025-01-01', to: '2026-11-01', by: 'day' }, 'from'],
    ['an unknown dimension', 'variables', { from: '2026-11-01', to: '2026-11-01', by: 'serial' }, 'by.0'],
    ['a dimension twice', 'variables', { from: '2026-11-01', to: '2026-11-01', by: 'day,day' }, 'by'],
    ['no currency', 'channels', { from: '2026-11-01', to: '2026-11-01', currency: 'Rp' }, 'currency'],
    ['no instant', 'cpl', { from: '2026-11-01', to: '2026-11-01', known_at: 'yesterday' }, 'known_at'],
    ['something else', 'flow', { from: '2026-11-01', to: '2026-11-01', colour: 'red' }, 'colour'],
  ])('refuses %s', async (_, path, query, field) => {
    const response = await hub.get(`/api/v1/analytics/${path}?${new URLSearchParams(query)}`, 'analyst')
    expect(response.statusCode).toBe(400)
    expect(response.json().errors.map((error: { field: string }) => error.field)).toContain(field)
  })

  it('is for those who may read figures, and 503 while the metrics are away', async () => {
    const url = `/api/v1/analytics/variables?from=${today()}&to=${today()}`
    expect((await hub.get(url, null)).statusCode).toBe(401)
    expect((await hub.get(url, 'bridge:meta')).statusCode).toBe(403)
    for (const role of ['admin', 'manager', 'analyst', 'dealer:north'] as const) {
      expect((await hub.get(url, role)).statusCode).toBe(200)
    }
    const away = async () => {
      throw new MetricsError('InfluxDB did not answer')
    }
    const economics = createEconomics({ metrics: { totals: away, entriesBehind: away }, timezone: TIMEZONE })
    await using lonely = openHttpHub(store(), { economics })
    const response = await lonely.get(url)
    expect([response.statusCode, response.headers['retry-after']]).toEqual([503, '5'])
  })
})
