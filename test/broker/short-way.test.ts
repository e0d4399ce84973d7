/** What a device sends is taken in the same, however it is cut into chunks and whatever it is mixed with. */
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { generate, type Packet } from 'mqtt-packet'
import { describe, expect, test } from 'vitest'
import type { Message } from '../../broker/broker.ts'
import {
  connectApi,
  connectDevice,
  DEVICE,
  HEALTH,
  OTHER_DEVICE,
  openBroker,
  RECEIPT,
  SALE,
} from './support.ts'

const text = ({ payload }: Message): string => Buffer.from(payload).toString()

const publish = (topic: string, payload: string, qos: 0 | 1 | 2, messageId: number): Packet => ({
  cmd: 'publish',
  topic,
  payload,
  qos,
  dup: false,
  retain: false,
  ...(qos > 0 && { messageId }),
})

describe('what a device sends', () => {
  test('is taken in whole and in order, wherever the network cuts it and whatever it is mixed with', async () => {
    const { port, broker, accepted } = await openBroker()
    const message = fc.record({
      topic: fc.constantFrom(SALE, SALE, SALE, HEALTH),
      qos: fc.constantFrom<0 | 1 | 2>(1, 1, 1, 0, 2),
      length: fc.integer({ min: 0, max: 300 }),
    })
    const step = fc.oneof(
      { weight: 6, arbitrary: message },
      { weight: 1, arbitrary: fc.constant('ping' as const) },
    )
    const cuts = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), cuts, async (steps, pieces) => {
        accepted.length = 0
        const device = await connectDevice(port)
        const packets = steps.map((what, i): Packet => {
          if (what === 'ping') return { cmd: 'pingreq' }
          return publish(what.topic, `${i}:${'x'.repeat(what.length)}`, what.qos, i + 1)
        })
        const bytes = Buffer.concat(packets.map((packet) => generate(packet)))
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const end = Math.min(bytes.length, at + (pieces[i % pieces.length] as number))
          device.send(bytes.subarray(at, end))
          if (i % 3 === 0) await delay(0)
          at = end
        }
        const messages = packets.filter((packet) => packet.cmd === 'publish')
        await expect.poll(() => accepted.length).toBe(messages.length)
        expect(accepted.map((it) => `${it.topic} ${text(it)}`)).toEqual(
          messages.map(({ topic, payload }) => `${topic} ${payload}`),
        )
        await expect.poll(() => broker.stats.pending).toBe(0)
        device.send({ cmd: 'disconnect' })
        const pubacks = (await device.closed).filter(({ cmd }) => cmd === 'puback')
        expect(pubacks.map(({ messageId }) => messageId)).toEqual(
          messages.filter(({ qos }) => qos === 1).map(({ messageId }) => messageId),
        )
      }),
      { numRuns: 40 },
    )
  })

  test('goes to those who listen, too', async () => {
    const { port } = await openBroker()
    const admin = await connectApi(port, 'admin')
    await admin.subscribe(['hub/v1/#', 1])
    const device = await connectDevice(port)
    device.publish(SALE, 'one', { qos: 1, messageId: 1 })
    expect(await admin.message()).toMatchObject({ topic: SALE, payload: Buffer.from('one') })
  })

  test.each([
    ['on a topic of another device', publish(`hub/v1/${OTHER_DEVICE}/sale`, 'x', 1, 2)],
    ['on its own receipts', publish(RECEIPT, 'x', 1, 2)],
    ['with packet identifier 0', Buffer.from([0x32, 8, 0, 3, 0x61, 0x2f, 0x62, 0, 0, 0x78])],
    ['shorter than its own header', Buffer.from([0x32, 3, 0, 40, 0x61])],
  ])('%s ends the connection, and what came before it is taken in', async (_, bad) => {
    const { port, accepted } = await openBroker()
    const device = await connectDevice(port)
    device.send(publish(SALE, 'good', 1, 1), bad, publish(SALE, 'behind it', 1, 3))
    await device.closed
    expect(accepted.map(text)).toEqual(['good'])
  })

  test('keeps its connection alive', async () => {
    const { port, broker } = await openBroker()
    const device = await connectDevice(port, DEVICE, { keepalive: 1 })
    // One and a half times the keep alive is over twice meanwhile.
    for (let id = 1; id <= 8; id++) {
      device.publish(SALE, 'x', { qos: 1, messageId: id })
      await device.next('puback')
      await delay(400)
    }
    expect(broker.stats.connections).toBe(1)
  })

  test('is left in the socket while enough is in hand, whoever sent that, and read when there is room', async () => {
    const pending: (() => void)[] = []
    const { port, broker } = await openBroker({
      accept: () => new Promise<void>((resolve) => pending.push(resolve)),
      limits: { messagesInHand: 3 },
    })
    const [one, other] = [await connectDevice(port), await connectDevice(port, OTHER_DEVICE)]
    one.send(...[1, 2, 3].map((id) => publish(SALE, 'x', 1, id)))
    await expect.poll(() => broker.stats.pending).toBe(3)
    other.publish(`hub/v1/${OTHER_DEVICE}/sale`, 'y', { qos: 1, messageId: 1 })
    one.publish(SALE, 'x', { qos: 1, messageId: 4 })
    await delay(50)
    expect(broker.stats.received).toBe(3)
    for (const accept of pending.splice(0)) accept()
    await expect.poll(() => broker.stats.received).toBe(5)
    for (const accept of pending.splice(0)) accept()
    await other.next('puback')
    for (let id = 1; id <= 4; id++) expect(await one.next('puback')).toMatchObject({ messageId: id })
  })

  test('is read again when who had sent what is in hand has gone', async () => {
    const { port, broker } = await openBroker({
      accept: () => new Promise(() => {}),
      limits: { messagesInHand: 3, messagesInFlight: 1 },
    })
    const [one, other] = [await connectDevice(port), await connectDevice(port, OTHER_DEVICE)]
    one.send(...[1, 2, 3].map((id) => publish(SALE, 'x', 1, id)))
    await expect.poll(() => broker.stats.pending).toBe(3)
    other.publish(`hub/v1/${OTHER_DEVICE}/sale`, 'y', { qos: 1, messageId: 1 })
    await delay(50)
    expect(broker.stats.received).toBe(3)
    await one.vanish()
    await expect.poll(() => broker.stats.received).toBe(4)
  })
})
