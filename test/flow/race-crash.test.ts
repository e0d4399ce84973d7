/**
 * The race while hubs and Redis are killed under it: some hundred races each, tapped over MQTT through a bridge of the
 * tests' own. `npm run test:long` has the same with twenty thousand. SEED=… has the same people and taps again.
 */
import { describe, expect, it } from 'vitest'
import { raceThroughTheSystem, type SystemOptions } from '../race/system.ts'
import { seedOfRun } from '../support/random.ts'

const OPTIONS = { seed: seedOfRun(), customers: 150, dealers: 20, patienceMs: 120_000 } as const

describe('races while things are killed have one winner each, every tap has one answer, and no lead is lost', () => {
  it.each<Pick<SystemOptions, 'on' | 'bridges' | 'hubKills' | 'redisKills'> & { what: string }>([
    {
      what: 'a hub on its embedded store',
      on: 'the embedded store',
      bridges: ['race'],
      hubKills: 3,
      redisKills: 0,
    },
    { what: 'a hub and its Redis', on: 'Redis', bridges: ['race'], hubKills: 2, redisKills: 2 },
    {
      what: 'two hubs on one Redis, and it',
      on: 'Redis',
      bridges: ['east', 'west'],
      hubKills: 2,
      redisKills: 1,
    },
  ])(
    '$what',
    async ({ what, ...system }) => {
      const result = await raceThroughTheSystem({ ...OPTIONS, ...system })
      const { violations, counts, losses, repeats, durationMs, verified } = result
      console.info(what, { ...counts, losses, repeats, seconds: Math.round(durationMs / 1000) })
      expect(violations).toEqual([])
      expect(verified).toBe(true)
      expect(counts.leads).toBe(OPTIONS.customers)
      expect(losses, 'every kill of a hub was felt').toBeGreaterThanOrEqual(system.hubKills)
    },
    180_000,
  )

  it('is seen to lose what people said when it acknowledges before it commits (the control)', async () => {
    const { violations } = await raceThroughTheSystem({
      ...OPTIONS,
      on: 'Redis',
      bridges: ['race'],
      hubKills: 3,
      redisKills: 1,
      fault: 'acknowledges-first',
      patienceMs: 4000,
    })
    expect(violations.map(({ rule }) => rule)).toContain('lost')
  }, 180_000)
})
