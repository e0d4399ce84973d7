import { describe, expect, it } from 'vitest'
import type { Entry } from '../../../gateway/contract/ledger.ts'
import { sharePages } from '../../../gateway/store/shared-pages.ts'
import type { EntriesPage } from '../../../gateway/store/store.ts'

/** A ledger whose positions are counts; `reads` says how often it was asked. */
function ledger() {
  const source = { length: 0, reads: 0, isAway: false, entriesAfter }
  async function entriesAfter(_: string, position: string, limit: number): Promise<EntriesPage> {
    source.reads++
    if (source.isAway) throw new Error('away')
    const from = Number(position)
    const to = Math.min(source.length, from + limit)
    const entries = Array.from({ length: to - from }, (_, i) => ({ entry: String(from + i) }) as Entry)
    return { entries, position: String(to), positionAfter: (count) => String(from + count) }
  }
  return source
}

describe('readers of one stream', () => {
  it('read each page once between them', async () => {
    const source = ledger()
    const shared = sharePages(source)
    source.length = 50
    const walk = async () => {
      const seen: string[] = []
      for (let position = '0'; ; ) {
        const page = await shared.entriesAfter('ledger', position, 10)
        if (page.entries.length === 0) return seen
        seen.push(...page.entries.map(({ entry }) => entry))
        position = page.position
      }
    }
    const [first, second] = await Promise.all([walk(), walk()])
    expect(first).toHaveLength(50)
    expect(second).toEqual(first)
    expect(source.reads, 'five pages, and the empty end').toBeLessThanOrEqual(7)
  })

  it('find what was added where nothing was before', async () => {
    const source = ledger()
    const shared = sharePages(source)
    expect((await shared.entriesAfter('ledger', '0', 10)).entries).toEqual([])
    source.length = 3
    expect((await shared.entriesAfter('ledger', '0', 10)).entries).toHaveLength(3)
  })

  it('ask again after a failure', async () => {
    const source = ledger()
    const shared = sharePages(source)
    source.length = 1
    source.isAway = true
    await expect(shared.entriesAfter('ledger', '0', 10)).rejects.toThrow('away')
    source.isAway = false
    expect((await shared.entriesAfter('ledger', '0', 10)).entries).toHaveLength(1)
  })
})
