/**
 * Receipts leave by the outbox: an index per device whose members name the ledger entries it has not acknowledged a
 * receipt for. They are written with the sale, in one proposal; so a receipt can be late, but not lost.
 *
 *   committed here, device connected here  → sent at once
 *   device (re)subscribes, here or anywhere → what waits for it is sent, oldest first
 *   PUBACK                                 → the member is removed
 *
 * What could not be read or sent now is looked for again: when the device has acknowledged what it has, or after a
 * while when the store is away.
 *
 * A sale may be committed on a hub that its device has just left. The hub it went to looks once more after the time a
 * commit can be held: by then the receipt is in the outbox.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Entry } from '../contract/ledger.ts'
import { receiptFor } from '../contract/receipts.ts'
import { deviceTopic, parseDeviceId, parseDeviceTopic } from '../contract/topics.ts'
import { parseReceiptMember } from '../deciders/decision.ts'
import { receiptsIndex } from '../documents.ts'
import { type CommittedReceipt, HOLD_MS } from '../intake.ts'
import { SHARDS, shardOfKey } from '../store/keys.ts'
import type { Proposal, Store } from '../store/store.ts'

/** Receipts read from the outbox for one device at a time. */
const SWEEP_MEMBERS = 100
/** Devices whose outbox is read at the same time: a reconnect storm must not crowd out the sales. */
const SWEEPS_AT_ONCE = 8
/** Removals that wait for a store that is away; beyond it they are forgotten, and the receipt is sent again one day. */
const REMOVALS_MAX = 100_000
const REMOVALS_PER_COMMIT = 1000
const RETRY_MS = 500

export interface ReceiptServices {
  readonly store: Pick<Store, 'commit' | 'range' | 'entry'>
  readonly deliver: (topic: string, payload: string) => Promise<'delivered' | 'absent' | 'busy'>
  readonly log: { warn(details: object, message: string): void }
}

export interface Receipts {
  /** A receipt was committed to the outbox. */
  send(receipt: CommittedReceipt): void
  /** A mailbox topic has a listener; topics other than receipts are none of ours. */
  listening(topic: string): void
  readonly stats: { delivered: number; inFlight: number; sweepsWaiting: number }
  /** Resolves when what was acknowledged is removed, or cannot be now. */
  stop(): Promise<void>
}

interface Mailbox {
  /** Members sent and not yet acknowledged. */
  readonly inFlight: Set<string>
  /** Acknowledged, and not out of the outbox yet: what is read there meanwhile is not sent again. */
  readonly leaving: Set<string>
  /** The outbox holds more than was sent. */
  hasMore: boolean
}

interface Removal {
  readonly device: string
  readonly shard: number
  readonly member: string
}

export function startReceipts({ store, deliver, log }: ReceiptServices): Receipts {
  const mailboxes = new Map<string, Mailbox>()
  /** Devices whose turn it is, in order. */
  const sweeps = new Set<string>()
  const laterSweeps = new Set<NodeJS.Timeout>()
  const stats = { delivered: 0, inFlight: 0, sweepsWaiting: 0 }
  const removals: Removal[] = []
  let sweeping = 0
  let removing: Promise<void> | null = null
  let stopped = false

  function mailboxOf(device: string): Mailbox {
    let mailbox = mailboxes.get(device)
    if (mailbox === undefined) {
      mailbox = { inFlight: new Set(), leaving: new Set(), hasMore: false }
      mailboxes.set(device, mailbox)
    }
    return mailbox
  }

  async function deliverOne(
    device: string,
    shard: number,
    member: string,
    entry: ReceiptEntry,
  ): Promise<void> {
    const name = parseDeviceId(device)
    if (name === null) return
    const mailbox = mailboxOf(device)
    if (mailbox.inFlight.has(member)) return
    mailbox.inFlight.add(member)
    stats.inFlight++
    const receipt = receiptFor(entry, parseReceiptMember(member))
    const result = await deliver(deviceTopic(name, 'receipt'), JSON.stringify(receipt))
    stats.inFlight--
    mailbox.inFlight.delete(member)
    if (result === 'delivered') {
      stats.delivered++
      mailbox.leaving.add(member)
      remove({ device, shard, member })
      return
    }
    // Of one that is absent the next subscription finds everything.
    mailbox.hasMore = result === 'busy'
    if (isIdle(device, mailbox) && mailbox.hasMore) sweepLater(device, RETRY_MS)
  }

  /** Out of the outbox, or left there. */
  function left({ device, member }: Removal): void {
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
    if (entry === null) void deliverStored(device, shard, member)
    else void deliverOne(device, shard, member, entry as ReceiptEntry)
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
    const [device] = sweeps
    if (device !== undefined && sweeping < SWEEPS_AT_ONCE) {
      sweeps.delete(device)
      sweeping++
      void readOutbox(device)
        .catch((error: Error) => {
          log.warn({ device, error: error.message }, 'the outbox could not be read')
          sweepLater(device, RETRY_MS)
        })
        .finally(() => {
          sweeping--
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
      const isLeaving = mailboxes.get(device)?.leaving.has(member)
      if (entry && !isLeaving) void deliverOne(device, shardOfKey(name), member, entry)
    })
    const mailbox = mailboxes.get(device)
    if (mailbox !== undefined && members.length === SWEEP_MEMBERS) mailbox.hasMore = true
  }

  function remove(removal: Removal): void {
    if (removals.length >= REMOVALS_MAX) {
      left(removal)
      return
    }
    removals.push(removal)
    removing ??= removeAll().finally(() => {
      removing = null
    })
  }

  async function removeAll(): Promise<void> {
    // Everything acknowledged in this turn of the event loop, and while the commit before was under way, goes together.
    await new Promise(setImmediate)
    while (removals.length > 0) {
      const batch = removals.slice(0, REMOVALS_PER_COMMIT)
      try {
        await store.commit(removalProposals(batch))
        removals.splice(0, batch.length)
        for (const removal of batch) left(removal)
      } catch (error) {
        if (stopped) return
        log.warn({ waiting: removals.length, error: (error as Error).message }, 'receipts not removed yet')
        await wait(RETRY_MS)
      }
    }
  }

  return {
    send,
    listening(topic) {
      const parsed = parseDeviceTopic(topic)
      if (parsed?.kind !== 'receipt') return
      const device = `${parsed.dealer}/${parsed.device}`
      sweep(device)
      sweepLater(device, 2 * HOLD_MS)
    },
    stats,
    async stop() {
      stopped = true
      for (const timer of laterSweeps) clearTimeout(timer)
      await removing
    },
  }
}

type ReceiptEntry = Pick<Entry, 'entry' | 'at' | 'type' | 'data'>

/** Removing is harmless to repeat, so its token identifies nothing. */
function removalProposals(removals: readonly Removal[]): Proposal[] {
  const byShard = new Map<number, { name: string; member: string; score: null }[]>()
  for (const { device, shard, member } of removals) {
    const index = { name: receiptsIndex(shard, device), member, score: null }
    const found = byShard.get(shard)
    if (found === undefined) byShard.set(shard, [index])
    else found.push(index)
  }
  return [...byShard].map(([shard, index]) => ({ shard, token: 'receipts', index }))
}
