/**
 * What could not be decoded is kept, never dropped: the raw bytes in quarantine, an entry in the ledger, and, when a
 * terminal waits for it, a receipt that names each field. The same bytes sent again are the same item.
 */
import { hash } from 'node:crypto'
import type { QuarantineEntry, SaleEntry } from '../contract/ledger.ts'
import { deviceId } from '../contract/topics.ts'
import type { Undecodable } from '../decode.ts'
import {
  type QuarantineDoc,
  quarantineIdOf,
  quarantineIndex,
  quarantineKey,
  receiptsIndex,
} from '../documents.ts'
import { shardOfKey } from '../store/keys.ts'
import { ENTRY_ID, type Json } from '../store/store.ts'
import {
  type Decider,
  type Decision,
  type Docs,
  type Keys,
  type Moment,
  NOTHING,
  receiptMember,
} from './decision.ts'

/** 96 bits of a hash of topic, sender and bytes. */
export function quarantineId({ inbound: { topic, sender, payload } }: Undecodable): string {
  const head = Buffer.from(`${topic}\n${sender}\n`)
  return `q${hash('sha256', Buffer.concat([head, payload]), 'hex').slice(0, 24)}`
}

export const undecodableDecider: Decider<Undecodable, 'kept'> = {
  keys: (message) => ({ kept: quarantineKey(quarantineId(message)) }),
  reads: ['kept'],
  readsAgain: ['kept'],
  decide,
}

function decide(
  { inbound, errors, answerTo }: Undecodable,
  { kept }: Docs<'kept'>,
  { kept: key }: Keys<'kept'>,
  { nowMs }: Moment,
): Decision {
  const id = quarantineIdOf(key)
  const shard = shardOfKey(key)
  if (kept !== null) {
    if (answerTo === null) return NOTHING
    const device = deviceId(answerTo.name)
    const member = receiptMember(kept.entry as string, false)
    return {
      proposals: [{ shard, index: [{ name: receiptsIndex(shard, device), member, score: nowMs }] }],
      receipt: { device, member, entry: null },
    }
  }

  const doc: QuarantineDoc = {
    topic: inbound.topic,
    sender: inbound.sender,
    received_at: new Date(nowMs).toISOString(),
    payload_base64: Buffer.from(inbound.payload).toString('base64'),
    errors,
    state: 'waiting',
  }
  const entry =
    answerTo === null
      ? {
          type: 'message.quarantined',
          data: {
            quarantine: id,
            topic: inbound.topic,
            sender: inbound.sender,
            errors,
          } satisfies QuarantineEntry,
        }
      : {
          type: 'sale.rejected',
          data: {
            event_id: answerTo.eventId,
            ...answerTo.name,
            reason: 'invalid',
            errors,
            quarantine: id,
          } satisfies SaleEntry,
        }
  const device = answerTo === null ? null : deviceId(answerTo.name)
  return {
    proposals: [
      {
        shard,
        once: [{ key, value: doc as unknown as Json }],
        append: [{ stream: 'ledger', ...entry }],
        index: [{ name: quarantineIndex(shard), member: id, score: nowMs }],
      },
    ],
    receipt: device === null ? null : { device, member: ENTRY_ID, entry },
  }
}
