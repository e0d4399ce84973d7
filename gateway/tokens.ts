/**
 * API tokens of people and programs, and the roles they carry. A token is 256 random bits, shown once and kept as its
 * SHA-256: whoever reads the store cannot log in with what is there, and looking a token up by its hash leaves nothing
 * to be learned from how long a comparison takes. Bits of that many need no slow hash.
 */
import { randomBytes } from 'node:crypto'
import { NAME_PATTERN, RESERVED_DEALERS } from './contract/topics.ts'
import { type TokenDoc, tokenKey } from './documents.ts'
import { shardOfKey } from './store/keys.ts'
import type { Store } from './store/store.ts'

/** The one list of roles; `{…}` stands for a name. */
export const ROLES = ['admin', 'manager', 'analyst', 'dealer:{id}', 'bridge:{bridge}'] as const

export type Role = 'admin' | 'manager' | 'analyst' | `dealer:${string}` | `bridge:${string}`
/** A role without its name. */
export type RoleKind = 'admin' | 'manager' | 'analyst' | 'dealer' | 'bridge'

/** A role as it was written, or null when it is none. A dealer's or bridge's name is one topic level. */
export function parseRole(text: string): Role | null {
  const [kind, ...rest] = text.split(':')
  const name = rest.join(':')
  switch (kind) {
    case 'admin':
    case 'manager':
    case 'analyst':
      return rest.length === 0 ? kind : null
    case 'dealer':
      return NAME_PATTERN.test(name) && !(RESERVED_DEALERS as readonly string[]).includes(name)
        ? `dealer:${name}`
        : null
    case 'bridge':
      return NAME_PATTERN.test(name) ? `bridge:${name}` : null
    default:
      return null
  }
}

export const roleKind = (role: Role): RoleKind => role.split(':', 1)[0] as RoleKind

/** The dealer a role is bound to, or null: it is not bound to one. */
export const dealerOfRole = (role: Role): string | null =>
  role.startsWith('dealer:') ? role.slice('dealer:'.length) : null

/** 32 bytes in base64url. */
const TOKEN_PATTERN = /^[A-Za-z0-9_-]{43}$/

/**
 * Makes a token for a role.
 * @returns the token; nobody can read it again.
 * @throws RangeError when `role` is no role; otherwise what the store throws, and then no token was handed out.
 */
export async function addToken(store: Pick<Store, 'commit'>, role: string): Promise<string> {
  const parsed = parseRole(role)
  if (parsed === null) throw new RangeError(`not a role: ${role}; expected one of ${ROLES.join(', ')}`)
  const token = randomBytes(32).toString('base64url')
  const key = tokenKey(token)
  const value = { role: parsed, created_at: new Date().toISOString() } satisfies TokenDoc
  await store.commit([{ shard: shardOfKey(key), token: 'token', set: [{ key, value }] }])
  return token
}

/** Who holds this token, or null: nobody. Rejects when the store cannot tell now. */
export async function findToken(store: Pick<Store, 'read'>, token: string): Promise<{ role: Role } | null> {
  // Anything may stand in a header or a password; only what can be a token is worth a question to the store.
  if (!TOKEN_PATTERN.test(token)) return null
  const [doc] = await store.read([tokenKey(token)])
  if (doc === null || doc === undefined) return null
  const role = parseRole((doc.value as TokenDoc).role)
  return role === null ? null : { role }
}
