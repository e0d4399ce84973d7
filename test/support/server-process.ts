/**
 * A server of the tests' own, as a child process: started and ready, stopped, killed, paused, started again.
 *
 *   start    the process runs and answers its probe
 *   stop     SIGTERM, and wait until it is gone
 *   kill     SIGKILL, and wait until it is gone
 *   pause    SIGSTOP: connections stay open and nothing answers; resume with SIGCONT
 *   restart  stop when it runs, then start with the same command: the same ports, the same folder
 *
 * Nothing outlives the process that started it, even when that one is killed (Linux: parent death signal).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { until } from './until.ts'

/** From util-linux, hence on every Debian: runs a program that dies with its parent. It keeps the process id. */
const SETPRIV = '/usr/bin/setpriv'
const diesWithParent = existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'KILL'] : []

/** Generous, because the machine may be busy; a server that needs longer hangs. */
const READY_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 30_000

/** Lines of output that are kept. */
const LINES_MAX = 20_000

export interface Exit {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ServerCommand {
  /** In error messages. */
  readonly name: string
  readonly command: readonly [program: string, ...words: string[]]
  readonly cwd: string
  /** The whole environment; the tests' own when not given. */
  readonly env?: NodeJS.ProcessEnv
  /** Whether it answers; asked again until it does. */
  readonly ready: (server: ServerProcess) => Promise<boolean>
}

const running = new Set<ServerProcess>()
process.once('exit', () => {
  for (const server of running) void server.kill()
})

/** The servers this process has started and not stopped. */
export const runningServers = (): readonly ServerProcess[] => [...running]

export class ServerProcess implements AsyncDisposable {
  readonly name: string
  /** Standard output and error, line by line, of all its lives. */
  readonly stdout: string[] = []
  readonly stderr: string[] = []
  readonly #command: ServerCommand
  #child: ChildProcess | null = null
  #exit: Promise<Exit> = Promise.resolve({ code: null, signal: null })

  private constructor(command: ServerCommand) {
    this.name = command.name
    this.#command = command
  }

  /** @throws when it ends, or does not answer in time: with the end of its output. */
  static async start(command: ServerCommand): Promise<ServerProcess> {
    const server = new ServerProcess(command)
    await server.#start()
    return server
  }

  get isRunning(): boolean {
    return this.#child !== null
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error(`${this.name} is not running`)
    return pid
  }

  /** Settles when the present life ends. */
  get exited(): Promise<Exit> {
    return this.#exit
  }

  /** @throws when it does not end in time; it is killed then. */
  async stop(): Promise<Exit> {
    if (this.#child === null) return this.#exit
    this.#child.kill('SIGTERM')
    // A paused process hears SIGTERM only when it goes on.
    this.#child.kill('SIGCONT')
    const late = Symbol('late')
    const { promise, resolve } = Promise.withResolvers<typeof late>()
    const timer = setTimeout(resolve, STOP_TIMEOUT_MS, late)
    const exit = await Promise.race([this.#exit, promise])
    clearTimeout(timer)
    if (exit !== late) return exit
    await this.kill()
    throw this.#error(`did not end ${STOP_TIMEOUT_MS / 1000} s after SIGTERM and was killed`)
  }

  async kill(): Promise<Exit> {
    this.#child?.kill('SIGKILL')
    return this.#exit
  }

  pause(): void {
    process.kill(this.pid, 'SIGSTOP')
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT')
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.#start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  async #start(): Promise<void> {
    const { command, cwd, env, ready } = this.#command
    const [program, ...words] = [...diesWithParent, ...command] as [string, ...string[]]
    const child = spawn(program, words, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#exit = this.#watch(child)
    // Rejects when the program cannot be run.
    await once(child, 'spawn')
    this.#child = child
    running.add(this)
    try {
      const outcome = await until(
        `${this.name} is ready`,
        async () => (this.isRunning ? (await ready(this)) && 'ready' : 'ended'),
        { timeoutMs: READY_TIMEOUT_MS },
      )
      if (outcome === 'ended') throw this.#error('ended before it was ready')
    } catch (error) {
      await this.kill()
      throw error instanceof ServerError ? error : this.#error('was not ready in time', error)
    }
  }

  async #watch(child: ChildProcess): Promise<Exit> {
    collectLines(child.stdout, this.stdout)
    collectLines(child.stderr, this.stderr)
    const { promise, resolve } = Promise.withResolvers<Exit>()
    // `close` comes after the last line of output, `exit` may come before it.
    child.once('close', (code, signal) => resolve({ code, signal }))
    const exit = await promise
    running.delete(this)
    this.#child = null
    return exit
  }

  #error(what: string, cause?: unknown): ServerError {
    const output = [...this.stdout.slice(-20), ...this.stderr.slice(-20)]
    return new ServerError([`${this.name} ${what}`, ...output].join('\n  '), { cause })
  }
}

class ServerError extends Error {}

function collectLines(stream: Readable | null, lines: string[]): void {
  if (stream === null) return
  createInterface({ input: stream }).on('line', (line) => {
    lines.push(line)
    if (lines.length > LINES_MAX) lines.splice(0, LINES_MAX / 2)
  })
}
