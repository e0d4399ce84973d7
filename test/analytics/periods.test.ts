import { describe, expect, it } from 'vitest'
import { counterpartOf, daysOf, periodBefore } from '../../analytics/periods.ts'

const range = (firstDay: string, lastDay: string) => ({ firstDay, lastDay })

describe('the period before', () => {
  it.each([
    ['a month: the month before', '2026-11-01', '2026-11-30', '2026-10-01', '2026-10-31'],
    ['a quarter: the quarter before', '2026-04-01', '2026-06-30', '2026-01-01', '2026-03-31'],
    ['a year: the year before', '2026-01-01', '2026-12-31', '2025-01-01', '2025-12-31'],
    ['February of a leap year', '2028-02-01', '2028-02-29', '2028-01-01', '2028-01-31'],
    ['a day: the day before', '2026-03-01', '2026-03-01', '2026-02-28', '2026-02-28'],
    ['a week: the seven days before', '2026-11-03', '2026-11-09', '2026-10-27', '2026-11-02'],
    ['a month but one day is days', '2026-11-01', '2026-11-29', '2026-10-03', '2026-10-31'],
  ])('%s', (_, firstDay, lastDay, first, last) => {
    expect(periodBefore(range(firstDay, lastDay))).toEqual(range(first, last))
  })

  it.each([
    ['a day, as far from the beginning', '2026-10-03', '2026-09-03'],
    ['the last day, where it is not so long', '2026-10-31', null],
    ['a month, as far from the beginning', '2026-10', '2026-09'],
  ])('has for %s', (_, label, counterpart) => {
    const october = range('2026-10-01', '2026-10-31')
    expect(counterpartOf(label, october, periodBefore(october))).toBe(counterpart)
  })

  it('has every day once', () => {
    expect(daysOf(range('2026-02-27', '2026-03-02'))).toEqual([
      '2026-02-27',
      '2026-02-28',
      '2026-03-01',
      '2026-03-02',
    ])
  })
})
