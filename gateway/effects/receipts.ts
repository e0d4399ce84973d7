/**
 * Receipts leave by the outbox: an index per device whose members name the ledger entries it has not acknowledged a
 * receipt for. Most never get there: a sale's receipt is in the memory of the hub that committed it, is sent at once and
 * acknowledged soon, and then there is nothing left to remember. So a sale costs the outbox nothing as a rule.
 *
 *   committed here, device connected here   → sent at once
 *   not acknowledged soon, or no device     → into the outbox
 *   device (re)subscribes, here or anywhere → what waits for it in the outbox is sent, oldest first
 *   PUBACK                                  → forgotten, or removed from the outbox
 *
 * What a hub held in memory when it died, `receipt-marks.ts` finds again in the ledger; so a receipt can be late, but not
 * lost. A receipt about an older entry (the sale came again) is written to the outbox at once.
 *
 * What could not be read or sent now is looked for again: when the device has acknowledged what it has, or after a
 * while when the store is away.
 *
 * A sale may be committed on a hub that its device has just left. The hub it went to looks again a moment later, and
 * after the time that a commit and a receipt can be held: by then the receipt is in the outbox.
 */
import type { Entry } from '../contract/ledger.ts'
import { receiptFor } from '../contract/receipts.ts'
import { parseDeviceTopic, ROOT } from '../contract/topics.ts'
import { parseReceiptMember } from '../deciders/decision.ts'
import { receiptsIndex } from '../documents.ts'
import { type CommittedReceipt, HOLD_MS } from '../intake.ts'
import { SHARDS, shardOfKey } from '../store/keys.ts'
import type { Store } from '../store/store.ts'
import { type OutboxPlace, openReceiptOutbox } from './receipt-outbox.ts'

/** Receipts read from the outbox for one device at a time. */
const SWEEP_MEMBERS = 100
/** Devices whose outbox is read at the same time: a reconnect storm must not crowd out the sales. */
const SWEEPS_AT_ONCE = 8
const RETRY_MS = 500
/** A receipt that is not acknowledged by then goes into the outbox. */
const HELD_MS_MAX = 2000
const HELD_CHECK_MS = 500
/** When the hub that a device came to looks again, for receipts from the hub that it left. */
const LOOK_AGAIN_MS = [1000, HOLD_MS + HELD_MS_MAX + HELD_CHECK_MS + 5000]

export interface ReceiptServices {
  readonly store: Pick<Store, 'commit' | 'range' | 'entry'>
  readonly deliver: (topic: string, payload: string) => Promise<Delivery>
  /** A receipt came into the outbox so late that the hub its device may have gone to has looked before. */
  readonly onLate: () => void
  readonly log: { warn(details: object, message: string): void }
}

type Delivery = 'delivered' | 'absent' | 'busy'

export interface Receipts {
  /** Of a sale that was committed here just now; or of an older entry, then it is in the outbox. */
  send(receipt: CommittedReceipt): void
  /** A mailbox topic has a listener; topics other than receipts are none of ours. */
  listening(topic: string): void
  /** There may be something in the outbox of these devices; null: of all. Those that are not here are passed over. */
  lookAgain(devices: ReadonlySet<string> | null): void
  /** Resolves when every receipt that was sent before the call is acknowledged or in the outbox. */
  settled(): Promise<void>
  readonly isSettled: boolean
  readonly stats: { delivered: number; inFlight: number; sweepsWaiting: number }
  /** Resolves when what is held is in the outbox and what was acknowledged is out of it, or cannot be now. */
  stop(): Promise<void>
}

/** A receipt that only this process remembers. */
interface Held extends OutboxPlace {
  readonly entry: ReceiptEntry
  readonly sinceMs: number
  readonly generation: Generation
  /**
   *   sent          on its way to the device, and perhaps on its way into the outbox
   *   undelivered   the device is not here or takes no more: on its way into the outbox
   *   acknowledged  while it was on its way into the outbox
   */
  state: 'sent' | 'undelivered' | 'acknowledged'
  /** It is on its way into the outbox, or there. */
  isKept: boolean
}

/** Receipts sent between two calls of `settled`. */
interface Generation {
  held: number
  /** Once somebody waits for it. */
  done: PromiseWithResolvers<void> | null
}

const newGeneration = (): Generation => ({ held: 0, done: null })

interface Mailbox {
  /** Members sent and not yet acknowledged. */
  readonly inFlight: Set<string>
  /** Acknowledged, and not out of the outbox yet: what is read there meanwhile is not sent again. */
  readonly leaving: Set<string>
  /** The outbox holds more than was sent. */
  hasMore: boolean
}

export function startReceipts({ store, deliver, onLate, log }: ReceiptServices): Receipts {
  /** By age. */
  const held = new Set<Held>()
  let generation = newGeneration()
  let settledBefore: Promise<void> = Promise.resolve()
  /** Devices that have listened here, and may have left. */
  const listeners = new Set<string>()
  const outbox = openReceiptOutbox(store, log)
  const mailboxes = new Map<string, Mailbox>()
  /** Devices whose turn it is, in order. */
  const sweeps = new Set<string>()
  const laterSweeps = new Set<NodeJS.Timeout>()
  /** Devices whose outbox is being read, and what left it meanwhile: the reader may have seen that still. */
  const reading = new Map<string, Set<string>>()
  const stats = { delivered: 0, inFlight: 0, sweepsWaiting: 0 }
  let stopped = false

  function mailboxOf(device: string): Mailbox {
    let mailbox = mailboxes.get(device)
    if (mailbox === undefined) {
      mailbox = { inFlight: new Set(), leaving: new Set(), hasMore: false }
      mailboxes.set(device, mailbox)
    }
    return mailbox
  }

  async function deliverHeld(receipt: Held): Promise<void> {
    const { device, shard, member, entry } = receipt
    stats.inFlight++
    const result = await deliver(receiptTopic(device), payloadOf(entry, member))
    stats.inFlight--
    if (result === 'delivered') stats.delivered++
    if (receipt.isKept && !held.has(receipt)) {
      settle(device, shard, member, result)
    } else if (result === 'delivered') {
      receipt.state = 'acknowledged'
      if (!receipt.isKept) release(receipt)
    } else {
      receipt.state = 'undelivered'
      keep(receipt)
    }
  }

  /** It depends on this process no more. */
  function release(receipt: Held): void {
    held.delete(receipt)
    const { generation: own } = receipt
    if (--own.held === 0) own.done?.resolve()
  }

  /** Into the outbox with it. */
  function keep(receipt: Held): void {
    if (receipt.isKept) return
    receipt.isKept = true
    // What is read in the outbox meanwhile is on its way already.
    mailboxOf(receipt.device).inFlight.add(receipt.member)
    outbox.add(receipt, receipt.sinceMs, () => kept(receipt))
  }

  /** It is in the outbox. */
  function kept(receipt: Held): void {
    release(receipt)
    const { device, shard, member, entry, state, sinceMs } = receipt
    if (Date.now() - sinceMs > HOLD_MS) onLate()
    if (state === 'acknowledged') {
      settle(device, shard, member, 'delivered')
    } else if (state === 'undelivered') {
      mailboxOf(device).inFlight.delete(member)
      void deliverOne(device, shard, member, entry)
    }
    // One that is on its way is settled when its device has answered.
  }

  const checking = setInterval(() => {
    const untilMs = Date.now() - HELD_MS_MAX
    for (const receipt of held) {
      if (receipt.sinceMs > untilMs) break
      keep(receipt)
    }
  }, HELD_CHECK_MS).unref()

  async function deliverOne(
    device: string,
    shard: number,
    member: string,
    entry: ReceiptEntry,
  ): Promise<void> {
    const mailbox = mailboxOf(device)
    if (mailbox.inFlight.has(member)) return
    mailbox.inFlight.add(member)
    stats.inFlight++
    const result = await deliver(receiptTopic(device), payloadOf(entry, member))
    stats.inFlight--
    if (result === 'delivered') stats.delivered++
    settle(device, shard, member, result)
  }

  /** What becomes of a receipt that is in the outbox. */
  function settle(device: string, shard: number, member: string, result: Delivery): void {
    const mailbox = mailboxOf(device)
    mailbox.inFlight.delete(member)
    if (result === 'delivered') {
      mailbox.leaving.add(member)
      outbox.remove({ device, shard, member }, () => left(device, member))
      return
    }
    // Of one that is absent the next subscription finds everything.
    if (result === 'absent') listeners.delete(device)
    mailbox.hasMore = result === 'busy'
    if (isIdle(device, mailbox) && mailbox.hasMore) sweepLater(device, RETRY_MS)
  }

  /** Out of the outbox, or left there. */
  function left(device: string, member: string): void {
    reading.get(device)?.add(member)
    const mailbox = mailboxes.get(device)
    mailbox?.leaving.delete(member)
    if (mailbox !== undefined && isIdle(device, mailbox) && mailbox.hasMore) sweep(device)
  }

  /** Nothing is under way to it; then it need not be remembered. */
  function isIdle(device: string, { inFlight, leaving }: Mailbox): boolean {
    if (inFlight.size > 0 || leaving.size > 0) return false
    mailboxes.delete(device)
    return true
  }

  function send({ device, shard, member, entry }: CommittedReceipt): void {
    if (entry === null) {
      void deliverStored(device, shard, member)
      return
    }
    const receipt: Held = {
      device,
      shard,
      member,
      entry: entry as ReceiptEntry,
      sinceMs: Date.now(),
      generation,
      state: 'sent',
      isKept: false,
    }
    generation.held++
    held.add(receipt)
    void deliverHeld(receipt)
  }

  async function deliverStored(device: string, shard: number, member: string): Promise<void> {
    try {
      const entry = await store.entry('ledger', parseReceiptMember(member).entry)
      if (entry !== null) await deliverOne(device, shard, member, entry)
    } catch (error) {
      log.warn({ device, error: (error as Error).message }, 'a receipt could not be read')
      sweepLater(device, RETRY_MS)
    }
  }

  function sweep(device: string): void {
    if (stopped) return
    sweeps.add(device)
    nextSweep()
  }

  function nextSweep(): void {
    // One that is being read has its turn again after that.
    const device = reading.size < SWEEPS_AT_ONCE ? sweeps.values().find((it) => !reading.has(it)) : undefined
    if (device !== undefined) {
      sweeps.delete(device)
      reading.set(device, new Set())
      void readOutbox(device)
        .catch((error: Error) => {
          log.warn({ device, error: error.message }, 'the outbox could not be read')
          sweepLater(device, RETRY_MS)
        })
        .finally(() => {
          reading.delete(device)
          nextSweep()
        })
    }
    stats.sweepsWaiting = sweeps.size
  }

  function sweepLater(device: string, delayMs: number): void {
    const timer = setTimeout(() => {
      laterSweeps.delete(timer)
      sweep(device)
    }, delayMs)
    timer.unref()
    laterSweeps.add(timer)
  }

  async function readOutbox(device: string): Promise<void> {
    const names = SHARDS.map((shard) => receiptsIndex(shard, device))
    const members = await store.range(names, { limit: SWEEP_MEMBERS })
    const entries = await Promise.all(
      members.map(({ member }) => store.entry('ledger', parseReceiptMember(member).entry)),
    )
    members.forEach(({ name, member }, at) => {
      const entry = entries[at]
      const isLeaving = mailboxes.get(device)?.leaving.has(member) || reading.get(device)?.has(member)
      if (entry && !isLeaving) void deliverOne(device, shardOfKey(name), member, entry)
    })
    const mailbox = mailboxes.get(device)
    if (mailbox !== undefined && members.length === SWEEP_MEMBERS) mailbox.hasMore = true
  }

  return {
    send,
    listening(topic) {
      const parsed = parseDeviceTopic(topic)
      if (parsed?.kind !== 'receipt') return
      const device = `${parsed.dealer}/${parsed.device}`
      listeners.add(device)
      sweep(device)
      for (const delayMs of LOOK_AGAIN_MS) sweepLater(device, delayMs)
    },
    lookAgain(devices) {
      for (const device of devices ?? listeners) if (listeners.has(device)) sweep(device)
    },
    settled() {
      const ended = generation
      if (ended.held > 0) {
        ended.done = Promise.withResolvers()
        const before = settledBefore
        const { promise } = ended.done
        settledBefore = before.then(() => promise)
        generation = newGeneration()
      }
      return settledBefore
    },
    get isSettled() {
      return held.size === 0
    },
    stats,
    async stop() {
      stopped = true
      clearInterval(checking)
      for (const timer of laterSweeps) clearTimeout(timer)
      for (const receipt of held) keep(receipt)
      await outbox.stop()
    },
  }
}

type ReceiptEntry = Pick<Entry, 'entry' | 'at' | 'type' | 'data'>

const payloadOf = (entry: ReceiptEntry, member: string): string =>
  JSON.stringify(receiptFor(entry, parseReceiptMember(member)))

const receiptTopic = (device: string): string => `${ROOT}/${device}/receipt`
