import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createMonitoring } from '../../../gateway/http/monitoring.ts'
import { type Part, type ReadinessServices, watchReadiness } from '../../../gateway/http/readiness.ts'
import { renderStatusPage, type StatusPage } from '../../../gateway/http/status-page.ts'
import { openSqliteStore, type SqliteStore } from '../../../gateway/store/sqlite.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { until } from '../../support/until.ts'
import { type HttpHub, openHttpHub, sale } from './hub.ts'

describe('readiness', () => {
  const up: ReadinessServices['checks'] = {
    store: async () => 'answers',
    broker: async () => 'port 1883',
    metrics: async () => 'answer',
  }
  const silent = { info() {}, warn() {} }

  function watching(checks: Partial<ReadinessServices['checks']>, log: ReadinessServices['log'] = silent) {
    const readiness = watchReadiness({ checks: { ...up, ...checks }, puback: 'on disk', log })
    onTestFinished(() => readiness.stop())
    return readiness
  }

  it('is when store, broker and metrics answer, each with its state and since when', async () => {
    const since = expect.stringMatching(/^\d{4}-.*Z$/)
    expect(await watching({}).look()).toEqual({
      ready: true,
      puback: 'on disk',
      parts: {
        store: { state: 'up', detail: 'answers', since },
        broker: { state: 'up', detail: 'port 1883', since },
        metrics: { state: 'up', detail: 'answer', since },
      },
    })
  })

  it.each(['store', 'broker', 'metrics'] satisfies Part[])('is not when the %s is away', async (part) => {
    const report = await watching({ [part]: () => Promise.reject(new Error('connection refused')) }).look()
    expect(report.ready).toBe(false)
    expect(report.parts[part]).toMatchObject({ state: 'down', detail: 'connection refused' })
    expect(Object.values(report.parts).filter(({ state }) => state === 'up')).toHaveLength(2)
  })

  it('tells since when, and logs each change once', async () => {
    let failure: string | null = null
    const lines: string[] = []
    const readiness = watching(
      {
        async metrics() {
          if (failure !== null) throw new Error(failure)
          return 'answer'
        },
      },
      {
        info(_, line) {
          lines.push(line)
        },
        warn(_, line) {
          lines.push(line)
        },
      },
    )
    const seen = (state: string, detail: string) =>
      until(`metrics are ${state}: ${detail}`, async () => {
        const { metrics } = (await readiness.look()).parts
        return metrics.state === state && metrics.detail === detail && metrics
      })
    const first = await seen('up', 'answer')
    failure = 'refused'
    const down = await seen('down', 'refused')
    expect(down.since > first.since).toBe(true)
    failure = 'still refused'
    expect((await seen('down', 'still refused')).since, 'down all the time').toBe(down.since)
    failure = null
    expect((await seen('up', 'answer')).since > down.since).toBe(true)
    expect(lines).toEqual(['metrics: down', 'metrics: up again'])
  })

  it('asks each part once however many look', async () => {
    let asked = 0
    const readiness = watching({
      async store() {
        asked++
        return 'answers'
      },
    })
    await Promise.all(Array.from({ length: 50 }, () => readiness.look()))
    await readiness.look()
    expect(asked).toBe(1)
  })
})

describe('over HTTP', () => {
  let store: SqliteStore
  let hub: HttpHub
  beforeAll(async () => {
    store = await openSqliteStore({ dataDir: temporaryFolder('monitoring').path })
    hub = openHttpHub(store)
  })
  afterAll(async () => {
    await hub?.[Symbol.asyncDispose]()
    await store?.close()
  })

  it('/readyz is 200 with every part, and says what a PUBACK is worth', async () => {
    const response = await hub.get('/readyz', null)
    expect(response.statusCode).toBe(200)
    expect(response.json()).toMatchObject({ ready: true, puback: store.durability.promise })
  })

  it('/readyz is 503 when the metrics refuse what is written, and says that sales go on', async () => {
    await using other = openHttpHub(store, {
      projector: { state: { ok: false, lastError: { message: 'database not found' } } },
    })
    const response = await other.get('/readyz', null)
    expect(response.statusCode).toBe(503)
    expect(response.headers['content-type']).toContain('application/problem+json')
    expect(response.json()).toMatchObject({
      status: 503,
      detail: 'metrics: database not found',
      ready: false,
      parts: { metrics: { state: 'down' }, store: { state: 'up' } },
    })
    expect((await other.get('/', null)).body).toContain('Sales are taken')
  })

  it('/metrics counts what was committed, by kind, and what the process says of itself', async () => {
    await hub.say('D001/till-1', 'sale', sale())
    await hub.say('D001/till-1', 'sale', 'nonsense')
    await hub.say('D001/till-1', 'health', { online: true })
    const response = await hub.get('/metrics', null)
    expect(response.headers['content-type']).toContain('text/plain')
    expect(response.body).toContain('hub_intake_messages_total{kind="sale"} 1')
    expect(response.body).toContain('hub_intake_messages_total{kind="undecodable"} 1')
    expect(response.body).toContain('hub_intake_messages_total{kind="health"} 1')
    for (const name of [
      'hub_mqtt_connections',
      'hub_intake_batch_messages_bucket',
      'hub_intake_batch_duration_seconds_bucket',
      'hub_receipts_delivered_total',
      'hub_projector_lag_seconds',
      'nodejs_eventloop_lag_p99_seconds',
      'process_resident_memory_bytes',
    ]) {
      expect(response.body).toMatch(new RegExp(`^${name}[ {]`, 'm'))
    }
  })

  it('the page allows nothing but its own style', async () => {
    const response = await hub.get('/', null)
    expect(response.headers['content-type']).toBe('text/html; charset=utf-8')
    const style = /<style>(.*)<\/style>/s.exec(response.body)?.[1] as string
    const hash = createHash('sha256').update(style).digest('base64')
    const policy = response.headers['content-security-policy'] as string
    expect(policy).toContain(`style-src 'sha256-${hash}'`)
    expect(policy).toContain("default-src 'none'")
    expect(response.body).not.toContain('<script')
  })
})

describe('counts', () => {
  it('follow their sources, and what is not known has no sample', async () => {
    const projector = { ok: true, holdsLease: false, caughtUpAtMs: null as number | null, entries: 0 }
    const broker = { connections: 3, received: 10, acknowledged: 9, refused: new Map([['rate', 2]]) }
    const monitoring = createMonitoring({
      broker: { stats: broker },
      intake: { pending: 1 },
      receipts: { stats: { delivered: 4, inFlight: 0, sweepsWaiting: 0 } },
      projector: { state: projector },
      messages: { stats: { handedOver: 7 } },
      bridges: { queues: new Map([['meta', { waiting: 2, isStopped: true }]]) },
      crm: { state: new Map([['webhook', { delivered: 5, refused: 1, waiting: 3 }]]) },
    })
    monitoring.observeBatch({ messages: 8, durationMs: 4, committed: true, kinds: { sale: 8, health: 0 } })
    monitoring.observeBatch({ messages: 8, durationMs: 5000, committed: false, kinds: { sale: 8 } })
    monitoring.countUnknownFields(3)
    const lines = async () => (await monitoring.text()).split('\n')
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'hub_mqtt_connections 3',
        'hub_mqtt_messages_received_total 10',
        'hub_mqtt_messages_acknowledged_total 9',
        'hub_mqtt_refused_total{reason="rate"} 2',
        'hub_intake_messages_pending 1',
        'hub_intake_messages_total{kind="sale"} 8',
        'hub_intake_batch_messages_sum 8',
        'hub_intake_batches_failed_total 1',
        'hub_intake_unknown_fields_total 3',
        'hub_receipts_delivered_total 4',
        'hub_messages_handed_over_total 7',
        'hub_bridge_messages_waiting{bridge="meta"} 2',
        'hub_bridge_stopped{bridge="meta"} 1',
        'hub_crm_delivered_total{target="webhook"} 5',
        'hub_crm_refused_total{target="webhook"} 1',
        'hub_crm_waiting{target="webhook"} 3',
      ]),
    )
    const lag = async () => (await lines()).find((line) => line.startsWith('hub_projector_lag_seconds '))
    expect(await lag()).toBeUndefined()
    Object.assign(projector, { holdsLease: true, caughtUpAtMs: Date.now() - 90_000 })
    expect(Number((await lag())?.split(' ')[1])).toBeGreaterThanOrEqual(90)
    broker.connections = 5
    broker.received = 12
    expect(await lines()).toEqual(
      expect.arrayContaining(['hub_mqtt_connections 5', 'hub_mqtt_messages_received_total 12']),
    )
    projector.holdsLease = false
    expect(await lag()).toBeUndefined()
  })
})

describe('the status page', () => {
  const part = { state: 'up', detail: 'answers', since: '2026-11-22T01:00:00.000Z' } as const
  const page: StatusPage = {
    report: { ready: true, puback: 'on disk', parts: { store: part, broker: part, metrics: part } },
    figures: {
      broker: { connections: 12_345, received: 0, acknowledged: 0, refused: new Map() },
      intake: { pending: 0 },
      committed: new Map(),
      receipts: { delivered: 0, inFlight: 0, sweepsWaiting: 0 },
      projector: { ok: true, holdsLease: false, caughtUpAtMs: null, entries: 0 },
      messages: { handedOver: 0 },
      queues: new Map(),
      crm: new Map(),
    },
    version: '1.2.3',
    timezone: 'Asia/Jakarta',
    now: new Date('2026-11-22T02:00:00.000Z'),
  }

  it('tells instants in the hub’s own time zone, numbers so that people can read them, and nothing as nothing', () => {
    const html = renderStatusPage(page)
    expect(html).toContain('22 Nov 2026, 09:00:00')
    expect(html).toContain('since 22 Nov 2026, 08:00:00')
    expect(html).toContain('12,345')
    expect(html).toContain('Nothing was refused.')
    expect(html).toContain('<dd>–</dd>')
    expect(html).toContain('Ready: everything answers.')
    expect(html).toContain('width=device-width')
  })

  it('shows what it is told as text, never as markup', () => {
    const evil = `<img src=x onerror="alert('1')">&`
    const down = { ...part, state: 'down', detail: evil } as const
    const html = renderStatusPage({
      ...page,
      report: { ready: false, puback: evil, parts: { store: down, broker: part, metrics: down } },
      figures: { ...page.figures, broker: { ...page.figures.broker, refused: new Map([[evil, 1]]) } },
      version: evil,
    })
    expect(html).not.toContain('<img')
    expect(html.match(/&lt;img src=x onerror=&quot;alert\(&#39;1&#39;\)&quot;&gt;&amp;/g)).toHaveLength(5)
    expect(html).toContain('The store is away.')
  })
})
