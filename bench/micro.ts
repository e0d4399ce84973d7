/**
 * Parts of the way through the house by themselves, in this process: what a hub could do if it did nothing else.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { deciderOf } from '../gateway/deciders/deciders.ts'
import { DEFAULT_RACE_RULES } from '../gateway/deciders/decision.ts'
import { createDecode, type Inbound } from '../gateway/decode.ts'
import { EMPTY_DIRECTORY } from '../gateway/directory.ts'
import { openRedisStore } from '../gateway/store/redis.ts'
import { openSqliteStore } from '../gateway/store/sqlite.ts'
import type { Proposal, Store } from '../gateway/store/store.ts'
import { startRedis } from '../test/support/services.ts'
import { PRICE, serialOf } from './generator.ts'
import { table, whole } from './markdown.ts'
import { median } from './statistics.ts'
import type { StartOptions } from './targets.ts'
import { temporaryRoot } from './temporary-root.ts'
import { MODEL, TERMINALS } from './workload.ts'

export interface MicroOptions {
  readonly repetitions: number
  readonly appendfsync: StartOptions['appendfsync']
  readonly progress: (what: string) => void
}

export interface MicroResult {
  readonly what: string
  /** Of each repetition. */
  readonly salesPerSecond: readonly number[]
}

/** As the intake takes them. */
const BATCH_SALES = 512
const BATCHES_UNDER_WAY = 2
/** About a second of each. */
const DECIDED_SALES = 100_000
const COMMITTED_SALES = 20 * BATCH_SALES

export async function measureMicro({
  repetitions,
  appendfsync,
  progress,
}: MicroOptions): Promise<MicroResult[]> {
  const results = {
    'decode and decide': [] as number[],
    [`SQLite, batches of ${BATCH_SALES}`]: [] as number[],
    [`Redis, batches of ${BATCH_SALES}`]: [] as number[],
  }
  const [decided, sqlite, redis] = Object.values(results) as [number[], number[], number[]]
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    progress(`parts by themselves, ${repetition} of ${repetitions}`)
    decided.push(decideRate())
    using root = temporaryRoot()
    sqlite.push(await commitRate(await openSqliteStore({ dataDir: root.path })))
    await using server = await startRedis({ appendfsync })
    redis.push(await commitRate(await openRedisStore({ url: server.url })))
  }
  return Object.entries(results).map(([what, salesPerSecond]) => ({ what, salesPerSecond }))
}

const decode = createDecode({
  serialPattern: /^[A-Z0-9]{6,32}$/,
  people: { byPhone: () => null, handle: (_, text) => text },
  onUnknownFields: () => {},
})

let made = 0

/** A sale that was never made before. */
function newSale(): Inbound {
  const sale = made++
  const sender = `dealer-${sale % TERMINALS}/terminal-1`
  const payload = JSON.stringify({
    event_id: `M-${sale}`,
    serial: serialOf('MICRO', 0, sale),
    model: MODEL,
    price: PRICE,
    currency: 'IDR',
    sold_at: new Date().toISOString(),
    channel: 'walk_in',
  })
  return { topic: `hub/v1/${sender}/sale`, payload: Buffer.from(payload), sender }
}

/** Without reference data, and with nothing sold before. */
function decide(message: Inbound): readonly Omit<Proposal, 'token'>[] {
  const decoded = decode(message)
  const decider = deciderOf(decoded)
  const keys = decider.keys(decoded)
  const docs = Object.fromEntries(Object.keys(keys).map((name) => [name, null]))
  const moment = {
    nowMs: Date.now(),
    timezone: 'Asia/Jakarta',
    directory: EMPTY_DIRECTORY,
    rules: DEFAULT_RACE_RULES,
  }
  return decider.decide(decoded, docs, keys, moment).proposals
}

function decideRate(): number {
  const messages = Array.from({ length: DECIDED_SALES }, newSale)
  const begin = performance.now()
  for (const message of messages) decide(message)
  return perSecond(DECIDED_SALES, performance.now() - begin)
}

/** Closes the store. */
async function commitRate(store: Store): Promise<number> {
  const batches = () => {
    const proposals = Array.from({ length: COMMITTED_SALES }, newSale)
      .flatMap(decide)
      .map((proposal) => ({ ...proposal, token: `token${made++}` }))
    return Array.from({ length: COMMITTED_SALES / BATCH_SALES }, (_, i) =>
      proposals.slice(i * BATCH_SALES, (i + 1) * BATCH_SALES),
    )
  }
  await commitAll(store, batches())
  const measured = batches()
  await delay(100)
  const begin = performance.now()
  await commitAll(store, measured)
  const durationMs = performance.now() - begin
  await store.close()
  return perSecond(COMMITTED_SALES, durationMs)
}

async function commitAll(store: Store, batches: readonly Proposal[][]): Promise<void> {
  const waiting = batches.values()
  await Promise.all(
    Array.from({ length: BATCHES_UNDER_WAY }, async () => {
      for (const batch of waiting) {
        const outcomes = await store.commit(batch)
        if (outcomes.some(({ outcome }) => outcome !== 'committed'))
          throw new Error('a sale was not committed')
      }
    }),
  )
}

const perSecond = (count: number, durationMs: number): number => (count * 1000) / durationMs

export function microMarkdown(results: readonly MicroResult[]): string {
  const rows = results.map(({ what, salesPerSecond }) => [
    what,
    `**${whole(median(salesPerSecond))}**`,
    `${whole(Math.min(...salesPerSecond))} – ${whole(Math.max(...salesPerSecond))}`,
  ])
  return `## Parts by themselves

Each in one process that does nothing else, without MQTT, receipts and metrics.

${table(['', 'sales/s', 'min – max'], rows)}`
}
