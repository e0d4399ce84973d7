/** A broker in a process of its own, to be stopped and killed. Tells its parent the port. */
import { pino } from 'pino'
import { openEmbeddedBroker } from '../../broker/embedded.ts'
import { authenticate } from './authenticate.ts'

const broker = await openEmbeddedBroker({
  host: '127.0.0.1',
  port: 0,
  tls: null,
  log: pino({ enabled: false }),
  authenticate,
  accept: async () => {},
  listening: () => {},
})
process.send?.(broker.addresses.plainPort)
