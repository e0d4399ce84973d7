/**
 * `hub <words>` as people run it: the real program as a process of its own, in a folder of its own.
 *
 *     using place = hubPlace()
 *     expect(await place.run(['device', 'add', …])).toMatchObject({ code: 0 })
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { CommandResult } from '../support/hub-process.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const HUB = join(import.meta.dirname, '../../hub.ts')

export type HubChild = ChildProcessByStdio<Writable, Readable, Readable>

export interface HubPlace extends Disposable {
  /** The working folder of the commands; files may be put here. */
  readonly folder: string
  readonly dataDir: string
  run(words: readonly string[], input?: string): Promise<CommandResult>
  /** Started, not waited for; killed with the place. */
  spawn(words: readonly string[], nodeOptions?: readonly string[]): HubChild
}

/** @param settings over the defaults: a data folder of its own, loopback. Nothing comes from the tests' environment. */
export function hubPlace(settings: Readonly<Record<string, string>> = {}): HubPlace {
  const folder = temporaryFolder('place')
  const dataDir = join(folder.path, 'data')
  const env = {
    PATH: process.env.PATH,
    HUB_DATA_DIR: dataDir,
    MQTT_HOST: '127.0.0.1',
    HTTP_HOST: '127.0.0.1',
    ...settings,
  }
  const children = new Set<HubChild>()

  function start(words: readonly string[], nodeOptions: readonly string[] = []): HubChild {
    const child = spawn(process.execPath, [...nodeOptions, HUB, ...words], {
      cwd: folder.path,
      env,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    children.add(child)
    child.once('close', () => children.delete(child))
    return child
  }

  return {
    folder: folder.path,
    dataDir,
    async run(words, input = '') {
      const child = start(words)
      const closed = once(child, 'close')
      // A command that does not read its input closes it.
      child.stdin.on('error', () => {})
      child.stdin.end(input)
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
      const [code] = (await closed) as [number | null]
      return { code, stdout, stderr }
    },
    spawn: start,
    [Symbol.dispose]() {
      for (const child of children) child.kill('SIGKILL')
      folder[Symbol.dispose]()
    },
  }
}
