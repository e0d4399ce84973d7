/** Free ports of the loopback interface. */
import { createServer } from 'node:net'

/**
 * Below the range the system takes outgoing ports from (32768 and up): there a client that dials a stopped server
 * could be given that server's port as its own, connect to itself, and keep the server from starting again.
 */
const FIRST = 11_000
const LAST = 21_999

/** A Redis Cluster node also listens on its port plus this (its default, and the only way before Redis 7). */
export const CLUSTER_BUS_OFFSET = 10_000

/** Handed out by this process; not again, though its server may not be listening yet. */
const taken = new Set<number>()

/** A port nobody listens on, nor on the ports at the `offsets` from it. */
export async function freePort(...offsets: number[]): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1))
    if (taken.has(port)) continue
    const free = await Promise.all([0, ...offsets].map((offset) => isFree(port + offset)))
    if (free.every(Boolean)) {
      taken.add(port)
      return port
    }
  }
  throw new Error(`found no free port between ${FIRST} and ${LAST}`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
