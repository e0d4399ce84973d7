import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LIMITS } from '../../../gateway/http/limits.ts'
import { openRedisStore } from '../../../gateway/store/redis.ts'
import { openSqliteStore, type SqliteStore } from '../../../gateway/store/sqlite.ts'
import { startRedis } from '../../support/services.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { until } from '../../support/until.ts'
import { type HttpHub, openHttpHub, sale } from './hub.ts'

describe('what goes wrong is a problem document', () => {
  let store: SqliteStore
  let hub: HttpHub
  beforeAll(async () => {
    store = await openSqliteStore({ dataDir: temporaryFolder('problems').path })
    hub = openHttpHub(store, {
      replay: (id) =>
        id === 'bug' ? Promise.resolve(null as never) : Promise.reject(new Error('not committed')),
    })
  })
  afterAll(async () => {
    await hub?.[Symbol.asyncDispose]()
    await store?.close()
  })

  it.each<[url: string, errors: { field: string; expected: string; received: string }[]]>([
    ['sales?limit=many', [{ field: 'limit', expected: 'a number', received: '"many"' }]],
    ['sales?limit=0', [{ field: 'limit', expected: 'at least 1', received: '"0"' }]],
    ['sales?limit=1001', [{ field: 'limit', expected: 'at most 1000', received: '"1001"' }]],
    ['sales?order=up', [{ field: 'order', expected: 'one of desc, asc', received: '"up"' }]],
    ['sales?delaer=D001', [{ field: 'delaer', expected: 'no such parameter', received: 'delaer' }]],
    [
      'sales?after=x',
      [{ field: 'after', expected: 'next of an earlier page of this same list', received: 'x' }],
    ],
    [
      'sales?limit=0&outcome=maybe',
      [
        { field: 'limit', expected: 'at least 1', received: '"0"' },
        { field: 'outcome', expected: 'one of registered, rejected', received: '"maybe"' },
      ],
    ],
    [
      `ledger?after=${'a'.repeat(601)}`,
      [{ field: 'after', expected: 'at most 600 characters', received: `"${'a'.repeat(78)}…` }],
    ],
  ])('a parameter that is wrong is named, with what was expected and what came: %s', async (url, errors) => {
    const response = await hub.get(`/api/v1/${url}`)
    expect(response.statusCode).toBe(400)
    expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(response.json()).toMatchObject({ type: 'about:blank', title: 'Bad Request', status: 400, errors })
  })

  it('a path that there is not: 404', async () => {
    const response = await hub.get('/api/v1/nothing')
    expect(response.statusCode).toBe(404)
    expect(response.json()).toMatchObject({ status: 404, detail: 'There is nothing at /api/v1/nothing' })
  })

  it('a path that is no path: 400', async () => {
    const response = await hub.get('/api/v1/serials/%E0%A4%A')
    expect(response.statusCode).toBe(400)
    expect(response.headers['content-type']).toContain('application/problem+json')
  })

  it.each([
    ['POST', '/api/v1/sales', 'GET, HEAD'],
    ['DELETE', '/api/v1/serials/ABCDEF', 'GET, HEAD'],
    ['GET', '/api/v1/quarantine/q1/replay', 'POST'],
    ['PUT', '/', 'GET, HEAD'],
  ] as const)('%s %s: 405, and what it takes', async (method, url, allow) => {
    const response = await hub.app.inject({ method, url })
    expect(response.statusCode).toBe(405)
    expect(response.headers.allow).toBe(allow)
    expect(response.json().status).toBe(405)
  })

  it('a body that is too large: 413', async () => {
    const response = await hub.app.inject({
      method: 'POST',
      url: '/api/v1/quarantine/q1/replay',
      headers: { authorization: `Bearer ${await hub.token('admin')}`, 'content-type': 'application/json' },
      payload: JSON.stringify('x'.repeat(LIMITS.bodyBytes)),
    })
    expect(response.statusCode).toBe(413)
    expect(response.json()).toMatchObject({ status: 413, title: 'Payload Too Large' })
  })

  it('what could not be committed now: 503, and when to try again', async () => {
    const response = await hub.post('/api/v1/quarantine/q1/replay', 'admin')
    expect(response.statusCode).toBe(503)
    expect(response.headers['retry-after']).toBe('5')
    expect(response.body).not.toContain('not committed')
  })

  it('a fault of the hub’s own: 500, without telling how it works', async () => {
    const response = await hub.post('/api/v1/quarantine/bug/replay', 'admin')
    expect(response.statusCode).toBe(500)
    expect(response.json()).toMatchObject({ status: 500, title: 'Internal Server Error' })
    expect(response.body).not.toMatch(/TypeError|null|\.ts/)
  })

  it('too many requests of one address: 429, and when to try again; monitors are never refused', async () => {
    const remoteAddress = '198.51.100.7'
    const ask = (url: string) => hub.app.inject({ url, remoteAddress })
    const statuses = new Set<number>()
    for (let i = 0; i < LIMITS.requestsPerWindow; i++) statuses.add((await ask('/api/v1/sales')).statusCode)
    expect([...statuses]).toEqual([401])
    for (const url of ['/api/v1/sales', '/api/v1/serials/X', '/docs/json', '/', '/nothing']) {
      const response = await ask(url)
      expect(response.statusCode, url).toBe(429)
      expect(Number(response.headers['retry-after'])).toBeGreaterThan(0)
      expect(response.headers['content-type']).toContain('application/problem+json')
    }
    for (const url of ['/healthz', '/readyz', '/metrics']) expect((await ask(url)).statusCode).toBe(200)
    const other = await hub.app.inject({ url: '/api/v1/sales', remoteAddress: '198.51.100.8' })
    expect(other.statusCode).toBe(401)
  })

  it.each([
    ['bytes that are no request', 'nonsense\r\n\r\n', 400],
    ['headers that are too large', `GET / HTTP/1.1\r\nx: ${'x'.repeat(LIMITS.headerBytes)}\r\n\r\n`, 431],
  ])('%s: answered, and the connection closed', async (_, bytes, status) => {
    const other = openHttpHub(store)
    await other.app.listen({ host: '127.0.0.1', port: 0 })
    try {
      const { port } = other.app.server.address() as { port: number }
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write(bytes)
      const answer = await text(socket)
      expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
      expect(answer).toContain('content-type: application/problem+json')
      expect(JSON.parse(answer.split('\r\n\r\n')[1] as string)).toMatchObject({ status })
    } finally {
      await other[Symbol.asyncDispose]()
    }
  })
})

it('a request that comes too slowly: 408, and the connection closed', async () => {
  await using resources = new AsyncDisposableStack()
  const store = resources.adopt(await openSqliteStore({ dataDir: temporaryFolder('slow').path }), (it) =>
    it.close(),
  )
  const hub = resources.use(openHttpHub(store))
  await hub.app.listen({ host: '127.0.0.1', port: 0 })
  expect(hub.app.server.headersTimeout).toBe(LIMITS.headersTimeoutMs)
  expect(hub.app.server.requestTimeout).toBe(LIMITS.requestTimeoutMs)
  hub.app.server.headersTimeout = 1
  const { port } = hub.app.server.address() as { port: number }
  const socket = connect(port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nx: ')
  expect(await text(socket)).toMatch(/^HTTP\/1.1 408 /)
})

describe('while the store is away', () => {
  it('everything that needs it says 503 and when to try again, and goes on by itself when it is back', async () => {
    // The token must outlive the server, too.
    await using redis = await startRedis({ appendfsync: 'always' })
    const store = await openRedisStore({ url: redis.url })
    await using hub = openHttpHub(store)
    try {
      const event = sale()
      await hub.say('D001/till-1', 'sale', event)
      const urls = [
        '/api/v1/sales',
        '/api/v1/ledger',
        '/api/v1/devices',
        '/api/v1/quarantine',
        `/api/v1/serials/${event.serial}`,
      ]
      await hub.token('admin')
      await redis.kill()
      for (const url of urls) {
        const response = await hub.get(url)
        expect(response.statusCode, url).toBe(503)
        expect(response.headers['retry-after']).toBe('5')
        expect(response.json()).toMatchObject({
          status: 503,
          detail: expect.stringContaining('store is away'),
        })
      }
      expect((await hub.get('/healthz', null)).statusCode).toBe(200)
      const notReady = await until('it is seen', async () => {
        const response = await hub.get('/readyz', null)
        return response.statusCode === 503 && response.json()
      })
      expect(notReady).toMatchObject({
        ready: false,
        parts: { store: { state: 'down' }, broker: { state: 'up' }, metrics: { state: 'up' } },
      })
      await redis.restart()
      await until('it answers again', async () => (await hub.get('/api/v1/ledger')).statusCode === 200)
      await until('it is ready', async () => (await hub.get('/readyz', null)).statusCode === 200)
      for (const url of urls) expect((await hub.get(url)).statusCode, url).toBe(200)
    } finally {
      await store.close()
    }
  })

  it('a store that hangs is given up, and does not hold a request for long', async () => {
    await using redis = await startRedis()
    const store = await openRedisStore({ url: redis.url })
    await using hub = openHttpHub(store)
    try {
      await hub.token('admin')
      redis.pause()
      expect((await hub.get('/api/v1/ledger')).statusCode).toBe(503)
      expect((await hub.get('/readyz', null)).json().parts.store).toMatchObject({ state: 'down' })
      redis.resume()
      await until('it answers again', async () => (await hub.get('/api/v1/ledger')).statusCode === 200)
    } finally {
      await store.close()
    }
  })
})
