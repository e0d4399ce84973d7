import { join } from 'node:path'
import { describe } from 'vitest'
import { openSqliteMetrics } from '../../analytics/sqlite.ts'
import { testMetrics } from '../contracts/metrics.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

describe('the embedded metrics', () => {
  const { path } = temporaryFolder('metrics')
  testMetrics((database, timezone) => openSqliteMetrics({ dataDir: join(path, database), timezone }))
})
