/**
 * Several readers follow the tail of one stream (the projector, the sequences): this lets them read each page once.
 *
 * Entries are never edited and only added at the end, so a page that holds anything stays a right answer to its
 * question for ever; merely an empty one does not. Readers that ask for pages of one size walk the same pages, one a
 * little behind the other, and whoever falls further behind reads for itself until it is at the end again.
 */
import type { EntriesPage, Store } from './store.ts'

/** Pages kept: what a reader that looks twice a second is behind one that follows at once, at twenty thousand entries a second. */
const PAGES = 16

export function sharePages(store: Pick<Store, 'entriesAfter'>): Pick<Store, 'entriesAfter'> {
  const pages = new Map<string, Promise<EntriesPage>>()

  return {
    async entriesAfter(stream, position, limit) {
      const question = `${stream} ${limit} ${position}`
      const known = pages.get(question)
      if (known !== undefined) return known
      const reading = store.entriesAfter(stream, position, limit)
      pages.set(question, reading)
      for (const oldest of pages.keys()) {
        if (pages.size <= PAGES) break
        pages.delete(oldest)
      }
      try {
        const page = await reading
        if (page.entries.length === 0) pages.delete(question)
        return page
      } catch (error) {
        pages.delete(question)
        throw error
      }
    },
  }
}
