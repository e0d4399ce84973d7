import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openSqliteStore, type SqliteStore } from '../../../gateway/store/sqlite.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { type HttpHub, openHttpHub } from './hub.ts'

interface Operation {
  summary?: string
  tags?: string[]
  security?: object[]
  parameters?: { name: string; schema: object }[]
  responses: Record<string, { description?: string; content?: Record<string, { schema: object }> }>
}

describe('/docs', () => {
  let store: SqliteStore
  let hub: HttpHub
  let operations: [path: string, method: string, Operation][]
  beforeAll(async () => {
    store = await openSqliteStore({ dataDir: temporaryFolder('docs').path })
    hub = openHttpHub(store)
    const { paths } = (await hub.get('/docs/json', null)).json()
    operations = Object.entries(paths as Record<string, Record<string, Operation>>).flatMap(
      ([path, methods]) =>
        Object.entries(methods).map(
          ([method, operation]) => [path, method, operation] as [string, string, Operation],
        ),
    )
  })
  afterAll(async () => {
    await hub?.[Symbol.asyncDispose]()
    await store?.close()
  })

  it('names every path', () => {
    expect(operations.map(([path, method]) => `${method} ${path}`).sort()).toEqual([
      'get /',
      'get /api/v1/activities',
      'get /api/v1/analytics/channels',
      'get /api/v1/analytics/cpl',
      'get /api/v1/analytics/flow',
      'get /api/v1/analytics/restated',
      'get /api/v1/analytics/variables',
      'get /api/v1/claims',
      'get /api/v1/dealers',
      'get /api/v1/devices',
      'get /api/v1/exports/columns',
      'get /api/v1/exports/table',
      'get /api/v1/exports/table.csv',
      'get /api/v1/exports/table.xlsx',
      'get /api/v1/leads',
      'get /api/v1/leads/{lead}',
      'get /api/v1/ledger',
      'get /api/v1/quarantine',
      'get /api/v1/quarantine/{id}',
      'get /api/v1/reps',
      'get /api/v1/sales',
      'get /api/v1/serials/{serial}',
      'get /api/v1/spend',
      'get /healthz',
      'get /metrics',
      'get /readyz',
      'post /api/v1/activities',
      'post /api/v1/lead',
      'post /api/v1/quarantine/{id}/replay',
      'post /api/v1/sales/{entry}/void',
      'post /api/v1/spend',
    ])
  })

  it('says of each what it is for, what it answers, and what goes wrong in which form', () => {
    for (const [path, , operation] of operations) {
      expect(operation.summary, path).toBeTruthy()
      expect(operation.tags, path).toHaveLength(1)
      const success = operation.responses['200'] ?? operation.responses['202']
      const ok = Object.values(success?.content ?? {})[0]?.schema
      expect(Object.keys(ok ?? {}).length, path).toBeGreaterThan(0)
      if (!path.startsWith('/api/')) continue
      expect(operation.security, path).toEqual([{ bearer: [] }])
      for (const status of ['400', '401', '403', '429', '503']) {
        const problem = operation.responses[status]
        expect(Object.keys(problem?.content ?? {}), `${path} ${status}`).toEqual(['application/problem+json'])
        expect(problem?.description).toBeTruthy()
      }
    }
  })

  it('says of each parameter how it may be', () => {
    const sales = operations.find(([path]) => path === '/api/v1/sales')?.[2]
    const limit = sales?.parameters?.find(({ name }) => name === 'limit')
    expect(limit?.schema).toMatchObject({ type: 'integer', minimum: 1, maximum: 1000, default: 100 })
    expect(sales?.parameters?.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['after', 'order', 'dealer', 'outcome', 'flag']),
    )
  })

  it('is a page whose scripts are its own', async () => {
    const response = await hub.get('/docs/', null)
    expect(response.statusCode).toBe(200)
    expect(response.headers['content-security-policy']).toContain("default-src 'self'")
    expect(response.body).not.toMatch(/<script(?![^>]*src=)/)
    for (const [, src] of response.body.matchAll(/src="([^"]+)"/g)) {
      const asset = await hub.get(new URL(src as string, 'http://hub/docs/').pathname, null)
      expect(asset.statusCode, src).toBe(200)
    }
  })
})
