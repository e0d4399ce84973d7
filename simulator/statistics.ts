/**
 * Figures of a run, for people to watch: counts, rates and latencies. They judge nothing; `verdict.ts` does.
 */
import { build, type Histogram } from 'hdr-histogram-js'
import type { Receipt } from '../gateway/contract/receipts.ts'
import type { Letter } from './plan.ts'
import type { Recorder } from './recorder.ts'

/** Milliseconds. */
export interface Latency {
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

export interface Figures {
  readonly sales: number
  readonly statuses: number
  /** Publishes of any kind, first and repeated. */
  readonly published: number
  readonly republished: number
  readonly acknowledged: number
  /** By outcome: `registered`, `wrong_dealer`, `replayed`, or the reason of a rejection. */
  readonly receipts: Readonly<Record<string, number>>
  /** From a publish to its PUBACK; null before the first. */
  readonly acknowledgement: Latency | null
  /** From a sale's first publish to its receipt; null before the first. */
  readonly receipt: Latency | null
  readonly connected: number
  readonly reconnects: number
  /** What was said last when a device was cut off or not let in. */
  readonly lastTrouble: string | null
}

/** Two decimals of a percent are enough to read; a minute is longer than anybody waits. */
const PRECISION = { numberOfSignificantValueDigits: 3, highestTrackableValue: 60_000_000 } as const

export class Statistics implements Recorder {
  readonly #acknowledgement: Histogram = build(PRECISION)
  readonly #receipt: Histogram = build(PRECISION)
  readonly #receipts = new Map<string, number>()
  readonly #everConnected = new Set<string>()
  #sales = 0
  #statuses = 0
  #published = 0
  #republished = 0
  #acknowledged = 0
  #connected = 0
  #reconnects = 0
  #lastTrouble: string | null = null

  sent({ kind }: Letter, attempt: number): void {
    this.#published++
    if (attempt > 1) this.#republished++
    else if (kind === 'sale') this.#sales++
    else if (kind === 'status') this.#statuses++
  }

  acknowledged(_letter: Letter, latencyMs: number): void {
    this.#acknowledged++
    this.#acknowledgement.recordValue(microseconds(latencyMs))
  }

  told(_device: string, receipt: Receipt, latencyMs: number | null): void {
    const name = receipt.outcome === 'replayed' ? 'replayed' : (receipt.reason ?? receipt.outcome)
    this.#receipts.set(name, (this.#receipts.get(name) ?? 0) + 1)
    if (latencyMs !== null) this.#receipt.recordValue(microseconds(latencyMs))
  }

  toldNonsense(): void {
    this.#receipts.set('unreadable', (this.#receipts.get('unreadable') ?? 0) + 1)
  }

  connected(device: string): void {
    this.#connected++
    if (this.#everConnected.has(device)) this.#reconnects++
    this.#everConnected.add(device)
  }

  disconnected(_device: string, reason: string | null): void {
    this.#connected--
    this.#lastTrouble = reason ?? this.#lastTrouble
  }

  refused(_device: string, reason: string | null): void {
    this.#lastTrouble = reason ?? this.#lastTrouble
  }

  /** As of now. */
  get figures(): Figures {
    return {
      sales: this.#sales,
      statuses: this.#statuses,
      published: this.#published,
      republished: this.#republished,
      acknowledged: this.#acknowledged,
      receipts: Object.fromEntries(this.#receipts),
      acknowledgement: latencyOf(this.#acknowledgement),
      receipt: latencyOf(this.#receipt),
      connected: this.#connected,
      reconnects: this.#reconnects,
      lastTrouble: this.#lastTrouble,
    }
  }
}

const microseconds = (latencyMs: number): number =>
  Math.min(PRECISION.highestTrackableValue, Math.max(1, Math.round(latencyMs * 1000)))

function latencyOf(histogram: Histogram): Latency | null {
  if (histogram.totalCount === 0) return null
  const milliseconds = (percentile: number) => histogram.getValueAtPercentile(percentile) / 1000
  return {
    p50: milliseconds(50),
    p95: milliseconds(95),
    p99: milliseconds(99),
    max: histogram.maxValue / 1000,
  }
}
