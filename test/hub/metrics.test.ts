import { expect, it } from 'vitest'
import { openSqliteMetrics } from '../../analytics/sqlite.ts'
import { type DeviceCredentials, provision, Terminal } from '../support/devices.ts'
import { startHub } from '../support/hub-process.ts'
import { saleSource } from '../support/sales.ts'
import { startInflux } from '../support/services.ts'
import { until } from '../support/until.ts'

it('hub metrics rebuild makes the figures again, beside the hub that runs', async () => {
  await using hub = await startHub()
  const [credentials] = await provision(hub, [{ dealer: 'd1', device: 't1' }])
  await using terminal = await Terminal.connect(hub.mqttUrl, credentials as DeviceCredentials)
  const sale = saleSource(5)
  for (let i = 0; i < 5; i++) await terminal.sell(sale())
  await using stack = new AsyncDisposableStack()
  const metrics = stack.adopt(
    await openSqliteMetrics({ dataDir: hub.dataDir, timezone: 'Asia/Jakarta' }),
    (it) => it.close(),
  )
  const days = { firstDay: '2020-01-01', lastDay: '2035-12-31' }
  const countSales = async () =>
    (await metrics.totals({ measurement: 'sales', by: [], ...days }))[0]?.sums.count
  await until('the hub has projected them', async () => (await countSales()) === 5)

  const { code, stdout } = await hub.run('metrics', 'rebuild')
  expect(stdout).toMatch(/^\d+ points from 5 entries\n$/)
  expect(code).toBe(0)
  expect(await countSales()).toBe(5)
  await terminal.sell(sale())
  await until('the hub goes on projecting', async () => (await countSales()) === 6)
})

it('hub metrics rebuild fails when InfluxDB does not answer, and changes nothing', async () => {
  await using influx = await startInflux()
  await using hub = await startHub({ settings: { INFLUX_URL: influx.url } })
  await influx.stop()
  const { code, stderr } = await hub.run('metrics', 'rebuild')
  expect(stderr).toMatch(/^hub: .*127\.0\.0\.1/)
  expect(code).toBe(1)
})
