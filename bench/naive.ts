/**
 * The hub that one would write first: each sale takes its serial and is appended to a stream, one command after the
 * other, before it is acknowledged. No receipts, no metrics, no reference data, no checks beyond the JSON.
 *
 *     MQTT_PORT=1883 REDIS_URL=redis://127.0.0.1:6379 node bench/naive.ts
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Aedes, type PublishPacket } from 'aedes'
import { Redis } from 'ioredis'

const { MQTT_PORT, REDIS_URL } = process.env
assert(MQTT_PORT !== undefined && REDIS_URL !== undefined, 'MQTT_PORT and REDIS_URL are needed')

const STREAM = 'sales'

const redis = new Redis(REDIS_URL)
const broker = await Aedes.createBroker({
  authorizePublish(_client, packet, done) {
    register(packet).then(() => done(null), done)
  },
})

async function register({ topic, payload }: PublishPacket): Promise<void> {
  const sale = JSON.parse(payload.toString())
  const isFirst = await redis.set(`serial:${sale.serial}`, sale.event_id, 'NX')
  if (isFirst === null) return
  const [, , dealer, device] = topic.split('/')
  await redis.xadd(STREAM, '*', 'sale', JSON.stringify({ ...sale, dealer, device }))
}

const server = createServer(broker.handle)
server.listen({ host: '127.0.0.1', port: Number(MQTT_PORT) })
await once(server, 'listening')
console.log('ready')
