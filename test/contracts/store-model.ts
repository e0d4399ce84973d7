/** The store's rules once more, as plainly as they can be said: a Map, no clock, no entries. */
import type { Key } from '../../gateway/store/keys.ts'
import type { Json, Proposal, Writes } from '../../gateway/store/store.ts'

interface ModelDoc {
  value: Json
  version: number
  token: string
}

export interface Model {
  docs: Map<Key, ModelDoc>
}

export const newModel = (): Model => ({ docs: new Map() })

export function applyToModel({ docs }: Model, proposal: Proposal) {
  const { token, once = [], check = [], otherwise = {} } = proposal
  const put = (key: Key, value: Json) =>
    docs.set(key, { value, version: (docs.get(key)?.version ?? 0) + 1, token })
  const write = ({ set = [] }: Writes) => {
    for (const { key, value } of set) {
      if (value === null) docs.delete(key)
      else put(key, value)
    }
  }

  const heldAt = once.findIndex(({ key }) => docs.has(key) && docs.get(key)?.token !== token)
  const stale = check.filter(
    ({ key, version, by }) =>
      (docs.get(key)?.version ?? 0) !== version || (by !== undefined && docs.get(key)?.token !== by),
  )
  const conflict = stale.find(({ key }) => docs.get(key)?.token !== token)
  const mine =
    once.some(({ key }) => docs.get(key)?.token === token) ||
    stale.some(({ key }) => docs.get(key)?.token === token)
  const lock = once[heldAt]
  if (lock !== undefined) {
    const answer = { outcome: 'held', key: lock.key, holder: docs.get(lock.key)?.value }
    const instead = otherwise[lock.key]
    if (!mine && instead !== undefined) {
      for (const earlier of once.slice(0, heldAt)) {
        if (!docs.has(earlier.key)) put(earlier.key, earlier.value)
      }
      write(instead)
    }
    return answer
  }
  if (mine) return { outcome: 'committed' }
  if (conflict !== undefined) return { outcome: 'conflict', key: conflict.key }
  for (const { key, value } of once) put(key, value)
  write(proposal)
  return { outcome: 'committed' }
}
