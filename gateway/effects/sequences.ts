/**
 * Keeps each device's sequence numbers (`SequenceDoc`) up with the ledger. It sees every sale, so it gathers the numbers
 * of many entries and writes each touched device once.
 *
 * Adding a number twice changes nothing; so documents are written first and the checkpoint after them, and a crash or
 * a lost answer between the two only means that some entries are read again.
 *
 * One hub at a time does it, by lease. Should two do it all the same, for a moment, their documents are checked sets and
 * come out the same.
 */
import { randomUUID } from 'node:crypto'
import { deviceId } from '../contract/topics.ts'
import { type CheckpointDoc, checkpointKey, type SequenceDoc, sequenceKey } from '../documents.ts'
import { createLease } from '../lease.ts'
import { addToRanges } from '../sequences.ts'
import { shardOfKey } from '../store/keys.ts'
import { type Doc, type Position, type Proposal, START, type Store } from '../store/store.ts'
import { startWorker, type Worker, type WorkerLog } from './worker.ts'

/** Entries decoded in one turn of the event loop: a few milliseconds. As the projector reads them, so pages are shared. */
const PAGE_ENTRIES = 1000
/** Entries gathered before their devices are written. */
const BATCH_ENTRIES = 10_000
/** Nobody waits for a gap to be seen at once, and rarer steps gather more. */
const POLL_MS = 500
/** Writes of one device that lose to another hub's so often in a row are held up by a fault. */
const ROUNDS_MAX = 20

export interface SequencesServices {
  readonly store: Pick<Store, 'read' | 'commit' | 'entriesAfter'>
  readonly log: WorkerLog
}

export function startSequences({ store, log }: SequencesServices): Pick<Worker, 'stop'> {
  const lease = createLease(store, 'sequences')
  const key = checkpointKey('sequences')

  /** One batch of entries, if it is this hub's turn. */
  async function step(): Promise<boolean> {
    if (!(await lease.hold())) return false
    const [doc = null] = await store.read([key])
    const batch = await gather(store, (doc?.value as CheckpointDoc | undefined)?.position ?? START)
    if (batch.entries === 0) return false
    await writeDevices(store, batch.numbers)
    // When another hub has moved it meanwhile, the next step goes on from there.
    await store.commit([
      {
        shard: shardOfKey(key),
        token: randomUUID(),
        check: [{ key, version: doc?.version ?? 0 }],
        set: [{ key, value: { position: batch.position } satisfies CheckpointDoc }],
      },
    ])
    return batch.entries >= BATCH_ENTRIES
  }

  const worker = startWorker({ name: 'sequence numbers', step, pollMs: POLL_MS, log })
  return {
    async stop() {
      await worker.stop()
      // A store that is away keeps the lease until it runs out; the next hub waits for that.
      await lease.release().catch(() => {})
    },
  }
}

interface Batch {
  readonly entries: number
  readonly position: Position
  /** By device. */
  readonly numbers: ReadonlyMap<string, number[]>
}

async function gather(store: Pick<Store, 'entriesAfter'>, from: Position): Promise<Batch> {
  const numbers = new Map<string, number[]>()
  let position = from
  let entries = 0
  while (entries < BATCH_ENTRIES) {
    const page = await store.entriesAfter('ledger', position, PAGE_ENTRIES)
    if (page.entries.length === 0) break
    for (const { data } of page.entries) {
      const { dealer, device, seq } = data as { dealer?: string; device?: string; seq?: number }
      if (seq === undefined || dealer === undefined || device === undefined) continue
      const id = deviceId({ dealer, device })
      const found = numbers.get(id)
      if (found === undefined) numbers.set(id, [seq])
      else found.push(seq)
    }
    entries += page.entries.length
    position = page.position
  }
  return { entries, position, numbers }
}

async function writeDevices(
  store: Pick<Store, 'read' | 'commit'>,
  numbers: ReadonlyMap<string, number[]>,
): Promise<void> {
  let open = [...numbers.keys()]
  for (let round = 1; open.length > 0; round++) {
    if (round > ROUNDS_MAX) throw new Error(`sequence numbers lost ${ROUNDS_MAX} races in a row`)
    const docs = await store.read(open.map(sequenceKey))
    const writes = open.flatMap((id, i) => {
      const proposal = addition(id, docs[i] ?? null, numbers.get(id) as number[])
      return proposal === null ? [] : [{ id, proposal }]
    })
    if (writes.length === 0) return
    const outcomes = await store.commit(writes.map(({ proposal }) => proposal))
    open = writes.flatMap(({ id }, i) => (outcomes[i]?.outcome === 'committed' ? [] : [id]))
  }
}

/** null: the document has them all. */
function addition(id: string, doc: Doc | null, numbers: readonly number[]): Proposal | null {
  const key = sequenceKey(id)
  const before = (doc?.value as SequenceDoc | undefined)?.seen ?? []
  const seen = addToRanges(before, numbers)
  if (seen === before) return null
  const version = doc?.version ?? 0
  return {
    shard: shardOfKey(key),
    token: randomUUID(),
    check: [{ key, version }],
    set: [{ key, value: { seen } satisfies SequenceDoc }],
  }
}
