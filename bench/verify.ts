/**
 * Whether a hub did what it acknowledged: a figure from a run that lost, invented or doubled a sale is worth nothing.
 */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { PRICE } from './generator.ts'

/**
 * The ledger, as `hub ledger export` prints it, must hold each of so many sales once, registered, and nothing else.
 * @throws with what is wrong with it
 */
export async function verifyLedger(file: string, sales: number): Promise<void> {
  const types = new Map<string, number>()
  const events = new Set<unknown>()
  const serials = new Set<unknown>()
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const { type, data } = JSON.parse(line) as { type: string; data: Record<string, unknown> }
    types.set(type, (types.get(type) ?? 0) + 1)
    events.add(data.event_id)
    serials.add(data.serial)
  }
  const found = [...types].map(([type, count]) => `${count} × ${type}`).join(', ') || 'nothing'
  const isRight =
    types.size <= 1 &&
    [types.get('sale.registered') ?? 0, events.size, serials.size].every((n) => n === sales)
  if (isRight) return
  throw new Error(
    `${sales} sales were acknowledged, but the ledger holds ${found}; ` +
      `${events.size} different events, ${serials.size} different serials`,
  )
}

/** Each look sums all points up, so there must not be many. */
const LOOK_MS = 500

/**
 * Waits until InfluxDB has every sale, count and money.
 * @throws when it has more, or nothing came for `patienceMs`
 */
export async function untilInfluxHas(
  { url, bucket }: { url: string; bucket: string },
  sales: number,
  patienceMs: number,
): Promise<void> {
  const query = new URLSearchParams({ db: bucket, q: 'SELECT SUM("count"), SUM("price") FROM "sales"' })
  let count = 0
  let newsAtMs = performance.now()
  for (;;) {
    const before = count
    const response = await fetch(`${url}/query?${query}`)
    const [, sum = 0, price = 0] = firstRow(await response.json())
    count = sum
    if (count === sales && price === sales * PRICE) return
    if (count !== before) newsAtMs = performance.now()
    if (count > sales || performance.now() - newsAtMs > patienceMs) {
      throw new Error(`${sales} sales were acknowledged, but InfluxDB has ${count} worth ${price}`)
    }
    await delay(LOOK_MS)
  }
}

/** Time and sums; empty while there is none. */
function firstRow(answer: unknown): number[] {
  const { results } = answer as { results: { series?: { values: number[][] }[] }[] }
  return results[0]?.series?.[0]?.values[0] ?? []
}
