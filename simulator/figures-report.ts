/** The figures of a run, as lines for people and as JSON for programs. */
import { styleText } from 'node:util'
import type { Figures, Latency } from './statistics.ts'

/** Receipts that are no cause for looking twice come first. */
const RECEIPT_STYLES = {
  registered: 'green',
  replayed: 'cyan',
  wrong_dealer: 'yellow',
  duplicate_serial: 'yellow',
  unknown_serial: 'yellow',
  invalid: 'yellow',
  unreadable: 'red',
} as const

const count = (value: number): string => value.toLocaleString('en')

export function receiptsLine({ receipts }: Figures): string {
  const parts = Object.entries(RECEIPT_STYLES)
    .filter(([name]) => receipts[name] !== undefined)
    .map(([name, style]) => `${styleText(style, name.replace('_', ' '))} ${count(receipts[name] ?? 0)}`)
  return parts.length === 0 ? 'none yet' : parts.join('   ')
}

const COLUMN = 12

/** A header and two rows, in milliseconds. */
export function latencyLines({ acknowledgement, receipt }: Figures): string[] {
  const row = (name: string, latency: Latency | null) => {
    const { p50, p95, p99, max } = latency ?? {}
    return name.padEnd(10) + [p50, p95, p99, max].map((ms) => milliseconds(ms).padStart(COLUMN)).join('')
  }
  const header = ['p50', 'p95', 'p99', 'max'].map((name) => name.padStart(COLUMN)).join('')
  return [
    styleText('dim', 'latency'.padEnd(10) + header),
    row('PUBACK', acknowledgement),
    row('receipt', receipt),
  ]
}

/** Names and units as in the contract's payloads. */
export function figuresJson(figures: Figures): Record<string, unknown> {
  return {
    sales: figures.sales,
    statuses: figures.statuses,
    published: figures.published,
    republished: figures.republished,
    acknowledged: figures.acknowledged,
    receipts: figures.receipts,
    puback_ms: figures.acknowledgement,
    receipt_ms: figures.receipt,
    connected: figures.connected,
    reconnects: figures.reconnects,
    last_trouble: figures.lastTrouble,
  }
}

function milliseconds(value: number | undefined): string {
  if (value === undefined) return '–'
  return `${value.toFixed(value < 100 ? 1 : 0)} ms`
}
