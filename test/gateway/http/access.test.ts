import { Writable } from 'node:stream'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addDevices } from '../../../gateway/devices.ts'
import { referenceKey, registrationKey } from '../../../gateway/documents.ts'
import { shardOfKey } from '../../../gateway/store/keys.ts'
import { openSqliteStore, type SqliteStore } from '../../../gateway/store/sqlite.ts'
import type { Json } from '../../../gateway/store/store.ts'
import type { Role } from '../../../gateway/tokens.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { allPages, type HttpHub, openHttpHub, sale } from './hub.ts'

const OPEN = ['/', '/healthz', '/readyz', '/metrics', '/docs', '/docs/json']

describe('who may ask', () => {
  let store: SqliteStore
  let hub: HttpHub
  let logged = ''
  /** One of each dealer's quarantine. */
  const quarantined = new Map<string, string>()
  const sold = sale()
  const soldByOther = sale()

  beforeAll(async () => {
    store = await openSqliteStore({ dataDir: temporaryFolder('access').path })
    const lines = new Writable({
      write(chunk, _encoding, done) {
        logged += chunk
        done()
      },
    })
    hub = openHttpHub(store, { log: pino({ level: 'trace' }, lines) })
    await addDevices(store, [
      { dealer: 'D001', device: 'till-1' },
      { dealer: 'D002', device: 'till-1' },
    ])
    await hub.say('D001/till-1', 'sale', sold)
    await hub.say('D002/till-1', 'sale', soldByOther)
    await hub.say('D001/till-1', 'sale', '{"dealer": 1')
    await hub.say('D002/till-1', 'sale', '{"dealer": 2')
    await hub.say('D001/till-1', 'health', 'D001 has secrets')
    await hub.say('D002/till-1', 'health', 'D002 has secrets')
    for (const item of await allPages(hub, '/api/v1/quarantine')) {
      quarantined.set((item.sender as string).slice(0, 4), item.id as string)
    }
  })
  afterAll(async () => {
    await hub?.[Symbol.asyncDispose]()
    await store?.close()
  })

  it.each(OPEN)('anybody may ask for %s', async (url) => {
    expect((await hub.get(url, null)).statusCode).toBe(200)
  })

  const API = ['sales', 'ledger', 'devices', 'quarantine', 'serials/X', 'quarantine/q1'].map(
    (path) => `/api/v1/${path}`,
  )

  it.each(API)('nobody may ask for %s without a token', async (url) => {
    const response = await hub.get(url, null)
    expect(response.statusCode).toBe(401)
    expect(response.headers['www-authenticate']).toBe('Bearer realm="hub"')
    expect(response.json()).toMatchObject({ status: 401, title: 'Unauthorized' })
  })

  it.each([
    [
      'a token that nobody was given',
      `Bearer ${'a'.repeat(43)}`,
      'Bearer realm="hub", error="invalid_token"',
    ],
    ['what can be no token', 'Bearer x', 'Bearer realm="hub", error="invalid_token"'],
    ['two tokens', 'Bearer a b', 'Bearer realm="hub"'],
    ['another scheme', 'Basic YTpi', 'Bearer realm="hub"'],
    ['no token', 'Bearer', 'Bearer realm="hub"'],
  ])('%s opens nothing', async (_, authorization, challenge) => {
    const response = await hub.app.inject({ url: '/api/v1/sales', headers: { authorization } })
    expect(response.statusCode).toBe(401)
    expect(response.headers['www-authenticate']).toBe(challenge)
  })

  it('who has no token is told so before any parameter is looked at', async () => {
    expect((await hub.get('/api/v1/sales?limit=0', null)).statusCode).toBe(401)
    expect((await hub.get('/api/v1/sales?limit=0')).statusCode).toBe(400)
  })

  const D001 = 'dealer:D001'
  const ROLES = ['admin', 'manager', 'analyst', D001, 'bridge:meta'] as const
  it.each<[what: string, url: () => string, ...statuses: number[]]>([
    ['sales', () => '/api/v1/sales', 200, 200, 200, 200, 403],
    ['the ledger', () => '/api/v1/ledger', 200, 200, 200, 200, 403],
    ['a serial', () => `/api/v1/serials/${sold.serial}`, 200, 200, 200, 200, 403],
    ['devices', () => '/api/v1/devices', 200, 200, 200, 200, 403],
    ['quarantine', () => '/api/v1/quarantine', 200, 200, 200, 200, 403],
    // Raw bytes may hold a phone number.
    [
      'the bytes in quarantine',
      () => `/api/v1/quarantine/${quarantined.get('D001')}`,
      200,
      200,
      403,
      200,
      403,
    ],
    ['replays', () => `POST /api/v1/quarantine/${quarantined.get('D001')}/replay`, 422, 403, 403, 403, 403],
  ])('%s: admin, manager, analyst, dealer, bridge', async (_, url, ...statuses) => {
    const [path, method] = url().split(' ').reverse() as [string, string?]
    for (const [i, role] of ROLES.entries()) {
      const response = await (method === 'POST' ? hub.post(path, role) : hub.get(path, role))
      expect(response.statusCode, role).toBe(statuses[i])
    }
  })

  describe('a dealer’s token', () => {
    it.each(['sales', 'ledger', 'devices', 'quarantine'])('sees its own part of %s only', async (list) => {
      const own = await allPages(hub, `/api/v1/${list}?limit=2`, D001)
      const all = await allPages(hub, `/api/v1/${list}`)
      expect(own.length).toBeGreaterThan(0)
      expect(JSON.stringify(own)).not.toContain('D002')
      expect(own).toEqual(all.filter((item) => JSON.stringify(item).includes('D001')))
    })

    it.each(['sales', 'devices'])('may name its own dealer in %s, and no other', async (list) => {
      expect((await hub.get(`/api/v1/${list}?dealer=D001`, D001)).statusCode).toBe(200)
      const response = await hub.get(`/api/v1/${list}?dealer=D002`, D001)
      expect(response.statusCode).toBe(403)
      expect(response.json().detail).toContain('own dealer')
    })

    it('finds nothing of another dealer', async () => {
      for (const url of [
        `/api/v1/serials/${soldByOther.serial}`,
        `/api/v1/quarantine/${quarantined.get('D002')}`,
      ]) {
        expect((await hub.get(url, 'admin')).statusCode).toBe(200)
        const hidden = await hub.get(url, D001)
        expect(hidden.statusCode).toBe(404)
        const missing = await hub.get(url.replace(/[^/]+$/, 'NOTHING'), D001)
        const named = (body: string) => body.replace(url.split('/').at(-1) as string, 'NOTHING')
        expect(named(hidden.body), 'as if it were not there').toBe(missing.body)
      }
    })

    it('sees of a serial what concerns its own dealer', async () => {
      const key = registrationKey(soldByOther.serial)
      const rows = [{ generation: 1, row: { model: 'EV-1', dealer_id: 'D001', produced_on: null } }]
      const reference = { current: 1, staging: null, aborted: [], rows: 1, imported_at: null }
      await store.commit([
        { shard: shardOfKey(key), token: 'row', set: [{ key, value: rows as unknown as Json }] },
        {
          shard: shardOfKey(referenceKey('serials')),
          token: 'reference',
          set: [{ key: referenceKey('serials'), value: reference }],
        },
      ])
      await hub.say('D001/till-1', 'sale', { ...soldByOther, event_id: 'mine' })
      await hub.say('D002/till-1', 'sale', { ...soldByOther, event_id: 'theirs' })
      expect((await hub.get(`/api/v1/serials/${soldByOther.serial}`, D001)).json()).toMatchObject({
        registration: { dealer_id: 'D001' },
        sale: null,
        attempts: { items: [{ event_id: 'mine', first: { dealer: 'D002' } }] },
        vehicle: null,
      })
      expect((await hub.get(`/api/v1/serials/${soldByOther.serial}`)).json()).toMatchObject({
        sale: { dealer: 'D002' },
        attempts: { items: [{ event_id: 'mine' }, { event_id: 'theirs' }] },
      })
    })
  })

  it('a token is never written to the log', async () => {
    const roles: Role[] = ['admin', D001, 'bridge:meta']
    for (const role of roles) await hub.get('/api/v1/sales', role)
    expect(logged).toContain('/api/v1/sales')
    for (const role of roles) expect(logged).not.toContain(await hub.token(role))
  })
})
