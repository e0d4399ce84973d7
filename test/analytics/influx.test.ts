/**
 * The InfluxDB driver against what differs between servers: versions, logins, answers. 1.x is real; 2.x and 3 are
 * played by a local server that answers as their documentation says.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { type InfluxMetricsOptions, openInfluxMetrics } from '../../analytics/influx.ts'
import { measurementsOf } from '../../analytics/measurements.ts'
import { EMPTY, MetricsError } from '../../analytics/metrics.ts'
import { pointsFor } from '../../analytics/points.ts'
import { startInflux } from '../support/services.ts'
import { until } from '../support/until.ts'
import { entryOf, RANGE } from './random-ledger.ts'

interface Asked {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly body: string
}

interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: object
}

const OK: Answer = { status: 200, body: { results: [{ statement_id: 0 }] } }
const WRITTEN: Answer = { status: 204 }

/** Answers `/ping` with the version, and everything else by `answer`; remembers what it was asked. */
async function startFake(version: string, answer: (asked: Asked) => Answer) {
  const requests: Asked[] = []
  const server = createServer(async (request, response) => {
    const asked = await readRequest(request)
    requests.push(asked)
    const { status, headers, body }: Answer =
      asked.path === '/ping' ? { status: 204, headers: { 'X-Influxdb-Version': version } } : answer(asked)
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(body === undefined ? undefined : JSON.stringify(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function readRequest(request: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const { method = '', url = '', headers } = request
  return {
    method,
    path: url,
    authorization: headers.authorization,
    body: Buffer.concat(chunks).toString('utf8'),
  }
}

const open = (options: Partial<InfluxMetricsOptions> & { url: string }) =>
  openInfluxMetrics({ token: null, org: null, bucket: 'hub', timezone: 'Asia/Jakarta', ...options })

const points = pointsFor(entryOf({ number: 1, type: 'alert.raised', data: { dealer: 'D001' } }))

const answerAll = ({ path }: Asked): Answer => (path.startsWith('/query') ? OK : WRITTEN)

describe('InfluxDB 2.x', () => {
  it('is written to by organisation and bucket with a token, and asked in InfluxQL', async () => {
    await using server = await startFake('v2.7.12', answerAll)
    const metrics = open({ url: server.url, token: 'secret==', org: 'my org', bucket: 'a/b' })
    await metrics.write(points, await metrics.checkpoint())
    await metrics.totals({ measurement: 'alerts', by: ['day'], ...RANGE })
    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /query?db=a%2Fb&epoch=ms',
      'GET /ping',
      // Points, then which months they have changed, then the checkpoint.
      'POST /api/v2/write?org=my+org&bucket=a%2Fb&precision=ns',
      'POST /api/v2/write?org=my+org&bucket=a%2Fb&precision=ns',
      'POST /api/v2/write?org=my+org&bucket=a%2Fb&precision=ns',
      'POST /query?db=a%2Fb&epoch=ms',
    ])
    expect(new Set(server.requests.map(({ authorization }) => authorization))).toEqual(
      new Set(['Token secret==']),
    )
    expect(server.requests[2]?.body).toMatch(/^alerts,dealer=D001,.* count=1i,.* \d{19}$/)
    expect(server.requests[3]?.body).toMatch(
      /^hub_changes,measurement=alerts,month=2026-03 token="\S+" \d{19}$/,
    )
    expect(server.requests[4]?.body).toMatch(/^hub_checkpoint,generation=0 state=".*" \d{19}$/)
  })

  it('is told to drop measurements by a reset, once the projector comes by', async () => {
    const resetting = { ...EMPTY, generation: 4, resetting: true }
    const kept = { name: 'hub_checkpoint', columns: ['time', 'state'], tags: { generation: '4' } }
    const series = [{ ...kept, values: [[1_700_000_000_000, JSON.stringify(resetting)]] }]
    await using server = await startFake('v2.7.12', (asked) => {
      const isAsked = asked.body.includes('SELECT')
      return isAsked ? { status: 200, body: { results: [{ statement_id: 0, series }] } } : answerAll(asked)
    })
    expect(await open({ url: server.url }).checkpoint()).toEqual({ ...EMPTY, generation: 4 })
    const dropped = new URLSearchParams(server.requests.find(({ body }) => body.includes('DROP'))?.body)
    expect(dropped.get('q')).toBe(
      [...measurementsOf('ledger'), 'hub_changes'].map((name) => `DROP MEASUREMENT "${name}"`).join('; '),
    )
    expect(server.requests.at(-1)?.body).not.toContain('resetting')
  })
})

describe('InfluxDB 3', () => {
  it('has no database before the first write', async () => {
    await using server = await startFake('3.6.0', ({ path }) =>
      path.startsWith('/query')
        ? { status: 404, body: { error: 'query error: database not found: hub' } }
        : WRITTEN,
    )
    const metrics = open({ url: server.url, token: 'apiv3_x' })
    expect(await metrics.checkpoint()).toEqual(EMPTY)
    expect(await metrics.totals({ measurement: 'sales', by: [], ...RANGE })).toEqual([])
    await metrics.write(points, EMPTY)
    expect(server.requests.at(-1)).toMatchObject({
      path: '/api/v2/write?org=&bucket=hub&precision=ns',
      authorization: 'Token apiv3_x',
    })
  })

  it('is told to delete tables by a reset; one that never was is none the worse', async () => {
    const resetting = { ...EMPTY, generation: 1, resetting: true }
    const series = [{ columns: ['time', 'state'], values: [[1, JSON.stringify(resetting)]] }]
    await using server = await startFake('3.6.0', ({ method, path }) => {
      if (method === 'DELETE') return path.endsWith('sales') ? { status: 200 } : { status: 404 }
      return path.startsWith('/query') ? { status: 200, body: { results: [{ series }] } } : WRITTEN
    })
    await open({ url: server.url }).checkpoint()
    expect(server.requests.filter(({ method }) => method === 'DELETE').map(({ path }) => path)).toEqual(
      measurementsOf('ledger').map((name) => `/api/v3/configure/table?db=hub&table=${name}`),
    )
  })
})

describe('an answer to a write', () => {
  const conflict = 'partial write: field type conflict: input field "count" is type float dropped=1'
  it.each<[rule: string, version: string, answer: Answer, message: RegExp | null, retryAfterMs?: number]>([
    ['204 is success', 'v2.7.12', WRITTEN, null],
    [
      '401 names the setting to look at',
      'v2.7.12',
      { status: 401, body: { code: 'unauthorized', message: 'unauthorized access' } },
      /did not write: 401 unauthorized access \(check INFLUX_TOKEN\)/,
    ],
    [
      '404 names the settings to look at',
      'v2.7.12',
      { status: 404, body: { code: 'not found', message: 'bucket "hub" not found' } },
      /404 bucket "hub" not found \(check INFLUX_BUCKET and INFLUX_ORG\)/,
    ],
    [
      '429 says how long to wait, in seconds',
      'v2.7.12',
      { status: 429, headers: { 'Retry-After': '17' } },
      /429/,
      17_000,
    ],
    ['503 too', '3.6.0', { status: 503, headers: { 'Retry-After': '2' } }, /503/, 2000],
    ['500 is tried again', '1.8.10', { status: 500, body: { error: 'timeout' } }, /500 timeout/],
    [
      'a part that was refused is no success (1.x)',
      '1.8.10',
      { status: 400, body: { error: conflict } },
      /conflict/,
    ],
    [
      'a part that was refused is no success (3)',
      '3.6.0',
      { status: 201, body: { error: conflict } },
      /a part/,
    ],
    [
      'points older than the retention are not kept, all others are (1.x)',
      '1.8.10',
      { status: 400, body: { error: 'partial write: points beyond retention policy dropped=2' } },
      null,
    ],
    [
      'points older than the retention are not kept, all others are (2.x)',
      'v2.7.12',
      {
        status: 422,
        body: {
          code: 'unprocessable entity',
          message:
            'failure writing points to database: partial write: dropped 4 points outside retention policy of duration 24h0m0s',
        },
      },
      null,
    ],
  ])('%s', async (_, version, answer, message, retryAfterMs) => {
    await using server = await startFake(version, ({ path }) => (path.includes('write') ? answer : OK))
    const outcome = open({ url: server.url }).write(points, EMPTY)
    if (message === null) {
      await outcome
      return
    }
    const error = await outcome.then(
      () => null,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(MetricsError)
    expect(error).toMatchObject({
      message: expect.stringMatching(message),
      retryAfterMs: retryAfterMs ?? null,
    })
    expect((error as Error).message).toContain(new URL(server.url).host)
  })

  it('never comes: the write ends, and so does its connection', async () => {
    const silent = createServer()
    const connections = () =>
      new Promise<number>((resolve) => silent.getConnections((_, count) => resolve(count)))
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    await expect(open({ url: `http://127.0.0.1:${port}` }).ping()).rejects.toThrow('no answer in 8 s')
    await until('the connection is closed', async () => (await connections()) === 0)
    silent.close()
  })

  it('nobody gives: the message says where and why', async () => {
    await using server = await startFake('3.6.0', answerAll)
    const { url } = server
    await server[Symbol.asyncDispose]()
    await expect(open({ url }).ping()).rejects.toThrow(
      /InfluxDB at 127\.0\.0\.1:\d+ did not ping: .*ECONNREFUSED/,
    )
  })
})

describe('InfluxDB 1.x with users', () => {
  it('is used with user:password, and made a database by a user who may', async () => {
    await using influx = await startInflux({ auth: true })
    await fetch(`${influx.url}/query`, {
      method: 'POST',
      body: new URLSearchParams({ q: `CREATE USER "hub" WITH PASSWORD 'p:w' WITH ALL PRIVILEGES` }),
    })
    const stranger = open({ url: influx.url, token: 'hub:wrong' })
    await expect(stranger.checkpoint()).rejects.toThrow(/401 .*\(check INFLUX_TOKEN\)/)
    const metrics = open({ url: influx.url, token: 'hub:p:w' })
    await metrics.write(points, await metrics.checkpoint())
    const [total] = await metrics.totals({ measurement: 'alerts', by: [], ...RANGE })
    expect(total?.sums.count).toBe(1)
  })
})
