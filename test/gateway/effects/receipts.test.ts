import { setImmediate as turn } from 'node:timers/promises'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { Receipt } from '../../../gateway/contract/receipts.ts'
import { createPeople } from '../../../gateway/customers.ts'
import { DEFAULT_RACE_RULES } from '../../../gateway/deciders/decision.ts'
import { createDecode } from '../../../gateway/decode.ts'
import { receiptsIndex } from '../../../gateway/documents.ts'
import { type ReceiptServices, startReceipts } from '../../../gateway/effects/receipts.ts'
import { type CommittedReceipt, startIntake } from '../../../gateway/intake.ts'
import { SHARDS } from '../../../gateway/store/keys.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { saleSource } from '../../support/sales.ts'
import { describeOnBothStores } from '../../support/stores.ts'
import { until } from '../../support/until.ts'

const decode = createDecode({
  serialPattern: /^[A-Z0-9]{6,32}$/,
  people: { ...createPeople('a secret'), byPhone: (phone) => ({ id: 'cus_1', phone }) },
  onUnknownFields: () => {},
})

let count = 0
/** A device of its own for every test. */
const newDevice = () => `D1/device-${++count}`
const mailboxOf = (device: string) => `hub/v1/${device}/receipt`

/** Commits sales of a device; their receipts are handed on, or else in the outbox. */
async function sell(
  store: Store,
  device: string,
  sales: object[],
  onReceipt: ((receipt: CommittedReceipt) => void) | null = null,
): Promise<void> {
  const intake = startIntake({
    store,
    decode,
    timezone: 'Asia/Jakarta',
    rules: DEFAULT_RACE_RULES,
    onJobs: () => {},
    now: Date.now,
    onReceipt,
    onBatch: () => {},
  })
  const topic = `hub/v1/${device}/sale`
  await Promise.all(
    sales.map((sale) => intake.accept({ topic, sender: device, payload: Buffer.from(JSON.stringify(sale)) })),
  )
}

const nextSale = saleSource(4)
const salesOf = (howMany: number) => Array.from({ length: howMany }, () => nextSale())

const waitingFor = (store: Store, device: string) =>
  store.range(
    SHARDS.map((shard) => receiptsIndex(shard, device)),
    { limit: 10_000 },
  )

/** Stopped when the test is finished. */
function start(store: ReceiptServices['store'], deliver: ReceiptServices['deliver']) {
  const receipts = startReceipts({ store, deliver, onLate() {}, log: { warn() {} } })
  onTestFinished(() => receipts.stop())
  return receipts
}

/** A connected device that acknowledges a little later, and takes `window` at a time, as the broker has it. */
function connected(window = 100) {
  const received: Receipt[] = []
  let unacknowledged = 0
  return {
    received,
    async deliver(_: string, payload: string) {
      if (unacknowledged >= window) return 'busy' as const
      unacknowledged++
      received.push(JSON.parse(payload) as Receipt)
      await turn()
      unacknowledged--
      return 'delivered' as const
    },
  }
}

describeOnBothStores('receipts', (store) => {
  it('of sales that are committed now go to the device at once, and never see the outbox', async () => {
    const device = newDevice()
    const sales = salesOf(3)
    const { received, deliver } = connected()
    const commit = vi.fn<Store['commit']>((proposals) => store().commit(proposals))
    const receipts = start({ ...store(), commit }, deliver)
    await sell(store(), device, sales, (receipt) => receipts.send(receipt))
    expect(await waitingFor(store(), device)).toEqual([])
    await receipts.settled()
    expect(received.map(({ event_id }) => event_id).sort()).toEqual(sales.map((sale) => sale.event_id).sort())
    expect(commit).not.toHaveBeenCalled()
  })

  it('of sales that are committed now wait in the outbox for a device that is not here', async () => {
    const device = newDevice()
    const receipts = start(store(), async () => 'absent')
    await sell(store(), device, salesOf(3), (receipt) => receipts.send(receipt))
    await receipts.settled()
    expect(await waitingFor(store(), device)).toHaveLength(3)
  })

  it('that a device does not acknowledge soon are in the outbox too, and sent no second time meanwhile', async () => {
    const device = newDevice()
    const acknowledgement = Promise.withResolvers<'delivered'>()
    const deliver = vi.fn(() => acknowledgement.promise)
    const entry = vi.fn<Store['entry']>((stream, id) => store().entry(stream, id))
    const receipts = start({ ...store(), entry }, deliver)
    await sell(store(), device, salesOf(2), (receipt) => receipts.send(receipt))
    await receipts.settled()
    expect(await waitingFor(store(), device)).toHaveLength(2)
    receipts.listening(mailboxOf(device))
    await until('the outbox was read', () => entry.mock.settledResults.length === 2)
    await turn()
    acknowledgement.resolve('delivered')
    await until('the outbox is empty', async () => (await waitingFor(store(), device)).length === 0)
    expect(deliver).toHaveBeenCalledTimes(2)
  })

  it('that are on their way when the hub is told to stop are in the outbox when it has stopped', async () => {
    const device = newDevice()
    const receipts = start(store(), () => new Promise(() => {}))
    await sell(store(), device, salesOf(3), (receipt) => receipts.send(receipt))
    expect(receipts.isSettled).toBe(false)
    await receipts.stop()
    expect(receipts.isSettled).toBe(true)
    expect(await waitingFor(store(), device)).toHaveLength(3)
  })

  it('reach the outbox late when the store is away meanwhile, and then it is told', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => {
      vi.useRealTimers()
    })
    const device = newDevice()
    const onLate = vi.fn()
    const failing: ReceiptServices['store'] = {
      ...store(),
      async commit(proposals) {
        if (Date.now() < backAtMs) {
          vi.setSystemTime(Date.now() + 4000)
          throw new Error('away')
        }
        return store().commit(proposals)
      },
    }
    const backAtMs = Date.now() + 6000
    const receipts = startReceipts({
      store: failing,
      deliver: async () => 'absent',
      onLate,
      log: { warn() {} },
    })
    onTestFinished(() => receipts.stop())
    await sell(store(), device, salesOf(1), (receipt) => receipts.send(receipt))
    await receipts.settled()
    expect(await waitingFor(store(), device)).toHaveLength(1)
    expect(onLate).toHaveBeenCalled()
  })

  it('that wait for a device are all delivered when it subscribes, however small its window, each once', async () => {
    const device = newDevice()
    const sales = salesOf(350)
    await sell(store(), device, sales)
    const { received, deliver } = connected(7)
    start(store(), deliver).listening(mailboxOf(device))
    await until('the outbox is empty', async () => (await waitingFor(store(), device)).length === 0)
    expect(received.map(({ event_id }) => event_id).sort()).toEqual(sales.map((sale) => sale.event_id).sort())
  })

  it('are not lost when new sales come while old receipts are read', async () => {
    const device = newDevice()
    const old = salesOf(250)
    await sell(store(), device, old)
    const { received, deliver } = connected(20)
    const receipts = start(store(), deliver)
    receipts.listening(mailboxOf(device))
    const recent = salesOf(250)
    for (let begin = 0; begin < recent.length; begin += 25) {
      await sell(store(), device, recent.slice(begin, begin + 25), (receipt) => receipts.send(receipt))
    }
    await until('the outbox is empty', async () => (await waitingFor(store(), device)).length === 0)
    const expected = [...old, ...recent].map((sale) => sale.event_id)
    expect(new Set(received.map(({ event_id }) => event_id))).toEqual(new Set(expected))
  })

  it('are looked for again when the store failed while they were read', async () => {
    const device = newDevice()
    const sales = salesOf(5)
    await sell(store(), device, sales)
    const { received, deliver } = connected()
    let failures = 0
    const failing: ReceiptServices['store'] = {
      commit: (proposals) => store().commit(proposals),
      range: (names, query) =>
        failures++ < 1 ? Promise.reject(new Error('away')) : store().range(names, query),
      entry: (stream, id) => (failures++ < 4 ? Promise.reject(new Error('away')) : store().entry(stream, id)),
    }
    start(failing, deliver).listening(mailboxOf(device))
    await until('all have come', () => received.length === sales.length)
  })

  it('stay in the outbox while the device is away or does not acknowledge', async () => {
    const device = newDevice()
    await sell(store(), device, salesOf(3))
    const away = Promise.withResolvers<void>()
    start(store(), async () => {
      await away.promise
      return 'absent'
    }).listening(mailboxOf(device))
    away.resolve()
    expect(await waitingFor(store(), device)).toHaveLength(3)
    const { received, deliver } = connected()
    start(store(), deliver).listening(mailboxOf(device))
    await until('all have come', () => received.length === 3)
  })

  it('answer every repetition of a sale, also one that comes while the answer before leaves the outbox', async () => {
    const device = newDevice()
    const [sale] = salesOf(1)
    const { received, deliver } = connected()
    const receipts = start(store(), deliver)
    for (let times = 1; times <= 4; times++) {
      await sell(store(), device, [sale as object], (receipt) => receipts.send(receipt))
      await until('it is answered', () => received.length === times)
    }
    expect(received.map(({ outcome }) => outcome)).toEqual(['registered', 'replayed', 'replayed', 'replayed'])
  })
})
