import { describe } from 'vitest'
import { openSqliteStore } from '../../../gateway/store/sqlite.ts'
import { testStore } from '../../contracts/store.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

describe('the embedded store', () => {
  const { path: dataDir } = temporaryFolder('store')
  testStore(() => openSqliteStore({ dataDir }))
})
