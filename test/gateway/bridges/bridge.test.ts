import type { Duplex } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { EmbeddedBroker } from '../../../broker/embedded.ts'
import { type BridgeOptions, connectBridge, dialStream, dialUrl } from '../../../gateway/bridges/bridge.ts'
import type { OutboundMessage } from '../../../gateway/contract/bridge.ts'
import { openBroker } from '../../broker/support.ts'
import { until } from '../../support/until.ts'

const SILENT = { info() {}, warn() {}, error() {} }
const INBOUND = 'hub/v1/bridge/meta/inbound'
const STATUS = 'hub/v1/bridge/meta/status'
const OUTBOUND = 'hub/v1/bridge/meta/outbound'

const JOB: OutboundMessage = {
  job_id: 'job-1',
  to: { phone: '+6281200000001' },
  kind: 'text',
  body: 'halo',
  expires_at: '2026-11-22T09:00:00.000Z',
}

async function connectTo(port: number, options: Partial<BridgeOptions> = {}) {
  const bus = connectBridge({
    bridge: 'meta',
    dial: dialUrl(`mqtt://127.0.0.1:${port}`, 'bridge:meta'),
    log: SILENT,
    ...options,
  })
  onTestFinished(() => bus.close())
  await until('the bridge is connected', () => bus.isConnected)
  return bus
}

describe('publishing', () => {
  it('resolves once the hub has it, and not before', async () => {
    const committed = Promise.withResolvers<void>()
    const { port, accepted } = await openBroker({ accept: () => committed.promise })
    const bus = await connectTo(port)
    let isAcknowledged = false
    const published = bus.publish('inbound', { a: 1 }).then(() => {
      isAcknowledged = true
    })
    await until('the hub was handed it', () => accepted.length === 1)
    expect(isAcknowledged).toBe(false)
    committed.resolve()
    await published
    expect(accepted.map(({ topic, payload }) => [topic, String(payload)])).toEqual([[INBOUND, '{"a":1}']])
  })

  it('keeps the order, and leaves bytes as they are', async () => {
    const { port, accepted } = await openBroker()
    const bus = await connectTo(port)
    await Promise.all([
      ...Array.from({ length: 200 }, (_, i) => bus.publish('status', { i })),
      bus.publish('inbound', Buffer.from([0xff, 0x00])),
    ])
    expect(accepted.slice(0, 200).map(({ payload }) => JSON.parse(String(payload)).i)).toEqual(
      Array.from({ length: 200 }, (_, i) => i),
    )
    expect(accepted[0]?.topic).toBe(STATUS)
    expect(accepted[200] && [...accepted[200].payload]).toEqual([0xff, 0x00])
  })

  it('rejects when the hub refuses it, and the next one goes through a new connection', async () => {
    let isAway = true
    const { port, accepted } = await openBroker({
      accept: async () => {
        if (isAway) throw new Error('store away')
      },
    })
    const bus = await connectTo(port)
    await expect(bus.publish('inbound', { a: 1 })).rejects.toThrow(
      /inbound of bridge meta was not acknowledged/,
    )
    isAway = false
    await until('connected again', () => bus.isConnected)
    await bus.publish('inbound', { a: 2 })
    // Nothing was resent behind the bridge's back.
    expect(accepted.map(({ payload }) => String(payload))).toEqual(['{"a":1}', '{"a":2}'])
  })

  it('rejects after a bounded time when the hub says nothing', async () => {
    const { port } = await openBroker({ accept: () => new Promise(() => {}) })
    const bus = await connectTo(port, { publishTimeoutMs: 50 })
    await expect(bus.publish('inbound', { a: 1 })).rejects.toThrow('no answer in 50 ms')
  })

  it('rejects at once while there is no connection, and when it is closed', async () => {
    const bus = connectBridge({
      bridge: 'meta',
      dial: dialUrl('mqtt://127.0.0.1:1', 'bridge:meta'),
      log: SILENT,
    })
    await expect(bus.publish('inbound', {})).rejects.toThrow('no connection to the hub')
    await bus.close()
    await expect(bus.publish('inbound', {})).rejects.toThrow('no connection to the hub')
  })

  it('rejects what is beyond its bound in bytes', async () => {
    const { port } = await openBroker({ accept: () => new Promise(() => {}) })
    const bus = await connectTo(port)
    const big = Buffer.alloc(1024 * 1024)
    const published = Array.from({ length: 65 }, () => bus.publish('inbound', big))
    await expect(published.at(-1)).rejects.toThrow('too much waits to be acknowledged')
    const others = Promise.allSettled(published)
    await bus.close()
    await others
  })
})

describe('jobs', () => {
  it('are handed to the bridge, and are delivered when it took them', async () => {
    const { broker, port, listening } = await openBroker()
    const bus = await connectTo(port)
    const taken: OutboundMessage[] = []
    const mayTake = Promise.withResolvers<void>()
    bus.onOutbound((job) => {
      taken.push(job)
      return mayTake.promise
    })
    await until('it listens', () => listening.includes(OUTBOUND))
    let outcome: string | null = null
    const delivered = broker.deliver(OUTBOUND, JSON.stringify(JOB)).then((it) => {
      outcome = it
    })
    await until('it was handed over', () => taken.length === 1)
    expect(outcome).toBeNull()
    mayTake.resolve()
    await delivered
    expect(outcome).toBe('delivered')
    expect(taken).toEqual([JOB])
  })

  it('that cannot be taken are not delivered, and come again on a new connection', async () => {
    const { broker, port, listening } = await openBroker()
    const bus = await connectTo(port)
    let tries = 0
    bus.onOutbound(() => {
      if (++tries === 1) throw new Error('no room')
    })
    const listens = (times: number) =>
      until('it listens', () => listening.filter((topic) => topic === OUTBOUND).length === times)
    await listens(1)
    expect(await broker.deliver(OUTBOUND, JSON.stringify(JOB))).toBe('absent')
    await listens(2)
    expect(await broker.deliver(OUTBOUND, JSON.stringify(JOB))).toBe('delivered')
    expect(tries).toBe(2)
  })

  it.each([
    ['of a kind that is not known', { ...JOB, kind: 'hologram' }, 'kind: expected one of text, buttons'],
    ['without an expiry', { ...JOB, expires_at: undefined }, 'expires_at: expected a string'],
    ['whose text is a number', { ...JOB, body: 812_000 }, 'body: expected a string'],
  ])('%s are taken and failed, without repeating what they say', async (_, job, message) => {
    const { broker, port, listening, accepted } = await openBroker()
    const bus = await connectTo(port)
    bus.onOutbound(() => {
      throw new Error('handed on')
    })
    await until('it listens', () => listening.includes(OUTBOUND))
    expect(await broker.deliver(OUTBOUND, JSON.stringify(job))).toBe('delivered')
    await until('the hub heard', () => accepted.length === 1)
    expect(accepted[0]?.topic).toBe(STATUS)
    const status = JSON.parse(String(accepted[0]?.payload))
    expect(status).toMatchObject({
      job_id: 'job-1',
      state: 'failed',
      provider_id: null,
      error: { code: 'invalid', message: expect.stringContaining(message), retryable: false },
    })
    expect(JSON.stringify(status)).not.toContain('812000')
  })

  it.each(['{', 'null', '7', '{}', '{"job_id":7}'])(
    'without an id are taken and dropped: %s',
    async (payload) => {
      const { broker, port, listening, accepted } = await openBroker()
      const bus = await connectTo(port)
      bus.onOutbound(() => {
        throw new Error('handed on')
      })
      await until('it listens', () => listening.includes(OUTBOUND))
      expect(await broker.deliver(OUTBOUND, payload)).toBe('delivered')
      await bus.publish('status', { after: true })
      expect(accepted).toHaveLength(1)
    },
  )

  it('reach a bridge whose handler was there before the connection', async () => {
    const { broker, port, listening } = await openBroker()
    const bus = connectBridge({
      bridge: 'meta',
      dial: dialUrl(`mqtt://127.0.0.1:${port}`, 'bridge:meta'),
      log: SILENT,
    })
    onTestFinished(() => bus.close())
    bus.onOutbound(() => {})
    await until('it listens', () => listening.includes(OUTBOUND))
    expect(await broker.deliver(OUTBOUND, JSON.stringify(JOB))).toBe('delivered')
  })
})

describe('a bridge in the hub’s own process', () => {
  async function connectWithin(broker: EmbeddedBroker) {
    const streams: Duplex[] = []
    const dial = dialStream(() => {
      const stream = broker.connectLocal()
      streams.push(stream)
      return stream
    }, 'bridge:meta')
    const bus = connectBridge({ bridge: 'meta', dial, log: SILENT })
    onTestFinished(() => bus.close())
    await until('connected', () => bus.isConnected)
    return { bus, streams }
  }

  it('speaks over a stream, and comes back when that breaks', async () => {
    const { broker, accepted } = await openBroker()
    const { bus, streams } = await connectWithin(broker)
    await bus.publish('inbound', { a: 1 })
    streams[0]?.destroy()
    await until('connected again', () => streams.length === 2 && bus.isConnected)
    await bus.publish('inbound', { a: 2 })
    expect(accepted.map(({ payload }) => String(payload))).toEqual(['{"a":1}', '{"a":2}'])
  })

  it('knows at once when the hub drops it', async () => {
    const { broker } = await openBroker({ accept: () => Promise.reject(new Error('store away')) })
    const { bus } = await connectWithin(broker)
    await expect(bus.publish('inbound', { a: 1 })).rejects.toThrow('the connection to the hub was lost')
  })

  it('says goodbye without a wait', async () => {
    const { broker } = await openBroker()
    const { bus } = await connectWithin(broker)
    const startedMs = performance.now()
    await bus.close()
    expect(performance.now() - startedMs).toBeLessThan(1000)
    await until('the hub knows', () => broker.stats.connections === 0)
  })
})
