import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import type { Receipt } from '../../../gateway/contract/receipts.ts'
import { createPeople } from '../../../gateway/customers.ts'
import { DEFAULT_RACE_RULES } from '../../../gateway/deciders/decision.ts'
import { createDecode } from '../../../gateway/decode.ts'
import { RECEIPT_MARKS_INDEX, receiptsIndex } from '../../../gateway/documents.ts'
import { startReceiptMarks } from '../../../gateway/effects/receipt-marks.ts'
import { type ReceiptServices, startReceipts } from '../../../gateway/effects/receipts.ts'
import { startIntake } from '../../../gateway/intake.ts'
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
const log = { info() {}, warn() {} }
const nextSale = saleSource(7)

let count = 0
const newDevice = () => `D1/marked-${++count}`
const TICK_MS = 5

interface HubOptions {
  readonly deliver: ReceiptServices['deliver']
  readonly alone?: boolean
}

/** The part of a hub between an accepted sale and its acknowledged receipt. `die`: nothing it began goes on. */
async function startHub(store: Store, { deliver, alone = true }: HubOptions) {
  let isDead = false
  const dying = <Call extends (...args: never[]) => Promise<unknown>>(call: Call): Call =>
    ((...args: never[]) => (isDead ? new Promise(() => {}) : call(...args))) as Call
  const own: Store = {
    ...store,
    read: dying(store.read),
    commit: dying(store.commit),
    range: dying(store.range),
    end: dying(store.end),
    entriesAfter: dying(store.entriesAfter),
  }
  const marks = await startReceiptMarks({
    store: own,
    alone,
    committed: () => intake.answered(),
    settled: () => receipts.settled(),
    isSettled: () => receipts.isSettled,
    onFound: (devices) => receipts.lookAgain(devices),
    tickMs: TICK_MS,
    log,
  })
  const receipts = startReceipts({ store: own, deliver: dying(deliver), onLate: () => marks.ring(), log })
  const intake = startIntake({
    store: own,
    decode,
    timezone: 'Asia/Jakarta',
    rules: DEFAULT_RACE_RULES,
    onJobs: () => {},
    now: Date.now,
    onReceipt: (receipt) => receipts.send(receipt),
    onBatch: () => {},
  })
  const hub = {
    receipts,
    sell: (device: string, sale: object) =>
      intake.accept({
        topic: `hub/v1/${device}/sale`,
        sender: device,
        payload: Buffer.from(JSON.stringify(sale)),
      }),
    die() {
      isDead = true
    },
    async stop() {
      if (isDead) return
      await receipts.stop()
      await marks.stop()
    },
  }
  onTestFinished(() => hub.stop())
  return hub
}

const never = () => new Promise<never>(() => {})
const waitingFor = (store: Store, device: string) =>
  store.range(
    SHARDS.map((shard) => receiptsIndex(shard, device)),
    { limit: 10_000 },
  )
const marksIn = (store: Store) => store.range([RECEIPT_MARKS_INDEX], { limit: 1000 })

describeOnBothStores('the mark of receipts', (store) => {
  it('leads the next hub to what a hub held in memory when it died', async () => {
    const device = newDevice()
    const hub = await startHub(store(), { deliver: never })
    await hub.sell(device, nextSale())
    await hub.sell(device, nextSale())
    hub.die()
    expect(await waitingFor(store(), device)).toEqual([])
    await startHub(store(), { deliver: never })
    expect(await waitingFor(store(), device)).toHaveLength(2)
    expect(await marksIn(store()), 'only the living have one').toHaveLength(1)
  })

  it('moves on with what was acknowledged: the next hub does not repeat it', async () => {
    const device = newDevice()
    const hub = await startHub(store(), { deliver: async () => 'delivered' })
    await hub.sell(device, nextSale())
    const before = await store().end('ledger')
    await until('the mark has come that far', async () => {
      const [mark] = await marksIn(store())
      const key = RECEIPT_MARKS_INDEX.replace('receipt-marks', `receipt-mark:${mark?.member}`)
      const [doc] = await store().read([key])
      return (doc?.value as { position: string } | undefined)?.position === before
    })
    hub.die()
    await startHub(store(), { deliver: never })
    expect(await waitingFor(store(), device)).toEqual([])
  })

  it('is taken away by a hub that was told to stop, and leaves its receipts in the outbox', async () => {
    const device = newDevice()
    const hub = await startHub(store(), { deliver: never })
    await hub.sell(device, nextSale())
    await hub.stop()
    expect(await marksIn(store())).toEqual([])
    expect(await waitingFor(store(), device)).toHaveLength(1)
  })

  it('stands still when its hub has died; another hub delivers the receipts to the devices it has', async () => {
    const device = newDevice()
    const received: Receipt[] = []
    const other = await startHub(store(), {
      alone: false,
      async deliver(_, payload) {
        received.push(JSON.parse(payload) as Receipt)
        return 'delivered'
      },
    })
    const hub = await startHub(store(), { deliver: never, alone: false })
    const sale = nextSale()
    await hub.sell(device, sale)
    other.receipts.listening(`hub/v1/${device}/receipt`)
    await until('the outbox was read', () => other.receipts.stats.sweepsWaiting === 0)
    hub.die()
    await until('the receipt has come', () => received.some(({ event_id }) => event_id === sale.event_id))
    await until('the mark is gone', async () => (await marksIn(store())).length === 1)
  })

  it('loses no receipt, whatever becomes of devices and hubs', async () => {
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.record({ sell: fc.integer({ min: 1, max: 5 }) }) },
      { weight: 2, arbitrary: fc.constant({ die: true }) },
      { weight: 2, arbitrary: fc.constant({ stop: true }) },
      { weight: 3, arbitrary: fc.record({ turns: fc.integer({ min: 1, max: 20 }) }) },
    )
    const answers = fc.infiniteStream(
      fc.record({
        answer: fc.constantFrom('delivered', 'delivered', 'absent', 'busy', 'never'),
        turns: fc.integer({ min: 0, max: 5 }),
      }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 20 }), answers, async (steps, stream) => {
        const device = newDevice()
        const received = new Set<string | null>()
        const deliver: ReceiptServices['deliver'] = async (_, payload) => {
          const { value } = stream.next()
          for (let i = 0; i < value.turns; i++) await turn()
          if (value.answer === 'never') return never()
          if (value.answer === 'delivered') received.add((JSON.parse(payload) as Receipt).event_id)
          return value.answer as 'delivered' | 'absent' | 'busy'
        }
        const acknowledged: string[] = []
        let hub = await startHub(store(), { deliver })
        for (const what of steps) {
          if ('sell' in what) {
            const sales = Array.from({ length: what.sell }, () => nextSale())
            await Promise.all(sales.map((sale) => hub.sell(device, sale)))
            acknowledged.push(...sales.map(({ event_id }) => event_id))
          } else if ('turns' in what) {
            for (let i = 0; i < what.turns; i++) await turn()
          } else {
            if ('die' in what) hub.die()
            else await hub.stop()
            hub = await startHub(store(), { deliver })
          }
        }
        hub.die()
        const last = await startHub(store(), {
          async deliver(_, payload) {
            received.add((JSON.parse(payload) as Receipt).event_id)
            return 'delivered'
          },
        })
        last.receipts.listening(`hub/v1/${device}/receipt`)
        await until('all have come', () => acknowledged.every((id) => received.has(id)))
        await last.stop()
      }),
      { numRuns: 25 },
    )
  })
})
