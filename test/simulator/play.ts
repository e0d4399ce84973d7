/** A run without a network: the plan goes straight into a tiny hub, and everything is acknowledged and told at once. */
import { Journal } from '../../simulator/journal.ts'
import type { LedgerEntry } from '../../simulator/ledger-reader.ts'
import { type PlanOptions, planTraffic } from '../../simulator/plan.ts'
import { judge, type Verdict } from '../../simulator/verdict.ts'
import { World } from '../../simulator/world.ts'
import { type Defect, TinyHub } from './tiny-hub.ts'

export const MONDAY_MS = Date.parse('2026-11-23T10:00:00+07:00')

/** Six hours of a small network: some eight hundred sales, every kind of mischief among them. */
export const SMALL_PLAN: PlanOptions = {
  startAtMs: MONDAY_MS,
  spanMs: 6 * 3_600_000,
  salesMax: null,
  salesPerDealerHour: 12,
}

export const smallWorld = (seed: number): World =>
  new World({ seed, dealers: 12, unitsPerDealer: 1, stockPerTerminal: 200 })

export interface Played {
  readonly journal: Journal
  readonly ledger: LedgerEntry[]
  readonly verdict: Verdict
}

export async function play(world: World, defect: Defect = {}): Promise<Played> {
  const hub = new TinyHub(world, defect)
  const journal = await Journal.open(null, world.options, {})
  perform(world, hub, journal)
  return { journal, ledger: hub.ledger, verdict: judge(world, journal.books, hub.ledger) }
}

/** The small plan of this world. */
export function perform(world: World, hub: TinyHub, journal: Journal): void {
  for (const action of planTraffic(world, SMALL_PLAN)) {
    if (action.kind === 'health' || action.kind === 'status') continue
    journal.sent(action, 1)
    const answers = hub.accept(action.device, action.payload)
    journal.acknowledged(action)
    for (const { device, receipt } of answers) journal.told(device, receipt)
  }
  journal.ended({})
}
