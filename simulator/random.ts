/**
 * Chance, from one integer. Every actor draws from a stream of its own, named after it, so the order in which actors
 * happen to run changes none of their decisions.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand; public domain): 128 bits of state, seeded by a hash of the
 * seed and the stream's name. It is stated here in full because a trace must come out the same in ten years.
 */

/** The next draw: 0 ≤ draw < 1, in steps of 2⁻³². */
export type Random = () => number

/** The stream of this name: `stream(1, 'terminal', 'denpasar/pos-1')`. Equal names give equal draws. */
export function stream(seed: number, ...names: (string | number)[]): Random {
  let [a, b, c, d] = hash128(`${seed}|${names.join('|')}`)
  const next = () => {
    const sum = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + sum) | 0
    return (sum >>> 0) / 2 ** 32
  }
  // The first draws of a small counter state are still alike; sfc32's author discards twelve.
  for (let i = 0; i < 12; i++) next()
  return next
}

/** Four 32-bit FNV-1a hashes with different offsets, each finished by murmur3's mixer. */
function hash128(text: string): [number, number, number, number] {
  const lanes: [number, number, number, number] = [0x811c9dc5, 0x9e3779b9, 0x85ebca6b, 0xc2b2ae35]
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    for (let lane = 0; lane < 4; lane++) {
      lanes[lane] = Math.imul((lanes[lane] ?? 0) ^ (unit + lane), 0x01000193)
    }
  }
  return lanes.map(mix) as [number, number, number, number]
}

function mix(hash: number): number {
  let mixed = hash
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

export const chance = (random: Random, probability: number): boolean => random() < probability

/** Even over `low` ≤ x < `high`. */
export const between = (random: Random, low: number, high: number): number => low + random() * (high - low)

/** An integer, even over `low` … `high`, both included. */
export const integer = (random: Random, low: number, high: number): number =>
  low + Math.floor(random() * (high - low + 1))

/** One of them, evenly. @throws RangeError when there is none. */
export function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new RangeError('nothing to pick from')
  return item
}

/** One of the names, by their weights. */
export function weighted<Name extends string>(random: Random, weights: Readonly<Record<Name, number>>): Name {
  const entries = Object.entries<number>(weights)
  let left = random() * entries.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [name, weight] of entries) {
    left -= weight
    if (left < 0) return name as Name
  }
  return entries.at(-1)?.[0] as Name
}

/** The wait until the next of events that come at random, `mean` apart on average (exponential). */
export const waiting = (random: Random, mean: number): number => -Math.log(1 - random()) * mean
