import { randomUUID } from 'node:crypto'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openEmbeddedBroker } from '../../../broker/embedded.ts'
import type { Stream } from '../../../gateway/contract/ledger.ts'
import { liveAlert, liveHealth, liveLead, liveSale, liveStatus } from '../../../gateway/contract/live.ts'
import { startLive } from '../../../gateway/effects/live.ts'
import { keyIn, shardOf } from '../../../gateway/store/keys.ts'
import { openRedisStore } from '../../../gateway/store/redis.ts'
import { openSqliteStore } from '../../../gateway/store/sqlite.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { type RedisServer, startRedis } from '../../support/services.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { until } from '../../support/until.ts'

const log = { info() {}, warn() {}, error() {} }

/** @returns the entry's id. */
async function append(store: Store, type: string, data: object, stream: Stream = 'ledger'): Promise<string> {
  const id = randomUUID()
  const shard = shardOf(id)
  const [outcome] = await store.commit([
    {
      shard,
      token: id,
      once: [{ key: keyIn(shard, `live:${id}`), value: 1 }],
      append: [{ stream, type, data }],
    },
  ])
  return outcome?.outcome === 'committed' ? (outcome.entry as string) : ''
}

interface Heard {
  readonly topic: string
  readonly message: { entry: string; type: string; data: Record<string, unknown> }
}

/** Where the broker would stand; `topics` are listened to. */
function listeningTo(...topics: string[]) {
  const heard: Heard[] = []
  return {
    heard,
    topics: new Set(topics.map((topic) => `hub/v1/live/${topic}`)),
    hasListeners(topic: string) {
      return this.topics.has(topic)
    },
    publish: (topic: string, payload: string) => {
      heard.push({ topic, message: JSON.parse(payload) })
    },
  }
}

/** Entries from before somebody listened are not told, so a first one is sent until one is heard. */
async function inTune(store: Store, { heard }: { heard: readonly Heard[] }): Promise<void> {
  await until('the first is heard', async () => {
    await append(store, 'sale.registered', { event_id: 'tune', dealer: 'D001', device: 'till-1' })
    await append(
      store,
      'device.health',
      { dealer: 'D001', device: 'till-1', at: null, online: true },
      'telemetry',
    )
    return ['sales', 'devices'].every((feed) => heard.some(({ topic }) => topic.endsWith(feed)))
  })
}

const sale = {
  event_id: 'e1',
  dealer: 'D001',
  device: 'till-1',
  serial: 'SER001',
  model: 'M1',
  price: 28_500_000,
  currency: 'IDR',
  sold_at: '2026-11-22T08:15:30.123Z',
  channel: 'tiktok',
  customer: 'cus_secret',
  lead_id: 'lead-secret',
  seq: 17,
  region: 'west',
  verified: true,
  reason: null,
  flags: ['below_map'],
  map: 29_000_000,
}

function testLive(open: () => Promise<Store>): void {
  let store: Store
  let otherHub: Store
  beforeAll(async () => {
    store = await open()
    otherHub = await open()
  })
  afterAll(async () => {
    await store?.close()
    await otherHub?.close()
  })

  it('tells what any hub committed, on the feed of its kind, without anything personal', async () => {
    const broker = listeningTo('sales', 'alerts', 'devices')
    const live = startLive({ store, broker, log })
    onTestFinished(() => live.stop())
    await inTune(otherHub, broker)

    const ids = {
      sale: await append(otherHub, 'sale.registered', sale),
      refused: await append(otherHub, 'sale.rejected', {
        event_id: null,
        dealer: 'D001',
        device: 'till-1',
        reason: 'invalid',
        errors: [{ field: 'model', expected: 'a string', received: '"Budi, 0812345"' }],
        quarantine: 'q1',
      }),
      alert: await append(otherHub, 'alert.raised', {
        tier: 'P1',
        cause: 'below_map',
        dealer: 'D001',
        device: 'till-1',
        serial: 'SER001',
        event_id: 'e1',
      }),
      health: await append(
        otherHub,
        'device.health',
        { dealer: 'D001', device: 'till-1', at: null, online: false, queue_depth: 3 },
        'telemetry',
      ),
      status: await append(
        otherHub,
        'vehicle.status',
        {
          event_id: 's1',
          dealer: 'D001',
          device: 'unit-1',
          serial: 'SER001',
          at: '2026-11-22T08:15:30.123Z',
          odometer_km: 12,
          battery_pct: 80,
          lat: -6.2,
          lon: 106.8,
          state: 'parked',
        },
        'telemetry',
      ),
    }
    await append(otherHub, 'message.quarantined', { quarantine: 'q2', topic: 't', sender: 's', errors: [] })
    live.wake()
    // An id is unique within its stream only.
    const types = {
      sale: 'sale.registered',
      refused: 'sale.rejected',
      alert: 'alert.raised',
      health: 'device.health',
      status: 'vehicle.status',
    }
    const on = (name: keyof typeof ids) =>
      broker.heard.find(({ message }) => message.entry === ids[name] && message.type === types[name])
    await until('all are heard', () => (Object.keys(ids) as (keyof typeof ids)[]).every(on))

    expect(on('sale')).toMatchObject({
      topic: 'hub/v1/live/sales',
      message: {
        type: 'sale.registered',
        data: { serial: 'SER001', price: 28_500_000, flags: ['below_map'] },
      },
    })
    expect(on('refused')).toMatchObject({
      topic: 'hub/v1/live/sales',
      message: { data: { reason: 'invalid' } },
    })
    expect(on('alert')).toMatchObject({
      topic: 'hub/v1/live/alerts',
      message: { data: { cause: 'below_map' } },
    })
    expect(on('health')).toMatchObject({
      topic: 'hub/v1/live/devices',
      message: { data: { online: false } },
    })
    expect(on('status')).toMatchObject({
      topic: 'hub/v1/live/devices',
      message: { data: { state: 'parked' } },
    })
    const said = JSON.stringify(broker.heard)
    for (const personal of ['secret', 'Budi', '106.8', 'lat']) expect(said).not.toContain(personal)
    expect(said).not.toContain('quarantined')

    for (const [name, schema] of [
      ['sale', liveSale],
      ['refused', liveSale],
      ['alert', liveAlert],
      ['health', liveHealth],
      ['status', liveStatus],
    ] as const) {
      expect(schema.strict().parse(on(name)?.message)).toEqual(on(name)?.message)
    }
  })

  it('tells each step of a race, without the customer and without ids of messages and clicks', async () => {
    const broker = listeningTo('leads', 'sales', 'alerts', 'devices')
    const live = startLive({ store, broker, log })
    onTestFinished(() => live.stop())
    await inTune(otherHub, broker)
    const lead = 'L07-3f2a5b7c9d1e'
    const whose = { lead, customer: 'cus_secret', dealer: 'D001', rep: 'rep-1', event_id: 'wamid.secret' }
    const skipped = [{ dealer: 'D002', distance_km: 1.5, reason: 'closed' }]
    const steps: Record<string, object> = {
      'lead.created': {
        lead,
        customer: 'cus_secret',
        source: 'whatsapp',
        bridge: 'meta',
        area: 'Kota Bandung',
        model: 'EV-1',
        intent: 'buy',
        when: null,
        channel: 'meta_ads',
        campaign: null,
        ad: '120',
        click: 'click-secret',
      },
      'lead.offered': {
        lead,
        round: 1,
        ring: 1,
        offers: [{ dealer: 'D001', rep: 'rep-1', distance_km: 2.2 }],
        skipped,
      },
      'lead.waiting': { lead, ring: 0, skipped, until: '2026-11-23T02:00:00.000Z' },
      'lead.claimed': { ...whose, round: 1, offered_at: '2026-11-22T08:15:30.123Z', distance_km: 2.2 },
      'lead.too_slow': { lead, round: 1, dealer: 'D001', rep: 'rep-1', event_id: 'wamid.secret' },
      'lead.contacted': { lead, dealer: 'D001', rep: 'rep-1', event_id: 'wamid.secret' },
      'lead.demo': { lead, dealer: 'D001', rep: 'rep-1', event_id: 'wamid.secret' },
      'lead.won': { ...whose, serial: 'SER001' },
      'lead.lost': whose,
      'lead.widened': { lead, ring: 2 },
      'lead.released': { lead, round: 1, dealer: 'D001', rep: 'rep-1' },
      'lead.expired': { lead, customer: 'cus_secret', rings: 4, skipped },
      'lead.sold': {
        lead,
        customer: 'cus_secret',
        serial: 'SER001',
        dealer: 'D001',
        sale: '4711',
        matched_by: 'customer',
      },
      'lead.unsold': {
        lead,
        customer: 'cus_secret',
        serial: 'SER001',
        dealer: 'D001',
        sale: '4711',
        matched_by: 'customer',
      },
    }
    const unseen = {
      'lead.claim_repeated': { ...whose, round: 1 },
      'lead.tap_refused': { ...whose, action: 'claim', reason: 'not_invited' },
      'customer.message': { customer: 'cus_secret', bridge: 'meta', event_id: 'wamid.secret', kind: 'text' },
      'message.sent': { job: 'J1', bridge: 'meta', kind: 'text', provider_id: 'wamid.secret', lead },
    }
    const alerts = {
      lead_unclaimed: { lead },
      lead_uncontacted: { lead, dealer: 'D001', rep: 'rep-1' },
      lead_expired: { lead, customer: 'cus_secret' },
      customer_needs_human: { customer: 'cus_secret' },
    }
    for (const [type, data] of Object.entries({ ...unseen, ...steps })) await append(otherHub, type, data)
    for (const [cause, data] of Object.entries(alerts)) {
      await append(otherHub, 'alert.raised', { tier: 'P0', cause, ...data })
    }
    live.wake()
    const on = (feed: string) =>
      broker.heard.filter(({ topic }) => topic === `hub/v1/live/${feed}`).map(({ message }) => message)
    const wanted = Object.keys(steps).length
    await until('all are heard', () => on('leads').length === wanted && on('alerts').length === 4)

    expect(new Set(on('leads').map(({ type }) => type))).toEqual(new Set(Object.keys(steps)))
    for (const message of on('leads')) expect(liveLead.parse(message)).toEqual(message)
    expect(on('leads').find(({ type }) => type === 'lead.claimed')?.data).toEqual({
      lead,
      round: 1,
      dealer: 'D001',
      rep: 'rep-1',
      offered_at: '2026-11-22T08:15:30.123Z',
      distance_km: 2.2,
    })
    for (const message of on('alerts')) expect(liveAlert.strict().parse(message)).toEqual(message)
    expect(
      on('alerts')
        .map(({ data }) => data.cause)
        .sort(),
    ).toEqual(Object.keys(alerts).sort())
    expect(on('alerts').find(({ data }) => data.cause === 'lead_uncontacted')?.data).toEqual({
      tier: 'P0',
      cause: 'lead_uncontacted',
      lead,
      dealer: 'D001',
      rep: 'rep-1',
    })
    expect(JSON.stringify(broker.heard)).not.toContain('secret')
  })

  it('tells of races to whoever listens to nothing else', async () => {
    const broker = listeningTo('leads')
    const live = startLive({ store, broker, log })
    onTestFinished(() => live.stop())
    await until('one is heard', async () => {
      await append(otherHub, 'lead.widened', { lead: 'L07-3f2a5b7c9d1e', ring: 2 })
      return broker.heard.length > 0
    })
    expect(new Set(broker.heard.map(({ topic }) => topic))).toEqual(new Set(['hub/v1/live/leads']))
  })

  it('reads nothing while nobody listens, and tells nobody old news', async () => {
    const broker = listeningTo()
    let reads = 0
    const counting: Pick<Store, 'end' | 'entriesAfter'> = {
      end: (stream) => {
        reads++
        return store.end(stream)
      },
      entriesAfter: (...query) => {
        reads++
        return store.entriesAfter(...query)
      },
    }
    const looked = Promise.withResolvers<void>()
    let looks = 0
    const live = startLive({
      store: counting,
      broker: {
        publish: broker.publish,
        hasListeners(topic) {
          if (++looks > 6) looked.resolve()
          return broker.hasListeners(topic)
        },
      },
      log,
    })
    onTestFinished(() => live.stop())
    await append(store, 'sale.registered', { ...sale, serial: 'OLD001' })
    live.wake()
    await looked.promise
    expect(reads).toBe(0)

    for (const feed of ['sales', 'devices']) broker.topics.add(`hub/v1/live/${feed}`)
    await inTune(store, broker)
    expect(broker.heard.map(({ message }) => message.data.serial)).not.toContain('OLD001')
  })

  it('goes on by itself after the store was away', async () => {
    const broker = listeningTo('sales', 'devices')
    let isAway = false
    const warnings: string[] = []
    const failing: Pick<Store, 'end' | 'entriesAfter'> = {
      end: (stream) => store.end(stream),
      entriesAfter: (...query) =>
        isAway ? Promise.reject(new Error('connection lost')) : store.entriesAfter(...query),
    }
    const live = startLive({
      store: failing,
      broker,
      log: { info() {}, warn: (_, message) => warnings.push(message) },
    })
    onTestFinished(() => live.stop())
    await inTune(store, broker)
    isAway = true
    live.wake()
    await until('the failure is logged', () => warnings.length > 0)
    await append(store, 'sale.registered', { ...sale, serial: 'MISSED' })
    isAway = false
    await until('it is heard', () => broker.heard.some(({ message }) => message.data.serial === 'MISSED'))
    expect(warnings).toEqual(['live feeds: waiting for the store'])
  })
}

describe('the live feeds on the embedded store', () => {
  const { path: dataDir } = temporaryFolder('live')
  testLive(() => openSqliteStore({ dataDir }))
})

describe('the live feeds on Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis?.stop())
  testLive(() => openRedisStore({ url: redis.url }))
})

describe('the live feeds on the broker', () => {
  it('are heard by an analyst’s ordinary MQTT client', async () => {
    await using resources = new AsyncDisposableStack()
    const store = resources.adopt(await openSqliteStore({ dataDir: temporaryFolder('live').path }), (it) =>
      it.close(),
    )
    const broker = resources.adopt(
      await openEmbeddedBroker({
        host: '127.0.0.1',
        port: 0,
        tls: null,
        log,
        authenticate: async ({ clientId }) => ({ kind: 'api', id: clientId, role: 'analyst' }),
        accept: async () => {},
        listening: () => {},
      }),
      (it) => it.close(),
    )
    const live = resources.adopt(startLive({ store, broker, log }), (it) => it.stop())
    const heard: Heard[] = []
    const client = resources.adopt(
      await connectAsync(`mqtt://127.0.0.1:${broker.addresses.plainPort}`, {
        clientId: 'dashboard',
        username: 'api',
        password: 'token',
      }),
      (it) => it.endAsync(true),
    )
    client.on('message', (topic, payload) => heard.push({ topic, message: JSON.parse(String(payload)) }))
    expect(broker.hasListeners('hub/v1/live/sales')).toBe(false)
    await client.subscribeAsync('hub/v1/live/#')
    expect(broker.hasListeners('hub/v1/live/sales')).toBe(true)
    await inTune(store, { heard })
    await append(store, 'sale.registered', sale)
    live.wake()
    await until('it is heard', () => heard.some(({ message }) => message.data.serial === sale.serial))
  })
})
