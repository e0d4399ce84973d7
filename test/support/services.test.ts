import { existsSync } from 'node:fs'
import { Cluster, Redis } from 'ioredis'
import { connectAsync } from 'mqtt'
import { describe, expect, test } from 'vitest'
import { startInflux, startMosquitto, startRedis, startRedisCluster } from './services.ts'

/** A client that fails instead of waiting, so that a test sees what the server does. */
const connectRedis = (port: number) =>
  new Redis(port, '127.0.0.1', { retryStrategy: null, commandTimeout: 2000 }).on('error', () => {})

async function write(url: string, line: string): Promise<number> {
  return (await fetch(`${url}/write?db=hub`, { method: 'POST', body: line })).status
}

async function query(url: string, q: string): Promise<unknown> {
  const response = await fetch(`${url}/query?db=hub&q=${encodeURIComponent(q)}`, { method: 'POST' })
  return response.json()
}

describe('Redis', () => {
  test('what it has answered is there after it was killed and started again on the same port', async () => {
    await using redis = await startRedis({ appendfsync: 'always' })
    const before = connectRedis(redis.port)
    expect(await before.config('GET', 'appendfsync')).toEqual(['appendfsync', 'always'])
    await before.set('name', 'value')
    const pid = redis.pid
    expect(await redis.kill()).toEqual({ code: null, signal: 'SIGKILL' })
    await redis.restart()
    expect(redis.pid).not.toBe(pid)
    const after = connectRedis(redis.port)
    expect(await after.get('name')).toBe('value')
    after.disconnect()
  })

  test('paused, it answers nothing; resumed, it answers what it was asked meanwhile', async () => {
    await using redis = await startRedis()
    const patient = new Redis(redis.port, '127.0.0.1')
    const hasty = new Redis(redis.port, '127.0.0.1', { commandTimeout: 300 })
    await Promise.all([patient.ping(), hasty.ping()])
    redis.pause()
    const answer = patient.ping()
    await expect(hasty.ping()).rejects.toThrow('timed out')
    redis.resume()
    expect(await answer).toBe('PONG')
    patient.disconnect()
    hasty.disconnect()
  })

  test('stopped, it says its exit code and is gone', async () => {
    await using redis = await startRedis()
    redis.pause()
    expect(await redis.stop()).toEqual({ code: 0, signal: null })
    expect(redis.isRunning).toBe(false)
    expect(() => redis.pid).toThrow('is not running')
  })

  test('a setting it does not take stops the start, with its own words', async () => {
    await expect(startRedis({ settings: { maxmemory: 'plenty' } })).rejects.toThrow(/maxmemory/)
  })
})

test('a Redis Cluster takes keys of every shard at once', async () => {
  await using redis = await startRedisCluster()
  const cluster = new Cluster(redis.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
  const keys = Array.from({ length: 100 }, (_, index) => `{h${index}}key`)
  await Promise.all(keys.map((key) => cluster.set(key, key)))
  const sizes = await Promise.all(cluster.nodes('master').map((node) => node.dbsize()))
  expect(sizes.every((size) => size > 0)).toBe(true)
  expect(sizes.reduce((sum, size) => sum + size)).toBe(keys.length)
  cluster.disconnect()
})

test('InfluxDB keeps what it was given when it is killed and started again', async () => {
  await using influx = await startInflux()
  await query(influx.url, 'CREATE DATABASE hub')
  expect(await write(influx.url, 'sales price=28500000i 1')).toBe(204)
  await influx.kill()
  await influx.restart()
  expect(await query(influx.url, 'SELECT sum(price) FROM sales')).toMatchObject({
    results: [{ series: [{ values: [['1970-01-01T00:00:00Z', 28_500_000]] }] }],
  })
  expect(existsSync(`${influx.folder}/wal`)).toBe(true)
})

test('Mosquitto carries a message from one client to another', async () => {
  await using mosquitto = await startMosquitto()
  const client = await connectAsync(mosquitto.url)
  const { promise, resolve } = Promise.withResolvers<string>()
  client.on('message', (_, payload) => resolve(String(payload)))
  await client.subscribeAsync('a')
  await client.publishAsync('a', 'hello', { qos: 1 })
  expect(await promise).toBe('hello')
  await client.endAsync()
})
