import { expect, it } from 'vitest'
import { groupCommits } from '../../../gateway/store/group-commit.ts'
import type { Outcome, Proposal } from '../../../gateway/store/store.ts'

const proposals = (...tokens: string[]): Proposal[] => tokens.map((token) => ({ shard: 0, token }))

/** A store whose commits are answered one by one, when the test says so; an answer bears the proposal's token. */
function slowStore() {
  const batches: { tokens: string[]; answer: () => void; fail: () => void }[] = []
  const commit = (batch: readonly Proposal[]) => {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome[]>()
    const answers = batch.map(({ token }): Outcome => ({ outcome: 'committed', atMs: 0, entry: token }))
    batches.push({
      tokens: batch.map(({ token }) => token),
      answer: () => resolve(answers),
      fail: () => reject(new Error('the disk failed')),
    })
    return promise
  }
  return { commit, batches }
}

const entriesOf = async (outcomes: Promise<Outcome[]>) =>
  (await outcomes).map((outcome) => (outcome.outcome === 'committed' ? outcome.entry : null))

it('commits the first call at once, and all that come meanwhile together, in their order; each gets its own answers', async () => {
  const { commit, batches } = slowStore()
  const group = groupCommits(commit)
  const calls = [proposals('a', 'b'), proposals('c'), proposals(), proposals('d', 'e')].map((call) =>
    entriesOf(group.commit(call)),
  )
  batches[0]?.answer()
  expect(await calls[0]).toEqual(['a', 'b'])
  expect(batches.map(({ tokens }) => tokens)).toEqual([
    ['a', 'b'],
    ['c', 'd', 'e'],
  ])
  batches[1]?.answer()
  expect(await Promise.all(calls)).toEqual([['a', 'b'], ['c'], [], ['d', 'e']])
})

it('fails the calls of one commit, not those after it', async () => {
  const { commit, batches } = slowStore()
  const group = groupCommits(commit)
  const first = group.commit(proposals('a'))
  const second = group.commit(proposals('b'))
  batches[0]?.fail()
  await expect(first).rejects.toThrow('the disk failed')
  batches[1]?.answer()
  expect(await entriesOf(second)).toEqual(['b'])
})

it('commits no more at once than the event loop can bear, except one large call', async () => {
  const { commit, batches } = slowStore()
  const group = groupCommits(commit)
  const sizes = [1, 3000, 2000, 5000, 10]
  const calls = sizes.map((size) =>
    group.commit(proposals(...Array.from({ length: size }, (_, i) => `${i}`))),
  )
  for (const [at, expected] of [1, 3000, 2000, 5000, 10].entries()) {
    expect(batches[at]?.tokens).toHaveLength(expected)
    batches[at]?.answer()
    await calls[at]
    await new Promise(setImmediate)
  }
})

it('is settled when every call was answered', async () => {
  const { commit, batches } = slowStore()
  const group = groupCommits(commit)
  await group.settled()
  const answered: string[] = []
  void group.commit(proposals('a')).then(() => answered.push('a'))
  void group.commit(proposals('b')).then(() => answered.push('b'))
  const settled = group.settled()
  batches[0]?.answer()
  await new Promise(setImmediate)
  batches[1]?.answer()
  await settled
  expect(answered).toEqual(['a', 'b'])
})
