/**
 * Who may ask: `Authorization: Bearer <token>`, with the role that the token carries.
 *
 * A dealer's token sees its own dealer only: somebody else's thing does not exist for it (404), lists hold its own
 * only, and asking for another dealer by name is refused (403).
 */
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import type { Store } from '../store/store.ts'
import { dealerOfRole, findToken, type Role, type RoleKind, roleKind } from '../tokens.ts'
import { Problem } from './problem.ts'

export interface Caller {
  readonly role: Role
  /** The only dealer this caller may see, or null: every one. */
  readonly dealer: string | null
}

/** Where the caller is kept on a request, from its token on. */
export const CALLER = 'caller'
export const callerOf = (request: FastifyRequest): Caller => request.getDecorator<Caller>(CALLER)

/** In a route's schema: it takes a token. */
export const BEARER = [{ bearer: [] }]

/** Those who read what the hub knows. */
export const READERS: readonly RoleKind[] = ['admin', 'manager', 'analyst', 'dealer']

/** For a route's `onRequest`, before its parameters are looked at: only callers of these roles come through. */
export function allow(store: Pick<Store, 'read'>, kinds: readonly RoleKind[]): onRequestAsyncHookHandler {
  return async (request) => {
    const token = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]
    const found = token === undefined ? null : await findToken(store, token)
    if (found === null) {
      const challenge = token === undefined ? '' : ', error="invalid_token"'
      throw new Problem(401, 'A token is needed: Authorization: Bearer <token> (hub token add makes one)', {
        headers: { 'www-authenticate': `Bearer realm="hub"${challenge}` },
      })
    }
    if (!kinds.includes(roleKind(found.role))) {
      throw new Problem(403, `Role ${found.role} may not do this; it takes ${kinds.join(', ')}`)
    }
    request.setDecorator(CALLER, { role: found.role, dealer: dealerOfRole(found.role) } satisfies Caller)
  }
}

/**
 * The dealer a list is to be narrowed to: the caller's own, else the one asked for, else none.
 * @throws Problem 403 when a dealer's token asks for another dealer.
 */
export function dealerAskedFor(request: FastifyRequest, asked: string | undefined): string | null {
  const { role, dealer } = callerOf(request)
  if (dealer !== null && asked !== undefined && asked !== dealer) {
    throw new Problem(403, `Role ${role} sees its own dealer only`)
  }
  return dealer ?? asked ?? null
}
