import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openSqliteStore, type SqliteStore } from '../../gateway/store/sqlite.ts'
import { addToken, dealerOfRole, findToken, parseRole, roleKind } from '../../gateway/tokens.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

describe('a role', () => {
  it.each([
    ['admin', 'admin', null],
    ['manager', 'manager', null],
    ['analyst', 'analyst', null],
    ['dealer:D001', 'dealer', 'D001'],
    ['bridge:meta', 'bridge', null],
  ] as const)('%s is one', (text, kind, dealer) => {
    const role = parseRole(text)
    expect(role).toBe(text)
    expect(roleKind(text)).toBe(kind)
    expect(dealerOfRole(text)).toBe(dealer)
  })

  it.each([
    '',
    'Admin',
    'root',
    'admin:',
    'admin:x',
    'dealer',
    'dealer:',
    'dealer:a/b',
    'dealer:+',
    'dealer:a:b',
    'dealer:portal',
    'dealer:live',
    'bridge',
    'bridge:#',
    ' admin',
    'constructor',
  ])('“%s” is none', (text) => {
    expect(parseRole(text)).toBeNull()
  })
})

describe('a token', () => {
  let store: SqliteStore
  beforeAll(async () => {
    store = await openSqliteStore({ dataDir: temporaryFolder('tokens').path })
  })
  afterAll(() => store?.close())

  it('is 256 random bits that lead to its role', async () => {
    const token = await addToken(store, 'dealer:D001')
    expect(Buffer.from(token, 'base64url')).toHaveLength(32)
    expect(await addToken(store, 'dealer:D001')).not.toBe(token)
    expect(await findToken(store, token)).toEqual({ role: 'dealer:D001' })
  })

  it('is not made for what is no role', async () => {
    await expect(addToken(store, 'owner')).rejects.toThrow(RangeError)
  })

  it('is not what the store holds', async () => {
    const token = await addToken(store, 'admin')
    const copy = `${temporaryFolder('copy').path}/hub.db`
    await store.backup(copy)
    expect(readFileSync(copy).includes(token)).toBe(false)
  })

  it.each(['', 'x', 'a'.repeat(42), 'a'.repeat(43), `${'a'.repeat(42)}!`, 'a'.repeat(100_000)])(
    'that nobody was given leads nowhere (%#)',
    async (token) => {
      expect(await findToken(store, token)).toBeNull()
    },
  )

  it('that cannot be one is not even asked about', async () => {
    const silent = { read: () => Promise.reject(new Error('asked')) }
    expect(await findToken(silent, 'password1')).toBeNull()
    await expect(findToken(silent, 'a'.repeat(43))).rejects.toThrow('asked')
  })
})
