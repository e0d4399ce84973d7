/** Small sums over repetitions. */

/** The one in the middle; of an even number, the lower one of the two. */
export function medianBy<Item>(items: readonly Item[], value: (item: Item) => number): Item {
  const sorted = [...items].sort((a, b) => value(a) - value(b))
  return sorted[(sorted.length - 1) >> 1] as Item
}

export const median = (values: readonly number[]): number => medianBy(values, (value) => value)

/** By least squares: how much `y` rises when `x` rises by one. */
export function slopeOf(points: readonly { readonly x: number; readonly y: number }[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const meanX = mean(points.map(({ x }) => x))
  const meanY = mean(points.map(({ y }) => y))
  const covariance = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0)
  const variance = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0)
  return covariance / variance
}
