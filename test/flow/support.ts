/**
 * What the whole-system tests share: a loaded hub, and the judgement over what it leaves behind.
 *
 *     await using hub = await startHub()
 *     await using load = await startLoad({ mqttPort: hub.mqttPort, devices, seed })
 *     …something happens to the hub…
 *     expect(await judge(hub, load)).toMatchObject(NOTHING_LOST)
 */
import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { openInfluxMetrics } from '../../analytics/influx.ts'
import type { Metrics, Total as MetricsTotal } from '../../analytics/metrics.ts'
import { openSqliteMetrics } from '../../analytics/sqlite.ts'
import type { Entry } from '../../gateway/contract/ledger.ts'
import { type Audit, auditFiles, type Total, type Totals } from '../support/auditor.ts'
import { type DeviceCredentials, deviceNames, provision } from '../support/devices.ts'
import type { HubProcess } from '../support/hub-process.ts'
import type { LoadProcess } from '../support/load-process.ts'
import { until } from '../support/until.ts'

const TIMEZONE = 'Asia/Jakarta'

/** Every sale of `saleSource` lies on one of these days. */
const DAYS = { firstDay: '2020-01-01', lastDay: '2035-12-31' }

/** `count` terminals of half as many dealers. */
export const someDevices = (hub: HubProcess, count: number): Promise<DeviceCredentials[]> =>
  provision(hub, deviceNames(count, Math.ceil(count / 2)))

/** What a load that has finished was promised, held against the exported ledger. */
export const auditOf = async (hub: HubProcess, load: LoadProcess): Promise<Audit> =>
  auditFiles(load.journal, await hub.exportLedger())

/**
 * Ends the load and holds the ledger against what was promised, the ledger's own check against the ledger, and the
 * figures against the totals recomputed from its export.
 */
export async function expectNothingLost(
  hub: HubProcess,
  load: LoadProcess,
  { influxUrl }: { influxUrl?: string } = {},
): Promise<Audit> {
  const { outstanding } = await load.finish()
  expect(outstanding, 'sales without a receipt').toBe(0)
  const audit = await auditOf(hub, load)
  expect(audit.violations).toEqual([])
  expect(await hub.run('ledger', 'verify')).toMatchObject({ code: 0 })
  await expectFigures(hub, audit.totals, influxUrl)
  return audit
}

/** Waits until the metrics say what the ledger says: by dealer, by channel and altogether. */
export async function expectFigures(hub: HubProcess, expected: Totals, influxUrl?: string): Promise<void> {
  await using metrics = await openMetrics(hub, influxUrl)
  let found: Totals | null = null
  await until('the figures have caught up', async () => {
    found = await figuresOf(metrics)
    return found.all.count >= expected.all.count
  }).catch(() => {})
  expect(found).toEqual(expected)
}

/** The metrics database of a hub, its embedded one or an InfluxDB. */
export async function openMetrics(
  { dataDir }: HubProcess,
  influxUrl?: string,
): Promise<Metrics & AsyncDisposable> {
  const metrics =
    influxUrl === undefined
      ? await openSqliteMetrics({ dataDir, timezone: TIMEZONE })
      : openInfluxMetrics({ url: influxUrl, token: null, org: null, bucket: 'hub', timezone: TIMEZONE })
  return { ...metrics, [Symbol.asyncDispose]: () => metrics.close() }
}

/** What the metrics hold of registered sales, in the auditor's form. */
export async function figuresOf(metrics: Metrics): Promise<Totals> {
  const question = { measurement: 'sales', where: { outcome: 'registered' }, ...DAYS } as const
  const [all, dealers, channels] = await Promise.all([
    metrics.totals({ ...question, by: [] }),
    metrics.totals({ ...question, by: ['dealer'] }),
    metrics.totals({ ...question, by: ['channel'] }),
  ])
  const total = ({ sums: { count, price } }: MetricsTotal<'sales', never>): Total => ({ count, price })
  return {
    all: all[0] === undefined ? { count: 0, price: 0 } : total(all[0]),
    dealers: new Map(dealers.map((group) => [group.by.dealer, total(group)])),
    channels: new Map(channels.map((group) => [group.by.channel.replace(/^none$/, ''), total(group)])),
  }
}

/** `hub ledger export`, whole. */
export async function ledgerOf(hub: HubProcess): Promise<LedgerLine[]> {
  const lines = readFileSync(await hub.exportLedger(), 'utf8')
    .trimEnd()
    .split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as LedgerLine)
}

export type LedgerLine = Pick<Entry, 'entry' | 'at' | 'type' | 'data'>

/** What `/readyz` says of each part, whether it says ready or not. */
export async function partsOf({
  httpUrl,
}: HubProcess): Promise<Record<'store' | 'broker' | 'metrics', string>> {
  const response = await fetch(`${httpUrl}/readyz`)
  const { ready, parts } = (await response.json()) as {
    ready: boolean
    parts: Record<'store' | 'broker' | 'metrics', { state: string }>
  }
  expect(response.status).toBe(ready ? 200 : 503)
  return { store: parts.store.state, broker: parts.broker.state, metrics: parts.metrics.state }
}

/** Whether `/healthz` and the page are served. */
export async function isAlive({ httpUrl }: HubProcess): Promise<boolean> {
  const answers = await Promise.all(['/healthz', '/'].map((path) => fetch(`${httpUrl}${path}`)))
  return answers.every(({ ok }) => ok)
}

/** The value of a metric of `/metrics` that has no labels. */
export async function figureOf({ httpUrl }: HubProcess, name: string): Promise<number> {
  const text = await (await fetch(`${httpUrl}/metrics`)).text()
  const value = new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]
  if (value === undefined) throw new Error(`/metrics has no ${name}`)
  return Number(value)
}

/** While the store takes nothing: the hub lives, and tells; nothing is acknowledged, and who waits too long is dropped. */
export async function expectHeld(hub: HubProcess, load: LoadProcess): Promise<void> {
  const before = load.progress().reconnections
  await until('the hub says that it is not ready', async () => (await partsOf(hub)).store === 'down')
  const { acknowledged, reconnections, refusedLogins } = await load.until(
    'every device was dropped, so that nothing is left of what it sent before',
    (now) => now.reconnections >= before + load.devices,
  )
  await load.until(
    'what was sent since is dropped, or its sender not let in',
    (now) => now.reconnections > reconnections || now.refusedLogins > refusedLogins,
  )
  expect(load.progress().acknowledged, 'acknowledged by a store that takes nothing').toBe(acknowledged)
  expect(await isAlive(hub)).toBe(true)
}

/** By itself, without a restart. */
export async function expectGoingOn(hub: HubProcess, load: LoadProcess): Promise<void> {
  const { acknowledged } = load.progress()
  await until('the hub is ready again', async () => (await partsOf(hub)).store === 'up')
  await load.until('it sells again', (progress) => progress.acknowledged >= acknowledged + 100)
}
