import { describe, expect, it } from 'vitest'
import { readMetaError, sendResultOf, TABLE } from '../../../../gateway/bridges/meta/errors.ts'

const answer = (code: number | null, status = 400, isTransient = false) =>
  sendResultOf({ code, message: 'm', isTransient }, status)

describe('which codes are tried again, and who waits', () => {
  const rows: [codes: number[], scope: string, firstWaitsMs: number[]][] = [
    [[1, 2, 131000, 131016], 'message', [1000, 2000, 4000]],
    [[131053], 'message', [1000, 2000]],
    [[131056], 'recipient', [1000, 4000, 16_000, 64_000]],
    [[130429], 'queue', [1000, 2000, 4000]],
    [[131057], 'queue', [20_000, 20_000, 20_000, 20_000]],
    [[4, 80007], 'queue', [60_000, 120_000]],
    [[131048], 'queue', [3_600_000, 7_200_000]],
    [[0, 3, 10, 190, 200, 250, 299], 'queue', [60_000, 120_000]],
    [[368, 131005, 131031, 131042, 131045], 'queue', [60_000, 120_000]],
  ]
  const cases = rows.flatMap(([codes, scope, waits]) => codes.map((code) => ({ code, scope, waits })))
  it.each(cases)('$code: the $scope', ({ code, scope, waits }) => {
    const result = answer(code)
    expect(result).toMatchObject({ outcome: 'retry', scope, error: { code: String(code), retryable: true } })
    if (result.outcome !== 'retry') return
    expect(waits.map((_, nth) => result.delayMs(nth))).toEqual(waits)
    expect(result.delayMs(100)).toBeLessThanOrEqual(4 * 3_600_000)
    expect(Number.isFinite(result.attemptsMax)).toBe(scope === 'message')
  })
})

it.each([
  ...[131047, 131026, 131049, 130472, 131050, 131021, 131030, 131051, 131008, 131009, 100, 33, 130497],
  ...[132000, 132001, 132005, 132007, 132012, 132015, 132016, 131062, 131063, 131064, 133016, 137000],
  ...[424242],
])('%d is not tried again', (code) => {
  expect(answer(code)).toEqual({
    outcome: 'failed',
    error: { code: String(code), message: 'm', retryable: false },
  })
})

it.each([
  ['a code that is not known, and transient', 424242, 400, true, 'message'],
  ['a code that is not known, with a 5xx', 424242, 500, false, 'message'],
  ['no code, and 503', null, 503, false, 'message'],
  ['no code, and 429', null, 429, false, 'queue'],
  ['no code, and 401', null, 401, false, 'queue'],
] as const)('%s is tried again', (_, code, status, isTransient, scope) => {
  expect(answer(code, status, isTransient)).toMatchObject({ outcome: 'retry', scope })
})

it('a code that is known decides, whatever the HTTP status', () => {
  expect(answer(131047, 500).outcome).toBe('failed')
  expect(answer(131056, 429)).toMatchObject({ outcome: 'retry', scope: 'recipient' })
})

it('no code stands in the table twice', () => {
  const codes = TABLE.flatMap((row) => row.codes)
  expect(new Set(codes).size).toBe(codes.length)
})

it.each([
  [
    { message: '(#131056) x', code: 131056, is_transient: true, error_data: { details: 'd' } },
    { code: 131056, message: '(#131056) x: d', isTransient: true },
  ],
  [
    { code: '190', message: 'x' },
    { code: 190, message: 'x', isTransient: false },
  ],
  [
    { title: 't', error_data: 'text' },
    { code: null, message: 't: text', isTransient: false },
  ],
  [
    { code: {}, message: 7 },
    { code: null, message: 'no reason given', isTransient: false },
  ],
  [null, { code: null, message: 'no reason given', isTransient: false }],
])('an error is read as it comes: %j', (value, expected) => {
  expect(readMetaError(value)).toEqual(expected)
})
