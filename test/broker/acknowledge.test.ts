import { generate, type Packet } from 'mqtt-packet'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Acknowledger, SenderQueue } from '../../broker/acknowledge.ts'
import type { Message } from '../../broker/broker.ts'
import { LIMITS } from '../../broker/limits.ts'
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
  openBareAedes,
  openBroker,
  RawClient,
  SALE,
} from './support.ts'

/** Sales 1 to `count`, in one go. */
const sales = (count: number, qos: 1 | 2 = 1): Packet[] =>
  Array.from({ length: count }, (_, i) => ({
    cmd: 'publish',
    topic: SALE,
    payload: `${i + 1}`,
    qos,
    dup: false,
    retain: false,
    messageId: i + 1,
  }))

const text = ({ payload }: Message): string => Buffer.from(payload).toString()

/** A gateway whose answers the test gives, message by message. */
function heldGateway() {
  const messages: { message: Message; accept: () => void; refuse: () => void }[] = []
  return {
    messages,
    accept: (message: Message): Promise<void> => {
      const answer = deferred()
      messages.push({ message, accept: answer.resolve, refuse: () => answer.reject(new Error('away')) })
      return answer.promise
    },
    /** Resolves when so many were handed over. */
    async handed(count: number): Promise<void> {
      await expect.poll(() => messages.length).toBe(count)
    },
  }
}

describe('a message is acknowledged', () => {
  test('after the gateway accepted it, not before', async () => {
    const gateway = heldGateway()
    const { port, broker } = await openBroker({ accept: gateway.accept })
    const device = await connectDevice(port)
    device.publish(SALE, 'one', { qos: 1, messageId: 7 })
    await gateway.handed(1)
    await device.ping() // the broker has nothing else to say meanwhile, and is alive
    expect(broker.stats).toMatchObject({ pending: 1, received: 1, acknowledged: 0 })
    gateway.messages[0]?.accept()
    expect(await device.next('puback')).toMatchObject({ messageId: 7 })
    expect(broker.stats).toMatchObject({ pending: 0, received: 1, acknowledged: 1 })
  })

  test('with its sender, its topic and its bytes as they came', async () => {
    const { port, accepted } = await openBroker()
    const device = await connectDevice(port)
    const payload = Buffer.from([0, 255, 10, 13, 123])
    device.publish(SALE, payload, { qos: 1, messageId: 1 })
    await device.next('puback')
    expect(accepted).toMatchObject([
      { topic: SALE, sender: { kind: 'device', id: DEVICE, dealer: 'JKT-01', device: 'POS-1' } },
    ])
    expect(Buffer.from(accepted[0]?.payload as Uint8Array)).toEqual(payload)
  })

  test('in the order it came among its sender’s, whatever order the gateway answers in [MQTT-4.6.0-2]', async () => {
    const gateway = heldGateway()
    const { port } = await openBroker({ accept: gateway.accept })
    const device = await connectDevice(port)
    device.send(...sales(5))
    await gateway.handed(5)
    for (const index of [3, 1, 4, 0, 2]) gateway.messages[index]?.accept()
    for (let id = 1; id <= 5; id++) expect(await device.next('puback')).toMatchObject({ messageId: id })
  })

  test('(control) bare Aedes acknowledges in the order of the answers', async () => {
    const gateway = heldGateway()
    const { port } = await openBareAedes({
      authorizePublish: (_client, packet, done) => {
        gateway.accept({ topic: packet.topic } as Message).then(() => done(null))
      },
    })
    const device = await RawClient.open(port)
    await device.connect({ clientId: 'x' })
    device.send(...sales(3))
    await gateway.handed(3)
    for (const index of [2, 1, 0]) gateway.messages[index]?.accept()
    expect(await device.next('puback')).toMatchObject({ messageId: 3 })
  })

  test('at QoS 2 before the PUBREC, and handed over once', async () => {
    const gateway = heldGateway()
    const { port } = await openBroker({ accept: gateway.accept })
    const device = await connectDevice(port)
    device.publish(SALE, 'one', { qos: 2, messageId: 9 })
    await gateway.handed(1)
    await device.ping()
    gateway.messages[0]?.accept()
    expect(await device.next('pubrec')).toMatchObject({ messageId: 9 })
    device.send({ cmd: 'pubrel', messageId: 9 })
    expect(await device.next('pubcomp')).toMatchObject({ messageId: 9 })
    expect(gateway.messages).toHaveLength(1)
  })

  test('from a bridge too, up to 1 MiB', async () => {
    const { port, accepted } = await openBroker()
    const bridge = await connectApi(port, 'bridge:meta')
    bridge.publish('hub/v1/bridge/meta/inbound', Buffer.alloc(1024 * 1024, 'x'), { qos: 1, messageId: 1 })
    await bridge.next('puback')
    expect(accepted[0]?.payload).toHaveLength(1024 * 1024)
    expect(accepted[0]?.sender).toMatchObject({ kind: 'api', role: 'bridge:meta' })
  })

  test('though it came in pieces while its sender was being looked up', async () => {
    const lookedUp = deferred()
    const found = deferred()
    const { port } = await openBroker({
      authenticate: async (credentials) => {
        lookedUp.resolve()
        await found.promise
        return authenticate(credentials)
      },
    })
    const device = await RawClient.open(port)
    device.send(connectPacket(deviceLogin()))
    await lookedUp.promise
    await sendInPieces(device)
    found.resolve()
    await device.next('connack')
    expect(await device.next('puback')).toMatchObject({ messageId: 1 })
  })

  test('(control) bare Aedes on this Node leaves the pieces lying', async () => {
    const lookedUp = deferred()
    const found = deferred()
    const { port, aedes } = await openBareAedes({
      authenticate: (_client, _username, _password, done) => {
        lookedUp.resolve()
        found.promise.then(() => done(null, true))
      },
    })
    const device = await RawClient.open(port)
    device.send(connectPacket({ clientId: 'x' }))
    await lookedUp.promise
    await sendInPieces(device)
    const published = Promise.withResolvers<string>()
    aedes.on('publish', (_packet, client) => {
      if (client?.id === 'x') published.resolve('published')
    })
    found.resolve()
    await device.next('connack')
    const ignored = new Promise<string>((resolve) => setTimeout(resolve, 500, 'left lying'))
    expect(await Promise.race([published.promise, ignored])).toBe('left lying')
  })

  /** Each piece a TCP segment of its own. */
  async function sendInPieces(device: RawClient): Promise<void> {
    for (const byte of generate(sales(1)[0] as Packet)) {
      await new Promise<void>((resolve) => device.socket.write(Buffer.from([byte]), () => resolve()))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
})

describe('a message is not acknowledged, and its connection is closed,', () => {
  test.each([1, 2] as const)('when the gateway refuses it, at QoS %d', async (qos) => {
    const gateway = heldGateway()
    const { port, broker } = await openBroker({ accept: gateway.accept })
    const device = await connectDevice(port)
    device.send(...sales(3, qos))
    await gateway.handed(3)
    gateway.messages[0]?.accept()
    gateway.messages[2]?.accept()
    gateway.messages[1]?.refuse()
    // What came before it may be acknowledged; what came behind it is not: it would be out of order.
    const answers = (await device.closed) as { messageId?: number }[]
    expect(answers.filter(({ messageId }) => messageId !== 1)).toEqual([])
    if (qos === 1) expect(answers).toMatchObject([{ cmd: 'puback', messageId: 1 }])
    expect(broker.stats.refused.get('not_accepted')).toBe(1)
    expect(broker.stats.pending).toBe(0)
  })

  test.each<[string, () => Promise<void>]>([
    [
      'throws',
      () => {
        throw new Error('a mistake')
      },
    ],
    ['rejects with nothing', () => Promise.reject()],
    [
      'throws nothing',
      () => {
        throw undefined
      },
    ],
  ])('when the gateway %s; the process lives on', async (_title, accept) => {
    let broken = true
    const { port } = await openBroker({ accept: () => (broken ? accept() : Promise.resolve()) })
    const device = await connectDevice(port)
    device.publish(SALE, 'one', { qos: 1, messageId: 1 })
    expect(await device.closed).toEqual([])
    broken = false
    const again = await connectDevice(port)
    again.publish(SALE, 'one', { qos: 1, messageId: 1, dup: true })
    await again.next('puback')
  })

  test('when one before it failed, though the connection still stands', async () => {
    const stats = { connections: 0, pending: 0, received: 0, acknowledged: 0, refused: new Map() }
    const acknowledger = new Acknowledger({
      accept: async ({ topic }) => {
        if (topic === 'bad') throw new Error('store away')
      },
      stats,
      count: () => {},
      limits: LIMITS,
    })
    onTestFinished(() => acknowledger.close())
    const queue = new SenderQueue(null)
    const sender = { kind: 'api', id: 'x', role: 'x' } as const
    const failed = deferred<unknown>()
    let acknowledgedBehind = false
    acknowledger.push(queue, { topic: 'bad', payload: Buffer.alloc(0), sender }, failed.resolve)
    await Promise.resolve()
      .then(() => {})
      .then(() => {}) // it has failed; its connection is closed a turn later
    acknowledger.push(queue, { topic: 'good', payload: Buffer.alloc(0), sender }, () => {
      acknowledgedBehind = true
    })
    expect(await failed.promise).toMatchObject({ reason: 'not_accepted' })
    await new Promise((resolve) => setImmediate(resolve))
    expect(acknowledgedBehind).toBe(false)
    expect(stats.pending).toBe(0)
  })

  test('when the gateway does not answer in time', async () => {
    const gateway = heldGateway()
    const { port, broker } = await openBroker({ accept: gateway.accept, limits: { acceptTimeoutMs: 50 } })
    const device = await connectDevice(port)
    device.publish(SALE, 'one', { qos: 1, messageId: 1 })
    expect(await device.closed).toEqual([])
    expect(broker.stats.pending).toBe(1) // it is still being handled
    gateway.messages[0]?.accept()
    await expect.poll(() => broker.stats.pending).toBe(0)
    expect(broker.stats.acknowledged).toBe(0)
  })

  test.each<[string, (device: RawClient) => void]>([
    [
      'on another device’s topic',
      (device) => device.publish(`hub/v1/${OTHER_DEVICE}/sale`, 'x', { qos: 1, messageId: 1 }),
    ],
    [
      'on a topic of its own that is not for publishing',
      (device) => device.publish(`hub/v1/${DEVICE}/receipt`, 'x'),
    ],
    ['to be retained', (device) => device.publish(SALE, 'x', { qos: 1, messageId: 1, retain: true })],
    ['of more than 64 KiB', (device) => device.publish(SALE, Buffer.alloc(65_537), { qos: 1, messageId: 1 })],
  ])('when a device may not publish it: %s', async (_title, publish) => {
    const { port, accepted } = await openBroker()
    const device = await connectDevice(port)
    publish(device)
    expect(await device.closed).toEqual([])
    expect(accepted).toEqual([])
  })

  test('a payload of 64 KiB is not too large', async () => {
    const { port } = await openBroker()
    const device = await connectDevice(port)
    device.publish(SALE, Buffer.alloc(65_536), { qos: 1, messageId: 1 })
    await device.next('puback')
  })
})

describe('a message that was not acknowledged comes again', () => {
  test.each([true, false])(
    'at QoS 2 with clean session %s: committed before it is acknowledged, never lost',
    async (clean) => {
      let away = true
      const committed: string[] = []
      const { port } = await openBroker({
        accept: async (message) => {
          if (away) throw new Error('store away')
          committed.push(text(message))
        },
      })
      const device = await connectDevice(port, DEVICE, { clean })
      device.publish(SALE, 'one', { qos: 2, messageId: 5 })
      expect(await device.closed).toEqual([])
      away = false
      const again = await connectDevice(port, DEVICE, { clean })
      again.publish(SALE, 'one', { qos: 2, messageId: 5, dup: true })
      await again.next('pubrec')
      expect(committed).toEqual(['one'])
      again.send({ cmd: 'pubrel', messageId: 5 })
      await again.next('pubcomp')
    },
  )

  test('(control) bare Aedes, committing where it publishes, acknowledges it without a commit', async () => {
    let away = true
    const committed: string[] = []
    const { port } = await openBareAedes({
      published: (packet, client, done) => {
        if (client === null) return done(null)
        if (away) return done(new Error('store away'))
        committed.push(packet.payload.toString())
        done(null)
      },
    })
    const login = { clientId: 'x', clean: false }
    const device = await RawClient.open(port)
    await device.connect(login)
    device.publish(SALE, 'one', { qos: 2, messageId: 5 })
    await device.closed
    away = false
    const again = await RawClient.open(port)
    await again.connect(login)
    again.publish(SALE, 'one', { qos: 2, messageId: 5, dup: true })
    await again.next('pubrec')
    expect(committed).toEqual([])
  })

  test('while the first is still being committed: handed over twice, acknowledged twice', async () => {
    const gateway = heldGateway()
    const { port } = await openBroker({ accept: gateway.accept })
    const device = await connectDevice(port)
    device.publish(SALE, 'one', { qos: 1, messageId: 5 })
    device.publish(SALE, 'one', { qos: 1, messageId: 5, dup: true })
    await gateway.handed(2)
    for (const { accept } of gateway.messages) accept()
    await device.next('puback')
    await device.next('puback')
  })
})

describe('messages that are many', () => {
  test('one sender has a bounded number in the gateway’s hands; the others wait their turn, in order', async () => {
    const gateway = heldGateway()
    const { port, broker } = await openBroker({
      accept: gateway.accept,
      limits: { messagesInFlightPerClient: 3 },
    })
    const device = await connectDevice(port)
    device.send(...sales(10))
    await expect.poll(() => broker.stats.pending).toBe(10)
    expect(gateway.messages.map(({ message }) => text(message))).toEqual(['1', '2', '3'])
    for (let id = 1; id <= 10; id++) {
      await gateway.handed(Math.min(id + 2, 10))
      gateway.messages[id - 1]?.accept()
      expect(await device.next('puback')).toMatchObject({ messageId: id })
    }
  })

  test('a sender that has too many unacknowledged is not read from', async () => {
    const gateway = heldGateway()
    const { port, broker } = await openBroker({
      accept: gateway.accept,
      limits: { messagesInFlightPerClient: 5 },
    })
    const device = await connectDevice(port)
    for (let id = 1; id <= 5; id++) {
      device.publish(SALE, `${id}`, { qos: 1, messageId: id })
      await gateway.handed(id)
    }
    // More than the system's buffers on the way hold: what does not get through stays with the sender.
    const large = { cmd: 'publish', topic: SALE, payload: Buffer.alloc(60_000), qos: 1 } as const
    device.send(
      ...Array.from({ length: 300 }, (_, i) => ({ ...large, dup: false, retain: false, messageId: 6 + i })),
    )
    const other = await connectDevice(port, OTHER_DEVICE)
    for (let turn = 0; turn < 20; turn++) await other.ping()
    expect(broker.stats.pending).toBe(5)
    expect(device.socket.writableLength).toBeGreaterThan(0)
    for (let next = 0; next < 50; next++) {
      await expect.poll(() => gateway.messages.length).toBeGreaterThan(next)
      gateway.messages[next]?.accept()
      expect(await device.next('puback')).toMatchObject({ messageId: next + 1 })
    }
  })

  test('so have all senders together, and each gets its turn', async () => {
    const gateway = heldGateway()
    const { port, broker } = await openBroker({ accept: gateway.accept, limits: { messagesInFlight: 2 } })
    const [one, other] = [await connectDevice(port), await connectDevice(port, OTHER_DEVICE)]
    one.send(...sales(20))
    await expect.poll(() => broker.stats.pending).toBe(20)
    other.publish(`hub/v1/${OTHER_DEVICE}/sale`, 'other', { qos: 1, messageId: 1 })
    await expect.poll(() => broker.stats.pending).toBe(21)
    expect(gateway.messages).toHaveLength(2)
    gateway.messages[0]?.accept()
    gateway.messages[1]?.accept()
    await gateway.handed(4)
    for (let next = 2; next < 21; next++) {
      await expect.poll(() => gateway.messages.length).toBeGreaterThan(next)
      gateway.messages[next]?.accept()
    }
    await other.next('puback')
    for (let id = 1; id <= 20; id++) await one.next('puback')
    // The other did not have to wait until the first was through.
    expect(gateway.messages.findIndex(({ message }) => text(message) === 'other')).toBeLessThan(20)
  })

  test('waiting for a turn is not held against a message, however slow those before it are', async () => {
    const gateway = heldGateway()
    const limits = { messagesInFlight: 1, acceptTimeoutMs: 600 }
    const { port, broker } = await openBroker({ accept: gateway.accept, limits })
    const [slow, waiting] = [await connectDevice(port), await connectDevice(port, OTHER_DEVICE)]
    slow.publish(SALE, 'never answered', { qos: 1, messageId: 1 })
    await gateway.handed(1)
    waiting.publish(`hub/v1/${OTHER_DEVICE}/sale`, 'waits', { qos: 1, messageId: 1 })
    await expect.poll(() => broker.stats.pending).toBe(2)
    await slow.closed // as long as that takes, the other has waited too
    gateway.messages[0]?.accept()
    await gateway.handed(2)
    gateway.messages[1]?.accept()
    expect(await waiting.next('puback')).toMatchObject({ messageId: 1 })
  })

  test('waiting for a turn for too long is', async () => {
    const gateway = heldGateway()
    const limits = { messagesInFlight: 1, turnTimeoutMs: 50 }
    const { port } = await openBroker({ accept: gateway.accept, limits })
    const [slow, waiting] = [await connectDevice(port), await connectDevice(port, OTHER_DEVICE)]
    slow.publish(SALE, 'being handled', { qos: 1, messageId: 1 })
    await gateway.handed(1)
    waiting.publish(`hub/v1/${OTHER_DEVICE}/sale`, 'waits', { qos: 1, messageId: 1 })
    expect(await waiting.closed).toEqual([])
    gateway.messages[0]?.accept()
    expect(await slow.next('puback')).toMatchObject({ messageId: 1 })
  })

  test('a sender above its rate is acknowledged later, not less', async () => {
    const { port, broker } = await openBroker({ limits: { ratePerSecond: 200, rateBurst: 10 } })
    const device = await connectDevice(port)
    const startMs = performance.now()
    device.send(...sales(50))
    for (let id = 1; id <= 50; id++) expect(await device.next('puback')).toMatchObject({ messageId: id })
    expect(performance.now() - startMs).toBeGreaterThan(150)
    expect(broker.stats.refused.get('rate')).toBe(40)
  })

  test('a sender that is gone leaves none behind', async () => {
    const gateway = heldGateway()
    const { port, broker } = await openBroker({
      accept: gateway.accept,
      limits: { messagesInFlightPerClient: 2 },
    })
    const device = await connectDevice(port)
    device.send(...sales(10))
    await expect.poll(() => broker.stats.pending).toBe(10)
    await device.vanish()
    await expect.poll(() => broker.stats.pending).toBe(2)
    for (const { accept } of gateway.messages) accept()
    await expect.poll(() => broker.stats.pending).toBe(0)
    expect(gateway.messages).toHaveLength(2)
  })
})

describe('a will', () => {
  const will = { topic: HEALTH, payload: Buffer.from('{"online":false}'), qos: 1 as const }

  test('of a device that vanished is a health message like any other', async () => {
    const { port, accepted } = await openBroker()
    const device = await connectDevice(port, DEVICE, { will })
    await device.vanish()
    await expect.poll(() => accepted.length).toBe(1)
    expect(accepted).toMatchObject([{ topic: HEALTH, sender: { kind: 'device', id: DEVICE } }])
    expect(text(accepted[0] as Message)).toBe('{"online":false}')
  })

  test('does not wait behind what the device had not got acknowledged', async () => {
    const { port, accepted } = await openBroker({
      accept: ({ topic }) => (topic === SALE ? new Promise(() => {}) : Promise.resolve()),
      limits: { messagesInFlightPerClient: 1 },
    })
    const device = await connectDevice(port, DEVICE, { will })
    device.publish(SALE, 'x', { qos: 1, messageId: 1 })
    await expect.poll(() => accepted.length).toBe(1)
    await device.vanish()
    await expect.poll(() => accepted.map(({ topic }) => topic)).toEqual([SALE, HEALTH])
  })

  test('of a device that disconnected is none', async () => {
    const { port, accepted, broker } = await openBroker()
    const device = await connectDevice(port, DEVICE, { will })
    await device.disconnect()
    await expect.poll(() => broker.stats.connections).toBe(0)
    const next = await connectDevice(port)
    next.publish(SALE, 'x', { qos: 1, messageId: 1 })
    await next.next('puback')
    expect(accepted.map(({ topic }) => topic)).toEqual([SALE])
  })

  test('that the gateway refuses harms nobody', async () => {
    let away = true
    const { port, broker } = await openBroker({
      accept: () => (away ? Promise.reject(new Error('store away')) : Promise.resolve()),
    })
    const device = await connectDevice(port, DEVICE, { will })
    await device.vanish()
    await expect.poll(() => broker.stats.pending).toBe(0)
    away = false
    const again = await connectDevice(port)
    again.publish(SALE, 'x', { qos: 1, messageId: 1 })
    await again.next('puback')
  })

  test('of an admin is published on its topic', async () => {
    const { port, accepted } = await openBroker()
    const watcher = await connectApi(port, 'admin')
    await watcher.subscribe(['gone', 1])
    const admin = await RawClient.open(port)
    await admin.connect({ ...apiLogin('admin'), will: { ...will, topic: 'gone' } })
    await admin.vanish()
    expect(await watcher.message()).toMatchObject({ topic: 'gone', qos: 1 })
    expect(accepted).toEqual([])
  })
})

test('a client that publishes before it is connected is closed', async () => {
  const { port, accepted } = await openBroker()
  const client = await RawClient.open(port)
  client.publish(SALE, 'x', { qos: 1, messageId: 1 })
  await client.closed
  expect(accepted).toEqual([])
})

test('a second CONNECT on one connection closes it [MQTT-3.1.0-2]', async () => {
  const { port } = await openBroker()
  const device = await connectDevice(port)
  device.send(connectPacket({ clientId: DEVICE }))
  await device.closed
})
