import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dayIn, spansOf } from '../../analytics/business-days.ts'

const ZONES = [
  'Asia/Jakarta',
  'Asia/Makassar',
  'Europe/Berlin',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'UTC',
]
const day = fc
  .integer({ min: 0, max: 20_000 })
  .map((days) => new Date(days * 86_400_000).toISOString().slice(0, 10))

describe('business days', () => {
  it('in Jakarta are one span, from midnight to midnight there', () => {
    expect(spansOf({ firstDay: '2026-11-01', lastDay: '2026-11-30' }, 'Asia/Jakarta')).toEqual([
      {
        startMs: Date.parse('2026-11-01T00:00:00+07:00'),
        endMs: Date.parse('2026-12-01T00:00:00+07:00'),
        offsetMs: 7 * 3_600_000,
      },
    ])
  })

  it('are cut where the clocks change', () => {
    expect(spansOf({ firstDay: '2026-03-29', lastDay: '2026-03-29' }, 'Europe/Berlin')).toEqual([
      {
        startMs: Date.parse('2026-03-29T00:00:00+01:00'),
        endMs: Date.parse('2026-03-29T02:00:00+01:00'),
        offsetMs: 3_600_000,
      },
      {
        startMs: Date.parse('2026-03-29T03:00:00+02:00'),
        endMs: Date.parse('2026-03-30T00:00:00+02:00'),
        offsetMs: 7_200_000,
      },
    ])
  })

  it('are in every zone the days of its calendar, each instant in exactly one span', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ZONES),
        day,
        fc.integer({ min: 0, max: 800 }),
        fc.integer({ min: 0, max: 999_999 }),
        (timezone, firstDay, days, millionths) => {
          const lastDay = new Date(Date.parse(firstDay) + days * 86_400_000).toISOString().slice(0, 10)
          const spans = spansOf({ firstDay, lastDay }, timezone)
          const [startMs, endMs] = [spans[0]?.startMs ?? 0, spans.at(-1)?.endMs ?? 0]
          const timeMs = Math.floor(startMs + (millionths / 1e6) * (endMs - startMs))
          const within = spans.filter((span) => timeMs >= span.startMs && timeMs < span.endMs)
          expect(within).toHaveLength(1)
          const calendar = new Intl.DateTimeFormat('sv-SE', { timeZone: timezone, dateStyle: 'short' })
          expect(within.map((span) => dayIn(span, timeMs))).toEqual([calendar.format(timeMs)])
        },
      ),
    )
  })

  it.each([
    ['no day', { firstDay: 'today', lastDay: '2026-11-30' }],
    ['a day that no month has', { firstDay: '2026-02-30', lastDay: '2026-11-30' }],
    ['a range that ends before it begins', { firstDay: '2026-12-01', lastDay: '2026-11-30' }],
  ])('are refused for %s', (_, range) => {
    expect(() => spansOf(range, 'Asia/Jakarta')).toThrow(RangeError)
  })
})
