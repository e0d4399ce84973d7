/** What programs read of the hub, on both stores. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { addDevices } from '../../../gateway/devices.ts'
import { quarantineKey, referenceKey, registrationKey, sequenceKey } from '../../../gateway/documents.ts'
import { shardOfKey } from '../../../gateway/store/keys.ts'
import { openRedisStore } from '../../../gateway/store/redis.ts'
import { openSqliteStore } from '../../../gateway/store/sqlite.ts'
import type { Json, Store } from '../../../gateway/store/store.ts'
import { type RedisServer, startRedis } from '../../support/services.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { allPages, type HttpHub, newSerial, openHttpHub, sale } from './hub.ts'

let count = 0
/** A dealer that no other test has said anything of. */
const newDealer = () => `D${String(++count).padStart(3, '0')}`

function testLists(open: () => Promise<Store>): void {
  let store: Store
  let hub: HttpHub
  beforeAll(async () => {
    store = await open()
    hub = openHttpHub(store)
  })
  afterAll(async () => {
    await hub?.[Symbol.asyncDispose]()
    await store?.close()
  })

  const put = (key: string, value: object) =>
    store.commit([
      { shard: shardOfKey(key), token: `put-${key}`, set: [{ key, value: value as unknown as Json }] },
    ])

  describe('sales', () => {
    it('are listed newest first, each with its entry, its instant, its outcome and what it said', async () => {
      const dealer = newDealer()
      const first = { ...sale(), channel: 'tiktok', seq: 1, customer_phone: '+6281234567890' }
      await hub.say(`${dealer}/till-1`, 'sale', first)
      await hub.say(`${dealer}/till-1`, 'sale', { ...first, event_id: 'again' })
      await hub.say(`${dealer}/till-1`, 'sale', '{"event_id":"broken"}')

      const response = await hub.get(`/api/v1/sales?dealer=${dealer}`)
      expect(response.statusCode).toBe(200)
      const { items } = response.json()
      const instants = items.map(({ at }: { at: string }) => at)
      expect(instants).toEqual(instants.toSorted().toReversed())
      const [registered, duplicate, invalid] = [first.event_id, 'again', 'broken'].map((event_id) =>
        items.find((item: { event_id: string }) => item.event_id === event_id),
      )
      expect(items).toHaveLength(3)
      const { customer_phone: phone, ...said } = first
      expect(registered).toEqual({
        ...said,
        dealer,
        device: 'till-1',
        customer: expect.stringMatching(/^cus_/),
        entry: expect.stringMatching(/^\d+$/),
        at: expect.stringMatching(/Z$/),
        outcome: 'registered',
        reason: null,
        verified: false,
        flags: [],
      })
      expect(response.body).not.toContain(phone)
      expect(duplicate).toMatchObject({
        outcome: 'rejected',
        reason: 'duplicate_serial',
        event_id: 'again',
        first: { event_id: first.event_id, dealer },
      })
      expect(invalid).toMatchObject({
        outcome: 'rejected',
        reason: 'invalid',
        event_id: 'broken',
        quarantine: expect.stringMatching(/^q/),
      })
      expect(invalid.errors.map(({ field }: { field: string }) => field)).toContain('serial')

      const oldestFirst = (await hub.get(`/api/v1/sales?dealer=${dealer}&order=asc`)).json().items
      expect(oldestFirst.map(({ at }: { at: string }) => at)).toEqual(instants.toReversed())
      expect(oldestFirst).toEqual(expect.arrayContaining(items))
    })

    it('are narrowed by filters that all must hold', async () => {
      const dealer = newDealer()
      await hub.say(`${dealer}/till-1`, 'sale', sale({ event_id: 'a', channel: 'tiktok' }))
      await hub.say(`${dealer}/till-2`, 'sale', sale({ event_id: 'b', channel: 'tiktok', model: 'EV-2' }))
      const known = sale({ event_id: 'c' })
      await hub.say(`${dealer}/till-1`, 'sale', known)
      await hub.say(`${dealer}/till-1`, 'sale', { ...known, event_id: 'd' })
      const found = async (filters: string) =>
        (await hub.get(`/api/v1/sales?dealer=${dealer}&${filters}`))
          .json()
          .items.map(({ event_id }: { event_id: string }) => event_id)
          .sort()
      expect(await found('channel=tiktok')).toEqual(['a', 'b'])
      expect(await found('channel=tiktok&device=till-2')).toEqual(['b'])
      expect(await found('model=EV-2')).toEqual(['b'])
      expect(await found('outcome=registered')).toEqual(['a', 'b', 'c'])
      expect(await found('outcome=rejected')).toEqual(['d'])
      expect(await found('reason=duplicate_serial')).toEqual(['d'])
      expect(await found('flag=below_map')).toEqual([])
    })

    it.each([1, 7, 100])('come page by page, each once, %i at a time, in both orders', async (limit) => {
      const dealer = newDealer()
      const sales = Array.from({ length: 25 }, () => sale())
      await Promise.all(sales.map((event) => hub.say(`${dealer}/till-1`, 'sale', event)))
      for (const order of ['asc', 'desc']) {
        const url = `/api/v1/sales?dealer=${dealer}&order=${order}&limit=${limit}`
        const ids = (await allPages(hub, url)).map(({ event_id }) => event_id)
        expect(ids.toSorted()).toEqual(sales.map(({ event_id }) => event_id).toSorted())
      }
    })

    it('can’t be gone on with by a cursor of the other order', async () => {
      const { next } = (await hub.get('/api/v1/sales?limit=1&order=desc')).json()
      const response = await hub.get(`/api/v1/sales?order=asc&after=${next}`)
      expect(response.statusCode).toBe(400)
      expect(response.json().errors).toMatchObject([{ field: 'after' }])
    })
  })

  describe('the ledger', () => {
    it('is read from its beginning, and followed with the last cursor', async () => {
      const before = (await hub.get('/api/v1/ledger?after=end')).json()
      expect(before.items).toEqual([])
      const dealer = newDealer()
      await hub.say(`${dealer}/till-1`, 'sale', sale({ event_id: 'one' }))
      const first = (await hub.get(`/api/v1/ledger?after=${before.next}`)).json()
      expect(first.items).toEqual([
        {
          entry: expect.stringMatching(/^\d+$/),
          at: expect.stringMatching(/^\d{4}-.*Z$/),
          type: 'sale.registered',
          data: expect.objectContaining({ event_id: 'one', dealer }),
        },
      ])
      expect((await hub.get(`/api/v1/ledger?after=${first.next}`)).json()).toEqual({ items: [], next: null })
      await hub.say(`${dealer}/till-1`, 'sale', sale({ event_id: 'two' }))
      const second = (await hub.get(`/api/v1/ledger?after=${first.next}`)).json()
      expect(second.items).toMatchObject([{ data: { event_id: 'two' } }])

      const all = (await allPages(hub, '/api/v1/ledger?limit=3')).map(({ entry }) => entry)
      expect(new Set(all).size).toBe(all.length)
      expect(all).toContain(first.items[0].entry)
      expect(all).toContain(second.items[0].entry)
    })

    it('is narrowed by type', async () => {
      const dealer = newDealer()
      const event = sale()
      await hub.say(`${dealer}/till-1`, 'sale', event)
      await hub.say(`${dealer}/till-1`, 'sale', { ...event, event_id: 'second' })
      const { next } = (await hub.get('/api/v1/ledger?after=end')).json()
      await hub.say(`${dealer}/till-1`, 'sale', { ...event, event_id: 'third' })
      const response = await hub.get(`/api/v1/ledger?type=alert.raised&after=${next}`)
      expect(response.json().items).toMatchObject([
        { type: 'alert.raised', data: { cause: 'duplicate_serial', event_id: 'third' } },
      ])
      // What was looked at and left out is not looked at again.
      expect(
        (await hub.get(`/api/v1/ledger?type=alert.raised&after=${response.json().next}`)).json(),
      ).toEqual({
        items: [],
        next: null,
      })
    })

    it('refuses a cursor that leads nowhere', async () => {
      for (const place of ['x', '-1', '1e400', '~']) {
        const cursor = Buffer.from(`ledger:${place}`).toString('base64url')
        expect((await hub.get(`/api/v1/ledger?after=${cursor}`)).statusCode, place).toBe(400)
      }
    })
  })

  describe('a serial', () => {
    it('is told from its registration row to its last status', async () => {
      const dealer = newDealer()
      const event = sale()
      const { serial } = event
      await put(registrationKey(serial), [
        { generation: 1, row: { model: 'EV-1', dealer_id: null, produced_on: '2026-10-01' } },
      ])
      const imported = { staging: null, aborted: [], rows: 1, imported_at: '2026-11-01T00:00:00.000Z' }
      await put(referenceKey('serials'), { ...imported, current: 1 })
      onTestFinished(async () => {
        await put(referenceKey('serials'), { ...imported, current: 0 })
      })
      await hub.say(`${dealer}/till-1`, 'sale', event)
      for (const event_id of ['x', 'y', 'z']) {
        await hub.say(`${dealer}/till-2`, 'sale', { ...event, event_id })
      }
      const status = {
        event_id: 's1',
        serial,
        at: '2026-11-22T09:00:00.000Z',
        odometer_km: 12,
        battery_pct: 80,
        lat: -6.2,
        lon: 106.8,
        state: 'parked',
      }
      await hub.say(`${dealer}/unit-1`, 'status', status)

      const response = await hub.get(`/api/v1/serials/${serial}?limit=2`)
      expect(response.statusCode).toBe(200)
      const { event_id: _event, serial: _serial, ...shown } = status
      expect(response.json()).toEqual({
        serial,
        registration: { model: 'EV-1', dealer_id: null, produced_on: '2026-10-01' },
        sale: expect.objectContaining({ outcome: 'registered', event_id: event.event_id, verified: true }),
        attempts: {
          items: [expect.objectContaining({ event_id: 'x' }), expect.objectContaining({ event_id: 'y' })],
          next: expect.any(String),
        },
        vehicle: { ...shown, dealer, device: 'unit-1' },
      })
      const { next } = response.json().attempts
      const rest = (await hub.get(`/api/v1/serials/${serial}?limit=2&after=${next}`)).json().attempts
      expect(rest.items).toMatchObject([{ event_id: 'z', reason: 'duplicate_serial' }])
      const end = await hub.get(`/api/v1/serials/${serial}?after=${rest.next}`)
      expect(end.json().attempts).toEqual({ items: [], next: null })
    })

    it('that nobody has heard of is not found', async () => {
      const response = await hub.get(`/api/v1/serials/${newSerial()}`)
      expect(response.statusCode).toBe(404)
      expect(response.json()).toMatchObject({
        status: 404,
        detail: expect.stringContaining('Nothing is known'),
      })
    })
  })

  describe('devices', () => {
    it('are listed by name, with their health, whether they are connected, and what is missing of their numbers', async () => {
      const dealer = newDealer()
      await addDevices(store, [
        { dealer, device: 'till-2' },
        { dealer, device: 'till-1' },
        { dealer, device: 'unit-1' },
      ])
      await hub.say(`${dealer}/till-1`, 'health', { online: true, firmware: '1.2', queue_depth: 3 })
      await put(sequenceKey(`${dealer}/till-1`), {
        seen: [
          [1, 4],
          [7, 7],
          [9, 12],
        ],
      })
      hub.connected.add(`${dealer}/till-2`)
      const response = await hub.get(`/api/v1/devices?dealer=${dealer}`)
      expect(response.statusCode).toBe(200)
      const known = { dealer, created_at: expect.stringMatching(/Z$/) }
      expect(response.json().items).toEqual([
        {
          ...known,
          id: `${dealer}/till-1`,
          device: 'till-1',
          connected: false,
          health: { at: null, online: true, firmware: '1.2', queue_depth: 3 },
          sequence: {
            last: 12,
            missing: 3,
            gaps: [
              [5, 6],
              [8, 8],
            ],
          },
        },
        { ...known, id: `${dealer}/till-2`, device: 'till-2', connected: true, health: null, sequence: null },
        {
          ...known,
          id: `${dealer}/unit-1`,
          device: 'unit-1',
          connected: false,
          health: null,
          sequence: null,
        },
      ])
      expect(response.body).not.toContain('sha256')
    })

    it('come page by page, each once', async () => {
      const dealer = newDealer()
      const names = Array.from({ length: 40 }, (_, i) => ({ dealer, device: `till-${i}` }))
      await addDevices(store, names)
      const ids = (await allPages(hub, `/api/v1/devices?dealer=${dealer}&limit=6`)).map(({ id }) => id)
      expect(ids).toEqual(names.map(({ device }) => `${dealer}/${device}`).toSorted())
      expect(await allPages(hub, '/api/v1/devices?limit=7')).toSatisfy(
        (items: { id: string }[]) => new Set(items.map(({ id }) => id)).size === items.length,
      )
    })
  })

  describe('quarantine', () => {
    it('lists what could not be decoded, oldest first, and shows one with its bytes', async () => {
      const device = `${newDealer()}/till-1`
      const bytes = '{"price": "free", "note": "café"'
      await hub.say(device, 'sale', bytes)
      await hub.say(device, 'health', '[]')
      const all = await allPages(hub, '/api/v1/quarantine?state=waiting&limit=2')
      const arrivals = all.map(({ received_at }) => received_at as string)
      expect(arrivals).toEqual(arrivals.toSorted())
      const items = ['sale', 'health'].map((kind) =>
        all.find(({ topic }) => topic === `hub/v1/${device}/${kind}`),
      )
      expect(items).toEqual([
        {
          id: expect.stringMatching(/^q/),
          topic: `hub/v1/${device}/sale`,
          sender: device,
          received_at: expect.stringMatching(/Z$/),
          bytes: Buffer.byteLength(bytes),
          errors: [expect.objectContaining({ field: 'payload', expected: 'JSON' })],
          state: 'waiting',
        },
        expect.objectContaining({ topic: `hub/v1/${device}/health`, bytes: 2 }),
      ])
      const one = (await hub.get(`/api/v1/quarantine/${items[0]?.id}`)).json()
      expect(one).toEqual({ ...items[0], payload_base64: Buffer.from(bytes).toString('base64'), text: bytes })
      expect((await hub.get('/api/v1/quarantine/q0')).statusCode).toBe(404)
    })

    it('takes an item in once more after a fix, says why it can’t be, and knows no others', async () => {
      const device = `${newDealer()}/till-1`
      await hub.say(device, 'sale', sale({ price: 'free' }))
      const find = async () =>
        (await allPages(hub, '/api/v1/quarantine')).find(({ sender }) => sender === device)
      const id = (await find())?.id as string
      const refused = await hub.post(`/api/v1/quarantine/${id}/replay`, 'admin')
      expect(refused.statusCode).toBe(422)
      expect(refused.json().errors).toMatchObject([
        { field: 'price', expected: 'a number', received: '"free"' },
      ])
      expect(await find()).toMatchObject({ state: 'waiting' })

      // The fix: as if this hub now understood it.
      const [doc] = await store.read([quarantineKey(id)])
      const fixed = sale({ event_id: `replayed-${id}` })
      const payload_base64 = Buffer.from(JSON.stringify(fixed)).toString('base64')
      await put(quarantineKey(id), { ...(doc?.value as object), payload_base64 })
      for (const attempt of ['first', 'again']) {
        const response = await hub.post(`/api/v1/quarantine/${id}/replay`, 'admin')
        expect(response.statusCode, attempt).toBe(200)
        expect(response.json()).toEqual({ id, result: 'taken_in' })
      }
      expect(await find()).toMatchObject({ state: 'replayed', replayed_at: expect.stringMatching(/Z$/) })
      const history = (await hub.get(`/api/v1/serials/${fixed.serial}`)).json()
      expect(history.sale).toMatchObject({ event_id: fixed.event_id })
      expect((await hub.post('/api/v1/quarantine/q0/replay', 'admin')).statusCode).toBe(404)
    })
  })
}

describe('on the embedded store', () => {
  const { path: dataDir } = temporaryFolder('http')
  testLists(() => openSqliteStore({ dataDir }))
})

describe('on Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis?.stop())
  testLists(() => openRedisStore({ url: redis.url }))
})
