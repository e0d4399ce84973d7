/** A small source of tables: facts by day, dealer and channel, summed as they are asked for. */
import type {
  ExportCell,
  ExportColumn,
  ExportRequest,
  ExportSource,
} from '../../../gateway/contract/export-table.ts'

export interface Fact {
  readonly day: string
  readonly dealer: string
  readonly channel: string
  /** Whole rupiah. */
  readonly spend: number
  readonly leads: number
}

const dimension = (name: string, label: string, type: 'day' | 'month' | 'text'): ExportColumn => ({
  name,
  label,
  type,
  unit: null,
  concept: 'dimension',
  adds: false,
})

export const COLUMNS: readonly ExportColumn[] = [
  dimension('day', 'Day', 'day'),
  dimension('month', 'Month', 'month'),
  dimension('dealer', 'Dealer', 'text'),
  dimension('channel', 'Channel', 'text'),
  { name: 'spend', label: 'Spend', type: 'money', unit: 'IDR', concept: 'metric', adds: true },
  { name: 'leads', label: 'Leads', type: 'count', unit: null, concept: 'metric', adds: true },
  {
    name: 'cpl',
    label: 'Cost per lead',
    type: 'ratio',
    unit: 'IDR per lead',
    concept: 'metric',
    adds: false,
  },
]

/** @param facts read at every question: they may change between two */
export function sourceOf(facts: readonly Fact[]): ExportSource & { readonly asked: ExportRequest[] } {
  const asked: ExportRequest[] = []
  return {
    asked,
    columns: COLUMNS,
    async read(request) {
      asked.push(request)
      const { from, to, by } = request
      const groups = new Map<string, { group: string[]; spend: number; leads: number }>()
      for (const fact of facts) {
        if (fact.day < from || fact.day > to) continue
        const group = by.map((name) =>
          name === 'month' ? fact.day.slice(0, 7) : String(fact[name as keyof Fact]),
        )
        const key = JSON.stringify(group)
        const sums = groups.get(key) ?? { group, spend: 0, leads: 0 }
        sums.spend += fact.spend
        sums.leads += fact.leads
        groups.set(key, sums)
      }
      const rows = [...groups.values()].map(({ group, spend, leads }): ExportCell[] => [
        ...group,
        spend,
        leads,
        leads === 0 ? null : spend / leads,
      ])
      const columns = [
        ...by.map((name) => COLUMNS.find((column) => column.name === name) as ExportColumn),
        ...COLUMNS.filter((column) => column.concept === 'metric'),
      ]
      return { columns, rows }
    },
  }
}

export const FACTS: readonly Fact[] = [
  { day: '2026-11-01', dealer: 'jkt-01', channel: 'tiktok', spend: 1_500_000, leads: 3 },
  { day: '2026-11-01', dealer: 'jkt-01', channel: 'event', spend: 250_000.5, leads: 0 },
  { day: '2026-11-01', dealer: 'bdg-02', channel: 'tiktok', spend: 900_000, leads: 2 },
  { day: '2026-11-02', dealer: 'jkt-01', channel: 'tiktok', spend: 0, leads: 1 },
]
