/** What every target is given to do: a network of terminals, one a dealer, that sell vehicles. */
import { type GeneratorResult, runGenerator, type Terminal } from './generator.ts'

export const TERMINALS = 110
export const MODEL = 'EV-2'

/** More than any target takes; how many serials must be there to be sold. */
const SALES_PER_SECOND_MAX = 40_000

export interface Load {
  /** Begins the sales' serials and event ids, so that no two loads sell the same. */
  readonly run: string
  /** All terminals together; null: as many as the windows allow. */
  readonly ratePerSecond: number | null
  /** Unacknowledged sales of one terminal. */
  readonly window: number
  readonly warmUpMs: number
  readonly durationMs: number
}

let loads = 0

export const planLoad = (load: Omit<Load, 'run'>): Load => ({ run: `R${++loads}`, ...load })

/** At most so many sales will be made. */
export function salesMaxOf({ ratePerSecond, window, warmUpMs, durationMs }: Load): number {
  return ((ratePerSecond ?? SALES_PER_SECOND_MAX) * (warmUpMs + durationMs)) / 1000 + TERMINALS * window
}

export interface Loaded {
  readonly mqttPort: number
  readonly terminals: readonly Terminal[]
  /** Whether it answers with receipts. */
  readonly receipts: boolean
}

/** @throws when a connection broke, or a sale was left without acknowledgement or receipt: then figures mean nothing. */
export async function runLoad(target: Loaded, load: Load): Promise<GeneratorResult> {
  const { mqttPort: port, terminals, receipts } = target
  const result = await runGenerator({ host: '127.0.0.1', port, terminals, receipts, model: MODEL, ...load })
  const { sent, acknowledged, receipts: received } = result.total
  if (result.lost > 0 || acknowledged !== sent || (receipts && received !== sent)) {
    throw new Error(
      `of ${sent} sales ${acknowledged} were acknowledged and ${received} receipted; ${result.lost} connections broke`,
    )
  }
  return result
}
