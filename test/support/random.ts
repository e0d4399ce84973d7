/** Randomness that can be had again from its seed. */

/** Numbers in [0, 1), evenly spread. */
export type Random = () => number

/**
 * Mulberry32 by Tommy Ettinger, dedicated to the public domain:
 * https://gist.github.com/tommyettinger/46a874533244883189143505d203312c
 */
export function mulberry32(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A whole number from `min` to `max`, both inclusive. */
export const integer = (random: Random, min: number, max: number): number =>
  min + Math.floor(random() * (max - min + 1))

export function pick<Value>(random: Random, values: readonly Value[]): Value {
  const value = values[integer(random, 0, values.length - 1)]
  if (value === undefined) throw new Error('nothing to pick from')
  return value
}

/** A seed for this run, or the one that SEED asks for again; it is printed, so that a failure can be had again. */
export function seedOfRun(): number {
  const seed = process.env.SEED ? Number(process.env.SEED) : Math.floor(Math.random() * 2 ** 31)
  console.info(`SEED=${seed}`)
  return seed
}
