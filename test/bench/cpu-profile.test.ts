import { expect, test } from 'vitest'
import { functionShares } from '../../bench/cpu-profile.ts'

const frame = (functionName: string) => ({ functionName, url: '', lineNumber: 0 })

/** (root) → outer → inner → outer, and (root) → (idle); ten microseconds a sample. */
const profile = (samples: number[]) => ({
  startTime: 0,
  nodes: [
    { id: 1, callFrame: frame('(root)'), children: [2, 5] },
    { id: 2, callFrame: frame('outer'), children: [3] },
    { id: 3, callFrame: frame('inner'), children: [4] },
    { id: 4, callFrame: frame('outer') },
    { id: 5, callFrame: frame('(idle)') },
  ],
  samples,
  timeDeltas: samples.map(() => 10),
})

const always = { beginUs: 0, endUs: Number.POSITIVE_INFINITY }

const shares = (samples: number[], span = always) =>
  Object.fromEntries(
    functionShares(profile(samples), span).map(({ name, self, total }) => [name, { self, total }]),
  )

test('a function has its own time, and that of what it calls besides', () => {
  expect(shares([2, 3, 3, 3])).toMatchObject({
    outer: { self: 0.25, total: 1 },
    inner: { self: 0.75, total: 0.75 },
  })
})

test('a function that calls itself has its time once', () => {
  expect(shares([2, 4])).toMatchObject({ outer: { self: 1, total: 1 }, inner: { self: 0, total: 0.5 } })
})

test('time spent waiting is nobody’s', () => {
  expect(shares([2, 5, 5, 3])).toMatchObject({ outer: { self: 0.5 }, inner: { self: 0.5 } })
})

test('what was outside the span does not count', () => {
  expect(shares([2, 3, 2], { beginUs: 15, endUs: 25 })).toMatchObject({
    inner: { self: 1 },
    outer: { self: 0 },
  })
})
