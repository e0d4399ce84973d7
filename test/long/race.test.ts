/**
 * A million races in process, half of them on each store, and twenty thousand through the whole system. The figures are in
 * `docs/proof.md`. RACES=… and SYSTEM_RACES=… run fewer; SEED=… the same people and taps again.
 */
import { describe, expect, it } from 'vitest'
import { embeddedKeySpaces, redisKeySpaces } from '../race/key-spaces.ts'
import { DEFAULT_PLAY, playRaces } from '../race/play.ts'
import { raceThroughTheSystem } from '../race/system.ts'
import { integer, mulberry32, seedOfRun } from '../support/random.ts'

const seed = seedOfRun()
const RACES = Number(process.env.RACES ?? 1_000_000)
const SYSTEM_RACES = Number(process.env.SYSTEM_RACES ?? 20_000)
const HOURS_MS = 3_600_000
/** Of one key space: what a run remembers stays bounded, however long it takes. */
const PEOPLE = 1500
const REPORT_EVERY = 20

describe.each([
  { name: 'the embedded store', open: embeddedKeySpaces },
  { name: 'Redis', open: redisKeySpaces },
])('on $name', ({ name, open }) => {
  it(
    `${RACES / 2} races have one winner each, every tap one answer, and no lead is lost`,
    async () => {
      await using spaces = await open()
      const random = mulberry32(seed)
      const startedMs = performance.now()
      let races = 0
      let taps = 0
      for (let chunk = 1; races < RACES / 2; chunk++) {
        const options = {
          ...DEFAULT_PLAY,
          seed: integer(random, 0, 2 ** 31),
          people: PEOPLE,
          hubs: integer(random, 1, 4),
          dealers: integer(random, 60, 200),
          repsPerDealerMax: 2,
          redelivered: 0.1,
          ignored: 0.1,
          quotaShare: 0.1,
          quotaMax: 60,
        }
        const { violations, counts } = await spaces.race(options.hubs, (stores) => playRaces(stores, options))
        expect(violations, JSON.stringify(options)).toEqual([])
        races += counts.races
        taps += counts.claimed + counts.tooSlow + counts.repeated + counts.refused
        if (chunk % REPORT_EVERY === 0) report()
      }
      report()

      function report(): void {
        const seconds = (performance.now() - startedMs) / 1000
        const memory = Math.round(process.memoryUsage.rss() / 2 ** 20)
        console.info(
          `${name}: ${races} races, ${taps} taps, ${Math.round(races / seconds)} races/s, ${memory} MiB`,
        )
      }
    },
    6 * HOURS_MS,
  )
})

describe('through the whole system, while hubs and Redis are killed', () => {
  it.each([
    { what: 'one hub', bridges: ['race'], hubKills: 10, redisKills: 10 },
    { what: 'two hubs on one Redis', bridges: ['east', 'west'], hubKills: 10, redisKills: 10 },
  ])(
    `half of ${SYSTEM_RACES} races with $what`,
    async ({ what, ...system }) => {
      const options = {
        ...system,
        seed,
        on: 'Redis',
        customers: SYSTEM_RACES / 2,
        dealers: 60,
        patienceMs: HOURS_MS,
      } as const
      const { violations, counts, losses, repeats, durationMs, verified } =
        await raceThroughTheSystem(options)
      console.info(what, { ...counts, losses, repeats, seconds: Math.round(durationMs / 1000) })
      expect(violations).toEqual([])
      expect(verified).toBe(true)
      expect(counts.leads).toBe(SYSTEM_RACES / 2)
      expect(counts.races).toBeGreaterThanOrEqual(SYSTEM_RACES / 2)
    },
    2 * HOURS_MS,
  )
})
