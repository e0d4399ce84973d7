/**
 * An InfluxDB that is away, slow or confused (rows 20 and 21 of the fault matrix): nothing lost, nothing doubled, one
 * batch in memory. The last tests are controls: projections with a known mistake, which the same audit must find.
 */
import { once } from 'node:events'
import { createServer, request as forward } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Point } from '../../analytics/measurements.ts'
import type { Metrics } from '../../analytics/metrics.ts'
import type { Store } from '../../gateway/store/store.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { type InfluxServer, startInflux } from '../support/services.ts'
import { until } from '../support/until.ts'
import { audit, commit, openInflux, openStore, project } from './projection.ts'
import { randomBodies } from './random-ledger.ts'

/** In front of InfluxDB: forwards, or answers every write as it is told to. */
async function startOverloaded(upstreamPort: number) {
  let refusal: { status: number; headers?: Record<string, string> } | null = null
  let refused = 0
  const server = createServer((request, response) => {
    if (refusal !== null && request.url?.startsWith('/write')) {
      refused += 1
      request.resume()
      response.writeHead(refusal.status, refusal.headers).end()
      return
    }
    const { method, url, headers } = request
    const upstream = forward(
      { host: '127.0.0.1', port: upstreamPort, method, path: url, headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      },
    )
    request.pipe(upstream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    refuseWith(answer: typeof refusal) {
      refusal = answer
    },
    get refused() {
      return refused
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe('an InfluxDB that', () => {
  let influx: InfluxServer
  let databases = 0
  beforeAll(async () => {
    influx = await startInflux()
  })
  afterAll(() => influx?.stop())

  interface Scene {
    readonly store: Store
    readonly metrics: Metrics
    readonly direct: Metrics
    readonly projector: ReturnType<typeof project>
  }

  /** A projection through `port` that has caught up with some entries. */
  async function begin(
    test: AsyncDisposableStack,
    port: number,
    wrap = (metrics: Metrics) => metrics,
  ): Promise<Scene> {
    databases += 1
    const store = await openStore(test)
    const metrics = wrap(openInflux(test, `http://127.0.0.1:${port}`, `faults${databases}`))
    const direct = openInflux(test, influx.url, `faults${databases}`)
    await commit(store, randomBodies(1200, 1))
    const projector = project(test, { source: store, metrics })
    await projector.caughtUp()
    return { store, metrics, direct, projector }
  }

  async function isExact({ direct, store }: Scene): Promise<boolean> {
    const { metered, expected } = await audit(direct, store)
    return JSON.stringify(metered) === JSON.stringify(expected)
  }

  async function expectExact({ direct, store }: Scene): Promise<void> {
    const { metered, expected } = await audit(direct, store)
    expect(metered).toEqual(expected)
  }

  it.each<
    [fault: string, inject: (proxy: FaultProxy) => unknown, heal: (proxy: FaultProxy) => Promise<void>]
  >([
    ['refuses connections', (proxy) => proxy.refuse(), (proxy) => proxy.pass()],
    ['takes connections and never answers', (proxy) => proxy.blackhole(), (proxy) => proxy.pass()],
    ['is killed and starts again', () => influx.kill(), () => influx.restart()],
  ])('%s for a while gets all of it in the end, once', async (_, inject, heal) => {
    await using test = new AsyncDisposableStack()
    const proxy = test.use(await FaultProxy.start(influx.port))
    const scene = await begin(test, proxy.port)
    const { store, projector } = scene
    await inject(proxy)
    await commit(store, randomBodies(2500, 2))
    projector.wake()
    await until('the projector has noticed', () => !projector.state.ok)
    expect(projector.state.lastError?.message).toMatch(/InfluxDB at 127\.0\.0\.1:\d+ did not /)
    await commit(store, randomBodies(300, 3))
    await heal(proxy)
    await projector.caughtUp()
    expect(projector.state).toMatchObject({ ok: true, entries: 4000 })
    await expectExact(scene)
  })

  it('is slow gets all of it', async () => {
    await using test = new AsyncDisposableStack()
    const proxy = test.use(await FaultProxy.start(influx.port))
    const scene = await begin(test, proxy.port)
    await proxy.delay(200)
    await commit(scene.store, randomBodies(3000, 2))
    await scene.projector.caughtUp()
    expect(scene.projector.state.lastError).toBeNull()
    await expectExact(scene)
  })

  it.each([
    ['fails', { status: 500 }],
    ['is unavailable', { status: 503 }],
    ['has had enough', { status: 429, headers: { 'Retry-After': '0' } }],
  ])('%s now and then gets all of it', async (_, answer) => {
    await using test = new AsyncDisposableStack()
    const front = test.use(await startOverloaded(influx.port))
    const scene = await begin(test, front.port)
    for (let seed = 2; seed < 5; seed++) {
      const refusedBefore = front.refused
      front.refuseWith(answer)
      await commit(scene.store, randomBodies(1100, seed))
      scene.projector.wake()
      await until('a few writes were refused', () => front.refused > refusedBefore + 2)
      front.refuseWith(null)
      await scene.projector.caughtUp()
    }
    expect(scene.projector.state.lastError?.message).toContain(String(answer.status))
    await expectExact(scene)
  })

  it('takes a batch and is gone before it says so, again and again, counts nothing twice', async () => {
    await using test = new AsyncDisposableStack()
    const proxy = test.use(await FaultProxy.start(influx.port))
    const scene = await begin(test, proxy.port)
    for (let seed = 2; seed < 7; seed++) {
      const lost = proxy.loseReply({ request: /^POST \/write/, reply: / 204 / })
      await commit(scene.store, randomBodies(700, seed))
      scene.projector.wake()
      await lost
      await scene.projector.caughtUp()
    }
    expect(scene.projector.state.lastError).not.toBeNull()
    await expectExact(scene)
  })

  describe('is away for long', () => {
    setFlagsFromString('--expose-gc')
    const collectGarbage = runInNewContext('gc') as () => void
    /** Attempts against a server that refuses all writes: how many bytes they leave behind. */
    async function growthBytes(wrap?: (metrics: Metrics) => Metrics): Promise<number> {
      await using test = new AsyncDisposableStack()
      const front = test.use(await startOverloaded(influx.port))
      const { store, projector } = await begin(test, front.port, wrap)
      front.refuseWith({ status: 500 })
      await commit(store, randomBodies(5000, 2))
      projector.wake()
      const heapAfter = async (attempts: number) => {
        await until(`${attempts} attempts were refused`, () => front.refused >= attempts)
        collectGarbage()
        return process.memoryUsage().heapUsed
      }
      const early = await heapAfter(20)
      return (await heapAfter(120)) - early
    }
    /** A batch of this ledger is about half a megabyte. */
    const GROWTH_MAX_BYTES = 10_000_000

    it('fills no memory: the ledger keeps what waits', async () => {
      expect(await growthBytes()).toBeLessThan(GROWTH_MAX_BYTES)
    })

    it('(control) would fill it if failed batches were kept for later', async () => {
      const kept: (readonly Point[])[] = []
      const keeping = (metrics: Metrics): Metrics => ({
        ...metrics,
        write(points, checkpoint) {
          kept.push(points)
          return metrics.write(points, checkpoint)
        },
      })
      expect(await growthBytes(keeping)).toBeGreaterThan(GROWTH_MAX_BYTES)
      expect(kept.length).toBeGreaterThan(100)
    })
  })

  describe('(control) the audit finds', () => {
    it('what is lost when the checkpoint moves before the points are written', async () => {
      await using test = new AsyncDisposableStack()
      const front = test.use(await startOverloaded(influx.port))
      const careless = (metrics: Metrics): Metrics => ({
        ...metrics,
        async write(points, checkpoint) {
          await metrics.write([], checkpoint)
          await metrics.write(points, checkpoint)
        },
      })
      const scene = await begin(test, front.port, careless)
      expect(await isExact(scene)).toBe(true)
      front.refuseWith({ status: 500 })
      await commit(scene.store, randomBodies(500, 2))
      scene.projector.wake()
      await until('a write was refused', () => front.refused > 0)
      front.refuseWith(null)
      await scene.projector.caughtUp()
      expect(await isExact(scene)).toBe(false)
    })

    it('what is doubled when a point does not get its time from its entry', async () => {
      await using test = new AsyncDisposableStack()
      const proxy = test.use(await FaultProxy.start(influx.port))
      let writes = 0
      const restless = (metrics: Metrics): Metrics => ({
        ...metrics,
        write(points, checkpoint) {
          writes += 1
          return metrics.write(
            points.map((point) => ({ ...point, tiebreak: (point.tiebreak + writes) % 1_000_000 })),
            checkpoint,
          )
        },
      })
      const scene = await begin(test, proxy.port, restless)
      expect(await isExact(scene)).toBe(true)
      const lost = proxy.loseReply({ request: /^POST \/write/, reply: / 204 / })
      await commit(scene.store, randomBodies(500, 2))
      scene.projector.wake()
      await lost
      await scene.projector.caughtUp()
      expect(await isExact(scene)).toBe(false)
    })
  })
})
