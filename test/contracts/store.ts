/**
 * What every driver of the store must do, races included. `open` may be called several times for one database: each
 * call is another hub on it.
 */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Entry, LANES } from '../../gateway/contract/ledger.ts'
import { type Key, keyFor, keyIn, SHARDS, shardOf } from '../../gateway/store/keys.ts'
import {
  ENTRY_ID,
  type Member,
  type Outcome,
  type Proposal,
  START,
  type Store,
} from '../../gateway/store/store.ts'
import { applyToModel, type Model, newModel } from './store-model.ts'

let counter = 0
/** Keys of their own for every test: the database is shared. */
const fresh = (name: string) => `${name}-${process.pid}-${++counter}`
const token = () => fresh('token')

async function one(store: Store, proposal: Proposal): Promise<Outcome> {
  const [outcome] = await store.commit([proposal])
  return outcome as Outcome
}

async function all(store: Store, position: string, limit = 1000): Promise<Entry[]> {
  const entries: Entry[] = []
  for (;;) {
    const page = await store.entriesAfter('ledger', position, limit)
    if (page.entries.length === 0) return entries
    entries.push(...page.entries)
    position = page.position
  }
}

export function testStore(open: () => Promise<Store>): void {
  let store: Store
  let other: Store
  beforeAll(async () => {
    store = await open()
    other = await open()
  })
  afterAll(async () => {
    await store?.close()
    await other?.close()
  })

  describe('once', () => {
    it('gives a free key to the first and tells everybody later who holds it, when, and by which entry', async () => {
      const aggregate = fresh('serial')
      const shard = shardOf(aggregate)
      const key = keyFor('serial', aggregate)
      const first = await one(store, {
        shard,
        token: token(),
        once: [{ key, value: 'A' }],
        append: [{ stream: 'ledger', type: 'test', data: { who: 'A' } }],
      })
      expect(first).toMatchObject({ outcome: 'committed', entry: expect.any(String) })
      const second = await one(other, { shard, token: token(), once: [{ key, value: 'B' }] })
      expect(second).toMatchObject({
        outcome: 'held',
        key,
        holder: { value: 'A', version: 1, entry: first.outcome === 'committed' ? first.entry : '' },
        entry: null,
      })
      expect(await store.read([key])).toMatchObject([{ value: 'A' }])
    })

    it('takes all locks or none', async () => {
      const aggregate = fresh('lead')
      const shard = shardOf(aggregate)
      const [held, free] = [keyIn(shard, fresh('held')), keyIn(shard, fresh('free'))]
      await one(store, { shard, token: token(), once: [{ key: held, value: 1 }] })
      const outcome = await one(store, {
        shard,
        token: token(),
        once: [
          { key: free, value: 2 },
          { key: held, value: 2 },
        ],
      })
      expect(outcome).toMatchObject({ outcome: 'held', key: held })
      expect(await store.read([free])).toEqual([null])
    })

    it('writes what stands under otherwise when the lock is held, and the locks named before it', async () => {
      const aggregate = fresh('lead')
      const shard = shardOf(aggregate)
      const claim = keyFor('claim', aggregate)
      const tap = keyIn(shard, fresh('tap'))
      const names = keyIn(shard, fresh('late'))
      await one(store, { shard, token: token(), once: [{ key: claim, value: 'A' }] })
      const late: Proposal = {
        shard,
        token: token(),
        once: [
          { key: tap, value: 'B' },
          { key: claim, value: 'B' },
        ],
        append: [{ stream: 'ledger', type: 'won', data: {} }],
        otherwise: {
          [claim]: {
            append: [{ stream: 'ledger', type: 'too_slow', data: { who: 'B' } }],
            index: [{ name: names, member: ENTRY_ID, score: 1 }],
          },
        },
      }
      const outcome = await one(store, late)
      expect(outcome).toMatchObject({ outcome: 'held', key: claim, holder: { value: 'A' } })
      const { entry } = outcome as { entry: string }
      expect(await store.entry('ledger', entry)).toMatchObject({ type: 'too_slow', data: { who: 'B' } })
      expect(await store.range([names], { limit: 10 })).toEqual([{ name: names, member: entry, score: 1 }])
      expect(await store.read([tap])).toMatchObject([{ value: 'B', entry }])
      expect(await one(other, late), 'handed in again').toEqual(outcome)
      expect(await store.range([names], { limit: 10 })).toHaveLength(1)
    })

    it('has exactly one winner among a hundred on two hubs, and tells all others the same one', async () => {
      const aggregate = fresh('race')
      const shard = shardOf(aggregate)
      const key = keyFor('claim', aggregate)
      const outcomes = await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          one(i % 2 === 0 ? store : other, { shard, token: token(), once: [{ key, value: i }] }),
        ),
      )
      const winners = outcomes.flatMap((outcome, i) => (outcome.outcome === 'committed' ? [i] : []))
      expect(winners).toHaveLength(1)
      for (const outcome of outcomes) {
        if (outcome.outcome === 'held') expect(outcome.holder.value).toBe(winners[0])
      }
    })

    it('passes a lock of another shard whose holder has an equal value, and stops at another value', async () => {
      const aggregate = fresh('serial')
      const shard = shardOf(aggregate)
      const foreign = keyIn((shard + 5) % LANES, fresh('event'))
      const proposal = (value: string, lock: Key): Proposal => ({
        shard,
        token: token(),
        once: [
          { key: foreign, value, equalIsMine: true },
          { key: lock, value },
        ],
      })
      const [a, b, c] = [keyIn(shard, fresh('a')), keyIn(shard, fresh('b')), keyIn(shard, fresh('c'))]
      expect(await one(store, proposal('same', a))).toMatchObject({ outcome: 'committed' })
      expect(await one(other, proposal('same', b))).toMatchObject({ outcome: 'committed' })
      expect(await one(other, proposal('other', c))).toMatchObject({
        outcome: 'held',
        key: foreign,
        holder: { value: 'same' },
      })
      expect(await store.read([c])).toEqual([null])
    })
  })

  describe('set with check', () => {
    it('counts versions from 1 and refuses a write that was decided on an older one', async () => {
      const aggregate = fresh('doc')
      const shard = shardOf(aggregate)
      const key = keyFor('doc', aggregate)
      const write = (version: number, value: string) =>
        one(store, { shard, token: token(), check: [{ key, version }], set: [{ key, value }] })
      expect(await write(0, 'one')).toMatchObject({ outcome: 'committed' })
      expect(await write(0, 'again')).toEqual({ outcome: 'conflict', key })
      expect(await write(1, 'two')).toMatchObject({ outcome: 'committed' })
      expect(await write(1, 'late')).toEqual({ outcome: 'conflict', key })
      expect(await store.read([key])).toMatchObject([{ value: 'two', version: 2 }])
    })

    it('builds on a write that may not come to pass: the same version by somebody else is refused', async () => {
      const aggregate = fresh('doc')
      const shard = shardOf(aggregate)
      const key = keyFor('doc', aggregate)
      const write = (version: number, value: string, by?: string): Proposal => ({
        shard,
        token: token(),
        check: [{ key, version, ...(by && { by }) }],
        set: [{ key, value }],
      })
      const [first, late] = [write(0, 'mine'), write(0, 'mine, but late')]
      const [second, misled] = [
        write(1, 'after mine', first.token),
        write(2, 'after the late one', late.token),
      ]
      const outcomes = await store.commit([first, second, late, misled])
      expect(outcomes.map(({ outcome }) => outcome)).toEqual([
        'committed',
        'committed',
        'conflict',
        'conflict',
      ])
      // Handed in again, it is known by its own token, whoever it was built on.
      expect(await one(store, second)).toMatchObject({ outcome: 'committed' })
      expect(await store.read([key])).toMatchObject([{ value: 'after mine', version: 2 }])
    })

    it('loses no increment when two hubs count in one document', async () => {
      const aggregate = fresh('counter')
      const shard = shardOf(aggregate)
      const key = keyFor('counter', aggregate)
      async function increment(hub: Store): Promise<void> {
        for (;;) {
          const [doc] = await hub.read([key])
          const outcome = await one(hub, {
            shard,
            token: token(),
            check: [{ key, version: doc?.version ?? 0 }],
            set: [{ key, value: ((doc?.value as number | undefined) ?? 0) + 1 }],
          })
          if (outcome.outcome === 'committed') return
        }
      }
      await Promise.all(Array.from({ length: 40 }, (_, i) => increment(i % 2 === 0 ? store : other)))
      expect(await store.read([key])).toMatchObject([{ value: 40, version: 40 }])
    })

    it('removes a document, and then takes it as never written', async () => {
      const aggregate = fresh('doc')
      const shard = shardOf(aggregate)
      const key = keyFor('doc', aggregate)
      await one(store, { shard, token: token(), set: [{ key, value: { a: 1 } }] })
      await one(store, { shard, token: token(), set: [{ key, value: null }] })
      expect(await store.read([key])).toEqual([null])
      const again = await one(store, {
        shard,
        token: token(),
        check: [{ key, version: 0 }],
        set: [{ key, value: 'new' }],
      })
      expect(again).toMatchObject({ outcome: 'committed' })
    })

    it('keeps every kind of JSON and any text as it came', async () => {
      const values = ['', 'a b\nc "d" \\ é 🏍', 0, -1.5, true, ['x', null], { a: { b: ['ç'] } }, 'NaN - ~']
      const shard = shardOf(fresh('values'))
      const keys = values.map(() => keyIn(shard, fresh('value')))
      await one(store, {
        shard,
        token: token(),
        set: keys.map((key, i) => ({ key, value: values[i] as string })),
      })
      expect((await other.read(keys)).map((doc) => doc?.value)).toEqual(values)
    })
  })

  describe('append', () => {
    it('numbers each lane 1, 2, 3 … without gaps, and chains each entry to the one before', async () => {
      const shard = shardOf(fresh('lane'))
      await store.commit(
        Array.from({ length: 30 }, (_, i) => ({
          shard,
          token: token(),
          once: [{ key: keyIn(shard, fresh('k')), value: i }],
          append: [{ stream: 'ledger' as const, type: 'test', data: { i } }],
        })),
      )
      const lanes = new Map<number, Entry[]>()
      for (const entry of await all(store, START, 7)) {
        lanes.set(entry.lane, [...(lanes.get(entry.lane) ?? []), entry])
      }
      for (const lane of lanes.values()) {
        let chain = ''
        for (const [i, entry] of lane.entries()) {
          expect(entry.number).toBe(i + 1)
          const body = JSON.stringify({ type: entry.type, data: entry.data })
          chain = createHash('sha1')
            .update(`${chain} ${Date.parse(entry.at)} ${body}`)
            .digest('hex')
          expect(entry.chain).toBe(chain)
        }
      }
    })

    it('remembers the number and chain of the newest entry of each lane written to', async () => {
      const shard = shardOf(fresh('lane'))
      await one(store, {
        shard,
        token: token(),
        once: [{ key: keyIn(shard, fresh('k')), value: 1 }],
        append: ['a', 'b'].map((type) => ({ stream: 'ledger' as const, type, data: {} })),
      })
      const newest = new Map<number, Entry>()
      for (const entry of await all(store, START)) newest.set(entry.lane, entry)
      const expected = [...newest.values()].map(({ lane, number, chain }) => ({ lane, number, chain }))
      expect(await other.heads('ledger')).toEqual(expected.toSorted((a, b) => a.lane - b.lane))
    })

    it('gives two hubs that append at once different numbers', async () => {
      const shard = shardOf(fresh('lane'))
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          one(i % 2 === 0 ? store : other, {
            shard,
            token: token(),
            once: [{ key: keyIn(shard, fresh('k')), value: i }],
            append: [{ stream: 'ledger', type: 'test', data: { i } }],
          }),
        ),
      )
      const ids = outcomes.map((outcome) => (outcome.outcome === 'committed' ? outcome.entry : null))
      expect(new Set(ids).size).toBe(50)
    })

    it('is read from any position to the end, and from the end backwards, each entry once', async () => {
      const before = await store.end('ledger')
      const proposals = SHARDS.flatMap((shard) =>
        [1, 2, 3].map((i) => ({
          shard,
          token: token(),
          once: [{ key: keyIn(shard, fresh('k')), value: i }],
          append: [{ stream: 'ledger' as const, type: 'walk', data: { shard, i } }],
        })),
      )
      const outcomes = await store.commit(proposals)
      const ids = outcomes.map((outcome) => (outcome.outcome === 'committed' ? outcome.entry : null)).sort()
      for (const limit of [1, 5, 1000]) {
        expect((await all(store, before, limit)).map(({ entry }) => entry).sort()).toEqual(ids)
      }
      const backwards: Entry[] = []
      for (let position = START; ; ) {
        const page = await store.entriesBefore('ledger', position, 70)
        if (page.entries.length === 0) break
        backwards.push(...page.entries)
        position = page.position
      }
      const forwards = await all(store, START)
      expect(backwards.map(({ entry }) => entry).sort()).toEqual(forwards.map(({ entry }) => entry).sort())
      for (const lane of SHARDS) {
        const numbers = backwards.filter((entry) => entry.lane === lane).map(({ number }) => number)
        expect(numbers).toEqual(numbers.toSorted((a, b) => b - a))
      }
      expect(await store.entriesAfter('ledger', await store.end('ledger'), 10)).toMatchObject({ entries: [] })
    })

    it('can be left in the middle of a page, forwards and backwards, and gone on from there', async () => {
      const before = await store.end('ledger')
      await store.commit(
        SHARDS.flatMap((shard) =>
          [1, 2, 3].map((i) => ({
            shard,
            token: token(),
            once: [{ key: keyIn(shard, fresh('k')), value: i }],
            append: [{ stream: 'ledger' as const, type: 'part', data: { shard, i } }],
          })),
        ),
      )
      const written = (await all(store, before)).map(({ entry }) => entry)
      const forwards: string[] = []
      for (let position = before; ; ) {
        const page = await store.entriesAfter('ledger', position, 20)
        if (page.entries.length === 0) break
        expect(page.positionAfter(page.entries.length)).toBe(page.position)
        expect(page.positionAfter(0)).toBe(position)
        forwards.push(...page.entries.slice(0, 7).map(({ entry }) => entry))
        position = page.positionAfter(Math.min(7, page.entries.length))
      }
      expect(forwards.toSorted()).toEqual(written.toSorted())
      const backwards: string[] = []
      for (let position = START; backwards.length < written.length; ) {
        const page = await store.entriesBefore('ledger', position, 20)
        backwards.push(...page.entries.slice(0, 6).map(({ entry }) => entry))
        position = page.positionAfter(6)
      }
      expect(backwards.toSorted()).toEqual(written.toSorted())
    })

    it('refuses a position that is none', async () => {
      const read = async (position: string) => store.entriesAfter('ledger', position, 1)
      for (const position of ['x', '-1', '1.5', '1e400', '~', '9'.repeat(30)]) {
        await expect(read(position), position).rejects.toThrow(RangeError)
      }
    })

    it('keeps telemetry apart from the ledger', async () => {
      const shard = shardOf(fresh('unit'))
      const end = await store.end('ledger')
      const outcome = await one(store, {
        shard,
        token: token(),
        once: [{ key: keyIn(shard, fresh('k')), value: 1 }],
        append: [{ stream: 'telemetry', type: 'vehicle.status', data: { a: 1 } }],
      })
      const { entry } = outcome as { entry: string }
      expect(await store.entry('telemetry', entry)).toMatchObject({ type: 'vehicle.status' })
      expect(await all(store, end)).toEqual([])
    })

    it('knows no entry by an id that was never given', async () => {
      expect(await store.entry('ledger', '999999999')).toBeNull()
      expect(await store.entry('ledger', 'no id')).toBeNull()
    })
  })

  describe('index', () => {
    const add = (name: Key, member: string, score: number | null) => ({ name, member, score })

    it('keeps members by score, then by name, within bounds and a limit', async () => {
      const shard = shardOf(fresh('index'))
      const name = keyIn(shard, fresh('due'))
      const write = (...index: ReturnType<typeof add>[]) => one(store, { shard, token: token(), index })
      await write(add(name, 'b', 2), add(name, 'c', 2), add(name, 'a', 2), add(name, 'z', 1))
      await write(add(name, 'late', 1_763_800_000_123), add(name, 'b', 3))
      expect(await store.range([name], { limit: 10 })).toEqual([
        { name, member: 'z', score: 1 },
        { name, member: 'a', score: 2 },
        { name, member: 'c', score: 2 },
        { name, member: 'b', score: 3 },
        { name, member: 'late', score: 1_763_800_000_123 },
      ])
      const within = await store.range([name], { min: 2, max: 3, limit: 2 })
      expect(within.map(({ member }) => member)).toEqual(['a', 'c'])
      await write(add(name, 'a', null), add(name, 'nobody', null))
      expect((await other.range([name], { max: 2, limit: 10 })).map(({ member }) => member)).toEqual([
        'z',
        'c',
      ])
    })

    it('reads sets of several shards as one list, page by page, each member once', async () => {
      const id = fresh('list')
      const names = SHARDS.map((shard) => keyIn(shard, id))
      const expected = SHARDS.flatMap((shard) => [1, 2, 3].map((i) => ({ shard, member: `m${i}-${shard}` })))
      await store.commit(
        expected.map(({ shard, member }, i) => ({
          shard,
          token: token(),
          index: [add(keyIn(shard, id), member, i % 2)],
        })),
      )
      const listed: Member[] = []
      for (;;) {
        const page = await store.range(names, { limit: 5, after: listed.at(-1) })
        if (page.length === 0) break
        listed.push(...page)
      }
      expect(listed.map(({ member }) => member).sort()).toEqual(expected.map(({ member }) => member).sort())
      expect(listed.map(({ score }) => score)).toEqual(listed.map(({ score }) => score).sort())
    })
  })

  describe('repeats', () => {
    it('gives the first answer again to a proposal whose answer was lost, and writes nothing twice', async () => {
      const aggregate = fresh('sale')
      const shard = shardOf(aggregate)
      const name = keyIn(shard, fresh('receipts'))
      const key = keyFor('serial', aggregate)
      const proposal: Proposal = {
        shard,
        token: token(),
        once: [{ key, value: 'mine' }],
        append: [{ stream: 'ledger', type: 'sale', data: {} }],
        index: [{ name, member: ENTRY_ID, score: 1 }],
      }
      const first = await one(store, proposal)
      const end = await store.end('ledger')
      expect(await one(other, proposal)).toEqual(first)
      expect(await all(store, end)).toEqual([])
      expect(await store.range([name], { limit: 10 })).toHaveLength(1)
    })

    it('knows a checked write again by its token', async () => {
      const aggregate = fresh('doc')
      const shard = shardOf(aggregate)
      const key = keyFor('doc', aggregate)
      const proposal: Proposal = {
        shard,
        token: token(),
        check: [{ key, version: 0 }],
        set: [{ key, value: 1 }],
        append: [{ stream: 'telemetry', type: 'test', data: {} }],
      }
      const first = await one(store, proposal)
      expect(await one(store, proposal)).toEqual(first)
      expect(await store.read([key])).toMatchObject([{ version: 1 }])
    })
  })

  it('applies a batch in its order, one answer each, and lets a later proposal see an earlier one', async () => {
    const aggregate = fresh('order')
    const shard = shardOf(aggregate)
    const key = keyFor('serial', aggregate)
    const outcomes = await store.commit(
      ['first', 'second', 'third'].map((value) => ({ shard, token: token(), once: [{ key, value }] })),
    )
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['committed', 'held', 'held'])
    expect(outcomes[2]).toMatchObject({ holder: { value: 'first' } })
  })

  it('takes calls in the order they were made, however many wait', async () => {
    const lead = fresh('queue')
    const shard = shardOf(lead)
    const calls = Array.from({ length: 20 }, (_, i) => i)
    const ids = await Promise.all(
      calls.map(async (i) => {
        const once = [{ key: keyIn(shard, `${lead}:${i}`), value: i }]
        const append = [{ stream: 'ledger' as const, type: 'call', data: { i } }]
        const outcome = await one(store, { shard, token: token(), once, append })
        return outcome.outcome === 'committed' ? Number(outcome.entry) : null
      }),
    )
    expect(ids).toEqual(ids.toSorted((a, b) => Number(a) - Number(b)))
  })

  it('commits a thousand proposals over all shards in one call', async () => {
    const proposals = Array.from({ length: 1000 }, (_, i) => {
      const aggregate = fresh('many')
      return {
        shard: shardOf(aggregate),
        token: token(),
        once: [{ key: keyFor('serial', aggregate), value: { i } }],
        append: [{ stream: 'ledger' as const, type: 'many', data: { i } }],
      }
    })
    const outcomes = await store.commit(proposals)
    expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(['committed']))
    const docs = await other.read(proposals.map(({ once }) => (once[0] as { key: Key }).key))
    expect(docs.map((doc) => doc?.value)).toEqual(proposals.map((_, i) => ({ i })))
  })

  it('answers like a plain model, whatever proposals come (property)', async () => {
    const run = async (plans: Plan[]): Promise<void> => {
      const shard = shardOf(fresh('model'))
      const prefix = fresh('m')
      const model: Model = newModel()
      const tokens = plans.map(token)
      const proposals = plans.map((plan, at) => proposalOf(plan, shard, prefix, at, tokens))
      // In one batch, then the same again: a repeat must be harmless in any position.
      for (const batch of [proposals, proposals]) {
        const expected = batch.map((proposal) => applyToModel(model, proposal))
        const outcomes = await store.commit(batch)
        expect(outcomes.map(comparable)).toEqual(expected)
      }
      const keys = [...Array(4).keys()].map((i) => keyIn(shard, `${prefix}-${i}`))
      const docs = await store.read(keys)
      expect(docs.map((doc) => (doc === null ? null : { value: doc.value, version: doc.version }))).toEqual(
        keys.map((key) => {
          const doc = model.docs.get(key)
          return doc === undefined ? null : { value: doc.value, version: doc.version }
        }),
      )
    }
    await fc.assert(fc.asyncProperty(fc.array(planArbitrary, { minLength: 1, maxLength: 12 }), run), {
      numRuns: 60,
    })
  })
}

interface Plan {
  token: number
  once: { key: number; value: number; otherwise: boolean }[]
  /** `by`: which of the plans before it must have written it. */
  check: { key: number; version: number; by?: number | undefined }[]
  set: { key: number; value: number | null }[]
}

const planKey = fc.nat({ max: 3 })
const planArbitrary: fc.Arbitrary<Plan> = fc.record({
  token: fc.nat(),
  once: fc.uniqueArray(fc.record({ key: planKey, value: fc.nat({ max: 2 }), otherwise: fc.boolean() }), {
    maxLength: 2,
    selector: ({ key }) => key,
  }),
  check: fc.array(
    fc.record({
      key: planKey,
      version: fc.nat({ max: 3 }),
      by: fc.option(fc.nat({ max: 3 }), { nil: undefined }),
    }),
    { maxLength: 1 },
  ),
  set: fc.uniqueArray(fc.record({ key: planKey, value: fc.option(fc.nat({ max: 9 })) }), {
    maxLength: 2,
    selector: ({ key }) => key,
  }),
})

function proposalOf(
  plan: Plan,
  shard: number,
  prefix: string,
  at: number,
  tokens: readonly string[],
): Proposal {
  const key = (i: number) => keyIn(shard, `${prefix}-${i}`)
  return {
    shard,
    token: tokens[at] as string,
    once: plan.once.map(({ key: i, value }) => ({ key: key(i), value })),
    check: plan.check.map(({ key: i, version, by }) => {
      const writer = by === undefined ? undefined : tokens[at - 1 - by]
      return { key: key(i), version, ...(writer !== undefined && { by: writer }) }
    }),
    set: plan.set.map(({ key: i, value }) => ({ key: key(i), value })),
    otherwise: Object.fromEntries(
      plan.once
        .filter(({ otherwise }) => otherwise)
        .map(({ key: i, value }) => [key(i), { set: [{ key: key((i + 1) % 4), value: value + 10 }] }]),
    ),
  }
}

/** Without what only a real store knows: instants and entry ids. */
const comparable = (outcome: Outcome) => {
  switch (outcome.outcome) {
    case 'committed':
      return { outcome: 'committed' }
    case 'held':
      return { outcome: 'held', key: outcome.key, holder: outcome.holder.value }
    case 'conflict':
      return outcome
  }
}
