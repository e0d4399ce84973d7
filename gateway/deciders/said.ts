/** What is kept of a person's message: its words, where an answer goes, and whose WhatsApp id it came from. */
import type { DecodedMessage } from '../decode/people.ts'
import { type Contact, type IdentityDoc, identityKey, type SaidDoc } from '../race-documents.ts'
import { shardOfKey } from '../store/keys.ts'
import type { Doc, Json } from '../store/store.ts'
import type { ProposedWrite } from './decision.ts'

/** Characters of a provider's own form that are kept, for kinds the normal form does not hold. */
const RAW_MAX = 32_768

export function contactFrom({ bridge, message, handles }: DecodedMessage): Contact {
  const { user_id } = message.customer
  const phone = handles.customer?.phone
  return {
    bridge,
    to: {
      ...(phone && { phone }),
      ...(user_id && { user_id }),
      ...(message.room_id && { room_id: message.room_id }),
    },
  }
}

/** Personal data: kept in the message's lock, beside the ledger. */
export function saidDoc({ message }: DecodedMessage): Json {
  const { at, kind, text, choice, raw } = message
  const isHeld = kind === 'text' || kind === 'choice' || kind === 'location'
  const isSmall = !isHeld && raw != null && JSON.stringify(raw).length <= RAW_MAX
  const doc: SaidDoc = {
    at,
    kind,
    ...(text != null && { text }),
    ...(choice != null && { choice: choice.id }),
    ...(isSmall && { raw }),
  }
  return doc as unknown as Json
}

/** Remembers whose a WhatsApp id is, once it came together with a phone number. */
export function bind({ handles }: DecodedMessage, known: Doc | null, whose: IdentityDoc): ProposedWrite[] {
  if (handles.other === null || JSON.stringify(known?.value) === JSON.stringify(whose)) return []
  const key = identityKey(handles.other)
  return [
    {
      shard: shardOfKey(key),
      check: [{ key, version: known?.version ?? 0 }],
      set: [{ key, value: whose as unknown as Json }],
    },
  ]
}
