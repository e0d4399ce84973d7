/**
 * Writes to the outbox of receipts: in the order they are asked for, many in one commit, again and again while the store
 * is away. To write the same twice changes nothing.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { receiptsIndex } from '../documents.ts'
import type { Proposal, Store } from '../store/store.ts'

const CHANGES_PER_COMMIT = 1000
const RETRY_MS = 500
/** Removals that wait for a store that is away; beyond it they are forgotten, and the receipt is sent again one day. */
const REMOVALS_MAX = 100_000

export interface OutboxPlace {
  readonly device: string
  readonly shard: number
  readonly member: string
}

export interface ReceiptOutbox {
  /** `done` is called when it is in the outbox. */
  add(place: OutboxPlace, score: number, done: () => void): void
  /** `done` is called when it is out of the outbox, or left there. */
  remove(place: OutboxPlace, done: () => void): void
  /** Resolves when nothing is left to write, or the store is away. */
  stop(): Promise<void>
}

interface Change extends OutboxPlace {
  /** null: out of the outbox. */
  readonly score: number | null
  readonly done: () => void
}

export function openReceiptOutbox(
  store: Pick<Store, 'commit'>,
  log: { warn(details: object, message: string): void },
): ReceiptOutbox {
  const changes: Change[] = []
  let writing: Promise<void> | null = null
  let stopped = false

  function push(change: Change): void {
    changes.push(change)
    writing ??= writeAll().finally(() => {
      writing = null
    })
  }

  async function writeAll(): Promise<void> {
    // What is asked for in this turn of the event loop, and while the commit before is under way, goes together.
    await new Promise(setImmediate)
    while (changes.length > 0) {
      const batch = changes.slice(0, CHANGES_PER_COMMIT)
      try {
        await store.commit(outboxProposals(batch))
      } catch (error) {
        if (stopped) return
        log.warn(
          { waiting: changes.length, error: (error as Error).message },
          'the outbox can not be written',
        )
        await wait(RETRY_MS)
        continue
      }
      changes.splice(0, batch.length)
      for (const { done } of batch) done()
    }
  }

  return {
    add: ({ device, shard, member }, score, done) => push({ device, shard, member, score, done }),
    remove({ device, shard, member }, done) {
      if (changes.length >= REMOVALS_MAX) done()
      else push({ device, shard, member, score: null, done })
    },
    async stop() {
      stopped = true
      await writing
    },
  }
}

/** Several changes of one shard are one proposal; harmless to repeat, so its token identifies nothing. */
export function outboxProposals(
  changes: readonly (OutboxPlace & { readonly score: number | null })[],
): Proposal[] {
  const byShard = new Map<number, { name: string; member: string; score: number | null }[]>()
  for (const { device, shard, member, score } of changes) {
    const index = { name: receiptsIndex(shard, device), member, score }
    const found = byShard.get(shard)
    if (found === undefined) byShard.set(shard, [index])
    else found.push(index)
  }
  return [...byShard].map(([shard, index]) => ({ shard, token: 'receipts', index }))
}
