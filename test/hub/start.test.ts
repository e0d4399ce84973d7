import { expect, it } from 'vitest'
import { provision, Terminal } from '../support/devices.ts'
import { startHub } from '../support/hub-process.ts'
import { saleSource } from '../support/sales.ts'
import { startRedis } from '../support/services.ts'
import { until } from '../support/until.ts'
import { hubPlace } from './run-hub.ts'

it.each(['SIGTERM', 'SIGINT'] as const)('%s: the hub drains and ends with exit code 0', async (signal) => {
  await using hub = await startHub()
  process.kill(hub.pid, signal)
  expect(await hub.exited).toEqual({ code: 0, signal: null })
  expect(hub.logLines().map(({ msg }) => msg)).toContain('stopping: what was taken is answered first')
})

it('a signal while it drains ends it at once, with exit code 1', async () => {
  await using redis = await startRedis()
  await using hub = await startHub({ settings: { REDIS_URL: redis.url } })
  const [credentials] = await provision(hub, [{ dealer: 'd1', device: 't1' }])
  if (credentials === undefined) throw new Error('nothing was provisioned')
  await using terminal = await Terminal.connect(hub.mqttUrl, credentials)
  redis.pause()
  const { serial, ...sale } = saleSource(1)()
  terminal.client.publish('hub/v1/d1/t1/sale', JSON.stringify({ serial, ...sale }), { qos: 1 }, () => {})
  await until('the sale waits for the store', async () => {
    const metrics = await (await fetch(`${hub.httpUrl}/metrics`)).text()
    return /^hub_intake_messages_pending 1$/m.test(metrics)
  })
  process.kill(hub.pid, 'SIGTERM')
  await until('the hub drains', () => hub.logLines().some(({ msg }) => msg?.startsWith('stopping')))
  process.kill(hub.pid, 'SIGTERM')
  expect(await hub.exited).toEqual({ code: 1, signal: null })
})

it('a second hub on one data folder is refused, and leaves the first alone', async () => {
  await using hub = await startHub()
  using second = hubPlace({ HUB_DATA_DIR: hub.dataDir, MQTT_PORT: '0', HTTP_PORT: '0' })
  const { code, stderr } = await second.run(['start'])
  expect(stderr).toBe(`hub: another hub runs on ${hub.dataDir}; HUB_DATA_DIR chooses another folder\n`)
  expect(code).toBe(1)
  expect((await fetch(`${hub.httpUrl}/readyz`)).status).toBe(200)
})

it.each(['MQTT_PORT', 'HTTP_PORT'] as const)('a %s that is taken is told by its number', async (setting) => {
  await using hub = await startHub()
  const port = setting === 'MQTT_PORT' ? hub.mqttPort : hub.httpPort
  using second = hubPlace({ MQTT_PORT: '0', HTTP_PORT: '0', [setting]: String(port) })
  const { code, stderr } = await second.run(['start'])
  expect(stderr).toContain(`hub: port ${port} is in use; MQTT_PORT and HTTP_PORT choose others\n`)
  expect(code).toBe(1)
})

it('a Redis that may evict keys is refused, with the remedy', async () => {
  await using redis = await startRedis({ settings: { 'maxmemory-policy': 'allkeys-lru' } })
  using place = hubPlace({ REDIS_URL: redis.url, MQTT_PORT: '0', HTTP_PORT: '0' })
  const { code, stderr } = await place.run(['start'])
  expect(stderr).toMatch(/may evict keys .*set maxmemory-policy to noeviction/)
  expect(code).toBe(1)
})
