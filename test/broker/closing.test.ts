import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { openEmbeddedBroker } from '../../broker/embedded.ts'
import type { TlsFiles } from '../../broker/listeners.ts'
import {
  apiLogin,
  authenticate,
  connectApi,
  connectDevice,
  connectPacket,
  DEVICE,
  deferred,
  deviceLogin,
  HEALTH,
  openBareAedes,
  openBroker,
  RawClient,
  RECEIPT,
  SALE,
} from './support.ts'

const certificate = {
  cert: join(import.meta.dirname, 'certificates', 'broker.pem'),
  key: join(import.meta.dirname, 'certificates', 'broker.key'),
}

describe('a broker that is closed', () => {
  test('acknowledges what is being committed, then closes the connection', async () => {
    const committed = deferred()
    const { port, broker, accepted } = await openBroker({
      accept: () => committed.promise,
      limits: { closeTimeoutMs: 10_000 },
    })
    const device = await connectDevice(port)
    device.publish(SALE, 'one', { qos: 1, messageId: 1 })
    device.publish(SALE, 'two', { qos: 1, messageId: 2 })
    await expect.poll(() => accepted.length).toBe(2)
    const closed = broker.close()
    committed.resolve()
    expect(await device.closed).toMatchObject([
      { cmd: 'puback', messageId: 1 },
      { cmd: 'puback', messageId: 2 },
    ])
    await closed
    expect(broker.stats).toMatchObject({ connections: 0, pending: 0, acknowledged: 2 })
  })

  test('(control) bare Aedes closes under a pending commit', async () => {
    const committed = deferred()
    const handed = deferred()
    const { port, aedes } = await openBareAedes({
      authorizePublish: (_client, _packet, done) => {
        handed.resolve()
        committed.promise.then(() => done(null))
      },
    })
    const device = await RawClient.open(port)
    await device.connect({ clientId: 'x' })
    device.publish(SALE, 'one', { qos: 1, messageId: 1 })
    await handed.promise
    await new Promise<void>((resolve) => aedes.close(resolve))
    committed.resolve()
    expect(await device.closed).toEqual([])
  })

  test('hands nothing more over', async () => {
    const committed = deferred()
    const { port, broker, accepted } = await openBroker({
      accept: () => committed.promise,
      limits: { closeTimeoutMs: 10_000, messagesInFlightPerClient: 1 },
    })
    const other = await connectApi(port, 'admin')
    const device = await connectDevice(port)
    device.publish(SALE, 'one', { qos: 1, messageId: 1 })
    await expect.poll(() => accepted.length).toBe(1)
    device.publish(SALE, 'two', { qos: 1, messageId: 2 })
    for (let turn = 0; turn < 5; turn++) await other.ping() // by now it lies before the broker, unread
    const closed = broker.close()
    other.publish('bench', 'late', { qos: 1, messageId: 3 })
    await expect(RawClient.open(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    committed.resolve()
    await closed
    expect(accepted).toHaveLength(1)
    expect(await other.closed).toEqual([])
  })

  test('waits no longer than it was told for a gateway that does not answer', async () => {
    const { port, broker, accepted } = await openBroker({
      accept: () => new Promise(() => {}),
      limits: { closeTimeoutMs: 50 },
    })
    const device = await connectDevice(port)
    device.publish(SALE, 'one', { qos: 1, messageId: 1 })
    await expect.poll(() => accepted.length).toBe(1)
    await broker.close()
    expect(await device.closed).toEqual([])
  })

  test('publishes no wills: its clients are not lost, it is', async () => {
    const { port, broker, accepted } = await openBroker()
    const watcher = await connectApi(port, 'admin')
    await watcher.subscribe(['#', 0])
    await connectDevice(port, DEVICE, { will: { topic: HEALTH, payload: 'gone', qos: 1 } })
    const admin = await RawClient.open(port)
    await admin.connect({ ...apiLogin('admin'), will: { topic: 'gone', payload: 'gone' } })
    await broker.close()
    expect(await watcher.closed).toEqual([])
    expect(accepted).toEqual([])
  })

  test('closes also connections that have not logged in, or are about to', async () => {
    const { port, broker } = await openBroker({ authenticate: () => new Promise(() => {}) })
    const silent = await RawClient.open(port)
    const waiting = await RawClient.open(port)
    waiting.send(connectPacket(deviceLogin()))
    await expect.poll(() => broker.stats.connections).toBe(2)
    await broker.close()
    await silent.closed
    await waiting.closed
    expect(broker.stats.connections).toBe(0)
  })

  test('leaves a message that was not acknowledged as absent', async () => {
    const { port, broker } = await openBroker()
    const device = await connectDevice(port)
    await device.subscribe([RECEIPT, 1])
    const delivery = broker.deliver(RECEIPT, 'x')
    await device.next('publish')
    await broker.close()
    expect(await delivery).toBe('absent')
    expect(await broker.deliver(RECEIPT, 'x')).toBe('absent')
  })

  test('closes one that reads nothing any more', async () => {
    const { port, broker } = await openBroker()
    const hung = await connectApi(port, 'admin')
    await hung.subscribe(['#', 0])
    hung.socket.pause()
    for (let i = 0; i < 200; i++) broker.publish('hub/v1/live/sales', 'x'.repeat(100_000))
    await broker.close()
    expect(broker.stats.connections).toBe(0)
  })

  test('can be closed more than once, and is closed each time', async () => {
    const { port, broker } = await openBroker()
    await connectDevice(port)
    void broker.close()
    await broker.close()
    expect(broker.stats.connections).toBe(0)
    await broker.close()
  })
})

test.each<[string, (port: number) => { port: number; tls: TlsFiles | null }]>([
  ['plain', (port) => ({ port, tls: null })],
  ['TLS', (port) => ({ port: 0, tls: { port, ca: null, ...certificate } })],
])('a %s port that is taken is told at once, and nothing is left open', async (_title, listeners) => {
  const { port } = await openBroker()
  const opening = openEmbeddedBroker({
    host: '127.0.0.1',
    ...listeners(port),
    log: pino({ enabled: false }),
    authenticate,
    accept: async () => {},
    listening: () => {},
  })
  await expect(opening).rejects.toMatchObject({ code: 'EADDRINUSE' })
  const servers = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap').length
  await expect.poll(servers).toBe(1)
})
