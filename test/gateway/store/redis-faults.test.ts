/** Redis behaving badly: rows 13, 14, 15 and 18 of the fault matrix, each beside a control that shows the fault bites. */
import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { commitUntilAnswered } from '../../../gateway/store/commit-until-answered.ts'
import { keyFor, shardOf } from '../../../gateway/store/keys.ts'
import { openRedisStore } from '../../../gateway/store/redis.ts'
import type { Proposal, Store } from '../../../gateway/store/store.ts'
import { FaultProxy } from '../../support/fault-proxy.ts'
import { startRedis } from '../../support/services.ts'
import { until } from '../../support/until.ts'

async function open(url: string): Promise<Store> {
  const store = await openRedisStore({ url })
  onTestFinished(() => store.close())
  return store
}

const claim = (lead: string, who: string): Proposal => ({
  shard: shardOf(lead),
  token: randomUUID(),
  once: [{ key: keyFor('claim', lead), value: who }],
  append: [{ stream: 'ledger', type: 'lead.claimed', data: { lead, who } }],
})

async function claimed(store: Store): Promise<{ lead: string; who: string }[]> {
  const { entries } = await store.entriesAfter('ledger', '', 100_000)
  return entries.map(({ data }) => data as { lead: string; who: string })
}

describe('a Redis that may evict', () => {
  it.each(['allkeys-lru', 'volatile-ttl', 'allkeys-random'])('is refused with policy %s', async (policy) => {
    await using redis = await startRedis({ settings: { 'maxmemory-policy': policy } })
    await expect(openRedisStore({ url: redis.url })).rejects.toThrow(
      /may evict keys .*set maxmemory-policy to noeviction/,
    )
  })

  it('loses locks without a word (the control)', async () => {
    await using redis = await startRedis({
      settings: { 'maxmemory-policy': 'allkeys-lru', maxmemory: '3mb' },
    })
    const client = new Redis(redis.url)
    onTestFinished(() => client.disconnect())
    await client.set('claim:first', 'A', 'NX')
    const filler = 'x'.repeat(10_000)
    for (let i = 0; (await client.exists('claim:first')) === 1 && i < 5000; i++)
      await client.set(`fill:${i}`, filler)
    expect(await client.set('claim:first', 'B', 'NX'), 'a second winner').toBe('OK')
  })
})

describe('a Redis that says what it is worth', () => {
  it.each([
    [{ appendfsync: 'always' as const }, /survives a power cut/, true],
    [{ appendfsync: 'everysec' as const }, /a power cut may take the last two seconds/, false],
    [{ settings: { appendonly: 'no' } }, /not a restart of Redis/, false],
  ])('with %o', async (options, promise, powerCut) => {
    await using redis = await startRedis(options)
    const { durability } = await open(redis.url)
    expect(durability.promise).toMatch(promise)
    expect(durability.powerCut).toBe(powerCut)
  })
})

describe('a lost reply (row 14)', () => {
  it('makes a loser of the winner who asks again with SET NX (the control)', async () => {
    await using redis = await startRedis()
    await using proxy = await FaultProxy.start(redis.port)
    const naive = new Redis(proxy.port)
    naive.on('error', () => {})
    onTestFinished(() => naive.disconnect())
    await naive.ping()
    const lost = proxy.loseReply({ request: /set/i })
    const answer = await naive.set('claim', 'me', 'NX')
    await lost
    expect(answer, '«you lost»').toBeNull()
    expect(await naive.get('claim'), 'though it is mine').toBe('me')
  })

  it('leaves the winner a winner: the same proposal gets its first answer', async () => {
    await using redis = await startRedis()
    await using proxy = await FaultProxy.start(redis.port)
    const store = await open(`redis://127.0.0.1:${proxy.port}`)
    const proposal = claim('lead-1', 'me')
    const lost = proxy.loseReply({ request: /evalsha|eval/i, reply: /c \d+ \d+/ })
    await expect(store.commit([proposal])).rejects.toThrow('Redis could not commit')
    await lost
    await proxy.pass()
    expect(await commitUntilAnswered(store, [proposal])).toMatchObject([{ outcome: 'committed' }])
    const [late] = await commitUntilAnswered(store, [claim('lead-1', 'somebody else')])
    expect(late).toMatchObject({ outcome: 'held', holder: { value: 'me' } })
    expect(await claimed(store)).toHaveLength(1)
  })
})

describe('a Redis that hangs (row 15)', () => {
  it('fails each command in time, and whoever repeats wins or loses exactly once when it goes on', async () => {
    await using redis = await startRedis()
    const store = await open(redis.url)
    redis.pause()
    const proposal = claim('lead-2', 'me')
    await expect(store.commit([proposal])).rejects.toThrow(/timed out/)
    redis.resume()
    expect(await commitUntilAnswered(store, [proposal])).toMatchObject([{ outcome: 'committed' }])
    expect(await claimed(store), 'the command that timed out may run late, but not twice').toHaveLength(1)
  })

  it('fails at once while it is not there, instead of queueing what nobody waits for any more', async () => {
    await using redis = await startRedis()
    const store = await open(redis.url)
    await redis.kill()
    await expect(store.commit([claim('ghost', 'me')])).rejects.toThrow()
    await redis.restart()
    await until('the store answers again', () =>
      store.ping().then(
        () => true,
        () => false,
      ),
    )
    expect(await claimed(store), 'no ghost').toEqual([])
  })
})

describe('a Redis that is killed again and again while reps claim (row 13)', () => {
  it('gives each lead one winner, who is told so, and everybody else the same name', async () => {
    await using redis = await startRedis({ appendfsync: 'always' })
    const store = await open(redis.url)
    const race = async (lead: string) => {
      const reps = ['A', 'B', 'C', 'D']
      const outcomes = await Promise.all(
        reps.map(async (rep) => (await commitUntilAnswered(store, [claim(lead, rep)]))[0]),
      )
      const winners = reps.filter((_, i) => outcomes[i]?.outcome === 'committed')
      const named = outcomes.flatMap((outcome) => (outcome?.outcome === 'held' ? [outcome.holder.value] : []))
      return { lead, winners, named }
    }
    const results: Awaited<ReturnType<typeof race>>[] = []
    for (let round = 0; round < 8; round++) {
      const races = Array.from({ length: 8 }, (_, i) => race(`lead-${round}-${i}`))
      // While the taps are on their way, later in each round.
      for (let turn = 0; turn < round; turn++) await new Promise(setImmediate)
      await redis.kill()
      await redis.restart()
      results.push(...(await Promise.all(races)))
    }
    const ledger = await claimed(store)
    for (const { lead, winners, named } of results) {
      expect(winners, lead).toHaveLength(1)
      expect(new Set(named), lead).toEqual(new Set(winners))
      expect(ledger.filter((entry) => entry.lead === lead)).toEqual([{ lead, who: winners[0] }])
    }
  })
})

describe('a Redis that is full (row 18)', () => {
  it('refuses without applying half a proposal, and takes the same one when there is room', async () => {
    await using redis = await startRedis({ settings: { maxmemory: '4mb' } })
    const store = await open(redis.url)
    const admin = new Redis(redis.url)
    onTestFinished(() => admin.disconnect())
    let key = 0
    for (const size of [50_000, 1000, 1]) {
      for (let refused = 0; refused < 10; ) {
        refused += await admin.set(`fill:${key++}`, 'x'.repeat(size)).then(
          () => 0,
          () => 1,
        )
      }
    }
    const proposal = claim('lead-3', 'me')
    await expect(store.commit([proposal])).rejects.toThrow(/OOM/)
    expect(await store.read([keyFor('claim', 'lead-3')])).toEqual([null])
    await admin.config('SET', 'maxmemory', '100mb')
    expect(await store.commit([proposal])).toMatchObject([{ outcome: 'committed' }])
    expect(await claimed(store)).toHaveLength(1)
  })
})
