/** One hub in several processes: bridges where the internet reaches them, the projector where there is room for it. */
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type ReceivedMessage, startMetaCloud } from '../../simulator/whatsapp/meta-cloud.ts'
import { type DeviceCredentials, provision, Terminal } from '../support/devices.ts'
import { startHub } from '../support/hub-process.ts'
import { saleSource } from '../support/sales.ts'
import { ServerProcess } from '../support/server-process.ts'
import { startInflux, startRedis } from '../support/services.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { until } from '../support/until.ts'
import { figuresOf, openMetrics } from './support.ts'

const HUB = join(import.meta.dirname, '../../hub.ts')

const META = {
  META_APP_SECRET: 'app secret of the tests',
  META_VERIFY_TOKEN: 'verify token of the tests',
  META_ACCESS_TOKEN: 'access token of the tests',
  META_PHONE_NUMBER_ID: '100200300400500',
}

describe('a bridge in a process of its own', () => {
  it('takes webhooks while the hub is up, refuses them while it is not, and loses nothing in between', async () => {
    await using cloud = await startMetaCloud({
      phoneNumberId: META.META_PHONE_NUMBER_ID,
      accessToken: META.META_ACCESS_TOKEN,
      appSecret: META.META_APP_SECRET,
      verifyToken: META.META_VERIFY_TOKEN,
      webhookRetryDelayMs: () => 100,
    })
    await using hub = await startHub({ words: ['--role', 'broker,gateway,projector,web'] })
    const { stdout } = await hub.run('token', 'add', '--role', 'bridge:meta', '--json')
    const settings = {
      ...META,
      META_API_URL: cloud.url,
      META_BRIDGE_TOKEN: JSON.parse(stdout).token,
      HUB_MQTT_URL: hub.mqttUrl,
    }
    await using bridge = await startHub({ words: ['--role', 'bridge'], settings })
    expect((await fetch(`${hub.httpUrl}/webhooks/meta`, { method: 'POST' })).status).toBe(404)
    cloud.sendWebhooksTo(`${bridge.httpUrl}/webhooks/meta`)

    const rina = cloud.person({ phone: '+6281300000001', name: 'Rina' })
    cloud.say(rina, 'Halo')
    await heard(1)

    await hub.kill()
    await until('the bridge knows', async () => (await fetch(`${bridge.httpUrl}/readyz`)).status === 503)
    const [consent] = cloud.received(rina)
    cloud.tap(rina, consent as ReceivedMessage, consent?.choices[0]?.id as string)
    await hub.restart()
    await heard(2)
    const ledger = await hub.run('ledger', 'export')
    const said = ledger.stdout.split('\n').filter((line) => line.includes('"customer.message"'))
    expect(said).toHaveLength(2)

    async function heard(count: number): Promise<void> {
      while (cloud.received(rina).length < count) await once(cloud, 'received')
    }
  })
})

describe('a projector in a process of its own', () => {
  it('writes the figures of a hub that does not', async () => {
    await using redis = await startRedis()
    await using influx = await startInflux()
    const settings = { REDIS_URL: redis.url, INFLUX_URL: influx.url }
    await using hub = await startHub({ words: ['--role', 'broker,gateway'], settings })
    expect((await fetch(`${hub.httpUrl}/api/v1/sales`)).status).toBe(404)
    const [credentials] = await provision(hub, [{ dealer: 'D1', device: 'pos' }])
    await using terminal = await Terminal.connect(hub.mqttUrl, credentials as DeviceCredentials)
    await terminal.sell(saleSource(1)())
    await using metrics = await openMetrics(hub, influx.url)
    expect((await figuresOf(metrics)).all.count).toBe(0)

    await using _projector = await ServerProcess.start({
      name: 'projector',
      command: [process.execPath, HUB, 'start', '--role', 'projector'],
      cwd: temporaryFolder('projector').path,
      env: { PATH: process.env.PATH, ...settings },
      ready: async () => (await figuresOf(metrics)).all.count === 1,
    })
  })
})
