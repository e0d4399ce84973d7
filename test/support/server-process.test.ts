import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { ServerProcess } from './server-process.ts'
import { until } from './until.ts'

const START_AND_WAIT = `
  import { startRedis } from '${import.meta.dirname}/services.ts'
  const redis = await startRedis()
  console.log(redis.pid)
  await redis.exited
`

test('a server does not outlive the process that started it, even when that one is killed', async () => {
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '--eval', START_AND_WAIT], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const pid = Number(String(line))
  expect(isAlive(pid)).toBe(true)
  parent.kill('SIGKILL')
  await until('the server is gone', () => !isAlive(pid))
})

test('a program that does not exist fails its start at once', async () => {
  const command = ['/no/such/program'] as const
  const start = ServerProcess.start({ name: 'nothing', command, cwd: '/', ready: async () => false })
  await expect(start).rejects.toThrow('/no/such/program')
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
