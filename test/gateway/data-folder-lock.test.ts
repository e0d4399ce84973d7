import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { lockDataFolder } from '../../gateway/data-folder-lock.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

it('a data folder belongs to one hub, until that one lets go', () => {
  using folder = temporaryFolder('lock')
  const first = lockDataFolder(folder.path)
  expect(first).not.toBeNull()
  expect(lockDataFolder(folder.path)).toBeNull()
  first?.[Symbol.dispose]()
  using again = lockDataFolder(folder.path)
  expect(again).not.toBeNull()
})

it('a hub that is killed leaves no lock behind', async () => {
  using folder = temporaryFolder('lock')
  const program = `
    import { lockDataFolder } from ${JSON.stringify(new URL('../../gateway/data-folder-lock.ts', import.meta.url))}
    globalThis.lock = lockDataFolder(process.argv[1])
    console.log('locked')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program, folder.path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  expect(lockDataFolder(folder.path)).toBeNull()
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
  using lock = lockDataFolder(folder.path)
  expect(lock).not.toBeNull()
})
