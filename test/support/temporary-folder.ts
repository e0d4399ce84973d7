/** Folders of one test run, below one root that `global-setup.ts` makes and removes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The environment variable that names the root of this run; outside vitest (the bench) there is none. */
export const TEMPORARY_ROOT = 'DEALER_HUB_TEST_ROOT'

export interface TemporaryFolder extends Disposable {
  readonly path: string
}

/** A new empty folder; removed when disposed, or at the end of the run. */
export function temporaryFolder(name: string): TemporaryFolder {
  const path = mkdtempSync(join(process.env[TEMPORARY_ROOT] ?? tmpdir(), `${name}-`))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}
