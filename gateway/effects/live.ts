/**
 * Follows the tail of the ledger and of the telemetry, and publishes what comes to `hub/v1/live/…`. Between hubs the
 * ledger is the bus: each hub reads the whole tail, so its own listeners hear of every hub's sales.
 *
 * Live means now: it begins at the end when somebody begins to listen, reads nothing while nobody does, and goes to the
 * end again instead of telling old news when it has fallen too far behind.
 */
import type { Stream } from '../contract/ledger.ts'
import { liveMessage } from '../contract/live.ts'
import { type LiveFeed, liveTopic } from '../contract/topics.ts'
import type { Position, Store } from '../store/store.ts'
import { startWorker, type Worker, type WorkerLog } from './worker.ts'

/** Entries decoded and published in one turn of the event loop: a few milliseconds. */
const PAGE_ENTRIES = 250
/** Full pages in a row after which the rest is old news. */
const FULL_PAGES_MAX = 20
/** For entries of other hubs, which wake nobody here. */
const POLL_MS = 250

export interface LiveServices {
  readonly store: Pick<Store, 'entriesAfter' | 'end'>
  readonly broker: {
    /** To whoever listens, at QoS 0. Never waits, never fails. */
    publish(topic: string, payload: string): void
    hasListeners(topic: string): boolean
  }
  readonly log: WorkerLog
}

export function startLive({ store, broker, log }: LiveServices): Worker {
  const followers = [follow('ledger', ['leads', 'sales', 'alerts']), follow('telemetry', ['devices'])]

  function follow(stream: Stream, feeds: readonly LiveFeed[]): () => Promise<boolean> {
    const topics = feeds.map(liveTopic)
    let position: Position | null = null
    let fullPages = 0
    return async () => {
      if (!topics.some((topic) => broker.hasListeners(topic))) {
        position = null
        return false
      }
      if (position === null) {
        position = await store.end(stream)
        return false
      }
      const page = await store.entriesAfter(stream, position, PAGE_ENTRIES)
      for (const entry of page.entries) {
        const message = liveMessage(entry)
        if (message !== null) broker.publish(liveTopic(message.feed), JSON.stringify(message.payload))
      }
      position = page.position
      fullPages = page.entries.length < PAGE_ENTRIES ? 0 : fullPages + 1
      if (fullPages > FULL_PAGES_MAX) {
        fullPages = 0
        position = null
        log.warn({ stream }, 'live feeds: too far behind, going on from the end')
      }
      return page.entries.length > 0
    }
  }

  async function step(): Promise<boolean> {
    const hasMore = await Promise.all(followers.map((next) => next()))
    return hasMore.includes(true)
  }

  return startWorker({ name: 'live feeds', step, pollMs: POLL_MS, log })
}
