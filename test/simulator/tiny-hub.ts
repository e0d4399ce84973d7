/**
 * A hub in miniature, to test the simulator against: CONTRACT «Payloads» over a list in memory, with the world's own
 * registration ledger. It shares no code with the real hub. A defect can be put into what it writes and answers.
 */

import { type Sale, sale as saleSchema } from '../../gateway/contract/events.ts'
import { entryId, LANES } from '../../gateway/contract/ledger.ts'
import { type Receipt, receiptFor } from '../../gateway/contract/receipts.ts'
import type { LedgerEntry } from '../../simulator/ledger-reader.ts'
import { priceOf, type World } from '../../simulator/world.ts'

/** An entry before it has its number. */
export interface Draft {
  readonly type: string
  readonly data: Record<string, unknown>
}

export interface Answer {
  readonly device: string
  readonly receipt: Receipt
}

/** What a defective hub does otherwise. */
export interface Defect {
  /** What is written instead of one decision: its entry and its alerts. */
  readonly write?: (drafts: readonly Draft[], hub: TinyHub) => readonly Draft[]
  /** What is answered instead. */
  readonly answer?: (answer: Answer, hub: TinyHub) => readonly Answer[]
}

export class TinyHub {
  readonly ledger: LedgerEntry[] = []
  readonly #world: World
  readonly #defect: Defect
  readonly #nowMs = Date.parse('2026-11-23T03:00:00Z')
  readonly #numbers = new Map<number, number>()
  /** By device and event id, or by device and bytes. */
  readonly #decided = new Map<string, LedgerEntry>()
  readonly #firsts = new Map<string, LedgerEntry>()

  constructor(world: World, defect: Defect = {}) {
    this.#world = world
    this.#defect = defect
  }

  /** Commits a message on the sale topic of a device. @returns the receipts to deliver */
  accept(device: string, payload: Uint8Array): readonly Answer[] {
    const parsed = saleSchema.safeParse(parseJson(payload))
    const key = parsed.success
      ? `${device} ${parsed.data.event_id}`
      : `${device} ${Buffer.from(payload).toString('base64')}`
    const known = this.#decided.get(key)
    if (known !== undefined) return this.#answer(device, receiptFor(known, { replayed: parsed.success }))
    const drafts = parsed.success ? this.#decide(device, parsed.data) : [invalid(device, payload)]
    const write = this.#defect.write ?? ((same) => same)
    const [entry] = write(drafts, this).map((draft) => this.append(draft))
    // A hub that loses what it decided still answers.
    const answered = entry ?? { ...(drafts[0] as Draft), entry: entryId(0, 999), at: this.#now() }
    this.#decided.set(key, answered)
    if (parsed.success && answered.type === 'sale.registered') this.#firsts.set(parsed.data.serial, answered)
    return this.#answer(device, receiptFor(answered))
  }

  append(draft: Draft): LedgerEntry {
    // All of one serial in one lane, as the contract of the ledger says.
    const lane =
      [...String(draft.data.serial ?? '')].reduce((sum, char) => sum + char.charCodeAt(0), 0) % LANES
    const number = (this.#numbers.get(lane) ?? 0) + 1
    this.#numbers.set(lane, number)
    const entry = { entry: entryId(lane, number), at: this.#now(), ...draft }
    this.ledger.push(entry)
    return entry
  }

  /** Leaves out a number, as if an entry had been cut out. */
  skipNumber(): void {
    this.#numbers.set(0, (this.#numbers.get(0) ?? 0) + 1)
  }

  firstOf(serial: string): LedgerEntry | null {
    return this.#firsts.get(serial) ?? null
  }

  #now(): string {
    return new Date(this.#nowMs + this.ledger.length).toISOString()
  }

  #answer(device: string, receipt: Receipt): readonly Answer[] {
    return this.#defect.answer?.({ device, receipt }, this) ?? [{ device, receipt }]
  }

  #decide(id: string, { customer_phone: phone, ...said }: Sale): Draft[] {
    const [dealer = '', device = ''] = id.split('/')
    const region = this.#world.dealer(dealer)?.region ?? ''
    const facts = {
      ...said,
      sold_at: new Date(said.sold_at).toISOString(),
      dealer,
      device,
      region,
      ...(phone !== undefined && { customer: `cus_${Buffer.from(phone).toString('base64url')}` }),
    }
    const alert = (cause: string): Draft => {
      const { event_id, serial } = said
      return { type: 'alert.raised', data: { tier: 'P1', cause, dealer, device, serial, event_id } }
    }
    const vehicle = this.#world.vehicle(said.serial)
    if (vehicle === null) {
      return [
        { type: 'sale.rejected', data: { ...facts, reason: 'unknown_serial' } },
        alert('unknown_serial'),
      ]
    }
    const holder = this.firstOf(said.serial)
    if (holder !== null) {
      const first = { event_id: holder.data.event_id, dealer: holder.data.dealer, at: holder.at }
      return [
        { type: 'sale.rejected', data: { ...facts, reason: 'duplicate_serial', first } },
        alert('duplicate_serial'),
      ]
    }
    const map = priceOf(said.model, region, said.sold_at.slice(0, 10))?.map ?? 0
    const isDiverted = vehicle.allottedDealer !== null && vehicle.allottedDealer !== dealer
    const flags = [
      ...(isDiverted ? ['diversion'] : []),
      ...(vehicle.model === said.model ? [] : ['model_mismatch']),
      ...(said.price < map ? ['below_map'] : []),
    ]
    const marks = {
      verified: true,
      reason: isDiverted ? 'wrong_dealer' : null,
      flags,
      ...(isDiverted && { allotted_dealer: vehicle.allottedDealer }),
      ...(flags.includes('model_mismatch') && { allotted_model: vehicle.model }),
      ...(flags.includes('below_map') && { map }),
    }
    return [{ type: 'sale.registered', data: { ...facts, ...marks } }, ...flags.map(alert)]
  }
}

function invalid(id: string, payload: Uint8Array): Draft {
  const [dealer, device] = id.split('/')
  const eventId = (parseJson(payload) as { event_id?: unknown } | undefined)?.event_id
  const errors = [{ field: 'payload', expected: 'a sale', received: `${payload.length} bytes` }]
  const quarantine = `q${Buffer.from(payload).toString('hex').slice(0, 24)}`
  const data = { event_id: eventId ?? null, dealer, device, reason: 'invalid', errors, quarantine }
  return { type: 'sale.rejected', data }
}

function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch {
    return undefined
  }
}
