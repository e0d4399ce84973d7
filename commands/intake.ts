import type { Config } from '../config.ts'
import type { Decode } from '../gateway/decode.ts'
import { openDecode, raceRulesOf } from '../gateway/gateway.ts'
import { type IntakeServices, startIntake } from '../gateway/intake.ts'
import type { Store } from '../gateway/store/store.ts'

/**
 * The hub's way in, for a command: beside a running hub, which sends what comes of it. Receipts and messages wait in the
 * outbox until it looks there.
 */
export async function openIntake(store: Store, config: Config, over: IntakeServices['store'] = store) {
  const decode: Decode = await openDecode(config, store, () => {})
  const intake = startIntake({
    store: over,
    decode,
    timezone: config.timezone,
    rules: raceRulesOf(config),
    onJobs: () => {},
    now: Date.now,
    onReceipt: null,
    onBatch: () => {},
  })
  return { ...intake, decode }
}

/** A store that decides everything and keeps nothing: what would become of it. */
export const dryRun = (store: Store): IntakeServices['store'] => ({
  read: (keys) => store.read(keys),
  range: (names, query) => store.range(names, query),
  commit: async (proposals) =>
    proposals.map(() => ({ outcome: 'committed', atMs: Date.now(), entry: null }) as const),
})
