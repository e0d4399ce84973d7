import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { afterEach, expect, it } from 'vitest'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'
import { type HubChild, type HubPlace, hubPlace } from './run-hub.ts'

interface Demo {
  readonly child: HubChild
  readonly closed: Promise<unknown[]>
  /** `http://localhost:…`, as it says at the start. */
  readonly url: string
  readonly token: string
}

/** Started, and trading. */
async function startDemo(place: HubPlace): Promise<Demo> {
  const child = place.spawn(['demo'])
  const closed = once(child, 'close')
  const told: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => told.push(line))
  const find = (what: string, pattern: RegExp) =>
    until(what, () => pattern.exec(told.join('\n'))?.[1], { timeoutMs: 120_000 })
  const url = await find('it says what to open', /^ +(http:\/\/localhost:\d+)$/m)
  const token = await find('it prints a token', /token (\S+)$/m)
  await find('terminals trade', /"phase":"(trading)"/)
  return { child, closed, url, token }
}

async function sales({ url, token }: Demo): Promise<{ event_id: string }[]> {
  const response = await fetch(`${url}/api/v1/sales?limit=100`, {
    headers: { authorization: `Bearer ${token}` },
  })
  return ((await response.json()) as { items: { event_id: string }[] }).items
}

const blockers: { close(): void }[] = []
afterEach(() => {
  for (const blocker of blockers.splice(0)) blocker.close()
})

it('hub demo opens a hub with dealers that trade, ends by Ctrl-C, and goes on with its data the next time', {
  timeout: 300_000,
}, async () => {
  // Somebody has the usual port already, as Mosquitto does on many machines.
  const blocked = createServer().listen(0, '127.0.0.1')
  blockers.push(blocked)
  await once(blocked, 'listening')
  const { port } = blocked.address() as { port: number }
  using place = hubPlace({
    MQTT_PORT: String(port),
    HTTP_PORT: String(await freePort()),
    // A demo never reaches the servers of the real hub.
    REDIS_URL: 'redis://127.0.0.1:1',
  })
  const first = await startDemo(place)
  const sold = await until('sales are registered', async () => {
    const found = await sales(first)
    return found.length >= 5 && found
  })
  expect((await fetch(first.url)).status).toBe(200)
  first.child.kill('SIGINT')
  expect((await first.closed)[0]).toBe(0)

  const second = await startDemo(place)
  const all = await until('more are registered', async () => {
    const found = await sales(second)
    return found.length > sold.length && found
  })
  const ids = new Set(all.map(({ event_id }) => event_id))
  expect(sold.every(({ event_id }) => ids.has(event_id))).toBe(true)
  second.child.kill('SIGTERM')
  expect((await second.closed)[0]).toBe(0)
})
