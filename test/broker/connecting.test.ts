import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { connect as openTls } from 'node:tls'
import { connectAsync, type IClientOptions } from 'mqtt'
import type { IConnectPacket } from 'mqtt-packet'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
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
  OTHER_DEVICE,
  openBroker,
  RawClient,
  RECEIPT,
  SALE,
  type TestBroker,
} from './support.ts'

const certificate = (name: string) => join(import.meta.dirname, 'certificates', name)

describe('the answer to a CONNECT', () => {
  test.each<[string, Partial<IConnectPacket>, number]>([
    ['a device with its password', deviceLogin(), 0],
    ['a program with a token', apiLogin('admin'), 0],
    ['a device with a wrong password', { ...deviceLogin(), password: Buffer.from('guess') }, 4],
    ['a device without a password', { ...deviceLogin(), password: undefined }, 4],
    ['an unknown token', apiLogin('wrong'), 4],
    ['nobody', { clientId: 'x' }, 5],
    ['a token without rights on MQTT', apiLogin('bridge'), 5],
    ['a device under another device’s client id', { ...deviceLogin(), clientId: OTHER_DEVICE }, 2],
    ['a program under a device’s client id', apiLogin('admin', DEVICE), 2],
    ['MQTT 5', { ...apiLogin('admin'), protocolVersion: 5 }, 1],
    ['MQTT 3.1', { ...apiLogin('admin', 'old'), protocolVersion: 3, protocolId: 'MQIsdp' }, 0],
    [
      'a device’s will on its own health topic',
      { ...deviceLogin(), will: { topic: HEALTH, payload: '{}', qos: 1 } },
      0,
    ],
    [
      'a device’s will on its sale topic',
      { ...deviceLogin(), will: { topic: SALE, payload: '{}', qos: 1 } },
      5,
    ],
    [
      'a device’s will on another device’s topic',
      { ...deviceLogin(), will: { topic: `hub/v1/${OTHER_DEVICE}/health`, payload: '{}' } },
      5,
    ],
    [
      'a device’s retained will',
      { ...deviceLogin(), will: { topic: HEALTH, payload: '{}', retain: true } },
      5,
    ],
    ['an admin’s will under hub/', { ...apiLogin('admin'), will: { topic: HEALTH, payload: '{}' } }, 5],
  ])('%s', async (_title, options, returnCode) => {
    const { port, broker } = await openBroker()
    const client = await RawClient.open(port)
    expect(await client.connect(options)).toMatchObject({ returnCode, sessionPresent: false })
    if (returnCode === 0) {
      await client.ping()
    } else {
      expect(await client.closed).toEqual([])
      expect(broker.stats.connections).toBe(0)
    }
  })

  test('no client id, and yet a session to keep: identifier rejected [MQTT-3.1.3-8]', async () => {
    const { port } = await openBroker()
    const client = await RawClient.open(port)
    client.send([0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0, 0, 0, 0, 0])
    expect(await client.next('connack')).toMatchObject({ returnCode: 2 })
    await client.closed
  })

  test('a client id is made up for a program that brings none', async () => {
    const { port } = await openBroker()
    const [first, second] = [await connectApi(port, 'admin'), await connectApi(port, 'admin')]
    await first.ping()
    await second.ping()
  })

  test('who a client is cannot be told now: server unavailable, and later it may try again', async () => {
    let away = true
    const { port, broker } = await openBroker({
      authenticate: (credentials) =>
        away ? Promise.reject(new Error('store away')) : authenticate(credentials),
    })
    const client = await RawClient.open(port)
    expect(await client.connect(deviceLogin())).toMatchObject({ returnCode: 3 })
    await client.closed
    expect(broker.stats.refused.get('unavailable')).toBe(1)
    away = false
    await connectDevice(port)
  })

  test('the store does not answer in time: server unavailable', async () => {
    const { port } = await openBroker({
      authenticate: () => new Promise(() => {}),
      limits: { authenticateTimeoutMs: 50 },
    })
    const client = await RawClient.open(port)
    expect(await client.connect(deviceLogin())).toMatchObject({ returnCode: 3 })
    await client.closed
  })

  test('an authentication that throws is one that failed', async () => {
    const { port } = await openBroker({
      authenticate: () => {
        throw new Error('a mistake')
      },
    })
    const client = await RawClient.open(port)
    expect(await client.connect(deviceLogin())).toMatchObject({ returnCode: 3 })
  })

  test('a client that leaves while it is being looked up leaves nothing behind', async () => {
    const lookedUp = deferred()
    const found = deferred()
    const { port, broker } = await openBroker({
      authenticate: async (credentials) => {
        lookedUp.resolve()
        await found.promise
        return authenticate(credentials)
      },
    })
    const client = await RawClient.open(port)
    client.send(connectPacket(deviceLogin()))
    await lookedUp.promise
    await client.vanish()
    await expect.poll(() => broker.stats.connections).toBe(0)
    found.resolve()
    await connectDevice(port)
    expect(broker.stats.connections).toBe(1)
  })

  test('what a client sends behind its CONNECT without waiting is dealt with after the CONNACK, in order', async () => {
    const { port, accepted } = await openBroker()
    const client = await RawClient.open(port)
    const sales = Array.from({ length: 200 }, (_, i) => ({
      cmd: 'publish' as const,
      topic: SALE,
      payload: String(i),
      qos: 1 as const,
      dup: false,
      retain: false,
      messageId: i + 1,
    }))
    client.send(connectPacket(deviceLogin()), ...sales)
    await client.next('connack')
    for (let i = 0; i < 200; i++) expect(await client.next('puback')).toMatchObject({ messageId: i + 1 })
    expect(accepted.map(({ payload }) => Number(Buffer.from(payload).toString()))).toEqual(
      Array.from({ length: 200 }, (_, i) => i),
    )
  })
})

describe('a second login with the same client id', () => {
  test('takes over a device’s session, and the first is closed', async () => {
    const { port, broker } = await openBroker()
    const first = await connectDevice(port)
    const second = await connectDevice(port)
    await first.closed
    await second.ping()
    expect(broker.isConnected(DEVICE)).toBe(true)
    await expect.poll(() => broker.stats.connections).toBe(1)
  })

  test('with a wrong password takes over nothing', async () => {
    const { port } = await openBroker()
    const first = await connectDevice(port)
    const thief = await RawClient.open(port)
    expect(await thief.connect({ ...deviceLogin(), password: Buffer.from('guess') })).toMatchObject({
      returnCode: 4,
    })
    await first.ping()
  })

  test('is refused to another token', async () => {
    const { port } = await openBroker()
    const first = await connectApi(port, 'admin', { clientId: 'tool' })
    const other = await RawClient.open(port)
    expect(await other.connect(apiLogin('analyst', 'tool'))).toMatchObject({ returnCode: 2 })
    await first.ping()
  })

  test('many at once: one is left', async () => {
    const { port, broker } = await openBroker()
    const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(port)))
    let left = clients.length
    for (const client of clients) {
      void client.closed.then(() => left--)
      client.send(connectPacket({ ...deviceLogin(), clean: false }))
    }
    await expect.poll(() => left).toBe(1)
    expect(broker.isConnected(DEVICE)).toBe(true)
    const last = await connectDevice(port)
    await last.ping()
    await expect.poll(() => broker.stats.connections).toBe(1)
  })

  test('another token under the same client id does not inherit a session that was kept', async () => {
    const { port } = await openBroker()
    const admin = await connectApi(port, 'admin', { clientId: 'tool', clean: false })
    await admin.subscribe(['#', 1])
    await admin.disconnect()
    const analyst = await RawClient.open(port)
    expect(await analyst.connect({ ...apiLogin('analyst', 'tool'), clean: false })).toMatchObject({
      returnCode: 0,
      sessionPresent: false,
    })
  })
})

describe('over TLS', () => {
  const tls = { port: 0, cert: certificate('broker.pem'), key: certificate('broker.key') }

  async function connectTls({ broker }: TestBroker, options: IClientOptions) {
    const client = await connectAsync(`mqtts://127.0.0.1:${broker.addresses.tlsPort}`, {
      ca: readFileSync(certificate('authority.pem')),
      reconnectPeriod: 0,
      ...options,
    })
    onTestFinished(() => client.endAsync(true))
    return client
  }

  const clientCertificate = (name: string) => ({
    cert: readFileSync(certificate(`${name}.pem`)),
    key: readFileSync(certificate(`${name}.key`)),
  })

  test('a device logs in with its password', async () => {
    const test = await openBroker({ tls: { ...tls, ca: null } })
    const client = await connectTls(test, { clientId: DEVICE, username: DEVICE, password: 'secret' })
    await client.publishAsync(SALE, 'x', { qos: 1 })
    expect(test.accepted).toHaveLength(1)
  })

  test('a device logs in with a certificate that bears its name', async () => {
    const test = await openBroker({ tls: { ...tls, ca: certificate('authority.pem') } })
    const client = await connectTls(test, { clientId: DEVICE, ...clientCertificate('device') })
    await client.publishAsync(SALE, 'x', { qos: 1 })
    expect(test.accepted).toHaveLength(1)
  })

  test('a certificate is good for its own name only', async () => {
    const test = await openBroker({ tls: { ...tls, ca: certificate('authority.pem') } })
    await expect(
      connectTls(test, { clientId: OTHER_DEVICE, ...clientCertificate('device') }),
    ).rejects.toMatchObject({ code: 2 })
  })

  test('a certificate that somebody else signed counts for nothing', async () => {
    const test = await openBroker({ tls: { ...tls, ca: certificate('authority.pem') } })
    await expect(
      connectTls(test, { clientId: DEVICE, ...clientCertificate('forged') }),
    ).rejects.toMatchObject({
      code: 5,
    })
    await connectTls(test, {
      clientId: DEVICE,
      username: DEVICE,
      password: 'secret',
      ...clientCertificate('forged'),
    })
  })

  test('a refused login is told so', async () => {
    const test = await openBroker({ tls: { ...tls, ca: null } })
    await expect(
      connectTls(test, { clientId: DEVICE, username: DEVICE, password: 'guess' }),
    ).rejects.toMatchObject({ code: 4 })
  })

  test('who does not finish the handshake is closed', async () => {
    const { broker } = await openBroker({ tls: { ...tls, ca: null }, limits: { connectTimeoutMs: 100 } })
    const client = await RawClient.open(broker.addresses.tlsPort as number)
    await client.closed
  })

  test('who finishes it and then says nothing is closed', async () => {
    const { broker } = await openBroker({ tls: { ...tls, ca: null }, limits: { connectTimeoutMs: 100 } })
    const socket = openTls({ port: broker.addresses.tlsPort as number, rejectUnauthorized: false })
    await new Promise((resolve) => socket.once('secureConnect', resolve))
    socket.resume()
    await new Promise((resolve) => socket.once('close', resolve))
    await expect.poll(() => broker.stats.connections).toBe(0)
  })
})

/** An HTTP server that hands its upgrades to the broker. */
async function openHttp({ broker }: TestBroker): Promise<string> {
  const server = createServer()
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
    broker.acceptWebSocket(request, socket, head),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
  })
  return `ws://127.0.0.1:${(server.address() as { port: number }).port}/mqtt`
}

describe('over WebSocket', () => {
  test('devices and programs publish, subscribe and get their messages', async () => {
    const hub = await openBroker()
    const url = await openHttp(hub)
    const client = await connectAsync(url, { clientId: DEVICE, username: DEVICE, password: 'secret' })
    onTestFinished(() => client.endAsync(true))
    const message = new Promise<string>((resolve) => {
      client.once('message', (_topic, payload) => resolve(payload.toString()))
    })
    await client.subscribeAsync(RECEIPT, { qos: 1 })
    await client.publishAsync(SALE, Buffer.alloc(60_000, 'x'), { qos: 1 })
    expect(await hub.broker.deliver(RECEIPT, 'thanks')).toBe('delivered')
    expect(await message).toBe('thanks')
    expect(hub.accepted[0]?.payload).toHaveLength(60_000)
  })

  test('a refused login is told so', async () => {
    const url = await openHttp(await openBroker())
    await expect(
      connectAsync(url, { clientId: DEVICE, username: DEVICE, password: 'guess', reconnectPeriod: 0 }),
    ).rejects.toMatchObject({ code: 4 })
  })

  test('who does not offer the subprotocol mqtt is refused [MQTT-6.0.0-3]', async () => {
    const url = await openHttp(await openBroker())
    const socket = new WebSocket(url)
    const error = await new Promise<Error>((resolve) => socket.once('error', resolve))
    expect(error.message).toContain('400')
  })

  test('a text frame closes the connection [MQTT-6.0.0-1]', async () => {
    const hub = await openBroker()
    const socket = new WebSocket(await openHttp(hub), 'mqtt')
    await new Promise((resolve) => socket.once('open', resolve))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.send('CONNECT')
    await closed
    await expect.poll(() => hub.broker.stats.connections).toBe(0)
  })

  test('a frame larger than any packet should be closes the connection', async () => {
    const hub = await openBroker()
    const socket = new WebSocket(await openHttp(hub), 'mqtt')
    await new Promise((resolve) => socket.once('open', resolve))
    const closed = new Promise<number>((resolve) => socket.once('close', resolve))
    socket.send(Buffer.alloc(1024 * 1024))
    expect(await closed).toBe(1009)
    await expect.poll(() => hub.broker.stats.connections).toBe(0)
  })
})

describe('how many may come', () => {
  test('the bound is for all doors together', async () => {
    const hub = await openBroker({
      tls: { port: 0, cert: certificate('broker.pem'), key: certificate('broker.key'), ca: null },
      limits: { connections: 1 },
    })
    const url = await openHttp(hub)
    const inside = await connectDevice(hub.port)
    const socket = openTls({ port: hub.broker.addresses.tlsPort as number, rejectUnauthorized: false })
    await new Promise((resolve) => socket.once('error', resolve))
    const webSocket = new WebSocket(url, 'mqtt')
    await new Promise((resolve) => webSocket.once('error', resolve))
    expect(hub.broker.stats.refused.get('too_many_connections')).toBe(2)
    await inside.ping()
  })

  test('connections are bounded, and the next one is turned away at once', async () => {
    const { port, broker } = await openBroker({ limits: { connections: 2 } })
    const first = await connectDevice(port)
    await connectApi(port, 'admin')
    const third = await RawClient.open(port)
    await third.closed
    expect(broker.stats.refused.get('too_many_connections')).toBe(1)
    await first.disconnect()
    await expect.poll(() => broker.stats.connections).toBe(1)
    await connectDevice(port, OTHER_DEVICE)
  })

  test('strangers of one address are bounded; who logged in is none', async () => {
    const { port, broker } = await openBroker({ limits: { unauthenticatedPerAddress: 2 } })
    await connectDevice(port)
    await connectDevice(port, OTHER_DEVICE)
    const strangers = [await RawClient.open(port), await RawClient.open(port)]
    await expect.poll(() => broker.stats.connections).toBe(4)
    const turnedAway = await RawClient.open(port)
    await turnedAway.closed
    expect(broker.stats.refused.get('too_many_connections')).toBe(1)
    await strangers[0]?.vanish()
    await expect.poll(() => broker.stats.connections).toBe(3)
    await connectApi(port, 'admin')
  })
})
