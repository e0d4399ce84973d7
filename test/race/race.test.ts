/**
 * What the race promises, held by chance: some thousand races from one seed, through several hubs at once over one store,
 * judged by `auditor.ts`. Then the same with one fault built in: each promise is seen to be broken by something.
 * SEED=… has the same world, the same people and the same taps again; who overtakes whom is the machine's.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Doc, Proposal, Store, Writes } from '../../gateway/store/store.ts'
import { seedOfRun } from '../support/random.ts'
import type { Rule } from './auditor.ts'
import { embeddedKeySpaces, type KeySpaces, redisKeySpaces } from './key-spaces.ts'
import { DEFAULT_PLAY, type PlayOptions, playRaces, type Wiring } from './play.ts'

const seed = seedOfRun()
const WORLDS = 20

const share = fc.double({ min: 0, max: 1, noNaN: true })
const plays: fc.Arbitrary<PlayOptions> = fc.record({
  seed: fc.nat(),
  people: fc.integer({ min: 1, max: 120 }),
  hubs: fc.integer({ min: 1, max: 4 }),
  steps: fc.integer({ min: 1, max: 8 }),
  redelivered: share,
  shifts: fc.double({ min: 0, max: 0.3, noNaN: true }),
  ignored: share,
  dealers: fc.integer({ min: 1, max: 40 }),
  repsPerDealerMax: fc.integer({ min: 1, max: 3 }),
  quotaShare: share,
  quotaMax: fc.integer({ min: 1, max: 12 }),
  closedShare: share,
})

describe.each([
  { name: 'the embedded store', open: embeddedKeySpaces },
  { name: 'Redis', open: redisKeySpaces },
])('whatever happens to races on $name', ({ name, open }) => {
  let spaces: KeySpaces
  beforeAll(async () => {
    spaces = await open()
  })
  afterAll(() => spaces?.[Symbol.asyncDispose]())

  it('each has one winner, each tap one answer, each loser the right margin, and no lead is lost or in two states', async () => {
    const total = { races: 0, taps: 0 }
    const run = async (options: PlayOptions) => {
      const { violations, counts } = await spaces.race(options.hubs, (stores) => playRaces(stores, options))
      expect(violations).toEqual([])
      total.races += counts.races
      total.taps += counts.claimed + counts.tooSlow + counts.repeated + counts.refused
    }
    await fc.assert(fc.asyncProperty(plays, run), { seed, numRuns: WORLDS, endOnFailure: true })
    console.info(`${total.races} races and ${total.taps} taps on ${name}`)
    expect(total.races, 'races that were run').toBeGreaterThan(WORLDS)
  }, 180_000)
})

/** Every proposal, and what it writes instead when a lock is held, without some of what it wants. */
const changed =
  (change: (proposal: Proposal) => Proposal, writes: (writes: Writes) => Writes = (same) => same) =>
  (store: Store): Store => ({
    ...store,
    commit: (proposals) =>
      store.commit(
        proposals.map((proposal) => {
          const { otherwise } = proposal
          const instead = otherwise && mapValues(otherwise, writes)
          return change({ ...proposal, ...writes(proposal), ...(instead && { otherwise: instead }) })
        }),
      ),
  })

const mapValues = <Value>(record: Readonly<Record<string, Value>>, map: (value: Value) => Value) =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]))

const without = (part: 'once' | 'check', key: RegExp): Wiring => ({
  intakeStore: changed((proposal) => ({
    ...proposal,
    [part]: proposal[part]?.filter((item) => !key.test(item.key)),
  })),
})
const withoutSets = (what: RegExp): Wiring => ({
  intakeStore: changed(
    (same) => same,
    (writes) => ({
      ...writes,
      ...(writes.set && {
        set: writes.set.filter(({ key, value }) => !what.test(`${key} ${JSON.stringify(value)}`)),
      }),
    }),
  ),
})

const CLAIM = /\}claim:/
const LEAD = /\}lead:/

describe('the auditor is seen to notice', () => {
  // Of a world that is known to meet each of the faults: somebody comes again, a quota is used up, a lead expires.
  const play: PlayOptions = {
    ...DEFAULT_PLAY,
    seed: 1,
    people: 60,
    ignored: 0.3,
    redelivered: 0.5,
    quotaShare: 1,
  }
  const faults: { fault: string; breaks: Rule; wiring: Wiring }[] = [
    {
      fault: 'a store that lets a second rep have a lead',
      breaks: 'winner',
      wiring: {
        intakeStore: (store) =>
          (without('once', CLAIM).intakeStore as (store: Store) => Store)(
            (without('check', LEAD).intakeStore as (store: Store) => Store)(store),
          ),
      },
    },
    {
      fault: 'a tap that is taken each time it is brought',
      breaks: 'answer',
      wiring: without('once', /\}said:/),
    },
    {
      fault: 'a loser’s message that is dropped',
      breaks: 'answer',
      wiring: withoutSets(/\}job:.*"too_slow"/),
    },
    { fault: 'timers that do not look at the lead again', breaks: 'state', wiring: without('check', LEAD) },
    {
      fault: 'a margin that is half a second off',
      breaks: 'margin',
      wiring: {
        messagesStore: (store) => ({
          ...store,
          async read(keys) {
            const docs = await store.read(keys)
            const later = (doc: Doc | null) => doc && { ...doc, atMs: doc.atMs - 500 }
            return docs.map((doc, at) => (CLAIM.test(keys[at] as string) ? later(doc) : doc))
          },
        }),
      },
    },
    {
      fault: 'a timer that is not set',
      breaks: 'lost',
      wiring: {
        intakeStore: changed(
          (same) => same,
          (writes) => ({
            ...writes,
            ...(writes.index && {
              index: writes.index.filter(({ name, score }) => !name.endsWith('}timers') || score === null),
            }),
          }),
        ),
      },
    },
    {
      fault: 'a lead whose document is not written',
      breaks: 'state',
      wiring: withoutSets(/\}lead:.*"state":"CLAIMED"/),
    },
    { fault: 'wins that nobody counts', breaks: 'quota', wiring: withoutSets(/\}won:/) },
    {
      fault: 'somebody who is not remembered',
      breaks: 'person',
      wiring: withoutSets(/\}person:/),
    },
    {
      fault: 'a winner whose name is in the ledger',
      breaks: 'privacy',
      wiring: {
        intakeStore: changed(
          (same) => same,
          (writes) => ({
            ...writes,
            ...(writes.append && {
              append: writes.append.map((entry) =>
                entry.type === 'lead.claimed'
                  ? { ...entry, data: { ...entry.data, name: 'Rep Nomor 1' } }
                  : entry,
              ),
            }),
          }),
        ),
      },
    },
  ]

  it.each(faults)('$fault', async ({ breaks, wiring }) => {
    await using spaces = await embeddedKeySpaces()
    const { violations } = await spaces.race(play.hubs, (stores) => playRaces(stores, play, wiring))
    expect(violations.map(({ rule }) => rule)).toContain(breaks)
  })
})
