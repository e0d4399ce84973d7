import type { Client } from 'aedes'
import { describe, expect, test } from 'vitest'
import { LIMITS } from '../../broker/limits.ts'
import { MailboxWindow } from '../../broker/mailboxes.ts'
import {
  COMMAND,
  connectApi,
  connectDevice,
  DEVICE,
  HEALTH,
  OTHER_DEVICE,
  openBroker,
  RECEIPT,
  SALE,
} from './support.ts'

const OUTBOUND = 'hub/v1/bridge/meta/outbound'

/** Whether a promise is still open once everything that is due now has been done. */
async function isOpen(promise: Promise<unknown>): Promise<boolean> {
  let open = true
  void promise.then(() => {
    open = false
  })
  await new Promise((resolve) => setImmediate(resolve))
  return open
}

describe('a message to a mailbox', () => {
  test('reaches the device at QoS 1, and is delivered when the device acknowledged it', async () => {
    const { port, broker } = await openBroker()
    const device = await connectDevice(port)
    await device.subscribe([RECEIPT, 1])
    const delivery = broker.deliver(RECEIPT, '{"outcome":"registered"}')
    const message = await device.next('publish')
    expect(message).toMatchObject({ topic: RECEIPT, qos: 1, retain: false, dup: false })
    expect(message.payload.toString()).toBe('{"outcome":"registered"}')
    await device.ping()
    expect(await isOpen(delivery)).toBe(true)
    device.send({ cmd: 'puback', messageId: message.messageId })
    expect(await delivery).toBe('delivered')
  })

  test.each<[filter: string, qos: 0 | 1 | 2, expected: 0 | 1]>([
    [RECEIPT, 0, 0],
    [RECEIPT, 1, 1],
    [RECEIPT, 2, 1],
    [`hub/v1/${DEVICE}/#`, 1, 1],
    [`hub/v1/${DEVICE}/+`, 1, 1],
  ])('subscribed by %s at QoS %d comes at QoS %d', async (filter, qos, expected) => {
    const { port, broker } = await openBroker()
    const device = await connectDevice(port)
    expect(await device.subscribe([filter, qos])).toEqual([qos])
    const delivery = broker.deliver(RECEIPT, 'thanks')
    expect(await device.message()).toMatchObject({ topic: RECEIPT, qos: expected })
    expect(await delivery).toBe('delivered')
  })

  test('of several matching subscriptions the highest QoS counts, and it comes once', async () => {
    const { port, broker } = await openBroker()
    const device = await connectDevice(port)
    await device.subscribe([`hub/v1/${DEVICE}/#`, 0], [RECEIPT, 1])
    const delivery = broker.deliver(RECEIPT, 'thanks')
    expect(await device.message()).toMatchObject({ qos: 1 })
    expect(await delivery).toBe('delivered')
    await device.ping() // nothing else had come
  })

  test.each<[string, string]>([
    ['nobody is connected', RECEIPT],
    ['it is no mailbox', SALE],
    ['it is a live topic', 'hub/v1/live/sales'],
  ])('%s: absent', async (_title, topic) => {
    const { broker } = await openBroker()
    expect(await broker.deliver(topic, 'x')).toBe('absent')
  })

  test('is for its owner only, whoever else listens to its topic', async () => {
    const { port, broker } = await openBroker()
    const admin = await connectApi(port, 'admin')
    await admin.subscribe([RECEIPT, 1])
    const other = await connectDevice(port, OTHER_DEVICE)
    await other.subscribe([`hub/v1/${OTHER_DEVICE}/#`, 1])
    expect(await broker.deliver(RECEIPT, 'x')).toBe('absent')
  })

  test('the device is connected and did not subscribe it: absent', async () => {
    const { port, broker } = await openBroker()
    const device = await connectDevice(port)
    await device.subscribe([COMMAND, 1])
    expect(broker.isConnected(DEVICE)).toBe(true)
    expect(await broker.deliver(RECEIPT, 'x')).toBe('absent')
  })

  test('the device unsubscribed: absent', async () => {
    const { port, broker } = await openBroker()
    const device = await connectDevice(port)
    await device.subscribe([RECEIPT, 1])
    device.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [RECEIPT] })
    await device.next('unsuback')
    expect(await broker.deliver(RECEIPT, 'x')).toBe('absent')
  })

  test('the device leaves before it acknowledged: absent', async () => {
    const { port, broker } = await openBroker()
    const device = await connectDevice(port)
    await device.subscribe([RECEIPT, 1])
    const delivery = broker.deliver(RECEIPT, 'x')
    await device.next('publish')
    await device.vanish()
    expect(await delivery).toBe('absent')
    await expect.poll(() => broker.isConnected(DEVICE)).toBe(false)
  })

  test('the device logs in again before it acknowledged: absent for the first connection', async () => {
    const { port, broker } = await openBroker()
    const first = await connectDevice(port)
    await first.subscribe([RECEIPT, 1])
    const delivery = broker.deliver(RECEIPT, 'x')
    await first.next('publish')
    const second = await connectDevice(port)
    expect(await delivery).toBe('absent')
    expect(await broker.deliver(RECEIPT, 'x')).toBe('absent') // clean session: not subscribed yet
    await second.subscribe([RECEIPT, 1])
    const again = broker.deliver(RECEIPT, 'x')
    await second.message()
    expect(await again).toBe('delivered')
  })

  test('the window of unacknowledged messages is full: busy, until one is acknowledged', async () => {
    const { port, broker } = await openBroker({ limits: { mailboxWindow: 3 } })
    const device = await connectDevice(port)
    await device.subscribe([RECEIPT, 1])
    const deliveries = ['1', '2', '3'].map((payload) => broker.deliver(RECEIPT, payload))
    expect(await broker.deliver(RECEIPT, '4')).toBe('busy')
    const messages = [
      await device.next('publish'),
      await device.next('publish'),
      await device.next('publish'),
    ]
    expect(messages.map(({ payload }) => payload.toString())).toEqual(['1', '2', '3'])
    device.send({ cmd: 'puback', messageId: messages[1]?.messageId })
    expect(await deliveries[1]).toBe('delivered')
    const fourth = broker.deliver(RECEIPT, '4')
    const message = await device.next('publish')
    device.send({ cmd: 'puback', messageId: message.messageId })
    expect(await fourth).toBe('delivered')
    expect(await isOpen(deliveries[0] as Promise<unknown>)).toBe(true)
  })

  test('packet identifiers go round, and pass over one that is in use', () => {
    const ids: number[] = []
    const conn = {
      cork() {},
      uncork() {},
      write: (packet: Buffer) => ids.push(packet.readUInt16BE(1 + 1 + 2 + RECEIPT.length)) > 0,
    }
    const window = new MailboxWindow({ conn } as unknown as Client, LIMITS)
    for (let i = 0; i < 65_540; i++) {
      void window.send(RECEIPT, 'x', 1)
      if (ids[i] !== 5) window.acknowledged(ids[i] as number)
    }
    expect(ids.slice(0, 6)).toEqual([1, 2, 3, 4, 5, 6])
    expect(ids.slice(65_533)).toEqual([65_534, 65_535, 1, 2, 3, 4, 6])
  })

  test('an acknowledgement of what was never sent changes nothing', async () => {
    const { port, broker } = await openBroker()
    const device = await connectDevice(port)
    await device.subscribe([RECEIPT, 1])
    device.send(
      { cmd: 'puback', messageId: 77 },
      { cmd: 'pubcomp', messageId: 78 },
      { cmd: 'pubrec', messageId: 79 },
    )
    await device.next('pubrel')
    const delivery = broker.deliver(RECEIPT, 'x')
    await device.message()
    expect(await delivery).toBe('delivered')
  })

  test('a device that takes nothing any more is dropped, and what it was sent is absent', async () => {
    const { port, broker } = await openBroker({ limits: { drainTimeoutMs: 100, mailboxWindow: 1_000 } })
    const device = await connectDevice(port)
    await device.subscribe([COMMAND, 1])
    device.socket.pause()
    const large = 'x'.repeat(60_000)
    const deliveries = Array.from({ length: 400 }, () => broker.deliver(COMMAND, large))
    expect(new Set(await Promise.all(deliveries))).toEqual(new Set(['absent']))
    expect(broker.stats.refused.get('slow_subscriber')).toBe(1)
  })

  test('of a bridge reaches one of its connections', async () => {
    const { port, broker } = await openBroker()
    const bridges = [await connectApi(port, 'bridge:meta'), await connectApi(port, 'bridge:meta')]
    const stranger = await connectApi(port, 'bridge:qontak')
    for (const bridge of bridges) await bridge.subscribe([OUTBOUND, 1])
    await stranger.subscribe(['hub/v1/bridge/qontak/outbound', 1])
    const delivery = broker.deliver(OUTBOUND, 'job')
    await expect
      .poll(() => bridges.filter(({ seen }) => seen.some(({ cmd }) => cmd === 'publish')).length)
      .toBe(1)
    const bridge = bridges.find(({ seen }) => seen.some(({ cmd }) => cmd === 'publish'))
    await bridge?.message()
    expect(await delivery).toBe('delivered')
    expect(stranger.seen.some(({ cmd }) => cmd === 'publish')).toBe(false)
  })

  test('of a bridge goes to another connection while one’s window is full', async () => {
    const { port, broker } = await openBroker({ limits: { mailboxWindow: 1 } })
    const bridges = [await connectApi(port, 'bridge:meta'), await connectApi(port, 'bridge:meta')]
    for (const bridge of bridges) await bridge.subscribe([OUTBOUND, 1])
    const deliveries = [broker.deliver(OUTBOUND, 'one'), broker.deliver(OUTBOUND, 'two')]
    expect(await broker.deliver(OUTBOUND, 'three')).toBe('busy')
    for (const bridge of bridges) await bridge.message()
    expect(await Promise.all(deliveries)).toEqual(['delivered', 'delivered'])
  })
})

describe('the gateway hears of a mailbox that has a listener', () => {
  test('after the SUBACK, so that what waits comes behind it', async () => {
    const { port, broker, listening } = await openBroker({
      listening: (topic) => void broker.deliver(topic, 'waited'),
    })
    const device = await connectDevice(port)
    expect(await device.subscribe([RECEIPT, 1])).toEqual([1])
    expect(await device.message()).toMatchObject({ topic: RECEIPT })
    expect(listening).toEqual([RECEIPT])
  })

  test.each<[string, [string, 0 | 1 | 2][], string[]]>([
    ['by its own name', [[RECEIPT, 1]], [RECEIPT]],
    ['by a wildcard', [[`hub/v1/${DEVICE}/#`, 1]], [RECEIPT, COMMAND]],
    [
      'among others',
      [
        [HEALTH, 0],
        [COMMAND, 0],
      ],
      [COMMAND],
    ],
    ['not at all', [[SALE, 1]], []],
    ['not when refused', [['#', 1]], []],
  ])('subscribed %s', async (_title, filters, expected) => {
    const { port, listening } = await openBroker()
    const device = await connectDevice(port)
    await device.subscribe(...filters)
    expect(listening).toEqual(expected)
  })

  test('each time it is subscribed', async () => {
    const { port, listening } = await openBroker()
    const device = await connectDevice(port)
    await device.subscribe([RECEIPT, 1])
    await device.subscribe([COMMAND, 1])
    await device.subscribe([RECEIPT, 1])
    expect(listening).toEqual([RECEIPT, COMMAND, RECEIPT])
  })

  test('when a device with a persistent session is back, without subscribing again', async () => {
    const { port, broker, listening } = await openBroker()
    const first = await connectDevice(port, DEVICE, { clean: false })
    await first.subscribe([RECEIPT, 1])
    await first.vanish()
    await expect.poll(() => broker.deliver(RECEIPT, 'x')).toBe('absent')
    listening.length = 0
    const second = await connectDevice(port, DEVICE, { clean: false })
    await expect.poll(() => listening).toEqual([RECEIPT])
    const delivery = broker.deliver(RECEIPT, 'x')
    await second.message()
    expect(await delivery).toBe('delivered')
  })

  test('and a gateway that fails over it harms nobody', async () => {
    const { port } = await openBroker({
      listening: () => {
        throw new Error('a mistake')
      },
    })
    const device = await connectDevice(port)
    await device.subscribe([RECEIPT, 1])
    await device.ping()
  })
})

test('a device hears nothing but what the hub leaves it, not even its own messages', async () => {
  const { port } = await openBroker()
  const device = await connectDevice(port)
  await device.subscribe([`hub/v1/${DEVICE}/#`, 1])
  device.publish(SALE, 'x', { qos: 1, messageId: 1 })
  await device.next('puback')
  await device.ping()
})

test('what a device sent is heard by an admin, after it was accepted', async () => {
  const { port } = await openBroker()
  const admin = await connectApi(port, 'admin')
  await admin.subscribe(['hub/#', 1])
  const device = await connectDevice(port)
  device.publish(SALE, 'x', { qos: 1, messageId: 1 })
  expect(await admin.message()).toMatchObject({ topic: SALE, qos: 1 })
})

describe('live topics', () => {
  test('reach who listens, at QoS 0, and nobody waits for them', async () => {
    const { port, broker } = await openBroker()
    const analyst = await connectApi(port, 'analyst')
    await analyst.subscribe(['hub/v1/live/#', 1])
    broker.publish('hub/v1/live/sales', '{"count":1}')
    expect(await analyst.message()).toMatchObject({ topic: 'hub/v1/live/sales', qos: 0, retain: false })
  })

  test('nobody listens: nothing happens', async () => {
    const { broker } = await openBroker()
    broker.publish('hub/v1/live/sales', 'x')
    await broker.close()
    broker.publish('hub/v1/live/sales', 'x')
  })
})
