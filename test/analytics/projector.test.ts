import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Measurement, measurementsOf } from '../../analytics/measurements.ts'
import type { Metrics } from '../../analytics/metrics.ts'
import { pointsFor } from '../../analytics/points.ts'
import { STORE_FILE } from '../../gateway/store/sqlite.ts'
import type { Store } from '../../gateway/store/store.ts'
import { type InfluxServer, startInflux } from '../support/services.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { until } from '../support/until.ts'
import { audit, commit, openEmbedded, openInflux, openStore, project } from './projection.ts'
import { entryOf, randomBodies } from './random-ledger.ts'

const stalePoints = pointsFor(entryOf({ number: 9, type: 'alert.raised', data: { dealer: 'long gone' } }))

async function expectEqual(metrics: Metrics, store: Store, measurements?: Measurement[]): Promise<void> {
  const { metered, expected } = await audit(metrics, store, measurements)
  expect(metered).toEqual(expected)
}

describe('the projector', () => {
  it('makes figures of everything in the ledger and in telemetry, and follows what comes', async () => {
    await using test = new AsyncDisposableStack()
    const store = await openStore(test)
    const metrics = await openEmbedded(test)
    await commit(store, randomBodies(2500, 1))
    const projector = project(test, { source: store, metrics })
    await projector.caughtUp()
    await expectEqual(metrics, store)
    for (let seed = 2; seed < 6; seed++) {
      await commit(store, randomBodies(50, seed))
      projector.wake()
      await projector.caughtUp()
      await expectEqual(metrics, store)
    }
    expect(projector.state).toMatchObject({ ok: true, holdsLease: true, entries: 2700, lastError: null })
  })

  it('finds what another hub committed without being woken', async () => {
    await using test = new AsyncDisposableStack()
    const store = await openStore(test)
    const projector = project(test, { source: store, metrics: await openEmbedded(test) })
    await projector.caughtUp()
    await commit(store, randomBodies(10, 1))
    await until('ten entries are projected', () => projector.state.entries === 10)
  })

  it('goes on after a restart where it had come', async () => {
    await using test = new AsyncDisposableStack()
    const store = await openStore(test)
    const metrics = await openEmbedded(test)
    await commit(store, randomBodies(300, 1))
    const first = project(test, { source: store, metrics })
    await first.caughtUp()
    await first.stop()
    await commit(store, randomBodies(20, 2))
    const second = project(test, { source: store, metrics })
    await second.caughtUp()
    expect(second.state.entries).toBe(20)
    await expectEqual(metrics, store)
  })

  it('leaves the work to the hub that holds the lease, and takes over when that one is gone', async () => {
    await using test = new AsyncDisposableStack()
    const store = await openStore(test)
    const metrics = await openEmbedded(test)
    await commit(store, randomBodies(100, 1))
    let holder = 'a'
    const leaseOf = (hub: string) => ({ hold: async () => holder === hub })
    const a = project(test, { source: store, metrics, lease: leaseOf('a') })
    const b = project(test, { source: store, metrics, lease: leaseOf('b') })
    await a.caughtUp()
    expect([a.state.entries, b.state.entries]).toEqual([100, 0])
    expect([a.state.holdsLease, b.state.holdsLease]).toEqual([true, false])
    holder = 'b'
    await commit(store, randomBodies(30, 2))
    await b.caughtUp()
    expect([a.state.entries, b.state.entries]).toEqual([100, 30])
    await expectEqual(metrics, store)
  })

  it('does no harm when two of them work at once', async () => {
    await using test = new AsyncDisposableStack()
    const store = await openStore(test)
    const dataDir = temporaryFolder('metrics').path
    const hubs = [await openEmbedded(test, dataDir), await openEmbedded(test, dataDir)] as const
    const projectors = hubs.map((metrics) => project(test, { source: store, metrics }))
    for (let seed = 1; seed < 5; seed++) {
      await commit(store, randomBodies(700, seed))
      await Promise.all(projectors.map((projector) => projector.caughtUp()))
    }
    await expectEqual(hubs[0], store)
  })

  it('rebuilds the same figures, without what the ledger does not say', async () => {
    await using test = new AsyncDisposableStack()
    const store = await openStore(test)
    const metrics = await openEmbedded(test)
    await commit(store, randomBodies(1500, 1))
    const projector = project(test, { source: store, metrics })
    await projector.caughtUp()
    await metrics.write(stalePoints, await metrics.checkpoint())
    const { metered, expected } = await audit(metrics, store)
    expect(metered).not.toEqual(expected)
    await projector.rebuild()
    await expectEqual(metrics, store)
  })

  it('fills the metrics again that another process has reset', async () => {
    await using test = new AsyncDisposableStack()
    const store = await openStore(test)
    const dataDir = temporaryFolder('metrics').path
    const metrics = await openEmbedded(test, dataDir)
    await commit(store, randomBodies(400, 1))
    const projector = project(test, { source: store, metrics, timing: { reloadMs: 20 } })
    await projector.caughtUp()
    await (await openEmbedded(test, dataDir)).reset()
    await until('all is projected again', () => projector.state.entries === 800)
    await projector.caughtUp()
    await expectEqual(metrics, store)
  })

  it('makes all again when the points are of another design', async () => {
    await using test = new AsyncDisposableStack()
    const store = await openStore(test)
    const metrics = await openEmbedded(test)
    await commit(store, randomBodies(400, 1))
    const before = project(test, { source: store, metrics })
    await before.caughtUp()
    await before.stop()
    await metrics.write(stalePoints, { ...(await metrics.checkpoint()), design: 0 })
    const after = project(test, { source: store, metrics })
    await after.caughtUp()
    await expectEqual(metrics, store)
  })

  it('makes all again when the ledger was restored from a backup and went another way', async () => {
    await using test = new AsyncDisposableStack()
    const metrics = await openEmbedded(test)
    const [original, restored] = [temporaryFolder('ledger').path, temporaryFolder('ledger').path]
    const lost = await openStore(test, original)
    await commit(lost, randomBodies(400, 1))
    const backup = join(original, 'backup.db')
    await lost.backup(backup)
    await commit(lost, randomBodies(200, 2))
    const before = project(test, { source: lost, metrics })
    await before.caughtUp()
    await before.stop()

    copyFileSync(backup, join(restored, STORE_FILE))
    const store = await openStore(test, restored)
    await commit(store, randomBodies(250, 3))
    const after = project(test, { source: store, metrics })
    await after.caughtUp()
    // What vehicles said then stays said: telemetry can not be made again.
    await expectEqual(metrics, store, measurementsOf('ledger'))
  })

  it('touches nothing that was made from another ledger, says so, and replaces it when it is told to', async () => {
    await using test = new AsyncDisposableStack()
    const metrics = await openEmbedded(test)
    const other = await openStore(test)
    await commit(other, randomBodies(100, 1))
    const before = project(test, { source: other, metrics })
    await before.caughtUp()
    await before.stop()

    const store = await openStore(test)
    await commit(store, randomBodies(120, 2))
    const projector = project(test, { source: store, metrics })
    await until('the projector has given up for now', () => !projector.state.ok)
    expect(projector.state.lastError?.message).toMatch(/another ledger.*hub metrics rebuild/)
    expect(projector.state.entries).toBe(0)
    await expectEqual(metrics, other)
    await projector.rebuild()
    expect(projector.state.ok).toBe(true)
  })

  it('waits for the write under way when it is stopped, and tells those who wait', async () => {
    await using test = new AsyncDisposableStack()
    const store = await openStore(test)
    const metrics = await openEmbedded(test)
    const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const held: Metrics = {
      ...metrics,
      async write(points, checkpoint) {
        begun.resolve()
        await go.promise
        await metrics.write(points, checkpoint)
      },
    }
    await commit(store, randomBodies(10, 1))
    const projector = project(test, { source: store, metrics: held })
    const waiting = projector.caughtUp()
    await begun.promise
    const stopped = projector.stop()
    go.resolve()
    await stopped
    await expect(waiting).rejects.toThrow('the projector was stopped')
    await expect(projector.caughtUp()).rejects.toThrow('the projector was stopped')
    await expectEqual(metrics, store)
  })
})

describe('the projector on InfluxDB', () => {
  let influx: InfluxServer
  beforeAll(async () => {
    influx = await startInflux()
  })
  afterAll(() => influx?.stop())

  const tell = (statement: string) =>
    fetch(`${influx.url}/query?db=gone`, { method: 'POST', body: new URLSearchParams({ q: statement }) })

  it('makes the same figures, and goes on after a restart', async () => {
    await using test = new AsyncDisposableStack()
    const store = await openStore(test)
    const metrics = openInflux(test, influx.url, 'same')
    await commit(store, randomBodies(2500, 1))
    const first = project(test, { source: store, metrics })
    await first.caughtUp()
    await expectEqual(metrics, store)
    await first.stop()
    await metrics.close()

    const again = openInflux(test, influx.url, 'same')
    const second = project(test, { source: store, metrics: again })
    await second.caughtUp()
    expect(second.state.entries).toBe(0)
    await second.rebuild()
    expect(second.state.entries).toBe(2500)
    await expectEqual(again, store)
  })

  it.each([
    ['dropped twice', ['DROP DATABASE "gone"']],
    [
      'dropped twice and made again, empty, so that every write succeeds',
      ['DROP DATABASE "gone"', 'CREATE DATABASE "gone"'],
    ],
    ['cleared twice of the hub’s checkpoints', ['DROP MEASUREMENT "hub_checkpoint"']],
  ])('fills a database again that was %s', async (_, statements) => {
    await using test = new AsyncDisposableStack()
    await tell('DROP DATABASE "gone"')
    const store = await openStore(test)
    const metrics = openInflux(test, influx.url, 'gone')
    await commit(store, randomBodies(800, 1))
    const projector = project(test, { source: store, metrics, timing: { reloadMs: 20 } })
    await projector.caughtUp()
    // These are written without a new checkpoint: the last one was saved a moment ago.
    await commit(store, randomBodies(100, 2))
    await projector.caughtUp()
    for (let time = 1; time <= 2; time++) {
      for (const statement of statements) await tell(statement)
      const { entries } = projector.state
      await commit(store, randomBodies(5, 2 + time))
      await until('everything is projected again', () => projector.state.entries >= entries + 900 + 5 * time)
    }
    await projector.caughtUp()
    await expectEqual(metrics, store)
  })
})
