/**
 * MQTT 3.1.1 as programs see it that log in with an admin token: what the Eclipse Paho interoperability suite checks
 * (its eleven tests, `interoperability/client_test.py`), and what Aedes gets wrong beyond it.
 */
import { describe, expect, test } from 'vitest'
import { apiLogin, connectApi, openBareAedes, openBroker, RawClient } from './support.ts'

const A = 'myclientid'
const B = 'myclientid2'

const admin = (port: number, clientId: string, clean = true): Promise<RawClient> =>
  connectApi(port, 'admin', { clientId, clean })

/** Publishes and waits until the exchange is complete. */
async function publish(
  client: RawClient,
  topic: string,
  payload: string,
  qos: 0 | 1 | 2,
  { retain = false } = {},
): Promise<void> {
  const messageId = 100 + qos
  client.publish(topic, payload, { qos, retain, ...(qos > 0 && { messageId }) })
  if (qos === 1) await client.next('puback')
  if (qos === 2) {
    await client.next('pubrec')
    client.send({ cmd: 'pubrel', messageId })
    await client.next('pubcomp')
  }
}

describe('the Paho suite:', () => {
  test('basic: connecting, messages at each QoS, a second CONNECT, a wrong protocol name', async () => {
    const { port } = await openBroker()
    await (await admin(port, A)).disconnect()

    const publisher = await admin(port, B)
    const client = await admin(port, A)
    await client.subscribe(['TopicA', 2])
    for (const qos of [0, 1, 2] as const) await publish(publisher, 'TopicA', `qos ${qos}`, qos)
    for (const qos of [0, 1, 2]) {
      expect(await client.message()).toMatchObject({
        topic: 'TopicA',
        qos,
        payload: Buffer.from(`qos ${qos}`),
      })
    }
    client.send({ cmd: 'connect', clientId: A, clean: true, keepalive: 0 })
    await client.closed

    const other = await RawClient.open(port)
    other.send([0x10, 14, 0, 2, 0x68, 0x6a, 4, 2, 0, 0, 0, 4, 0x6e, 0x61, 0x6d, 0x65])
    expect(await other.closed).toEqual([])
  })

  test('a client hears its own messages', async () => {
    const { port } = await openBroker()
    const client = await admin(port, A)
    await client.subscribe(['TopicA', 0])
    client.publish('TopicA', 'own')
    expect(await client.message()).toMatchObject({ topic: 'TopicA', qos: 0 })
  })

  test('retained messages: kept, told to new subscribers, forgotten', async () => {
    const { port } = await openBroker()
    const topics = [
      ['TopicA/B', 0],
      ['Topic/C', 1],
      ['TopicA/C', 2],
    ] as const
    const publisher = await admin(port, A)
    for (const [topic, qos] of topics) await publish(publisher, topic, `qos ${qos}`, qos, { retain: true })
    const client = await admin(port, B)
    await client.subscribe(['+/+', 2])
    const messages = [await client.message(), await client.message(), await client.message()]
    expect(messages.map(({ topic, qos, retain }) => [topic, qos, retain])).toEqual(
      topics.map(([topic, qos]) => [topic, qos, true]),
    )
    for (const [topic, qos] of topics) await publish(publisher, topic, '', qos, { retain: true })
    // Who was there hears the empty messages, as ordinary ones [MQTT-3.3.1-12].
    for (const _ of topics) expect(await client.message()).toMatchObject({ retain: false })
    const late = await admin(port, 'late')
    await late.subscribe(['+/+', 2])
    await late.ping()
  })

  test('a will is published for a client that was lost', async () => {
    const { port } = await openBroker()
    const watcher = await admin(port, B, false)
    await watcher.subscribe(['Topic/C', 2])
    const client = await RawClient.open(port)
    await client.connect({
      ...apiLogin('admin', A),
      keepalive: 2,
      will: { topic: 'Topic/C', payload: 'client not disconnected', qos: 0 },
    })
    await client.vanish()
    expect((await watcher.message()).payload.toString()).toBe('client not disconnected')
  })

  test('no client id: refused with a session to keep, made up otherwise', async () => {
    const { port } = await openBroker()
    const refused = await RawClient.open(port)
    refused.send([0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0, 0, 0, 0, 0])
    expect(await refused.next('connack')).toMatchObject({ returnCode: 2, sessionPresent: false })
    await refused.closed
    const accepted = await RawClient.open(port)
    expect(await accepted.connect(apiLogin('admin', ''))).toMatchObject({ returnCode: 0 })
  })

  test('messages wait for a client that is away and asked to be remembered', async () => {
    const { port } = await openBroker()
    const first = await admin(port, A, false)
    await first.subscribe(['+/+', 2])
    await first.disconnect()
    const publisher = await admin(port, B)
    await publish(publisher, 'TopicA/B', 'qos 0', 0)
    await publish(publisher, 'Topic/C', 'qos 1', 1)
    await publish(publisher, 'TopicA/C', 'qos 2', 2)
    const again = await RawClient.open(port)
    expect(await again.connect({ ...apiLogin('admin', A), clean: false })).toMatchObject({
      returnCode: 0,
      sessionPresent: true,
    })
    expect(await again.message()).toMatchObject({ topic: 'Topic/C', qos: 1 })
    expect(await again.message()).toMatchObject({ topic: 'TopicA/C', qos: 2 })
    await again.ping()
  })

  test('a clean session forgets what was kept', async () => {
    const { port } = await openBroker()
    const first = await admin(port, A, false)
    await first.subscribe(['a', 1])
    await first.disconnect()
    await (await admin(port, A, true)).disconnect()
    const again = await RawClient.open(port)
    expect(await again.connect({ ...apiLogin('admin', A), clean: false })).toMatchObject({
      sessionPresent: false,
    })
    await publish(again, 'a', 'x', 1)
    await again.ping()
  })

  test('overlapping subscriptions: one message, at the highest QoS', async () => {
    const { port } = await openBroker()
    const publisher = await admin(port, B)
    const client = await admin(port, A)
    await client.subscribe(['TopicA/#', 2], ['TopicA/+', 1])
    await publish(publisher, 'TopicA/C', 'overlapping', 2)
    expect(await client.message()).toMatchObject({ topic: 'TopicA/C', qos: 2 })
    await client.ping()
  })

  test('keep alive: a silent client is dropped, and its will published', async () => {
    const { port } = await openBroker()
    const watcher = await admin(port, B)
    await watcher.subscribe(['/TopicA', 2])
    const client = await RawClient.open(port)
    await client.connect({
      ...apiLogin('admin', A),
      keepalive: 1,
      will: { topic: '/TopicA', payload: 'keepalive expiry' },
    })
    const connectedMs = performance.now()
    expect((await watcher.message()).payload.toString()).toBe('keepalive expiry')
    expect(performance.now() - connectedMs).toBeGreaterThan(1_400) // one and a half times the keep alive
    await client.closed
  })

  test('what was not acknowledged is sent again after reconnecting, marked as a duplicate', async () => {
    const { port } = await openBroker()
    const publisher = await admin(port, A)
    const first = await admin(port, B, false)
    await first.subscribe(['TopicA/#', 2])
    await publish(publisher, 'TopicA/B', 'one', 1)
    await publish(publisher, 'TopicA/C', 'two', 2)
    const sent = [await first.next('publish'), await first.next('publish')]
    await first.disconnect()
    const again = await admin(port, B, false)
    for (const { topic, qos, messageId } of sent) {
      expect(await again.message()).toMatchObject({ topic, qos, messageId, dup: true })
    }
    await again.ping()
  })

  test('a subscription that is not allowed is answered 0x80, and the others are granted', async () => {
    const { port } = await openBroker()
    const client = await admin(port, A)
    expect(await client.subscribe(['test/nosubscribe', 2])).toEqual([0x80])
    expect(await client.subscribe(['a', 1], ['test/nosubscribe', 2], ['b', 2])).toEqual([1, 0x80, 2])
    client.publish('test/nosubscribe', 'x')
    await client.ping()
  })

  test('a wildcard in front does not match topics that begin with $', async () => {
    const { port } = await openBroker()
    const client = await admin(port, B)
    await client.subscribe(['+/+', 2], ['#', 2])
    await publish(client, '$TopicA/B', '', 1)
    await client.ping()
    await client.subscribe(['$TopicA/#', 1])
    await publish(client, '$TopicA/B', 'x', 0)
    expect(await client.message()).toMatchObject({ topic: '$TopicA/B' })
  })

  test('unsubscribing ends it for that filter only', async () => {
    const { port } = await openBroker()
    const publisher = await admin(port, A)
    const client = await admin(port, B)
    for (const topic of ['TopicA', 'TopicA/B', 'Topic/C']) await client.subscribe([topic, 2])
    client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['TopicA'] })
    expect(await client.next('unsuback')).toMatchObject({ messageId: 9 })
    for (const topic of ['TopicA', 'TopicA/B', 'Topic/C']) await publish(publisher, topic, '', 1)
    expect(await client.message()).toMatchObject({ topic: 'TopicA/B' })
    expect(await client.message()).toMatchObject({ topic: 'Topic/C' })
    await client.ping()
  })
})

describe('the granted QoS', () => {
  const cases: [filters: [string, 0 | 1 | 2][], published: 0 | 1 | 2, expected: 0 | 1 | 2][] = [
    [[['a/b', 1]], 2, 1],
    [[['a/b', 2]], 1, 1],
    [[['a/+', 1]], 2, 1],
    [[['a/#', 0]], 2, 0],
    [
      [
        ['a/#', 0],
        ['a/+', 1],
      ],
      2,
      1,
    ],
    [
      [
        ['a/b', 0],
        ['a/#', 2],
      ],
      2,
      2,
    ],
  ]

  test.each(cases)('%j: published at QoS %d, comes once, at QoS %d', async (filters, published, expected) => {
    const { port } = await openBroker()
    const publisher = await admin(port, A)
    const client = await admin(port, B)
    await client.subscribe(...filters)
    await publish(publisher, 'a/b', 'x', published)
    expect(await client.message()).toMatchObject({ qos: expected })
    await client.ping()
  })

  test.each(cases)('%j: also of a message that waited (QoS %d)', async (filters, published, expected) => {
    const { port } = await openBroker()
    const publisher = await admin(port, A)
    const first = await admin(port, B, false)
    await first.subscribe(...filters)
    await first.disconnect()
    await publish(publisher, 'a/b', 'x', published)
    const again = await admin(port, B, false)
    if (expected > 0) expect(await again.message()).toMatchObject({ qos: expected })
    await again.ping()
  })

  test.each(cases)('%j: also of a retained message (QoS %d)', async (filters, published) => {
    const { port } = await openBroker()
    const publisher = await admin(port, A)
    await publish(publisher, 'a/b', 'x', published, { retain: true })
    const client = await admin(port, B)
    await client.subscribe(...filters)
    // One for each subscription [MQTT-3.3.1-6], at no more than it was granted.
    for (const [, granted] of filters) {
      expect(await client.message()).toMatchObject({ retain: true, qos: Math.min(granted, published) })
    }
    await client.ping()
  })

  test('(control) bare Aedes exceeds it for a wildcard', async () => {
    const { port } = await openBareAedes()
    const client = await RawClient.open(port)
    await client.connect({ clientId: 'x' })
    await client.subscribe(['a/+', 1])
    const publisher = await RawClient.open(port)
    await publisher.connect({ clientId: 'y' })
    publisher.publish('a/b', 'x', { qos: 2, messageId: 1 })
    expect(await client.next('publish')).toMatchObject({ qos: 2 })
  })

  test('subscribing again with another QoS changes it', async () => {
    const { port } = await openBroker()
    const publisher = await admin(port, A)
    const client = await admin(port, B)
    for (const granted of [2, 0, 1] as const) {
      await client.subscribe(['a/+', granted])
      await publish(publisher, 'a/b', 'x', 2)
      expect(await client.message()).toMatchObject({ qos: granted })
    }
    await client.ping()
  })
})

describe('QoS 2', () => {
  test('a message that comes again before its PUBREL is passed on once', async () => {
    const { port } = await openBroker()
    const watcher = await admin(port, B)
    await watcher.subscribe(['a', 0])
    const client = await admin(port, A)
    for (const dup of [false, true]) {
      client.publish('a', 'x', { qos: 2, messageId: 7, dup })
      await client.next('pubrec')
    }
    client.send({ cmd: 'pubrel', messageId: 7 })
    await client.next('pubcomp')
    await publish(client, 'a', 'end', 0)
    expect((await watcher.message()).payload.toString()).toBe('x')
    expect((await watcher.message()).payload.toString()).toBe('end')
  })

  test('also over a reconnect, for a client that asked to be remembered', async () => {
    const { port } = await openBroker()
    const watcher = await admin(port, B)
    await watcher.subscribe(['a', 0])
    const client = await admin(port, A, false)
    client.publish('a', 'x', { qos: 2, messageId: 7 })
    await client.next('pubrec')
    await client.vanish()
    const again = await admin(port, A, false)
    again.publish('a', 'x', { qos: 2, messageId: 7, dup: true })
    await again.next('pubrec')
    again.send({ cmd: 'pubrel', messageId: 7 })
    await again.next('pubcomp')
    await publish(again, 'a', 'end', 0)
    expect((await watcher.message()).payload.toString()).toBe('x')
    expect((await watcher.message()).payload.toString()).toBe('end')
  })

  test('a delivery that stood half way goes on from there after a reconnect', async () => {
    const { port } = await openBroker()
    const publisher = await admin(port, A)
    const first = await admin(port, B, false)
    await first.subscribe(['a', 2])
    await publish(publisher, 'a', 'x', 2)
    const { messageId } = await first.next('publish')
    first.send({ cmd: 'pubrec', messageId })
    await first.next('pubrel')
    await first.disconnect()
    const again = await admin(port, B, false)
    expect(await again.next('pubrel')).toMatchObject({ messageId }) // not the message again
    again.send({ cmd: 'pubcomp', messageId })
    await again.disconnect()
    const last = await admin(port, B, false)
    await last.ping()
  })

  test.each([1, 3])(
    'who never releases what it sent is closed in time, over %d connections',
    async (connections) => {
      const { port } = await openBroker()
      let sent = 0
      for (let i = 0; i < connections; i++) {
        const client = await admin(port, A, false)
        for (const upTo = sent + Math.ceil(1_200 / connections); sent < upTo; sent++) {
          client.publish('a', 'x', { qos: 2, messageId: sent + 1 })
        }
        if (i === connections - 1) {
          await client.closed
        } else {
          await expect
            .poll(() => client.seen.filter(({ cmd }) => cmd === 'pubrec').length)
            .toBe(sent / (i + 1))
          await client.vanish()
        }
      }
    },
  )
})

test('messages of one publisher reach one subscriber in the order they were sent [MQTT-4.6.0-6]', async () => {
  const { port } = await openBroker({ limits: { subscriberWindow: 10 } })
  const subscriber = await admin(port, B)
  await subscriber.subscribe(['#', 1])
  const publisher = await admin(port, A)
  for (let i = 0; i < 500; i++) {
    publisher.publish(i % 2 === 0 ? 'even' : 'odd', `${i}`, { qos: 1, messageId: i + 1 })
  }
  for (let i = 0; i < 500; i++) expect((await subscriber.message()).payload.toString()).toBe(`${i}`)
})

test('a dashboard hears of clients that come and go under $SYS, when it may', async () => {
  const { port } = await openBroker()
  const watcher = await admin(port, A)
  await watcher.subscribe(['$SYS/+/new/clients', 0])
  await admin(port, B)
  expect((await watcher.message()).payload.toString()).toBe(B)
})
