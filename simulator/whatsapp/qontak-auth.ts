/** Who may call the local Qontak: bearer tokens of the chat API, and the signatures of the Mekari gateway. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** Mekari's own bound. */
const CLOCK_SKEW_MS = 300_000
const TOKEN_LIFE_S = 345 * 86_400

export interface QontakAccount {
  readonly clientId: string
  readonly clientSecret: string
  readonly username: string
  readonly password: string
  /** May call the bots' endpoints. */
  readonly botToken: string
  /** May broadcast, and not speak as a bot. */
  readonly userToken: string
}

export type Role = 'bot' | 'user'

export interface Tokens {
  /** `POST /oauth/token` → status and body. */
  grant(request: Readonly<Record<string, unknown>>): { readonly status: number; readonly body: object }
  roleOf(authorization: string | undefined): Role | null
  /** All that were granted are no longer taken; refresh tokens are. */
  revoke(): void
  /** Neither are refresh tokens. */
  revokeRefresh(): void
  /** How often each grant was asked for. */
  readonly grants: ReadonlyMap<string, number>
}

export function createTokens(account: QontakAccount, now: () => number): Tokens {
  const access = new Map<string, number>()
  const refresh = new Set<string>()
  const grants = new Map<string, number>()

  return {
    grants,
    grant({ grant_type: type, client_id, client_secret, username, password, refresh_token }) {
      grants.set(String(type), (grants.get(String(type)) ?? 0) + 1)
      const isClient = client_id === account.clientId && client_secret === account.clientSecret
      const isGranted =
        (type === 'password' && username === account.username && password === account.password) ||
        (type === 'refresh_token' && refresh.has(String(refresh_token)))
      if (!isClient || !isGranted) return { status: 401, body: { error: 'invalid_grant' } }
      const token = randomBytes(16).toString('hex')
      const next = randomBytes(16).toString('hex')
      access.set(token, now() + TOKEN_LIFE_S * 1000)
      refresh.add(next)
      return {
        status: 200,
        body: {
          access_token: token,
          token_type: 'Bearer',
          expires_in: TOKEN_LIFE_S,
          refresh_token: next,
          created_at: Math.floor(now() / 1000),
        },
      }
    },
    roleOf(authorization) {
      const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1] ?? ''
      if (token === account.userToken) return 'user'
      return token === account.botToken || (access.get(token) ?? 0) > now() ? 'bot' : null
    },
    revoke: () => access.clear(),
    revokeRefresh: () => refresh.clear(),
  }
}

export interface SignedCall {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** Why a call to the gateway is refused; null: it is not. */
export function refusalOf(account: QontakAccount, call: SignedCall, nowMs: number): string | null {
  const { authorization, date, digest } = call.headers
  const form =
    /^hmac username="([^"]*)", algorithm="hmac-sha256", headers="date request-line", signature="([^"]*)"$/
  const [, username, signature = ''] = form.exec(String(authorization)) ?? []
  if (username !== account.clientId) return 'Unauthorized'
  const skewMs = Math.abs(Date.parse(String(date)) - nowMs)
  if (!(skewMs <= CLOCK_SKEW_MS)) return 'HMAC signature cannot be verified, a valid date header is required'
  const expected = createHmac('sha256', account.clientSecret)
    .update(`date: ${date}\n${call.method} ${call.path} HTTP/1.1`)
    .digest()
  const given = Buffer.from(signature, 'base64')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return 'HMAC signature cannot be verified'
  }
  const sum = `SHA-256=${createHash('sha256').update(call.body).digest('base64')}`
  return digest !== undefined && digest !== sum ? 'digest does not match the body' : null
}
