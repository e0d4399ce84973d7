/** One folder for whatever a measurement starts (`test/support` puts its servers' data there), removed after it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TEMPORARY_ROOT } from '../test/support/temporary-folder.ts'

export interface TemporaryRoot extends Disposable {
  readonly path: string
}

const roots = new Set<string>()
process.once('exit', () => roots.forEach(remove))

/** From now on servers keep their data there. One at a time: two measurements at once would disturb each other anyway. */
export function temporaryRoot(): TemporaryRoot {
  const path = mkdtempSync(join(tmpdir(), 'dealer-hub-bench-'))
  roots.add(path)
  process.env[TEMPORARY_ROOT] = path
  return { path, [Symbol.dispose]: () => remove(path) }
}

function remove(path: string): void {
  if (process.env[TEMPORARY_ROOT] === path) delete process.env[TEMPORARY_ROOT]
  rmSync(path, { recursive: true, force: true })
  roots.delete(path)
}
