import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type DeviceCredentials, provision, Terminal } from '../support/devices.ts'
import { startHub } from '../support/hub-process.ts'
import { saleSource } from '../support/sales.ts'
import { hubPlace } from './run-hub.ts'

const TRADE = [
  'simulate',
  '--dealers',
  '2',
  '--stock',
  '5',
  '--sales',
  '4',
  '--speed',
  'max',
  '--verify',
  '--json',
]

it('hub simulate makes a new hub ready by itself, any number of times', async () => {
  await using hub = await startHub()
  for (const seed of ['1', '2']) {
    const { code, stdout } = await hub.run(...TRADE, '--seed', seed)
    expect(JSON.parse(stdout)).toMatchObject({ seed: Number(seed) })
    expect(code).toBe(0)
  }
})

it('hub simulate is refused by a hub that has dealers of its own', async () => {
  using place = hubPlace()
  const row = 'jkt-01,Dealer,Jakarta,-6.2,106.8,09:00,17:00,,'
  const header = 'dealer_id,name,region,lat,lon,opens,closes,daily_quota,phone'
  writeFileSync(join(place.folder, 'dealers.csv'), `${header}\n${row}\n`)
  await place.run(['import', 'dealers', 'dealers.csv'])
  const { code, stderr } = await place.run(TRADE)
  expect(stderr).toMatch(
    /^hub: this hub has dealers of its own, such as jkt-01, and simulated sales could never/,
  )
  expect(code).toBe(1)
})

it('hub simulate is refused by a hub that has sold something', async () => {
  await using hub = await startHub()
  const [credentials] = await provision(hub, [{ dealer: 'd1', device: 't1' }])
  await using terminal = await Terminal.connect(hub.mqttUrl, credentials as DeviceCredentials)
  await terminal.sell(saleSource(4)())
  const { code, stderr } = await hub.run(...TRADE)
  expect(stderr).toMatch(/^hub: this hub has events in its ledger, and simulated sales could never/)
  expect(code).toBe(1)
})
