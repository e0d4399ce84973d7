/**
 * What senders do that are broken, hostile or too many. The numbers are the rows of the table «Hostile and overload
 * behaviour of bare Aedes» that the guards were built from; each was measured on bare Aedes, most as a failure.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import type { Packet } from 'mqtt-packet'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Limits } from '../../broker/limits.ts'
import {
  apiLogin,
  connectApi,
  connectDevice,
  connectPacket,
  DEVICE,
  deviceLogin,
  OTHER_DEVICE,
  openBareAedes,
  openBroker,
  PASSWORD,
  RawClient,
  RECEIPT,
  SALE,
} from './support.ts'

const text = (value: string | number[]): Buffer => {
  const bytes = Buffer.from(value as string)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}

/** One packet, byte by byte. The remaining length is right unless given. */
function bytes(first: number, body: Buffer, length: number[] = [body.length]): Buffer {
  return Buffer.concat([Buffer.from([first, ...length]), body])
}

/** A CONNECT as an admin, with what is to be wrong about it. */
function connectBytes({
  protocol = text('MQTT'),
  level = 4,
  flags = 0xc2,
  clientId = text('x'),
  will = Buffer.alloc(0),
  login = Buffer.concat([text('api'), text('admin')]),
}: {
  protocol?: Buffer
  level?: number
  flags?: number
  clientId?: Buffer
  will?: Buffer
  login?: Buffer
}): Buffer {
  return bytes(0x10, Buffer.concat([protocol, Buffer.from([level, flags, 0, 60]), clientId, will, login]))
}

const publishBytes = (topic: Buffer, rest: number[] = [], first = 0x30): Buffer =>
  bytes(first, Buffer.concat([topic, Buffer.from(rest)]))

const subscribeBytes = (filter: string | number[], id = 1): Buffer =>
  bytes(0x82, Buffer.concat([Buffer.from([id >> 8, id & 0xff]), text(filter), Buffer.from([0])]))

const NUL_AND_MORE: [string, string | number[]][] = [
  ['NUL', 'a\u0000b'],
  ['a control character', 'a\u001bb'],
  ['what is no UTF-8', [0x61, 0xff, 0xfe]],
  ['an overlong encoding', [0x61, 0xc0, 0x80]],
  ['a surrogate', [0x61, 0xed, 0xa0, 0x80]],
]

describe('a CONNECT that is not as it should be', () => {
  test.each<[string, Buffer, number | null]>([
    [
      '1: MQTT 5',
      connectBytes({ level: 5, flags: 0x02, clientId: Buffer.from([0, 0, 1, 0x78]), login: Buffer.alloc(0) }),
      1,
    ],
    ['1: level 0', connectBytes({ level: 0 }), null],
    ['1: level 6', connectBytes({ level: 6 }), null],
    ['1: a wrong name', connectBytes({ protocol: text('MQIsdP') }), null],
    ['2: the bridge bit', connectBytes({ level: 132 }), null],
    ['2: the bridge bit of 3.1', connectBytes({ protocol: text('MQIsdp'), level: 131 }), null],
    ['2: the name of 3.1.1 with the level of 3.1', connectBytes({ level: 3 }), null],
    ['2: the name of 3.1 with the level of 3.1.1', connectBytes({ protocol: text('MQIsdp') }), null],
    ['2: a password without a username', connectBytes({ flags: 0x42, login: text('admin') }), null],
    ['2: the reserved flag', connectBytes({ flags: 0xc3 }), null],
    ['3: a will of QoS 3', connectBytes({ flags: 0xde, will: Buffer.concat([text('t'), text('m')]) }), null],
    [
      '4: a will topic with #',
      connectBytes({ flags: 0xc6, will: Buffer.concat([text('dealers/#'), text('m')]) }),
      null,
    ],
    [
      '4: a will topic with +',
      connectBytes({ flags: 0xc6, will: Buffer.concat([text('a/+'), text('m')]) }),
      null,
    ],
    [
      '4: a will topic with NUL',
      connectBytes({ flags: 0xc6, will: Buffer.concat([text('a\u0000'), text('m')]) }),
      null,
    ],
    [
      '4: an empty will topic',
      connectBytes({ flags: 0xc6, will: Buffer.concat([text(''), text('m')]) }),
      null,
    ],
    ...NUL_AND_MORE.map(
      ([what, clientId]) =>
        [`5: a client id with ${what}`, connectBytes({ clientId: text(clientId) }), 2] as [
          string,
          Buffer,
          number,
        ],
    ),
    ['6: cut short', bytes(0x10, Buffer.from([0, 4, 0x4d, 0x51])), null],
    ['6: fields longer than the packet', bytes(0x10, connectBytes({}).subarray(2, -3)), null],
  ])('%s', async (_title, packet, returnCode) => {
    const { port, broker } = await openBroker()
    const client = await RawClient.open(port)
    client.send(packet)
    const answers = await client.closed
    if (returnCode === null) expect(answers).toEqual([])
    else expect(answers).toMatchObject([{ cmd: 'connack', returnCode }])
    expect(broker.stats.connections).toBe(0)
  })
})

describe('a packet that is not as it should be closes the connection without an answer', () => {
  test.each<[string, Buffer]>([
    ...NUL_AND_MORE.map(
      ([what, topic]) => [`5: a topic with ${what}`, publishBytes(text(topic))] as [string, Buffer],
    ),
    ...NUL_AND_MORE.map(
      ([what, filter]) => [`5: a filter with ${what}`, subscribeBytes(filter)] as [string, Buffer],
    ),
    ['6: PUBLISH on a/#', publishBytes(text('a/#'))],
    ['6: PUBLISH on a/+', publishBytes(text('a/+'))],
    ['6: PUBLISH on an empty topic', publishBytes(text(''))],
    ['6: PUBLISH on 150 levels', bytes(0x30, text(Array(150).fill('a').join('/')), [0xad, 0x02])],
    ['6: PUBLISH of QoS 3', publishBytes(text('a'), [0, 1], 0x36)],
    ['6: PUBLISH shorter than its topic', bytes(0x30, Buffer.from([0, 9, 0x61]))],
    ['6: PUBLISH without room for its packet identifier', publishBytes(text('a'), [0], 0x32)],
    [
      '6: PUBLISH whose packet identifier lies in the next packet',
      Buffer.concat([publishBytes(text('a'), [], 0x32), publishBytes(text('b'))]),
    ],
    ['6: a second CONNECT', connectBytes({})],
    ['6: PUBACK of nothing', bytes(0x40, Buffer.alloc(0))],
    ['6: PUBREC of nothing', bytes(0x50, Buffer.from([1]))],
    ['6: PUBREL of packet identifier 0', bytes(0x62, Buffer.from([0, 0]))],
    ['6: PUBCOMP of nothing', bytes(0x70, Buffer.alloc(0))],
    ['6: AUTH', bytes(0xf0, Buffer.alloc(0))],
    ['6: a packet of type 0', bytes(0x00, Buffer.alloc(0))],
    ['6: a server’s packet: CONNACK', bytes(0x20, Buffer.from([0, 0]))],
    ['6: a server’s packet: SUBACK', bytes(0x90, Buffer.from([0, 1, 0]))],
    ['6: a length of five bytes', bytes(0x30, Buffer.from([0]), [0xff, 0xff, 0xff, 0xff])],
    ['6: reserved flags set', bytes(0x81, Buffer.from([0, 1, 0, 1, 0x61, 0]))],
    ['7: PUBLISH at QoS 1 with packet identifier 0', publishBytes(text('a'), [0, 0], 0x32)],
    ['7: PUBLISH at QoS 0 with DUP', publishBytes(text('a'), [], 0x38)],
    ['7: SUBSCRIBE to a+', subscribeBytes('a+')],
    ['7: SUBSCRIBE to +a', subscribeBytes('+a')],
    ['7: SUBSCRIBE to a#', subscribeBytes('a#')],
    ['7: SUBSCRIBE to #/a', subscribeBytes('#/a')],
    ['7: SUBSCRIBE with packet identifier 0', subscribeBytes('a', 0)],
    ['7: SUBSCRIBE at QoS 3', bytes(0x82, Buffer.concat([Buffer.from([0, 1]), text('a'), Buffer.from([3])]))],
    ['7: SUBSCRIBE to nothing', bytes(0x82, Buffer.from([0, 1]))],
    ['7: UNSUBSCRIBE from nothing', bytes(0xa2, Buffer.from([0, 1]))],
    ['7: UNSUBSCRIBE with packet identifier 0', bytes(0xa2, Buffer.concat([Buffer.from([0, 0]), text('a')]))],
  ])('%s', async (_title, packet) => {
    const { port, broker } = await openBroker()
    const watcher = await connectApi(port, 'admin')
    await watcher.subscribe(['#', 0])
    const client = await connectApi(port, 'admin')
    client.send(packet)
    expect(await client.closed).toEqual([])
    expect([...broker.stats.refused.values()]).toEqual([1])
    await watcher.ping() // and nobody else heard of it
  })

  test('6: a PUBLISH before the CONNECT', async () => {
    const { port } = await openBroker()
    const client = await RawClient.open(port)
    client.send(publishBytes(text('a')))
    expect(await client.closed).toEqual([])
  })

  test('3: (control) on bare Aedes a will of QoS 3 disconnects an innocent subscriber', async () => {
    const { port } = await openBareAedes()
    const innocent = await RawClient.open(port)
    await innocent.connect({ clientId: 'innocent' })
    await innocent.subscribe(['+', 2])
    const client = await RawClient.open(port)
    client.send(
      connectBytes({ flags: 0x1e, will: Buffer.concat([text('t'), text('m')]), login: Buffer.alloc(0) }),
    )
    await client.next('connack')
    await client.vanish()
    await innocent.closed
  })
})

describe('9: subscriptions', () => {
  test('one client has no more than its share; those above are refused one by one, and it stays connected', async () => {
    const { port, broker } = await openBroker({ limits: { subscriptionsPerClient: 3 } })
    const admin = await connectApi(port, 'admin')
    const filters = ['a', 'b', 'c', 'd', 'e'].map((filter) => [filter, 1] as [string, 1])
    expect(await admin.subscribe(...filters)).toEqual([1, 1, 1, 128, 128])
    expect(await admin.subscribe(['a', 2])).toEqual([2]) // a change is none more
    admin.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['b'] })
    await admin.next('unsuback')
    expect(await admin.subscribe(['f', 0])).toEqual([0])
    expect(broker.stats.refused.get('too_many_subscriptions')).toBe(2)
  })

  test('20,000 filters in one packet are refused by its length', async () => {
    const { port, broker } = await openBroker()
    const admin = await connectApi(port, 'admin')
    const subscriptions = Array.from({ length: 20_000 }, (_, i) => ({ topic: `a/${i}`, qos: 0 as const }))
    admin.send({ cmd: 'subscribe', messageId: 1, subscriptions })
    expect(await admin.closed).toEqual([])
    expect(broker.stats.refused.get('packet_too_large')).toBe(1)
  })
})

describe('10: a packet that claims to be long is refused before its body is read', () => {
  const claim = (first: number) => Buffer.from([first, 0xff, 0xff, 0xff, 0x7f])

  test.each([
    ['CONNECT', 0x10],
    ['PUBLISH', 0x30],
    ['SUBSCRIBE', 0x82],
  ])('before the CONNECT: a %s of 256 MB', async (_title, first) => {
    const { port, broker } = await openBroker()
    const client = await RawClient.open(port)
    client.send(claim(first))
    expect(await client.closed).toEqual([])
    expect(broker.stats.refused.get('packet_too_large')).toBe(1)
  })

  test.each<[string, () => Partial<Parameters<typeof connectPacket>[0]>, number, boolean]>([
    ['a device’s PUBLISH of 64 KiB', deviceLogin, 65_536, true],
    ['a device’s PUBLISH of more', deviceLogin, 65_536 + 1_025, false],
    ['a bridge’s PUBLISH of 1 MiB', () => apiLogin('bridge:meta'), 1_048_576, true],
    ['a bridge’s PUBLISH of more', () => apiLogin('bridge:meta'), 1_048_576 + 1_025, false],
  ])('%s', async (_title, login, length, allowed) => {
    const { port } = await openBroker()
    const client = await RawClient.open(port)
    await client.connect(login())
    const lengthBytes: number[] = []
    for (let rest = length; ; rest >>= 7) {
      lengthBytes.push((rest & 0x7f) | (rest >= 0x80 ? 0x80 : 0))
      if (rest < 0x80) break
    }
    client.send([0x30, ...lengthBytes])
    if (allowed) {
      // Nothing to be seen of a packet that is waited for; but the rest of it may come.
      client.socket.write(Buffer.alloc(1_000))
      await new Promise((resolve) => setImmediate(resolve))
      expect(client.socket.closed).toBe(false)
    } else {
      expect(await client.closed).toEqual([])
    }
  })

  test('many of them leave the memory as it was', async () => {
    const { port } = await openBroker()
    const before = process.memoryUsage().rss
    const body = Buffer.alloc(1024 * 1024)
    for (let i = 0; i < 50; i++) {
      const client = await RawClient.open(port)
      client.send(claim(0x10))
      for (let megabytes = 0; megabytes < 4; megabytes++) client.socket.write(body)
      await client.closed
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
  })

  test('(control) bare Aedes buffers all that comes', async () => {
    const { port, aedes } = await openBareAedes()
    const client = await RawClient.open(port)
    const connection = once(aedes, 'client')
    client.send(connectPacket({ clientId: 'x' }))
    const [accepted] = await connection
    client.send(claim(0x30))
    client.socket.write(Buffer.alloc(4 * 1024 * 1024))
    await expect.poll(() => accepted._parser._list.length).toBe(4 * 1024 * 1024)
  })
})

describe('11: connections that do not log in', () => {
  test.each<[string, (client: RawClient) => () => void]>([
    ['say nothing', () => () => {}],
    [
      'dribble their CONNECT byte by byte',
      (client) => {
        const rest = [...connectBytes({})]
        const timer = setInterval(() => client.socket.write(Buffer.from([rest.shift() ?? 0])), 20)
        return () => clearInterval(timer)
      },
    ],
  ])('and %s are closed in time', async (_title, start) => {
    const { port, broker } = await openBroker({ limits: { connectTimeoutMs: 200 } })
    const client = await RawClient.open(port)
    const stop = start(client)
    expect(await client.closed).toEqual([])
    stop()
    expect(broker.stats.refused.get('connect_timeout')).toBe(1)
  })

  test('a keep alive of 0, or a very long one, is taken as the longest allowed', async () => {
    const { port, broker } = await openBroker({ limits: { keepAliveSeconds: 0.1 } })
    for (const keepalive of [0, 65_535]) {
      const client = await RawClient.open(port)
      expect(await client.connect({ ...apiLogin('admin'), keepalive })).toMatchObject({ returnCode: 0 })
      expect(await client.closed).toEqual([])
    }
    expect(broker.stats.refused.get('keep_alive')).toBe(2)
  })
})

test('12: commits that never finish: bounded, and the sender is held back', async () => {
  const limit = 100
  const { port, broker, accepted } = await openBroker({
    accept: () => new Promise(() => {}),
    limits: { messagesInFlightPerClient: limit },
  })
  const device = await connectDevice(port)
  const sale: Packet = {
    cmd: 'publish',
    topic: SALE,
    payload: 'x'.repeat(200),
    qos: 1,
    dup: false,
    retain: false,
    messageId: 1,
  }
  device.send(...Array.from({ length: 100_000 }, () => sale))
  const other = await connectDevice(port, OTHER_DEVICE)
  for (let turn = 0; turn < 50; turn++) await other.ping()
  expect(accepted).toHaveLength(limit)
  // What was read at once may be more than the limit by what two socket chunks hold.
  expect(broker.stats.pending).toBeLessThan(limit + 2 * (65_536 / 200))
  expect(device.socket.writableLength).toBeGreaterThan(0)
})

test('13: a handler that never answers holds up its sender, nobody else', async () => {
  const { port } = await openBroker({
    accept: (message) => (message.topic === SALE ? new Promise(() => {}) : Promise.resolve()),
  })
  const stuck = await connectDevice(port)
  for (let i = 1; i <= 500; i++) stuck.publish(SALE, 'x', { qos: 1, messageId: i })
  const other = await connectDevice(port, OTHER_DEVICE)
  const admin = await connectApi(port, 'admin')
  await admin.subscribe(['bench', 1])
  for (let i = 1; i <= 500; i++) {
    other.publish(`hub/v1/${OTHER_DEVICE}/sale`, 'x', { qos: 1, messageId: i })
    await other.next('puback')
  }
  admin.publish('bench', 'x', { qos: 1, messageId: 1 })
  await admin.next('puback')
  await admin.message()
})

test('13: (control) bare Aedes stops for everybody when one subscriber is stuck', async () => {
  const { port, aedes } = await openBareAedes()
  aedes.subscribe(
    'stuck',
    () => {},
    () => {},
  )
  const client = await RawClient.open(port)
  await client.connect({ clientId: 'x' })
  const stuck: Packet = {
    cmd: 'publish',
    topic: 'stuck',
    payload: 'x',
    qos: 1,
    dup: false,
    retain: false,
    messageId: 1,
  }
  client.send(...Array.from({ length: 150 }, () => stuck))
  await expect.poll(() => client.seen.filter(({ cmd }) => cmd === 'puback').length).toBeGreaterThan(99)
  const other = await RawClient.open(port)
  await other.connect({ clientId: 'y' })
  await other.subscribe(['free', 0])
  other.publish('free', 'x')
  const waited = new Promise((resolve) => setTimeout(resolve, 500, 'nothing'))
  expect(await Promise.race([other.next('publish'), waited])).toBe('nothing')
})

describe.each([0, 1] as const)('14, 15: a subscriber that stops reading, at QoS %d,', (qos) => {
  const MESSAGES = 5_000
  const publish = (client: RawClient) => {
    const message: Packet = {
      cmd: 'publish',
      topic: 'flood',
      payload: 'x'.repeat(4_000),
      qos,
      dup: false,
      retain: false,
      messageId: 1,
    }
    client.send(...Array.from({ length: MESSAGES }, () => message))
  }

  test('holds up neither the publisher nor who does read, and is dropped', async () => {
    const { port, broker } = await openBroker({ limits: { drainTimeoutMs: 3_000 } })
    const hung = await connectApi(port, 'admin')
    await hung.subscribe(['flood', qos])
    hung.socket.pause()
    const healthy = await connectApi(port, 'admin')
    await healthy.subscribe(['flood', qos])
    let heard = 0
    healthy.socket.on('data', () => {
      for (const packet of healthy.seen.splice(0)) {
        if (packet.cmd !== 'publish') continue
        heard++
        if (qos === 1) healthy.send({ cmd: 'puback', messageId: packet.messageId })
      }
    })
    const publisher = await connectApi(port, 'admin')
    const beforeMs = performance.now()
    publish(publisher)
    if (qos === 1) {
      await expect
        .poll(() => publisher.seen.filter(({ cmd }) => cmd === 'puback').length, { timeout: 20_000 })
        .toBe(MESSAGES)
      expect(broker.stats.connections).toBe(3) // all acknowledged while the hung one still hung
    }
    await expect.poll(() => heard, { timeout: 20_000 }).toBe(MESSAGES)
    await expect.poll(() => broker.stats.connections, { timeout: 20_000 }).toBe(2)
    expect(broker.stats.refused.get('slow_subscriber')).toBe(1)
    expect(performance.now() - beforeMs).toBeGreaterThan(2_900)
  })

  test('(control) stops bare Aedes', async () => {
    const { port } = await openBareAedes({ drainTimeout: 60_000 })
    const hung = await RawClient.open(port)
    await hung.connect({ clientId: 'hung' })
    await hung.subscribe(['flood', qos])
    hung.socket.pause()
    const publisher = await RawClient.open(port)
    await publisher.connect({ clientId: 'publisher' })
    publish(publisher)
    publisher.send({ cmd: 'pingreq' })
    const waited = new Promise((resolve) => setTimeout(resolve, 1_500, 'still waiting'))
    const done = expect
      .poll(() => publisher.seen.some(({ cmd }) => cmd === 'pingresp'), { timeout: 5_000 })
      .toBe(true)
    expect(await Promise.race([Promise.resolve(done).catch(() => {}), waited])).toBe('still waiting')
  })
})

test.each<Partial<Limits>>([{ backlogMessages: 10 }, { backlogBytes: 10_000_000 }])(
  '14: above %j QoS 0 is left out for a slow subscriber, and QoS 1 ends its connection',
  async (limits) => {
    const { port, broker } = await openBroker({ limits })
    const slow = await connectApi(port, 'admin')
    await slow.subscribe(['zero', 0], ['one', 1])
    slow.socket.pause()
    const publisher = await connectApi(port, 'admin')
    const large = Buffer.alloc(1_000_000)
    const publish = async (topic: string, messages: number) => {
      for (let i = 0; i < messages; i++) {
        publisher.publish(topic, large, { qos: 1, messageId: 1 })
        await publisher.next('puback')
      }
    }
    await publish('zero', 30)
    const leftOut = broker.stats.refused.get('slow_subscriber') ?? 0
    expect(leftOut).toBeGreaterThan(5)
    expect(broker.stats.connections).toBe(2)
    await publish('one', 1)
    await expect.poll(() => broker.stats.connections).toBe(1)
  },
)

test('16: what waits for an absent client is bounded: the oldest messages, in order', async () => {
  const { port, broker } = await openBroker({ limits: { offlineMessages: 100 } })
  const subscriber = await connectApi(port, 'admin', { clientId: 'tool', clean: false })
  await subscriber.subscribe(['a', 1])
  await subscriber.disconnect()
  const publisher = await connectApi(port, 'admin')
  for (let i = 0; i < 1_000; i++) publisher.publish('a', `${i}`, { qos: 1, messageId: i + 1 })
  for (let i = 0; i < 1_000; i++) await publisher.next('puback')
  await expect.poll(() => broker.stats.refused.get('offline_queue_full')).toBe(900)
  const again = await connectApi(port, 'admin', { clientId: 'tool', clean: false })
  for (let i = 0; i < 100; i++) expect((await again.message()).payload.toString()).toBe(`${i}`)
  await again.ping()
})

test('16: so is what waits for all absent clients together, and it is free again when they had it', async () => {
  const { port, broker } = await openBroker({ limits: { offlineBytes: 3_000 } })
  const publisher = await connectApi(port, 'admin')
  for (let round = 0; round < 2; round++) {
    const subscriber = await connectApi(port, 'admin', { clientId: 'tool', clean: false })
    await subscriber.subscribe(['a', 1])
    await subscriber.disconnect()
    for (let i = 0; i < 5; i++) {
      publisher.publish('a', Buffer.alloc(500), { qos: 1, messageId: 1 })
      await publisher.next('puback')
    }
    await expect.poll(() => broker.stats.refused.get('offline_queue_full')).toBe(round + 1)
    const again = await connectApi(port, 'admin', { clientId: 'tool', clean: false })
    for (let i = 0; i < 4; i++) await again.message()
    await again.disconnect()
  }
})

test('16: sessions that are kept are bounded: the one longest away is forgotten', async () => {
  const { port } = await openBroker({ limits: { sessions: 2 } })
  for (const clientId of ['one', 'two', 'three']) {
    const client = await connectApi(port, 'admin', { clientId, clean: false })
    await client.subscribe(['a', 1])
    await client.disconnect()
  }
  const sessionPresent = async (clientId: string) => {
    const client = await RawClient.open(port)
    return (await client.connect({ ...apiLogin('admin', clientId), clean: false })).sessionPresent
  }
  expect(await sessionPresent('one')).toBe(false)
  expect(await sessionPresent('three')).toBe(true)
})

test('17: retained messages are bounded; none are kept under hub/', async () => {
  const { port, broker } = await openBroker({ limits: { retainedTopics: 10 } })
  const admin = await connectApi(port, 'admin')
  const watcher = await connectApi(port, 'admin')
  await watcher.subscribe(['kept/#', 0])
  const publish = async (topic: string, payload: string) => {
    admin.publish(topic, payload, { retain: true })
    expect(await watcher.message()).toMatchObject({ topic, retain: false }) // passed on, once it was kept
  }
  for (let i = 0; i < 20; i++) await publish(`kept/${i}`, 'x')
  expect(broker.stats.refused.get('retained_full')).toBe(10)
  // One that is there may be replaced, and one that is forgotten makes room.
  await publish('kept/0', '')
  await publish('kept/1', 'new')
  await publish('kept/19', 'x')
  await admin.subscribe(['kept/#', 0])
  const messages = new Map<string, string>()
  for (let i = 0; i < 10; i++) {
    const { topic, payload, retain } = await admin.message()
    expect(retain).toBe(true)
    messages.set(topic, payload.toString())
  }
  expect(messages.get('kept/1')).toBe('new')
  expect([...messages.keys()].sort()).toEqual(
    [...[1, 2, 3, 4, 5, 6, 7, 8, 9, 19].map((i) => `kept/${i}`)].sort(),
  )
  const device = await connectDevice(port)
  device.publish(SALE, 'x', { retain: true, qos: 1, messageId: 1 })
  await device.closed
})

test.each([
  ['a device', deviceLogin(OTHER_DEVICE)],
  ['an admin', apiLogin('admin')],
])('18: %s cannot speak for the broker and throw others out', async (_title, login) => {
  const { port } = await openBroker()
  const victim = await connectDevice(port)
  const forger = await RawClient.open(port)
  await forger.connect(login)
  forger.publish('$SYS/forged/new/clients', DEVICE, { qos: 1, messageId: 1 })
  expect(await forger.closed).toEqual([])
  await victim.ping()
})

test('19: a broker that was stopped for a while has its devices back', { timeout: 60_000 }, async () => {
  const child = fork(join(import.meta.dirname, 'broker-process.ts'))
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const [port] = (await once(child, 'message')) as [number]
  const devices = await Promise.all(
    Array.from({ length: 50 }, (_, i) => {
      const id = `JKT-01/POS-${i}`
      return connectAsync(`mqtt://127.0.0.1:${port}`, {
        clientId: id,
        username: id,
        password: PASSWORD,
        keepalive: 1,
        reconnectPeriod: 100,
      })
    }),
  )
  onTestFinished(async () => {
    await Promise.all(devices.map((device) => device.endAsync(true)))
  })
  child.kill('SIGSTOP')
  const publishing = devices.map((device, i) =>
    device.publishAsync(`hub/v1/JKT-01/POS-${i}/sale`, 'x', { qos: 1 }),
  )
  await new Promise((resolve) => setTimeout(resolve, 3_000)) // longer than any of them stays patient
  child.kill('SIGCONT')
  await Promise.all(publishing)
})

test('20: after a restart a device is told that its session is gone, subscribes, and gets what waits', async () => {
  const before = await openBroker()
  const device = await connectDevice(before.port, DEVICE, { clean: false })
  await device.subscribe([RECEIPT, 1])
  await before.broker.close()
  const { port, broker } = await openBroker({ listening: (topic) => void broker.deliver(topic, 'waited') })
  const again = await RawClient.open(port)
  expect(await again.connect({ ...deviceLogin(), clean: false })).toMatchObject({ sessionPresent: false })
  await again.subscribe([RECEIPT, 1])
  expect((await again.message()).payload.toString()).toBe('waited')
})
