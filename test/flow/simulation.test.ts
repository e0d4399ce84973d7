/**
 * The whole system: a real hub as a process of its own, a network of 110 dealers against it, and the verdict. The
 * seed is in every failure.
 */
import { describe, expect, test } from 'vitest'
import { writeWorldFiles } from '../../simulator/files.ts'
import { readJournal } from '../../simulator/journal.ts'
import { readLedgerFile } from '../../simulator/ledger-reader.ts'
import {
  type Progress,
  runSimulation,
  type SimulationOptions,
  type SimulationTarget,
} from '../../simulator/simulate.ts'
import { judge } from '../../simulator/verdict.ts'
import { World } from '../../simulator/world.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { startInflux, startRedis } from '../support/services.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { fault } from './faults/faults.ts'

const DAY_MS = 86_400_000
const SALES = 3000
/** Two cores are shared with whatever else is tested. */
const TIMEOUT_MS = 240_000

/** 110 dealers with stock for the day. */
const worldOf = (seed: number): World =>
  new World({ seed, dealers: 110, unitsPerDealer: 1, stockPerTerminal: 60 })

const DRIVERS: [name: string, start: (stack: AsyncDisposableStack) => Promise<HubProcess>][] = [
  ['embedded stores', async (stack) => stack.use(await startHub())],
  [
    'Redis and InfluxDB',
    async (stack) => {
      const redis = stack.use(await startRedis({ appendfsync: 'always' }))
      const influx = stack.use(await startInflux())
      return stack.use(await startHub({ settings: { REDIS_URL: redis.url, INFLUX_URL: influx.url } }))
    },
  ],
]

/** What an operator does with the files of a world: see `docs/qa.md`. */
async function prepare(hub: HubProcess, world: World): Promise<SimulationTarget> {
  using folder = temporaryFolder('world')
  const files = await writeWorldFiles(world, folder.path)
  for (const kind of ['dealers', 'serials', 'prices'] as const) {
    expect(await hub.run('import', kind, files[kind])).toMatchObject({ code: 0 })
  }
  const credentials = JSON.parse((await hub.run('device', 'add', '--file', files.devices, '--json')).stdout)
  const { token } = JSON.parse((await hub.run('token', 'add', '--role', 'analyst', '--json')).stdout)
  return { mqttUrl: hub.mqttUrl, credentials, ledger: { httpUrl: hub.httpUrl, token } }
}

const optionsFor = (world: World, target: SimulationTarget): SimulationOptions => ({
  world,
  plan: {
    startAtMs: Date.parse('2026-11-23T10:00:00+07:00'),
    spanMs: DAY_MS,
    salesMax: SALES,
    salesPerDealerHour: 12,
  },
  speed: 'max',
  target,
  verify: true,
  journalPath: null,
  settleMs: 60_000,
})

describe.each(DRIVERS)('a hub on %s', { timeout: TIMEOUT_MS }, (_name, start) => {
  test('holds what 110 dealers have sent, entry by entry, and its export says the same', async () => {
    await using stack = new AsyncDisposableStack()
    const hub = await start(stack)
    const folder = stack.use(temporaryFolder('journal'))
    const world = worldOf(1)
    const journalPath = `${folder.path}/run.jsonl`
    const result = await runSimulation({ ...optionsFor(world, await prepare(hub, world)), journalPath })
    expect(result.verdict?.findings).toEqual([])
    expect(result.verdict?.checks.filter(({ checked }) => checked === 0)).toEqual([])
    expect(result).toMatchObject({ pending: 0, verdict: { holds: true } })
    expect(result.figures.sales).toBeGreaterThanOrEqual(SALES)

    const ledger = await Array.fromAsync(readLedgerFile(await hub.exportLedger()))
    expect(judge(world, await readJournal(journalPath), ledger)).toEqual(result.verdict)
  })

  test('holds it too when it is killed and started again while they send', async () => {
    await using stack = new AsyncDisposableStack()
    const hub = await start(stack)
    const world = worldOf(2)
    const target = await prepare(hub, world)
    // Killed whenever another quarter of the sales is on its way.
    let kills = 0
    let restarts = Promise.resolve()
    const onProgress = ({ figures }: Progress) => {
      if (kills >= 3 || figures.sales < ((kills + 1) * SALES) / 4) return
      kills++
      restarts = restarts.then(async () => {
        await hub.kill()
        await hub.restart()
      })
    }
    const result = await runSimulation({ ...optionsFor(world, target), onProgress })
    await restarts
    expect(result.verdict?.findings).toEqual([])
    expect(result).toMatchObject({ pending: 0, verdict: { holds: true } })
    expect(kills).toBe(3)
    expect(result.figures.reconnects).toBeGreaterThan(world.devices.length / 2)
  })
})

describe('a hub that', { timeout: TIMEOUT_MS }, () => {
  test.each([
    ['takes every sale for a new one', 'forgets-sales', 'first'],
    ['sends no receipts', 'acknowledges-and-no-more', 'receipts'],
  ] as const)('%s is found out', async (_fault, name, check) => {
    await using hub = await startHub(fault(name))
    const world = new World({ seed: 3, dealers: 12, unitsPerDealer: 0, stockPerTerminal: 60 })
    const options = optionsFor(world, await prepare(hub, world))
    const { verdict } = await runSimulation({
      ...options,
      plan: { ...options.plan, salesMax: 500 },
      settleMs: 3000,
    })
    expect(verdict?.holds).toBe(false)
    expect(verdict?.findings.map((finding) => finding.check)).toContain(check)
  })
})

test('hub simulate --verify makes the hub of this machine ready, and ends with 0', {
  timeout: TIMEOUT_MS,
}, async () => {
  await using hub = await startHub()
  const words = [
    '--seed',
    '4',
    '--dealers',
    '12',
    '--stock',
    '60',
    '--speed',
    'max',
    '--sales',
    '300',
    '--verify',
  ]
  const { code, stdout, stderr } = await hub.run('simulate', ...words, '--json')
  expect(JSON.parse(stdout)).toMatchObject({ seed: 4, pending: 0, verdict: { holds: true, findings: [] } })
  expect(code).toBe(0)
  expect(stderr).toContain('"phase":"verifying"')

  const again = await hub.run('simulate', ...words)
  expect(again.code).not.toBe(0)
  expect(again.stderr).toContain('already has sales of seed 4')
})
