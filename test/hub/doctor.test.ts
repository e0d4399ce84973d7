import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { startHub } from '../support/hub-process.ts'
import { freePort } from '../support/ports.ts'
import { startInflux, startRedis } from '../support/services.ts'
import { hubPlace } from './run-hub.ts'

interface Report {
  readonly ok: boolean
  readonly puback: string | null
  readonly settings: readonly { setting: string; value: string | null }[]
  readonly checks: readonly { what: string; state: string; detail: string }[]
}

/** Asks a doctor on free ports, unless settings say otherwise. */
async function ask(
  settings: Readonly<Record<string, string>> = {},
  prepare: (folder: string) => void = () => {},
) {
  const ports = { MQTT_PORT: String(await freePort()), HTTP_PORT: String(await freePort()) }
  using place = hubPlace({ ...ports, ...settings })
  prepare(place.folder)
  const { code, stdout, stderr } = await place.run(['doctor', '--json'])
  expect(stderr).toBe('')
  const report = JSON.parse(stdout) as Report
  const check = (what: string) => report.checks.find((found) => found.what === what)
  expect(code).toBe(report.ok ? 0 : 1)
  return { report, check, dataDir: place.dataDir }
}

it('before the first start all is well, and nothing is made', async () => {
  const { report, check } = await ask()
  expect(report.ok).toBe(true)
  expect(report.puback).toMatch(/survives a power cut/)
  expect(check('store')).toMatchObject({
    state: 'ok',
    detail: expect.stringMatching(/hub\.db, made at the first start$/),
  })
  expect(check('metrics')).toMatchObject({
    state: 'ok',
    detail: expect.stringMatching(/made at the first start$/),
  })
})

it('beside a running hub all is well: its ports are taken by a hub', async () => {
  await using hub = await startHub()
  const { code, stdout } = await hub.run('doctor', '--json')
  const report = JSON.parse(stdout) as Report
  expect(report.checks.filter(({ state }) => state !== 'ok')).toEqual([])
  expect(report.checks).toContainEqual({
    what: 'MQTT port',
    state: 'ok',
    detail: `127.0.0.1:${hub.mqttPort}, where a hub runs`,
  })
  expect(report.checks).toContainEqual(
    expect.objectContaining({ what: 'secret', detail: 'the one that this store was made with' }),
  )
  expect(code).toBe(0)
})

it('for people it is a table of settings with their meanings, checks with marks, and the promise in one line', async () => {
  using place = hubPlace({ MQTT_PORT: '0', HTTP_PORT: String(await freePort()) })
  const { stdout } = await place.run(['doctor'])
  expect(stdout).toMatch(/^MQTT_PORT +0 +set +Plain MQTT port; 0 = off$/m)
  expect(stdout).toMatch(/^✔ MQTT port +off$/m)
  expect(stdout).toMatch(/\nA PUBACK here means: embedded SQLite, .*\.\n$/)
})

it('a Redis and an InfluxDB that answer are well, and their passwords are not shown', async () => {
  await using redis = await startRedis({ appendfsync: 'always' })
  await using influx = await startInflux()
  const { report, check } = await ask({
    // A Redis without passwords takes any.
    REDIS_URL: redis.url.replace('//', '//default:hunter2@'),
    INFLUX_URL: influx.url,
    HUB_SECRET: 'the secret of this hub',
  })
  expect(report.checks.filter(({ state }) => state !== 'ok')).toEqual([])
  expect(check('store')?.detail).toContain(`127.0.0.1:${redis.port}`)
  expect(report.puback).toMatch(/^Redis, appendonly with appendfsync always/)
  const told = JSON.stringify(report)
  expect(told).not.toContain('hunter2')
  expect(told).not.toContain('the secret of this hub')
})

it('a Redis that may lose what was acknowledged is worth a warning', async () => {
  await using redis = await startRedis({ appendfsync: 'everysec' })
  const { report, check } = await ask({ REDIS_URL: redis.url })
  expect(report.ok).toBe(true)
  expect(check('store')).toMatchObject({ state: 'warning' })
  expect(report.puback).toContain('appendfsync everysec')
})

it('a Redis that may evict keys is wrong, with the remedy', async () => {
  await using redis = await startRedis({ settings: { 'maxmemory-policy': 'allkeys-lru' } })
  const { report, check } = await ask({ REDIS_URL: redis.url })
  expect(check('store')).toMatchObject({
    state: 'wrong',
    detail: expect.stringMatching(/may evict keys .*set maxmemory-policy to noeviction/),
  })
  expect(report.ok).toBe(false)
})

it('an InfluxDB that does not answer is wrong', async () => {
  const { check } = await ask({ INFLUX_URL: `http://127.0.0.1:${await freePort()}` })
  expect(check('metrics')).toMatchObject({ state: 'wrong' })
})

it('a port that another program has is wrong', async () => {
  await using stack = new AsyncDisposableStack()
  const server = createServer((_, response) => response.end('{}')).listen(0, '127.0.0.1')
  stack.defer(() => void server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const { check } = await ask({ HTTP_PORT: String(port) })
  expect(check('HTTP port')).toEqual({
    what: 'HTTP port',
    state: 'wrong',
    detail: `127.0.0.1:${port}: another program listens there`,
  })
})

it('a data folder that is none is wrong', async () => {
  const { check } = await ask({}, (folder) => writeFileSync(join(folder, 'data'), ''))
  expect(check('data folder')).toMatchObject({
    state: 'wrong',
    detail: expect.stringContaining("can't be written"),
  })
})

it('a secret that is not the store’s is wrong', async () => {
  await using hub = await startHub()
  await hub.stop()
  const { check } = await ask({ HUB_DATA_DIR: hub.dataDir, HUB_SECRET: 'the secret of another hub' })
  expect(check('secret')).toMatchObject({
    state: 'wrong',
    detail: expect.stringMatching(/^HUB_SECRET is not the secret this store was made with/),
  })
})

it('a name in .env that is no setting is worth a warning', async () => {
  const { check } = await ask({}, (folder) =>
    writeFileSync(join(folder, '.env'), 'LOG_LEVEL=warn\nMQTT_PROT=1884\n'),
  )
  expect(check('.env')).toEqual({ what: '.env', state: 'warning', detail: 'no setting is called MQTT_PROT' })
})

it('a certificate that is no longer valid, or of another key, is wrong', async () => {
  const valid = join(import.meta.dirname, '../broker/certificates/broker')
  const expired = join(import.meta.dirname, 'certificates/expired')
  const certificate = async (cert: string, key: string) => {
    const tls = { MQTT_TLS_PORT: String(await freePort()), MQTT_TLS_CERT: cert, MQTT_TLS_KEY: key }
    return (await ask(tls)).check('certificate')
  }
  expect(await certificate(`${valid}.pem`, `${valid}.key`)).toMatchObject({ state: 'ok' })
  expect(await certificate(`${expired}.pem`, `${expired}.key`)).toMatchObject({
    state: 'wrong',
    detail: expect.stringContaining('valid until Jan  2 00:00:00 2020 GMT'),
  })
  expect(await certificate(`${valid}.pem`, `${expired}.key`)).toMatchObject({
    state: 'wrong',
    detail: `${expired}.key is not the key of ${valid}.pem`,
  })
})
