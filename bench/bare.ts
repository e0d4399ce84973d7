/**
 * The baseline: Aedes as it comes, with sales at QoS 1 that nobody listens to. It acknowledges and forgets; whatever
 * a hub does beyond that costs a part of this.
 *
 *     MQTT_PORT=1883 node bench/bare.ts
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Aedes } from 'aedes'

const broker = await Aedes.createBroker()
const server = createServer(broker.handle)
server.listen({ host: '127.0.0.1', port: Number(process.env.MQTT_PORT) })
await once(server, 'listening')
console.log('ready')
