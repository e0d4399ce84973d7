/** The thread of a script: the Apps Script services, in a context that has nothing else. See `apps-script.ts`. */
import { createContext, runInContext } from 'node:vm'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { HttpAnswered, WorkerStart } from './apps-script.ts'

const { code, whitelist, signal, http } = workerData as WorkerStart
const flag = new Int32Array(signal)

/** Quotas of Google services for consumers. */
const URL_CHARACTERS_MAX = 2082
const PROPERTY_BYTES_MAX = 9 * 1024
const HTTP_TIMEOUT_MS = 60_000

class UserError extends Error {}

interface FetchParameters {
  readonly headers?: Record<string, string>
  readonly muteHttpExceptions?: boolean
  readonly followRedirects?: boolean
}

const UrlFetchApp = {
  fetch(url: string, { headers = {}, muteHttpExceptions = false, ...rest }: FetchParameters = {}) {
    const unknown = Object.keys(rest).filter((name) => name !== 'followRedirects')
    if (unknown.length > 0) throw new Error(`Attribute provided with no value: ${unknown.join(', ')}`)
    if (url.length > URL_CHARACTERS_MAX) throw new Error('Limit Exceeded: URLFetch URL Length.')
    if (!whitelist.some((prefix) => url.startsWith(prefix))) {
      throw new Error(`The url ${url} is not in the urlFetchWhitelist of the manifest`)
    }
    Atomics.store(flag, 0, 0)
    http.postMessage({ url, headers: { ...headers } })
    Atomics.wait(flag, 0, 0, HTTP_TIMEOUT_MS)
    const answer = receiveMessageOnPort(http)?.message as HttpAnswered | undefined
    if (answer === undefined) throw new Error(`Timeout: ${url}`)
    if ('error' in answer) throw new Error(answer.error)
    const { status, body } = answer
    if (status >= 400 && !muteHttpExceptions)
      throw new Error(`Request failed for ${url} returned code ${status}.`)
    return { getResponseCode: () => status, getContentText: () => body }
  },
}

const properties = new Map<string, string>()
const PropertiesService = {
  getUserProperties: () => ({
    getProperty: (name: string) => properties.get(name) ?? null,
    setProperty(name: string, value: string) {
      if (Buffer.byteLength(value) > PROPERTY_BYTES_MAX) throw new Error('Argument too large: value')
      properties.set(name, value)
    },
    deleteProperty: (name: string) => void properties.delete(name),
  }),
}

/** A builder: each setter returns itself, `build` what was set. */
function builder<Name extends string>(
  kept: Record<string, unknown>,
  setters: Readonly<Record<Name, string>>,
) {
  const self: Record<string, unknown> = { build: () => ({ ...kept }) }
  for (const [setter, field] of Object.entries<string>(setters)) {
    self[setter] = (value: unknown) => {
      kept[field] = value
      return self
    }
  }
  return self
}

const INPUT = {
  setId: 'name',
  setName: 'displayName',
  setText: 'text',
  setHelpText: 'helpText',
  setPlaceholder: 'placeholder',
}

const DataStudioApp = {
  createCommunityConnector: () => ({
    AuthType: { KEY: 'KEY', NONE: 'NONE' },
    newAuthTypeResponse: () => builder({}, { setAuthType: 'type' }),
    getConfig() {
      const configParams: Record<string, unknown>[] = []
      const input = (type: string) => () => {
        const kept = { type }
        configParams.push(kept)
        return builder(kept, INPUT)
      }
      return {
        newInfo: input('INFO'),
        newTextInput: input('TEXTINPUT'),
        ...builder({ configParams }, { setDateRangeRequired: 'dateRangeRequired' }),
      }
    },
    newUserError() {
      const error = builder({}, { setText: 'text', setDebugText: 'debugText' }) as Record<string, unknown> & {
        build(): { text: string }
      }
      error.throwException = () => {
        throw new UserError(error.build().text)
      }
      return error
    },
  }),
}

const context = createContext({ DataStudioApp, UrlFetchApp, PropertiesService })
runInContext(code, context, { filename: 'Code.gs' })

parentPort?.on('message', ({ id, name, request }: { id: number; name: string; request: string }) => {
  try {
    const result = runInContext(`JSON.stringify(${name}(${request}))`, context)
    parentPort?.postMessage({ id, result })
  } catch (error) {
    parentPort?.postMessage({ id, error: (error as Error).message, userError: error instanceof UserError })
  }
})
