import { Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { FaultProxy } from './fault-proxy.ts'
import { startInflux, startRedis } from './services.ts'
import { until } from './until.ts'

/** A client that reports every fault at once: no reconnection, no queue, no resending. */
const connect = (port: number) =>
  new Redis(port, '127.0.0.1', {
    retryStrategy: null,
    commandTimeout: 500,
    autoResendUnfulfilledCommands: false,
  })
    // The tests look at the commands' own errors.
    .on('error', () => {})

async function redisBehindProxy() {
  const stack = new AsyncDisposableStack()
  const redis = stack.use(await startRedis())
  const proxy = stack.use(await FaultProxy.start(redis.port))
  const client = stack.adopt(connect(proxy.port), (open) => open.disconnect())
  const direct = stack.adopt(connect(redis.port), (open) => open.disconnect())
  await client.ping()
  return { redis, proxy, client, direct, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

test('passing, it carries megabytes either way unchanged', async () => {
  await using it = await redisBehindProxy()
  const large = 'x'.repeat(16 * 1024 * 1024)
  await it.client.set('large', large)
  expect((await it.client.get('large')) === large).toBe(true)
})

test('refusing, it resets who is connected and lets nobody in until it passes again', async () => {
  await using it = await redisBehindProxy()
  await it.proxy.refuse()
  await expect(it.client.ping()).rejects.toThrow()
  const refused = connect(it.proxy.port)
  await expect(refused.ping()).rejects.toThrow()
  await it.proxy.pass()
  const client = connect(it.proxy.port)
  expect(await client.ping()).toBe('PONG')
  client.disconnect()
})

test('a black hole stalls who is connected and who connects; both go on when it passes again', async () => {
  await using it = await redisBehindProxy()
  await it.proxy.blackhole()
  await expect(it.client.set('asked in the dark', '1')).rejects.toThrow('timed out')
  const newcomer = new Redis(it.proxy.port, '127.0.0.1', { connectTimeout: 60_000 })
  const answer = newcomer.ping()
  expect(await it.direct.exists('asked in the dark')).toBe(0)
  await it.proxy.pass()
  expect(await answer).toBe('PONG')
  // In the order it was sent: the late write is there before this answer.
  expect(await it.client.get('asked in the dark')).toBe('1')
  newcomer.disconnect()
})

test('delayed, every answer is late', async () => {
  await using it = await redisBehindProxy()
  await it.proxy.delay(100)
  const before = performance.now()
  await it.client.ping()
  // There and back, less what timers round.
  expect(performance.now() - before).toBeGreaterThanOrEqual(198)
})

test('cut, who is connected is reset and who comes next passes', async () => {
  await using it = await redisBehindProxy()
  it.proxy.cut()
  await expect(it.client.ping()).rejects.toThrow()
  const client = connect(it.proxy.port)
  expect(await client.ping()).toBe('PONG')
  client.disconnect()
})

test('a server that is away is a reset connection', async () => {
  await using it = await redisBehindProxy()
  await it.redis.kill()
  await expect(it.client.ping()).rejects.toThrow()
  await expect(connect(it.proxy.port).ping()).rejects.toThrow()
})

describe('a lost reply', () => {
  test('leaves the work done and its client without an answer, once', async () => {
    await using it = await redisBehindProxy()
    const lost = it.proxy.loseReply({ request: /set/i, reply: /^\+OK/ })
    expect(await it.client.ping()).toBe('PONG')
    await expect(it.client.set('name', 'value')).rejects.toThrow()
    await lost
    expect(await it.direct.get('name')).toBe('value')
    const client = connect(it.proxy.port)
    expect(await client.set('name', 'again')).toBe('OK')
    client.disconnect()
  })

  test('loses with it what was asked in the same breath, though all of that is done', async () => {
    await using it = await redisBehindProxy()
    const lost = it.proxy.loseReply()
    // Redis reads 16 KiB at a time: the first answer is lost while most of this is still to be read.
    const pipeline = it.client.pipeline()
    for (let i = 0; i < 600; i++) pipeline.rpush('list', 'x'.repeat(50))
    await pipeline.exec().catch(() => {})
    await lost
    await until('all is done', async () => (await it.direct.llen('list')) === 600)
  })

  test('can be one of InfluxDB: the points are written and the writer sees an error', async () => {
    await using influx = await startInflux()
    await using proxy = await FaultProxy.start(influx.port)
    const query = async (q: string) =>
      (await fetch(`${influx.url}/query?db=hub&q=${encodeURIComponent(q)}`, { method: 'POST' })).json()
    await query('CREATE DATABASE hub')
    const lost = proxy.loseReply({ reply: /^HTTP\/1\.1 204/ })
    const url = `http://127.0.0.1:${proxy.port}/write?db=hub`
    await expect(fetch(url, { method: 'POST', body: 'sales price=1i 1' })).rejects.toThrow()
    await lost
    expect(JSON.stringify(await query('SELECT * FROM sales'))).toContain('"price"')
    expect((await fetch(url, { method: 'POST', body: 'sales price=1i 1' })).status).toBe(204)
  })
})
