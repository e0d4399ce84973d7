/**
 * Calls to Qontak: the chat API, by bearer token or signed, and the Mekari gateway, always signed. A call never
 * rejects: it is answered, or it fails, and then it is known whether it may have arrived.
 *
 * Tokens, when there is a login: asked for at the first call, renewed before they run out and once when a call is
 * answered 401; calls that come meanwhile wait for the same one.
 */
import type { QontakConfig } from '../../../config.ts'
import type { Clock } from '../clock.ts'
import { explainFailure, readJson } from '../http.ts'
import { type Fields, fieldsOf, textOf } from '../reading.ts'
import { signedHeaders } from './signing.ts'

export type Answer =
  | {
      readonly is: 'answer'
      readonly status: number
      /** `{}` when the body was no JSON object. */
      readonly body: Fields
      /** Retry-After in ms; null: none that can be read. */
      readonly retryAfterMs: number | null
    }
  /** `isNeverSent`: Qontak has surely heard nothing. */
  | { readonly is: 'failure'; readonly isNeverSent: boolean; readonly message: string }

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** Below the API's address, with its query. */
  readonly path: string
  readonly body?: object
}

export interface QontakClient {
  /** The chat API. */
  chat(call: Call): Promise<Answer>
  /** The gateway: CRM. */
  gateway(call: Call, signal?: AbortSignal): Promise<Answer>
}

export type QontakAccess = Pick<QontakConfig, 'apiUrl' | 'gatewayUrl' | 'clientId' | 'clientSecret' | 'login'>

const TIMEOUT_MS = 15_000
/** A list of templates may be long. */
const ANSWER_BYTES_MAX = 2 * 1024 * 1024
/** Before a token runs out. */
const RENEW_BEFORE_MS = 5 * 60_000
const TOKEN_LIFE_MAX_S = 10 * 365 * 86_400

export function createQontakClient({
  access,
  clock,
  timeoutMs = TIMEOUT_MS,
}: {
  readonly access: QontakAccess
  readonly clock: Pick<Clock, 'now'>
  readonly timeoutMs?: number
}): QontakClient {
  const { apiUrl, gatewayUrl, login } = access
  const tokens = login === null ? null : createTokens()

  async function request(url: string, call: Call, headers: object, signal?: AbortSignal): Promise<Answer> {
    const timeout = AbortSignal.timeout(timeoutMs)
    try {
      const response = await fetch(url, {
        method: call.method,
        headers: { accept: 'application/json', 'content-type': 'application/json', ...headers },
        body: bodyOf(call),
        redirect: 'manual',
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      })
      const body = fieldsOf(await readJson(response, ANSWER_BYTES_MAX))
      const after = response.headers.get('retry-after') ?? ''
      return {
        is: 'answer',
        status: response.status,
        body,
        retryAfterMs: /^\d{1,6}$/.test(after) ? Number(after) * 1000 : null,
      }
    } catch (error) {
      return { is: 'failure', ...explainFailure(error as Error) }
    }
  }

  function signed(base: string, call: Call, signal?: AbortSignal): Promise<Answer> {
    const url = new URL(base + call.path)
    const path = url.pathname + url.search
    const headers = signedHeaders(access, {
      method: call.method,
      path,
      body: bodyOf(call),
      atMs: clock.now(),
    })
    return request(url.href, call, headers, signal)
  }

  async function withToken(call: Call): Promise<Answer> {
    if (tokens === null) return signed(apiUrl, call)
    const first = await tokens.current()
    if (typeof first !== 'string') return first
    const answer = await request(apiUrl + call.path, call, { authorization: `Bearer ${first}` })
    if (answer.is !== 'answer' || answer.status !== 401) return answer
    const second = await tokens.renewed(first)
    // A token from the settings can't be renewed, and one that was refused twice is not the reason.
    if (second === null) return answer
    if (typeof second !== 'string') return second
    return request(apiUrl + call.path, call, { authorization: `Bearer ${second}` })
  }

  function createTokens() {
    let token: { value: string; refresh: string | null; untilMs: number } | null =
      login !== null && 'token' in login
        ? { value: login.token, refresh: null, untilMs: Number.POSITIVE_INFINITY }
        : null
    let asking: Promise<string | Answer> | null = null

    const ask = (): Promise<string | Answer> => {
      asking ??= grant().finally(() => {
        asking = null
      })
      return asking
    }

    /** By the refresh token, when there is one and it is taken; else by the password. */
    async function grant(): Promise<string | Answer> {
      if (login === null || 'token' in login) throw new Error('a token of the settings is never asked for')
      const { refresh = null } = token ?? {}
      const renewed = refresh && (await post({ grant_type: 'refresh_token', refresh_token: refresh }))
      const answer =
        renewed && !(renewed.is === 'answer' && [400, 401].includes(renewed.status))
          ? renewed
          : await post({ grant_type: 'password', username: login.username, password: login.password })
      if (answer.is === 'failure') return { ...answer, isNeverSent: true }
      const value = textOf(answer.body.access_token)
      if (answer.status < 300 && value !== null) {
        const { expires_in: seconds, refresh_token } = answer.body
        const lifeS = typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, TOKEN_LIFE_MAX_S) : 3600
        token = {
          value,
          refresh: textOf(refresh_token),
          untilMs: clock.now() + lifeS * 1000 - RENEW_BEFORE_MS,
        }
        return value
      }
      // Nothing of the call itself was sent: what is wrong with the login is 401, all else passes.
      token = null
      const isRefused = answer.status === 400 || answer.status === 401 || answer.status === 403
      return isRefused
        ? { ...answer, status: 401 }
        : { is: 'failure', isNeverSent: true, message: `a token was asked for and ${answer.status} answered` }
    }

    const post = (grant: object) => {
      const { clientId: client_id, clientSecret: client_secret } = access
      const body = { ...grant, client_id, client_secret }
      return request(`${new URL(apiUrl).origin}/oauth/token`, { method: 'POST', path: '', body }, {})
    }

    return {
      /** A token, or the answer that there is none. */
      async current(): Promise<string | Answer> {
        return token !== null && token.untilMs > clock.now() ? token.value : ask()
      },
      /** After `refused` was answered 401. null: there is no other one. */
      async renewed(refused: string): Promise<string | Answer | null> {
        if (login !== null && 'token' in login) return null
        // Another call may have renewed it already.
        if (token !== null && token.value !== refused) return token.value
        if (token !== null) token = { ...token, untilMs: 0 }
        return ask()
      },
    }
  }

  return { chat: withToken, gateway: (call, signal) => signed(gatewayUrl, call, signal) }
}

const bodyOf = ({ body }: Call): string | null => (body === undefined ? null : JSON.stringify(body))
