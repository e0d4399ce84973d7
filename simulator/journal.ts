/**
 * The journal: what the world sent and what it was told, in the order it happened, one record a line. A record's place
 * is its time: whatever is acknowledged before something else is sent stands before it.
 *
 * The books are the journal added up, by sale. A verdict needs nothing but them and the hub's ledger, so a journal
 * kept in a file can be judged later, and on another machine.
 */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Receipt } from '../gateway/contract/receipts.ts'
import type { Letter } from './plan.ts'
import type { Recorder } from './recorder.ts'
import type { WorldOptions } from './world.ts'

/** The first line. */
export interface Began {
  readonly what: 'began'
  readonly world: WorldOptions
  /** By lane: the last entry number the hub's ledger had before. */
  readonly before: Readonly<Record<string, number>>
}

/** Every other line. */
export type JournalRecord =
  | {
      readonly what: 'sent'
      readonly kind: LetterKind
      readonly device: string
      readonly id: string
      /** Base64; the first time only. */
      readonly payload?: string
    }
  | {
      readonly what: 'acknowledged'
      readonly kind: LetterKind
      readonly device: string
      readonly id: string
    }
  | { readonly what: 'told'; readonly device: string; readonly receipt: Receipt }
  | { readonly what: 'nonsense'; readonly device: string; readonly payload: string }
  /** By device: letters still in its outbox; devices with none are left out. */
  | { readonly what: 'ended'; readonly pending: Readonly<Record<string, number>> }

/** Status reports are not in the ledger, so the journal leaves them out. */
type LetterKind = Exclude<Letter['kind'], 'status'>

export interface SaleBook {
  readonly id: string
  readonly device: string
  readonly payload: Buffer
  /** Number of the record that sent it first. */
  readonly sentAt: number
  /** Number of the record of its first PUBACK or receipt; null: neither came. */
  knownAt: number | null
  /** How often it was sent, replays included. */
  sends: number
  acknowledgements: number
  readonly receipts: Receipt[]
  /** Whether a replay was acknowledged that was sent after the sale's first receipt. */
  replayAcknowledged: boolean
}

export interface GarbageBook {
  readonly id: string
  readonly device: string
  readonly payload: Buffer
  sends: number
  acknowledgements: number
}

export class Books {
  readonly world: WorldOptions
  readonly before: Readonly<Record<string, number>>
  pending: Readonly<Record<string, number>> = {}
  readonly sales = new Map<string, SaleBook>()
  readonly garbage = new Map<string, GarbageBook>()
  /** Receipts that answer no sale of the device they came to; those without an event_id answer garbage. */
  readonly strayReceipts: { device: string; receipt: Receipt }[] = []
  readonly nonsense: { device: string; payload: Buffer }[] = []
  #records = 0

  /** Undecodable letters that were acknowledged and whose receipt has not come. */
  get garbageUnanswered(): number {
    const acknowledged = [...this.garbage.values()].filter(({ acknowledgements }) => acknowledgements > 0)
    const answers = this.strayReceipts.filter(({ receipt }) => receipt.event_id === null)
    return acknowledged.length - new Set(answers.map(({ receipt }) => receipt.entry)).size
  }

  constructor({ world, before }: Began) {
    this.world = world
    this.before = before
  }

  apply(record: JournalRecord): void {
    this.#records++
    switch (record.what) {
      case 'sent':
        this.#sent(record)
        break
      case 'acknowledged':
        this.#acknowledged(record)
        break
      case 'told':
        this.#told(record)
        break
      case 'nonsense':
        this.nonsense.push({ device: record.device, payload: Buffer.from(record.payload, 'base64') })
        break
      case 'ended':
        this.pending = record.pending
    }
  }

  #sent({ kind, device, id, payload = '' }: JournalRecord & { what: 'sent' }): void {
    const book = kind === 'garbage' ? this.garbage.get(id) : this.sales.get(id)
    if (book !== undefined) {
      book.sends++
      return
    }
    const opened = { id, device, payload: Buffer.from(payload, 'base64'), sends: 1, acknowledgements: 0 }
    if (kind === 'garbage') this.garbage.set(id, opened)
    else {
      const sentAt = this.#records
      this.sales.set(id, { ...opened, sentAt, knownAt: null, receipts: [], replayAcknowledged: false })
    }
  }

  #acknowledged({ kind, id }: JournalRecord & { what: 'acknowledged' }): void {
    if (kind === 'garbage') {
      const garbage = this.garbage.get(id)
      if (garbage !== undefined) garbage.acknowledgements++
      return
    }
    const sale = this.sales.get(id)
    if (sale === undefined) return
    sale.acknowledgements++
    sale.knownAt ??= this.#records
    // A replay leaves its outbox only after the sale's receipt (`outbox.ts`).
    if (kind === 'replay') sale.replayAcknowledged = true
  }

  #told({ device, receipt }: JournalRecord & { what: 'told' }): void {
    const sale = receipt.event_id === null ? undefined : this.sales.get(receipt.event_id)
    if (sale === undefined || sale.device !== device) {
      this.strayReceipts.push({ device, receipt })
      return
    }
    sale.receipts.push(receipt)
    sale.knownAt ??= this.#records
  }
}

/** Keeps the books and, when a path is given, the file. */
export class Journal implements Recorder {
  readonly books: Books
  readonly #file: Writable | null

  private constructor(began: Began, file: Writable | null) {
    this.books = new Books(began)
    this.#file = file
    this.#file?.write(`${JSON.stringify(began)}\n`)
  }

  /**
   * @param before by lane: the last entry number the hub's ledger has
   * @throws when the file cannot be opened
   */
  static async open(
    path: string | null,
    world: WorldOptions,
    before: Readonly<Record<string, number>>,
  ): Promise<Journal> {
    const file = path === null ? null : (await open(path, 'w')).createWriteStream()
    return new Journal({ what: 'began', world, before }, file)
  }

  sent({ kind, device, id, payload }: Letter, attempt: number): void {
    if (kind === 'status') return
    const isFirst = attempt === 1 && kind !== 'replay'
    this.#keep({
      what: 'sent',
      kind,
      device,
      id,
      ...(isFirst && { payload: payload.toString('base64') }),
    })
  }

  acknowledged({ kind, device, id }: Letter): void {
    if (kind !== 'status') this.#keep({ what: 'acknowledged', kind, device, id })
  }

  told(device: string, receipt: Receipt): void {
    this.#keep({ what: 'told', device, receipt })
  }

  toldNonsense(device: string, payload: Buffer): void {
    this.#keep({ what: 'nonsense', device, payload: payload.toString('base64') })
  }

  connected(): void {}
  disconnected(): void {}
  refused(): void {}

  ended(pending: Readonly<Record<string, number>>): void {
    this.#keep({ what: 'ended', pending })
  }

  /** Resolves when the file is written. @throws when it could not be */
  async close(): Promise<void> {
    if (this.#file === null) return
    this.#file.end()
    await finished(this.#file)
  }

  #keep(record: JournalRecord): void {
    this.books.apply(record)
    this.#file?.write(`${JSON.stringify(record)}\n`)
  }
}

/** @throws when the file cannot be read, or a line is no record */
export async function readJournal(path: string): Promise<Books> {
  const input = createReadStream(path)
  await once(input, 'open')
  let books: Books | null = null
  let line = 0
  for await (const text of createInterface({ input })) {
    line++
    const record = parseRecord(text)
    if (record === null) throw new Error(`${path}, line ${line}: expected a journal record in JSON`)
    if (record.what === 'began') books = new Books(record)
    else if (books === null) throw new Error(`${path}: expected a journal, found no beginning of a run`)
    else books.apply(record)
  }
  if (books === null) throw new Error(`${path}: expected a journal, found nothing`)
  return books
}

function parseRecord(text: string): Began | JournalRecord | null {
  try {
    const record = JSON.parse(text) as Began | JournalRecord | null
    return typeof record === 'object' && typeof record?.what === 'string' ? record : null
  } catch {
    return null
  }
}
