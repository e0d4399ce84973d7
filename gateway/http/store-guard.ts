/** The store as a request sees it: what goes wrong there is what the client is told. */
import { invalidCursor } from './paging.ts'
import { unavailable } from './problem.ts'
import type { ReadStore } from './services.ts'

/** The same store; its failure is a 503, and a position that is none, out of a made-up cursor, a 400. */
export function guardStore(store: ReadStore): ReadStore {
  return {
    read: (keys) => guarded(() => store.read(keys)),
    range: (names, query) => guarded(() => store.range(names, query)),
    entriesAfter: (...place) => guarded(() => store.entriesAfter(...place)),
    entriesBefore: (...place) => guarded(() => store.entriesBefore(...place)),
    entry: (stream, id) => guarded(() => store.entry(stream, id)),
    end: (stream) => guarded(() => store.end(stream)),
  }
}

async function guarded<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask()
  } catch (cause) {
    if (cause instanceof RangeError) throw invalidCursor('a cursor that was not made by this hub')
    throw unavailable('The store is away; try again. What devices send meanwhile is not lost', cause)
  }
}
