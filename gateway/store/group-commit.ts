/**
 * Commits that share one wait for the disk: the calls that come while one is under way go together after it, in their
 * order. So whoever calls waits for two syncs at most, its own and the one before, however many others write.
 */
import type { Outcome, Proposal } from './store.ts'

type Commit = (proposals: readonly Proposal[]) => Promise<Outcome[]>

interface Call {
  readonly proposals: readonly Proposal[]
  readonly resolve: (outcomes: Outcome[]) => void
  readonly reject: (error: unknown) => void
}

/** Proposals that are encoded in one turn of the event loop, unless one call has more. */
const GROUP_PROPOSALS_MAX = 4096

export interface GroupCommit {
  readonly commit: Commit
  /** Resolves when every call was answered. */
  settled(): Promise<void>
}

/** @param commit what commits many proposals at once, wholly or not at all */
export function groupCommits(commit: Commit): GroupCommit {
  const calls: Call[] = []
  let working: Promise<void> | null = null

  async function work(): Promise<void> {
    while (calls.length > 0) {
      const group = takeGroup(calls)
      try {
        const outcomes = await commit(group.flatMap(({ proposals }) => proposals))
        let at = 0
        for (const { proposals, resolve } of group) {
          resolve(outcomes.slice(at, at + proposals.length))
          at += proposals.length
        }
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    working = null
  }

  return {
    commit(proposals) {
      const { promise, resolve, reject } = Promise.withResolvers<Outcome[]>()
      calls.push({ proposals, resolve, reject })
      working ??= work()
      return promise
    },
    async settled() {
      await working
    },
  }
}

/** The oldest calls, one at least. */
function takeGroup(calls: Call[]): Call[] {
  let count = 0
  for (let size = 0; count < calls.length; count++) {
    size += (calls[count] as Call).proposals.length
    if (count > 0 && size > GROUP_PROPOSALS_MAX) break
  }
  return calls.splice(0, count)
}
