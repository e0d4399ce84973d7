/** What the decisions of one batch see: what was read, and what the proposals before them will have written. */
import type { Keys, Moment } from './deciders/decision.ts'
import type { Key } from './store/keys.ts'
import type { Check, Doc, Proposal } from './store/store.ts'

/**
 * The documents of one round. A checked write that was proposed earlier in the batch is seen by the decisions after
 * it, as it will be when the store comes to them: a unit's ten reports in one batch are ten versions, not nine conflicts.
 * It may not come to pass, and another hub's write take its version: so those decisions hold for this very write only.
 */
export class BatchDocs {
  /** One for all that is read and decided together: what time makes of a dealer must not change in between. */
  readonly moment: Moment
  readonly #docs = new Map<Key, Doc | null>()
  /** By key, the token of the proposal that will have written it. */
  readonly #writers = new Map<Key, string>()

  constructor(keys: readonly Key[], found: readonly (Doc | null)[], moment: Moment) {
    this.moment = moment
    this.add(keys, found)
  }

  add(keys: readonly Key[], found: readonly (Doc | null)[]): void {
    for (let i = 0; i < keys.length; i++) this.#docs.set(keys[i] as Key, found[i] ?? null)
  }

  /** Those of these keys that were not read yet. */
  missing(keys: Keys<string>): Key[] {
    return Object.values(keys).filter((key) => !this.#docs.has(key))
  }

  of(names: readonly string[], keys: Keys<string>): Record<string, Doc | null> {
    const docs: Record<string, Doc | null> = {}
    for (const name of names) docs[name] = this.#docs.get(keys[name] as Key) ?? null
    return docs
  }

  /** Adds what stands under these keys, where it was read. */
  into(docs: Record<string, Doc | null>, keys: Keys<string>): void {
    for (const name in keys) {
      const doc = this.#docs.get(keys[name] as Key)
      if (doc !== undefined) docs[name] = doc
    }
  }

  /** What was decided by documents that are not written yet checks who wrote them. */
  bound(proposal: Proposal): Proposal {
    const { check = [] } = proposal
    if (!check.some(({ key }) => this.#writers.has(key))) return proposal
    const bind = (item: Check): Check => {
      const by = this.#writers.get(item.key)
      return by === undefined ? item : { ...item, by }
    }
    return { ...proposal, check: check.map(bind) }
  }

  apply({ token, check = [], set = [] }: Proposal): void {
    for (const { key, version } of check) {
      const written = set.find((item) => item.key === key)
      if (written === undefined) continue
      this.#docs.set(key, { value: written.value, version: version + 1, atMs: 0, entry: null })
      this.#writers.set(key, token)
    }
  }
}
