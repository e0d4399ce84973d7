/**
 * Disks that fail, dawdle or are full, for one running server at a time.
 *
 *     await using fault = await failingSyncs(hub.pid, file, 'error=EIO')
 *     …
 *     await fault.stop()
 */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { binary } from './binaries.ts'
import { ServerProcess } from './server-process.ts'
import { temporaryFolder } from './temporary-folder.ts'

/**
 * From now on until it is stopped, syncs of this file by this process fail (`error=EIO`) or take longer
 * (`delay_enter=1s`), by strace's injection into system calls.
 * @throws when the process may not be traced, which some containers forbid
 */
export function injectIntoSyncs(pid: number, file: string, injection: string): Promise<ServerProcess> {
  const calls = 'fsync,fdatasync'
  const words = [
    '-f',
    '-p',
    String(pid),
    '-P',
    file,
    '-e',
    `trace=${calls}`,
    '-e',
    `inject=${calls}:${injection}`,
  ]
  return ServerProcess.start({
    name: `strace of process ${pid}`,
    command: [binary('strace'), ...words, '-o', '/dev/null'],
    cwd: temporaryFolder('strace').path,
    ready: async ({ stderr }) => stderr.some((line) => line.includes('attached')),
  })
}

export interface SmallDisk extends Disposable {
  /** Where it is mounted. */
  readonly path: string
  /** Takes all the room there is. */
  fill(): void
  /** Gives that room back. */
  free(): void
}

/** A file system of this size of its own, in memory. @throws when this machine does not let us mount one */
export function smallDisk(megabytes: number): SmallDisk {
  const { path } = temporaryFolder('disk')
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path])
  if (status !== 0) {
    throw new Error(
      `A disk that can be filled needs a tmpfs, and it could not be mounted: ${String(stderr).trim()}. ` +
        'These tests are to be run as root, in a container with CAP_SYS_ADMIN.',
    )
  }
  const ballast = join(path, 'ballast')
  return {
    path,
    fill() {
      const file = openSync(ballast, 'w')
      // Down to single bytes: what is left would otherwise do for a few more sales.
      for (let size = 1024 * 1024; size >= 1; size = size / 2) writeWhileRoom(file, Buffer.alloc(size))
      closeSync(file)
    },
    free: () => rmSync(ballast),
    [Symbol.dispose]() {
      spawnSync('umount', ['--lazy', path])
    },
  }
}

function writeWhileRoom(file: number, bytes: Buffer): void {
  try {
    for (;;) writeSync(file, bytes)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}
