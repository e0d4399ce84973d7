/**
 * Random bytes and spoiled packets, before and after logging in. After each the broker is asked for what it is there
 * for: a healthy device's sale is acknowledged. A failure prints the seed.
 */
import fc from 'fast-check'
import { generate, type Packet } from 'mqtt-packet'
import { expect, test } from 'vitest'
import {
  apiLogin,
  connectDevice,
  connectPacket,
  DEVICE,
  deviceLogin,
  HEALTH,
  OTHER_DEVICE,
  openBroker,
  RawClient,
  SALE,
} from './support.ts'

const publish = (topic: string, qos: 0 | 1 | 2): Packet => ({
  cmd: 'publish',
  topic,
  payload: '{"event_id":"x"}',
  qos,
  dup: false,
  retain: false,
  messageId: 1,
})

/** What a client may say; spoiled below. */
const packets: readonly Buffer[] = [
  connectPacket(deviceLogin()),
  connectPacket({ ...apiLogin('admin', 'x'), will: { topic: 'gone', payload: 'x', qos: 2, retain: true } }),
  ...([0, 1, 2] as const).flatMap((qos) => [publish(SALE, qos), publish('a/b', qos), publish(HEALTH, qos)]),
  {
    cmd: 'subscribe' as const,
    messageId: 2,
    subscriptions: [
      { topic: '#', qos: 2 as const },
      { topic: 'a/+', qos: 1 as const },
    ],
  },
  { cmd: 'unsubscribe' as const, messageId: 3, unsubscriptions: ['#', 'a/+'] },
  { cmd: 'puback' as const, messageId: 1 },
  { cmd: 'pubrec' as const, messageId: 1 },
  { cmd: 'pubrel' as const, messageId: 1 },
  { cmd: 'pubcomp' as const, messageId: 1 },
  { cmd: 'pingreq' as const },
  { cmd: 'disconnect' as const },
].map((packet) => generate(packet as Packet))

const packet = fc.constantFrom(...packets)

const spoiled = fc
  .tuple(packet, fc.constantFrom('change', 'leave out', 'put in', 'cut', 'double'), fc.nat(), fc.nat(255))
  .map(([bytes, how, where, value]) => {
    const at = where % bytes.length
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
    switch (how) {
      case 'change':
        return Buffer.concat([before, Buffer.from([value]), after.subarray(1)])
      case 'leave out':
        return Buffer.concat([before, after.subarray(1)])
      case 'put in':
        return Buffer.concat([before, Buffer.from([value]), after])
      case 'cut':
        return before
      default:
        return Buffer.concat([bytes, bytes])
    }
  })

const random = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))

const stream = fc.record({
  login: fc.constantFrom(null, deviceLogin(), apiLogin('admin', 'fuzz'), apiLogin('bridge:meta')),
  parts: fc.array(fc.oneof({ weight: 3, arbitrary: spoiled }, packet, random), {
    minLength: 1,
    maxLength: 8,
  }),
  /** Whether the parts travel alone. */
  split: fc.boolean(),
})

test('26: whatever a client sends, the broker lives and serves the others', {
  timeout: 120_000,
}, async () => {
  const { port, broker } = await openBroker({ limits: { connectTimeoutMs: 500 } })
  const healthy = await connectDevice(port, OTHER_DEVICE)
  const before = process.memoryUsage().rss
  await fc.assert(
    fc.asyncProperty(stream, async ({ login, parts, split }) => {
      const client = await RawClient.open(port)
      if (login !== null) await client.connect(login)
      for (const part of split ? parts : [Buffer.concat(parts)]) client.send(part)
      client.socket.end()
      healthy.publish(`hub/v1/${OTHER_DEVICE}/sale`, 'x', { qos: 1, messageId: 1 })
      await healthy.next('puback')
      await client.closed
    }),
    { numRuns: 1_500 },
  )
  await expect.poll(() => broker.stats.connections).toBe(1)
  expect(broker.stats.pending).toBe(0)
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024)
})

test('27: many that claim to send 256 MB, and many that say nothing, leave the others alone', async () => {
  const { port, broker } = await openBroker({ limits: { connectTimeoutMs: 1_000 } })
  const healthy = await connectDevice(port, OTHER_DEVICE)
  const attackers = await Promise.all(Array.from({ length: 300 }, () => RawClient.open(port)))
  attackers.forEach((client, i) => {
    if (i % 2 === 0) client.send([0x10, 0xff, 0xff, 0xff, 0x7f], Buffer.alloc(100_000))
  })
  for (let i = 1; i <= 100; i++) {
    healthy.publish(`hub/v1/${OTHER_DEVICE}/sale`, 'x', { qos: 1, messageId: i })
    await healthy.next('puback')
  }
  await Promise.all(attackers.map((client) => client.closed))
  await expect.poll(() => broker.stats.connections).toBe(1)
  expect(broker.stats.refused.get('packet_too_large')).toBe(150)
  expect(broker.stats.refused.get('connect_timeout')).toBe(150)
})

test('25: names that objects have by nature are names like any other', async () => {
  const { port, accepted } = await openBroker()
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'prototype']) {
    const device = await connectDevice(port, `${name.replaceAll('_', '') || 'x'}/X`)
    await device.disconnect()
    const client = await RawClient.open(port)
    expect(await client.connect({ ...apiLogin('admin', name), clean: false })).toMatchObject({
      returnCode: 0,
    })
    expect(await client.subscribe([name, 1], [`${name}/+`, 1])).toEqual([1, 1])
    client.publish(name, 'x', { qos: 0, retain: true })
    expect(await client.message()).toMatchObject({ topic: name })
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [name] })
    await client.next('unsuback')
    await client.disconnect()
  }
  const device = await connectDevice(port)
  device.publish(SALE, '{"__proto__":{"polluted":true}}', { qos: 1, messageId: 1 })
  await device.next('puback')
  expect(accepted).toHaveLength(1)
  expect(Object.keys(Object.prototype)).toEqual([])
})

test('25: a device whose every message is refused for its size does not hold up the others', async () => {
  const { port } = await openBroker()
  const healthy = await connectDevice(port, OTHER_DEVICE)
  for (let i = 1; i <= 20; i++) {
    const poisoned = await connectDevice(port, DEVICE)
    poisoned.publish(SALE, Buffer.alloc(1024 * 1024), { qos: 1, messageId: 1 })
    healthy.publish(`hub/v1/${OTHER_DEVICE}/sale`, 'x', { qos: 1, messageId: i })
    await healthy.next('puback')
    await poisoned.closed
  }
})
