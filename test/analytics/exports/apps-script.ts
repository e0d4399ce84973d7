/**
 * Runs an Apps Script project as Google would: in an isolate with the services it may use and nothing of Node. Apps Script
 * waits for HTTP where it stands; so the script runs in a thread of its own (`apps-script-worker.ts`), and its requests are
 * made here.
 */
import { readFileSync } from 'node:fs'
import { MessageChannel, Worker } from 'node:worker_threads'

/** What a script is given to begin with, and how it asks for HTTP. */
export interface WorkerStart {
  readonly code: string
  readonly whitelist: readonly string[]
  readonly signal: SharedArrayBuffer
  readonly http: import('node:worker_threads').MessagePort
}

export interface HttpAsked {
  readonly url: string
  readonly headers: Record<string, string>
}
export type HttpAnswered = { readonly status: number; readonly body: string } | { readonly error: string }

export interface AppsScript extends AsyncDisposable {
  /** Calls a function of the script. Rejects with what it throws; `userError` when it is told to the user. */
  call(name: string, request?: object): Promise<unknown>
  /** Requests made, oldest first. */
  readonly asked: HttpAsked[]
}

export class ScriptError extends Error {
  readonly userError: boolean
  constructor(message: string, userError: boolean) {
    super(message)
    this.userError = userError
  }
}

/** @param hosts origins that the outside world reaches, and where they are on this machine */
export function openAppsScript(folder: string, hosts: Readonly<Record<string, string>>): AppsScript {
  const manifest = JSON.parse(readFileSync(`${folder}/appsscript.json`, 'utf8')) as {
    urlFetchWhitelist: string[]
  }
  const { port1, port2 } = new MessageChannel()
  const signal = new SharedArrayBuffer(4)
  const flag = new Int32Array(signal)
  const asked: HttpAsked[] = []

  port1.on('message', async (request: HttpAsked) => {
    asked.push(request)
    port1.postMessage(await answer(request))
    Atomics.store(flag, 0, 1)
    Atomics.notify(flag, 0)
  })

  async function answer({ url, headers }: HttpAsked): Promise<HttpAnswered> {
    const { origin, pathname, search } = new URL(url)
    const here = hosts[origin]
    if (here === undefined) return { error: `DNS error: ${url}` }
    try {
      const response = await fetch(`${here}${pathname}${search}`, { headers, redirect: 'manual' })
      return { status: response.status, body: await response.text() }
    } catch (error) {
      return { error: `Address unavailable: ${url} (${(error as Error).message})` }
    }
  }

  const start: WorkerStart = {
    code: readFileSync(`${folder}/Code.gs`, 'utf8'),
    whitelist: manifest.urlFetchWhitelist,
    signal,
    http: port2,
  }
  const worker = new Worker(new URL('./apps-script-worker.ts', import.meta.url), {
    workerData: start,
    transferList: [port2],
  })
  const calls = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  worker.on('message', ({ id, result, error, userError }) => {
    const call = calls.get(id)
    calls.delete(id)
    if (error === undefined) call?.resolve(result === undefined ? undefined : JSON.parse(result))
    else call?.reject(new ScriptError(error, userError))
  })
  worker.on('error', (error: Error) => {
    for (const { reject } of calls.values()) reject(error)
  })
  let ids = 0

  return {
    asked,
    call(name, request = {}) {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      calls.set(++ids, { resolve, reject })
      worker.postMessage({ id: ids, name, request: JSON.stringify(request) })
      return promise
    },
    [Symbol.asyncDispose]: async () => {
      port1.close()
      await worker.terminate()
    },
  }
}
