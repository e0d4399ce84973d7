import { expect, it } from 'vitest'
import { type DeviceCredentials, provision, Terminal } from '../support/devices.ts'
import { startHub } from '../support/hub-process.ts'
import { saleSource } from '../support/sales.ts'
import { hubPlace } from './run-hub.ts'

it('what could not be decoded is listed and shown with its bytes, and after a fix goes once more through the door', async () => {
  // This hub takes no serials of the terminals': a pattern that was set wrongly.
  await using hub = await startHub({ settings: { SERIAL_PATTERN: '^[0-9]+$' } })
  using place = hubPlace({ HUB_DATA_DIR: hub.dataDir, SERIAL_PATTERN: '^[0-9]+$' })
  expect(await place.run(['quarantine', 'list'])).toMatchObject({
    code: 0,
    stderr: 'Nothing is in quarantine.\n',
  })

  const [credentials] = await provision(hub, [{ dealer: 'd1', device: 't1' }])
  await using terminal = await Terminal.connect(hub.mqttUrl, credentials as DeviceCredentials)
  const sale = saleSource(3)()
  expect(await terminal.sell(sale)).toMatchObject({ outcome: 'rejected', reason: 'invalid' })
  const garbage = 'no sale \u001b[2J at all'
  await terminal.client.publishAsync('hub/v1/d1/t1/status', garbage, { qos: 1 })

  const list = await place.run(['quarantine', 'list', '--json'])
  const items = list.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { id: string; topic: string; state: string })
  expect(items).toMatchObject([
    { topic: 'hub/v1/d1/t1/sale', sender: 'd1/t1', state: 'waiting' },
    { topic: 'hub/v1/d1/t1/status', sender: 'd1/t1', state: 'waiting' },
  ])
  const [saleItem, statusItem] = items.map(({ id }) => id) as [string, string]
  const forPeople = await place.run(['quarantine', 'list'])
  expect(forPeople.stdout).toContain(`${saleItem}  `)
  expect(forPeople.stdout).toContain('serial: expected text matching ^[0-9]+$')

  const shown = await place.run(['quarantine', 'show', saleItem])
  expect(shown.stdout).toMatch(/^topic +hub\/v1\/d1\/t1\/sale$/m)
  expect(shown.stdout).toContain(JSON.stringify(sale))
  const raw = await place.run(['quarantine', 'show', statusItem, '--raw'])
  expect(raw.stdout).toBe(garbage)
  // Bytes that could do something to a terminal are shown in hexadecimal.
  const dangerous = await place.run(['quarantine', 'show', statusItem])
  expect(dangerous.stdout).toContain(Buffer.from(garbage).toString('hex'))
  expect(dangerous.stdout).not.toContain('\u001b')
  expect(await place.run(['quarantine', 'show', 'q0'])).toMatchObject({
    code: 1,
    stderr: 'hub: nothing in quarantine is called q0\n',
  })

  const tooEarly = await place.run(['quarantine', 'replay', saleItem])
  expect(tooEarly.stdout).toMatch(/^✖ \w+ still can't be decoded: serial: expected /)
  expect(tooEarly.code).toBe(1)

  using fixed = hubPlace({ HUB_DATA_DIR: hub.dataDir })
  const all = await fixed.run(['quarantine', 'replay', '--all', '--json'])
  expect(
    all.stdout
      .split('\n')
      .slice(0, 2)
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { id: saleItem, result: 'taken_in' },
    { id: statusItem, result: 'still_undecodable', errors: [expect.objectContaining({ field: 'payload' })] },
  ])
  expect(all.code).toBe(1)
  const exported = await fixed.run(['ledger', 'export', '--type', 'sale.registered'])
  expect(JSON.parse(exported.stdout)).toMatchObject({
    data: { event_id: sale.event_id, serial: sale.serial },
  })
  const waiting = await fixed.run(['quarantine', 'list', '--waiting', '--json'])
  expect(JSON.parse(waiting.stdout)).toMatchObject({ id: statusItem })
})

it.each([[[]], [['q1', '--all']]])('hub quarantine replay %s: either ids or --all', async (words) => {
  const hub = hubPlace()
  const { code, stderr } = await hub.run(['quarantine', 'replay', ...words])
  expect(stderr).toContain('error: ids, or --all')
  expect(code).toBe(2)
})
