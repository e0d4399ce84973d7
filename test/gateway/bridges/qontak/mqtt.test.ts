/** The whole bridge: Qontak over HTTP on one side, the hub's broker over MQTT on the other. */
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { connectBridge, dialUrl } from '../../../../gateway/bridges/bridge.ts'
import { createQontakBridge } from '../../../../gateway/bridges/qontak/qontak.ts'
import {
  type InboundMessage,
  inbound,
  type JobStatus,
  jobStatus,
} from '../../../../gateway/contract/bridge.ts'
import { openBroker } from '../../../broker/support.ts'
import { until } from '../../../support/until.ts'
import { openCloud, PHONE, SECRET, settingsOf } from './open-bridge.ts'

const log = pino({ enabled: false })

it('a customer’s tap on what the hub asked comes back to the hub as the choice it is', async () => {
  const cloud = await openCloud()
  const { broker, port, accepted } = await openBroker()
  const bus = connectBridge({
    bridge: 'qontak',
    dial: dialUrl(`mqtt://127.0.0.1:${port}`, 'bridge:qontak'),
    log,
  })
  const bridge = createQontakBridge({ settings: settingsOf(cloud), bus, log })
  onTestFinished(async () => {
    await bridge.close()
    await bus.close()
  })
  await until('the bridge is connected', () => bus.isConnected)
  const said = (): InboundMessage[] =>
    accepted.flatMap(({ topic, payload }) =>
      topic === 'hub/v1/bridge/qontak/inbound' ? [inbound.parse(JSON.parse(String(payload)))] : [],
    )
  const states = (): JobStatus['state'][] =>
    accepted.flatMap(({ topic, payload }) =>
      topic === 'hub/v1/bridge/qontak/status' ? [jobStatus.parse(JSON.parse(String(payload))).state] : [],
    )
  const pass = async () => {
    const { body } = cloud.webhooks.deliveries.at(-1) as { body: object }
    expect(await bridge.handleWebhook(SECRET, Buffer.from(JSON.stringify(body)))).toEqual({
      status: 200,
      body: '',
    })
  }

  await cloud.say(PHONE, 'halo')
  await pass()
  const [first] = said()
  const job = {
    job_id: 'job-1',
    to: { phone: PHONE, room_id: first?.room_id },
    kind: 'buttons',
    body: 'Mau dihubungi?',
    choices: [
      { id: 'yes:1', title: 'Ya' },
      { id: 'no:1', title: 'Tidak' },
    ],
    expires_at: new Date(Date.now() + 60_000).toISOString(),
  }
  await until(
    'the bridge has taken it',
    async () => (await broker.deliver('hub/v1/bridge/qontak/outbound', JSON.stringify(job))) === 'delivered',
  )
  await until('it is sent', () => states().includes('sent'))
  expect(cloud.heard(PHONE)).toEqual(['Mau dihubungi?'])
  await cloud.tap(PHONE, 'Ya')
  await pass()
  expect(said().at(-1)).toMatchObject({
    customer: { phone: PHONE },
    room_id: first?.room_id,
    kind: 'choice',
    choice: { id: 'yes:1', title: 'Ya' },
  })
})
