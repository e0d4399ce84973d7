import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { keyFor, shardOf } from '../../../gateway/store/keys.ts'
import { openSqliteStore } from '../../../gateway/store/sqlite.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const LARGE = 'x'.repeat(64 * 1024)

it('a backup ends while another process commits without a pause, and is of one moment', async () => {
  using folder = temporaryFolder('backup')
  await using stack = new AsyncDisposableStack()
  const open = async () => stack.adopt(await openSqliteStore({ dataDir: folder.path }), (it) => it.close())
  const [store, busy] = [await open(), await open()]
  // Large enough that a backup in steps would be overtaken by a commit before its end, again and again.
  for (let batch = 0; batch < 30; batch++) {
    const ids = Array.from({ length: 50 }, (_, i) => `large-${batch}-${i}`)
    await store.commit(
      ids.map((id) => ({ shard: shardOf(id), token: id, set: [{ key: keyFor('doc', id), value: LARGE }] })),
    )
  }

  let isOver = false
  let committed = 0
  const committing = (async () => {
    for (; !isOver; committed++) {
      await busy.commit(
        ['a', 'b'].map((id) => ({
          shard: shardOf(id),
          token: `${id}-${committed}`,
          set: [{ key: keyFor('doc', id), value: committed }],
        })),
      )
    }
  })()
  const copy = join(folder.path, 'copy.db')
  try {
    await store.backup(copy)
  } finally {
    isOver = true
    await committing
  }
  expect(committed).toBeGreaterThan(0)

  using database = new DatabaseSync(copy)
  expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
  const values = ['a', 'b'].map((id) => {
    const row = database.prepare('SELECT record FROM docs WHERE key = ?').get(keyFor('doc', id))
    return String(row?.record).split(' ').at(-1)
  })
  expect(values[0]).toBe(values[1])
})
