/**
 * Races through the whole system: real hubs as processes of their own, each with a bridge of the tests' that listens to
 * it, on one real store; hubs and Redis are killed and started again while the crowd races.
 */

import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jobsIndex, openLeadsIndex, timersIndex } from '../../gateway/race-documents.ts'
import { SHARDS } from '../../gateway/store/keys.ts'
import { openRedisStore } from '../../gateway/store/redis.ts'
import { openSqliteStore } from '../../gateway/store/sqlite.ts'
import type { Store } from '../../gateway/store/store.ts'
import { type FaultName, fault } from '../flow/faults/faults.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { integer, mulberry32 } from '../support/random.ts'
import { type RedisServer, startRedis } from '../support/services.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { until } from '../support/until.ts'
import { type Audit, auditRaces, type LedgerEntry } from './auditor.ts'
import { Crowd } from './crowd.ts'
import { keptIn } from './evidence.ts'
import { TestBridge } from './test-bridge.ts'
import { createWorld, type RaceWorld } from './world.ts'

export interface SystemOptions {
  readonly seed: number
  /** Each of them is a lead, and so a race or more. */
  readonly customers: number
  /** Names of the bridges, a hub for each. */
  readonly bridges: readonly string[]
  readonly on: 'Redis' | 'the embedded store'
  /** Hubs that are killed, one at a time, spread evenly over the races. */
  readonly hubKills: number
  readonly redisKills: number
  readonly dealers: number
  readonly patienceMs: number
  /** Built into the hubs: then not everything need come to an end. */
  readonly fault?: FaultName
}

export interface SystemResult extends Audit {
  /** Connections of bridges that were lost. */
  readonly losses: number
  /** Messages that were handed over more than once. */
  readonly repeats: number
  readonly durationMs: number
  /** What `hub ledger verify` says. */
  readonly verified: boolean
}

/** Short, so that leads widen, are released and expire while the crowd races. */
const SLA = { CLAIM_SLA_SECONDS: '6', CONTACT_SLA_SECONDS: '6' }
/** An acknowledgement is held so long at most, and so long a decision may wait for its commit. */
const DECIDING_MS = 7000

export async function raceThroughTheSystem(options: SystemOptions): Promise<SystemResult> {
  const { seed, bridges: names, customers, on } = options
  const random = mulberry32(seed)
  await using redis = on === 'Redis' ? await startRedis({ appendfsync: 'always' }) : null
  await using hubs = await startHubs(names, redis, options.fault)
  const [first] = hubs.all as [HubProcess]
  const world = createWorld(random, {
    dealers: options.dealers,
    repsPerDealerMax: 3,
    quotaShare: 0.3,
    quotaMax: Math.ceil((customers / options.dealers) * 2),
    closedShare: 0,
  })
  await importWorld(first, world)
  await using running = new AsyncDisposableStack()
  const bridges = new Map<string, TestBridge>()
  const crowd = new Crowd({ random, world, bridges, customersAtOnce: 50 })
  for (const [at, name] of names.entries()) {
    const hub = hubs.all[at] as HubProcess
    const onOutbound = crowd.hear.bind(crowd)
    const bridge = new TestBridge({ name, token: await tokenOf(hub, name), mqttUrl: hub.mqttUrl, onOutbound })
    bridges.set(name, running.use(bridge))
  }
  await crowd.checkIn()

  const startedMs = performance.now()
  const wait = async (what: string, isSo: () => boolean | Promise<boolean>): Promise<void> => {
    const waited = until(what, isSo, { timeoutMs: options.patienceMs })
    await (options.fault === undefined ? waited : waited.catch(() => {}))
  }
  const acknowledged = () => [...bridges.values()].reduce((sum, bridge) => sum + bridge.acknowledged, 0)
  const kills = [
    ...Array<'hub'>(options.hubKills).fill('hub'),
    ...Array<'redis'>(options.redisKills).fill('redis'),
  ].sort(() => random() - 0.5)
  const share = Math.floor(customers / (kills.length + 1))
  for (const victim of kills) {
    crowd.come(share)
    // Somewhere in the middle of it: about eight publications make a race.
    const target = acknowledged() + integer(random, share, share * 8)
    await wait('the races go on', () => acknowledged() >= target || crowd.isIdle)
    const server =
      victim === 'redis'
        ? (redis as RedisServer)
        : (hubs.all[integer(random, 0, hubs.all.length - 1)] as HubProcess)
    await server.kill()
    await server.restart()
  }
  crowd.come(customers - share * kills.length)
  await wait('every customer is a lead', () => crowd.isIdle)
  crowd.hurry()

  await using store = await openStore(first, redis)
  await wait('every race has an end, and everybody has been told', () => isSettled(store, crowd, names))
  const durationMs = performance.now() - startedMs
  await running.disposeAsync()
  await Promise.all(hubs.all.map((hub) => hub.stop()))
  const kept = await keptIn(store, world, { bridges: names, days: daysAround(Date.now()) })
  const entries = await exported(first)
  const { code } = await first.run('ledger', 'verify')
  const { taps, said, messages } = crowd
  return {
    ...auditRaces({ ...kept, entries, taps, said, messages, forms: new Map(), decidingMs: DECIDING_MS }),
    losses: [...bridges.values()].reduce((sum, bridge) => sum + bridge.losses, 0),
    repeats: crowd.repeats,
    durationMs,
    verified: code === 0,
  }
}

async function startHubs(names: readonly string[], redis: RedisServer | null, faultName?: FaultName) {
  await using started = new AsyncDisposableStack()
  const all: HubProcess[] = []
  const replace = { ...fault('reconciles-soon').replace, ...(faultName && fault(faultName).replace) }
  for (const _ of names) {
    const settings = { ...SLA, HUB_TIMEZONE: aboutNoon(), ...(redis && { REDIS_URL: redis.url }) }
    all.push(started.use(await startHub({ settings, replace })))
  }
  const running = started.move()
  return { all, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

/** A zone in which it is not midnight before long: quotas are of one day. */
function aboutNoon(): string {
  const hours = 12 - new Date().getUTCHours()
  // The signs of these zones are the other way round.
  return hours === 0 ? 'Etc/GMT' : `Etc/GMT${hours > 0 ? '-' : '+'}${Math.abs(hours)}`
}

const daysAround = (nowMs: number): string[] =>
  [-1, 0, 1].map((days) => new Date(nowMs + days * 86_400_000).toISOString().slice(0, 10))

async function importWorld(hub: HubProcess, { files }: RaceWorld): Promise<void> {
  using folder = temporaryFolder('race-world')
  for (const [kind, text] of Object.entries(files)) {
    const file = join(folder.path, `${kind}.csv`)
    await writeFile(file, text)
    const { code, stderr } = await hub.run('import', kind, file)
    if (code !== 0) throw new Error(`hub import ${kind} ended with exit code ${code}: ${stderr}`)
  }
}

async function tokenOf(hub: HubProcess, bridge: string): Promise<string> {
  const { code, stdout, stderr } = await hub.run('token', 'add', '--role', `bridge:${bridge}`, '--json')
  if (code !== 0) throw new Error(`hub token add ended with exit code ${code}: ${stderr}`)
  return (JSON.parse(stdout) as { token: string }).token
}

async function openStore(
  { dataDir }: HubProcess,
  redis: RedisServer | null,
): Promise<Store & AsyncDisposable> {
  const store = await (redis === null ? openSqliteStore({ dataDir }) : openRedisStore({ url: redis.url }))
  return { ...store, [Symbol.asyncDispose]: () => store.close() }
}

/** No lead is open, no winner's time runs, nothing waits to be handed over or reported. */
async function isSettled(store: Store, crowd: Crowd, bridges: readonly string[]): Promise<boolean> {
  if (!crowd.isIdle) return false
  const indexes = [
    ...SHARDS.map(openLeadsIndex),
    ...bridges.flatMap((bridge) => SHARDS.map((shard) => jobsIndex(shard, bridge))),
    ...SHARDS.map(timersIndex),
  ]
  return (await store.range(indexes, { limit: 1 })).length === 0 && crowd.isIdle
}

async function exported(hub: HubProcess): Promise<LedgerEntry[]> {
  const lines = readFileSync(await hub.exportLedger(), 'utf8')
    .trimEnd()
    .split('\n')
  return lines.map((line) => JSON.parse(line) as LedgerEntry)
}
