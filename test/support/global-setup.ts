/**
 * Before the first test: every program the tests need is there, or the run stops with one message. On Debian and
 * Ubuntu, as root, the missing ones are installed. The system services apt may start are left alone: tests start
 * servers of their own, on ports and folders of their own (`services.ts`).
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BINARIES, type BinaryName, findBinary, missingBinaries } from './binaries.ts'
import { TEMPORARY_ROOT } from './temporary-folder.ts'

export default function setup(): () => void {
  try {
    installMissing()
  } catch (error) {
    // Thrown, vitest would head it with «no test files found».
    console.error(error instanceof Error ? error.message : error)
    process.exit(1)
  }
  // Removed at the end of the run, also when a worker was killed before it could clean up.
  const root = mkdtempSync(join(tmpdir(), 'dealer-hub-test-'))
  process.env[TEMPORARY_ROOT] = root
  return () => rmSync(root, { recursive: true, force: true })
}

const missing = (): BinaryName[] =>
  (Object.keys(BINARIES) as BinaryName[]).filter((name) => findBinary(name) === null)

function installMissing(): void {
  const names = missing()
  // A variable that points nowhere is a mistake to be told, not to be covered by an installation.
  const installable = names.every((name) => !process.env[BINARIES[name].variable])
  const canInstall = existsSync('/usr/bin/apt-get') && process.getuid?.() === 0
  if (names.length > 0 && installable && canInstall) {
    const packages = [...new Set(names.map((name) => BINARIES[name].package))]
    console.error(`Installing for the tests: ${packages.join(', ')}`)
    aptGet('update')
    aptGet('install', '--yes', '--no-install-recommends', ...packages)
  }
  const stillMissing = missing()
  if (stillMissing.length > 0) {
    const hint = canInstall ? '' : '\nOn Debian and Ubuntu, as root, npm test installs them.'
    throw new Error(missingBinaries(stillMissing) + hint)
  }
}

function aptGet(...words: string[]): void {
  // Standard output belongs to the test report: apt's progress goes to standard error.
  const { status, error } = spawnSync('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=600', ...words], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
  if (status !== 0) {
    throw new Error(`apt-get ${words.join(' ')} failed (${error?.message ?? `exit code ${status}`})`)
  }
}
