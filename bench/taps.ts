/**
 * How long a rep waits for the verdict: from when a tap is due to when the bridge of the bench has the message that says
 * who was first. Leads are there and offered before; six reps tap each of them, in random order, so one in six wins.
 */
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { type Outbound, TestBridge } from '../test/race/test-bridge.ts'
import { createWorld, type RaceWorld } from '../test/race/world.ts'
import { type HubProcess, startHub } from '../test/support/hub-process.ts'
import { integer, mulberry32, type Random } from '../test/support/random.ts'
import { type RedisOptions, startRedis } from '../test/support/services.ts'
import { temporaryFolder } from '../test/support/temporary-folder.ts'
import { until } from '../test/support/until.ts'
import { short, table, whole } from './markdown.ts'
import { paced, type Waits, waitsOf } from './percentiles.ts'
import { cpuSecondsOf } from './process-usage.ts'
import { median, medianBy } from './statistics.ts'
import { TARGETS } from './targets.ts'
import { temporaryRoot } from './temporary-root.ts'

export interface TapOptions {
  readonly repetitions: number
  readonly durationMs: number
  readonly appendfsync: NonNullable<RedisOptions['appendfsync']>
  readonly progress: (what: string) => void
}

export interface TapRun {
  readonly target: 'hub-sqlite' | 'hub-redis'
  readonly verdict: Waits
  readonly puback: Waits
  /** Of the hub's process and of its Redis, microseconds a tap. */
  readonly cpu: { readonly hubUs: number; readonly redisUs: number }
  /** One `SET NX` at the same pace, on a Redis of the same kind that has nothing else to do. */
  readonly setNx: Waits
}

const TAPS_PER_SECOND = 500
const WARM_UP_TAPS = 1000
const BRIDGE = 'race'
const WORLD = { dealers: 120, repsPerDealerMax: 2, quotaShare: 0, quotaMax: 1, closedShare: 0 }
/** Nothing is widened or released meanwhile. */
const SLA = { CLAIM_SLA_SECONDS: '3600', CONTACT_SLA_SECONDS: '3600' }
const CUSTOMERS_AT_ONCE = 50

export async function measureTaps(options: TapOptions): Promise<TapRun[]> {
  const runs: TapRun[] = []
  for (let repetition = 1; repetition <= options.repetitions; repetition++) {
    for (const target of ['hub-sqlite', 'hub-redis'] as const) {
      options.progress(`taps, ${repetition} of ${options.repetitions}: ${TARGETS[target]}`)
      runs.push(await measureOnce(target, repetition, options))
    }
  }
  return runs
}

async function measureOnce(
  target: TapRun['target'],
  repetition: number,
  { durationMs, appendfsync }: TapOptions,
): Promise<TapRun> {
  using _root = temporaryRoot()
  await using redis = await startRedis({ appendfsync })
  const settings = { ...SLA, ...(target === 'hub-redis' && { REDIS_URL: redis.url }) }
  await using hub = await startHub({ settings })
  const random = mulberry32(repetition)
  const world = createWorld(random, WORLD)
  await importWorld(hub, world)
  await using field = await openField(hub, world)
  const count = WARM_UP_TAPS + Math.round((durationMs / 1000) * TAPS_PER_SECOND)
  await field.offer(random, count)
  const taps = field.taps(random, count)
  const verdicts: number[] = []
  const pubacks: number[] = []
  const usedBefore = [hub.pid, redis.pid].map(cpuSecondsOf)
  await paced(taps.length, TAPS_PER_SECOND, (at, dueMs) => {
    const { verdict, acknowledged } = (taps[at] as Tap)()
    if (at < WARM_UP_TAPS) return
    void verdict.then(() => verdicts.push(performance.now() - dueMs))
    void acknowledged.then(() => pubacks.push(performance.now() - dueMs))
  })
  await until('every tap has its verdict', () => verdicts.length === taps.length - WARM_UP_TAPS)
  const [hubUs = 0, redisUs = 0] = [hub.pid, redis.pid].map(
    (pid, i) => ((cpuSecondsOf(pid) - (usedBefore[i] as number)) * 1e6) / taps.length,
  )
  await verify(hub, taps.length)
  await hub.stop()
  return {
    target,
    cpu: { hubUs, redisUs },
    verdict: waitsOf(verdicts),
    puback: waitsOf(pubacks),
    setNx: await bareSetNx(redis.url, durationMs),
  }
}

/** The least that a first-wins decision costs here. */
async function bareSetNx(url: string, durationMs: number): Promise<Waits> {
  const client = new Redis(url)
  const waits: number[] = []
  const pending: Promise<void>[] = []
  await paced((durationMs / 1000) * TAPS_PER_SECOND, TAPS_PER_SECOND, (at, dueMs) => {
    const set = client
      .set(`bare:${at % 100}`, at, 'NX')
      .then(() => void waits.push(performance.now() - dueMs))
    pending.push(set)
  })
  await Promise.all(pending)
  client.disconnect()
  return waitsOf(waits)
}

/** Sends one. */
type Tap = () => { readonly verdict: Promise<void>; readonly acknowledged: Promise<void> }

/** The bridge, the customers and reps behind it. */
async function openField(hub: HubProcess, world: RaceWorld) {
  const { stdout } = await hub.run('token', 'add', '--role', `bridge:${BRIDGE}`, '--json')
  const { token } = JSON.parse(stdout) as { token: string }
  const offers: { phone: string; choice: string }[] = []
  /** By rep: who waits for a verdict, first come first. */
  const waiting = new Map<string, (() => void)[]>()
  const isRep = new Set(world.reps.map(({ phone }) => phone))
  let screening = 0
  let events = 0

  const onOutbound = ({ to, kind, body = '', choices, template }: Outbound) => {
    const phone = to.phone as string
    const choice = template?.payloads?.[0] ?? choices?.[0]?.id
    if (choice?.startsWith('claim:')) offers.push({ phone, choice })
    else if (isRep.has(phone)) {
      if (kind === 'list' || body.startsWith('❌')) waiting.get(phone)?.shift()?.()
    } else if (choice === undefined) screening--
    else say(phone, { choice: { id: choice, title: '-' } })
  }
  const bridge = new TestBridge({ name: BRIDGE, token, mqttUrl: hub.mqttUrl, onOutbound })

  function say(phone: string, what: object): Promise<void> {
    return bridge.publish('inbound', {
      event_id: `wamid.${++events}`,
      bridge: BRIDGE,
      account: '1',
      customer: { phone, user_id: null, name: 'Seseorang' },
      at: new Date().toISOString(),
      kind: Object.keys(what)[0],
      ...what,
      raw: null,
    })
  }

  await Promise.all(world.reps.map(({ phone }) => say(phone, { text: 'masuk' })))
  return {
    /** Customers come until so many offers are there. */
    async offer(random: Random, count: number): Promise<void> {
      let customers = 0
      await until(
        'enough reps are asked',
        () => {
          while (offers.length < count && screening < CUSTOMERS_AT_ONCE) {
            screening++
            void say(`+62813${String(++customers).padStart(7, '0')}`, { location: world.place(random) })
          }
          return offers.length >= count && screening === 0 && bridge.pending === 0
        },
        { timeoutMs: 300_000 },
      )
    },
    /** In random order among some leads at a time. */
    taps(random: Random, count: number): Tap[] {
      const drawn = offers.slice(0, count)
      for (let i = 0; i < drawn.length; i++) {
        const j = Math.min(drawn.length - 1, i + integer(random, 0, 200))
        ;[drawn[i], drawn[j]] = [drawn[j] as (typeof drawn)[0], drawn[i] as (typeof drawn)[0]]
      }
      return drawn.map(({ phone, choice }) => () => {
        const { promise: verdict, resolve } = Promise.withResolvers<void>()
        waiting.set(phone, [...(waiting.get(phone) ?? []), resolve])
        return { verdict, acknowledged: say(phone, { choice: { id: choice, title: '-' } }) }
      })
    },
    [Symbol.asyncDispose]: () => bridge[Symbol.asyncDispose](),
  }
}

async function importWorld(hub: HubProcess, { files }: RaceWorld): Promise<void> {
  using folder = temporaryFolder('bench-world')
  for (const [kind, text] of Object.entries(files)) {
    const file = join(folder.path, `${kind}.csv`)
    await writeFile(file, text)
    const { code, stderr } = await hub.run('import', kind, file)
    if (code !== 0) throw new Error(`hub import ${kind} ended with exit code ${code}: ${stderr}`)
  }
}

/** @throws unless each tap was decided once, and each lead that was tapped has one winner */
async function verify(hub: HubProcess, taps: number): Promise<void> {
  const lines = readFileSync(await hub.exportLedger(), 'utf8')
    .trimEnd()
    .split('\n')
  const entries = lines.map(
    (line) => JSON.parse(line) as { type: string; data: { lead: string; event_id: string } },
  )
  const claimed = entries.filter(({ type }) => type === 'lead.claimed')
  const decided = entries.filter(({ type }) => type === 'lead.claimed' || type === 'lead.too_slow')
  const events = new Set(decided.map(({ data }) => data.event_id)).size
  const leads = new Set(decided.map(({ data }) => data.lead)).size
  if (decided.length === taps && events === taps && claimed.length === leads) return
  throw new Error(`of ${taps} taps ${decided.length} were decided, ${claimed.length} won of ${leads} leads`)
}

/** Of each target, the run with the median p99. */
export function tapsMarkdown(runs: readonly TapRun[]): string {
  const rows = (['hub-sqlite', 'hub-redis'] as const).map((target) => {
    const own = runs.filter((run) => run.target === target)
    const { verdict, puback, setNx, cpu } = medianBy(own, (run) => run.verdict.p99Ms)
    const ratio = (share: 'p50Ms' | 'p99Ms') =>
      median(own.map((run) => run.verdict[share] / run.setNx[share]))
    return [
      TARGETS[target],
      short(verdict.p50Ms),
      `**${short(verdict.p99Ms)}**`,
      short(verdict.p999Ms),
      short(verdict.maxMs),
      short(puback.p99Ms),
      `${short(setNx.p50Ms)} / ${short(setNx.p99Ms)}`,
      `${short(ratio('p50Ms'))} / ${short(ratio('p99Ms'))}`,
      whole(cpu.hubUs),
      target === 'hub-redis' ? whole(cpu.redisUs) : '–',
    ]
  })
  const header = [
    '',
    'verdict ms p50',
    'p99',
    'p99.9',
    'max',
    'PUBACK p99',
    'bare SET NX p50 / p99',
    '× bare p50 / p99',
    'CPU µs a tap: hub',
    'Redis',
  ]
  return `## From a tap to its verdict

${whole(TAPS_PER_SECOND)} taps a second over MQTT, six reps on each lead; from when a tap was due until the bridge had the
message with the verdict, the generator's own time included. After each run the ledger held each tap decided once and one
winner for each lead. Beside it a bare \`SET NX\` at the same pace. Of each, the run with the median p99.

${table(header, rows)}`
}
