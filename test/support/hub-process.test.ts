/** How a hub is started, stopped and asked, with a stand-in of a few lines: what hubs do is tested elsewhere. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeEach, expect, test, vi } from 'vitest'
import { startHub } from './hub-process.ts'
import { temporaryFolder } from './temporary-folder.ts'

const STAND_IN = `
import { createServer } from 'node:http'
const [command, ...words] = process.argv.slice(2)
if (command === 'start') {
  const { cwd, env } = { cwd: process.cwd(), env: process.env }
  console.error(JSON.stringify({ level: 30, msg: 'ready', cwd, env }))
  createServer((_, response) => response.end()).listen(process.env.HTTP_PORT, process.env.HTTP_HOST)
  process.on('SIGTERM', () => process.exit(7))
} else if (command === 'ledger') {
  process.stdout.write('{"entry":"17"}\\n'.repeat(100_000))
} else {
  console.log('said', ...words)
  console.error('complained')
  process.exit(3)
}
`

let program: string
beforeEach(() => {
  program = join(temporaryFolder('stand-in').path, 'hub.ts')
  writeFileSync(program, STAND_IN)
})

test('a hub knows its own settings, and nothing of the environment or folder the tests run in', async () => {
  vi.stubEnv('REDIS_URL', 'redis://the-developers-own')
  await using hub = await startHub({ program, settings: { INFLUX_BUCKET: 'mine' } })
  const [line] = hub.logLines()
  expect(line?.cwd).not.toBe(process.cwd())
  expect(line?.env).toEqual({
    PATH: process.env.PATH,
    HUB_DATA_DIR: hub.dataDir,
    MQTT_HOST: '127.0.0.1',
    MQTT_PORT: String(hub.mqttPort),
    HTTP_HOST: '127.0.0.1',
    HTTP_PORT: String(hub.httpPort),
    INFLUX_BUCKET: 'mine',
  })
})

test('stopped, it tells its exit code; killed, the signal; started again, it has the same settings', async () => {
  await using hub = await startHub({ program })
  expect(await hub.stop()).toEqual({ code: 7, signal: null })
  await hub.restart()
  expect(await hub.kill()).toEqual({ code: null, signal: 'SIGKILL' })
  await hub.restart()
  const [first, ...later] = hub.logLines()
  expect(later).toEqual([first, first])
})

test('a module loaded before a hub is loaded before the hub only, not before its commands', async () => {
  const preload = join(temporaryFolder('preload').path, 'preload.ts')
  writeFileSync(preload, `console.error(JSON.stringify({ level: 30, msg: 'preloaded' }))`)
  await using hub = await startHub({ program, preload })
  expect(hub.logLines().map(({ msg }) => msg)).toEqual(['preloaded', 'ready'])
  expect(await hub.run('say')).toMatchObject({ stderr: 'complained\n' })
})

test('a module of a hub is replaced by one that has the real one', async () => {
  const path = 'test/support/ports.ts'
  const real = pathToFileURL(join(import.meta.dirname, 'ports.ts'))
  const replacement = join(temporaryFolder('replacement').path, 'replacement.ts')
  writeFileSync(
    replacement,
    `export { freePort as realFreePort } from '${real}'; export const freePort = 'none'`,
  )
  writeFileSync(
    program,
    `import { freePort, realFreePort } from '${real}'
    console.error(JSON.stringify({ level: 30, msg: freePort + ' ' + typeof realFreePort }))\n${STAND_IN}`,
  )
  await using hub = await startHub({ program, replace: { [path]: replacement } })
  expect(hub.logLines()[0]).toMatchObject({ msg: 'none function' })
})

test('a command has its output, its complaints and its exit code', async () => {
  await using hub = await startHub({ program })
  expect(await hub.run('say', 'a', 'b')).toEqual({ code: 3, stdout: 'said a b\n', stderr: 'complained\n' })
})

test('the ledger is exported to a file, whole', async () => {
  await using hub = await startHub({ program })
  const file = await hub.exportLedger()
  expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(100_001)
})

test('a hub that ends instead of starting says so with its last words', async () => {
  writeFileSync(program, `throw new Error('no such setting')`)
  await expect(startHub({ program })).rejects.toThrow(/ended before it was ready.*no such setting/s)
})
