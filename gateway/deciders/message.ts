/**
 * A person wrote to us, tapped a button or shared a place: who is it?
 *
 *   a rep        by the phone number in the directory, or by the WhatsApp id that came with it before   → rep.ts
 *   a customer   everybody else                                                                         → customer.ts
 *
 * A button of the race that a customer taps was forwarded: it is refused, and is no part of the conversation.
 */
import type { DecodedMessage } from '../decode/people.ts'
import type { Directory } from '../directory.ts'
import type { RepRow } from '../documents.ts'
import { type IdentityDoc, identityKey, leadEntriesIndex, saidKey, shardOfLead } from '../race-documents.ts'
import { type Key, shardOfKey } from '../store/keys.ts'
import { ENTRY_ID } from '../store/store.ts'
import { customerNeeds, decideCustomer } from './customer.ts'
import { type Decider, type Decision, type Docs, type Keys, type Moment, NOTHING } from './decision.ts'
import { answerTo, entryOf, jobWrites } from './lead.ts'
import { customerText, type Outcome, readChoice } from './race-texts.ts'
import { decideRep, repNeeds } from './rep.ts'
import { bind, contactFrom, saidDoc } from './said.ts'

export const messageDecider: Decider<DecodedMessage, never> = {
  keys: () => ({}) as Keys<never>,
  reads: [],
  readsAgain: [],
  follow(message, docs, moment) {
    const identity = identityOf(message)
    if (identity !== null && !('identity' in docs)) return { identity }
    const rep = repOf(message, docs, moment.directory)
    const forwarded = rep === null ? forwardedTap(message) : null
    const more =
      forwarded !== null
        ? { said: forwarded.said }
        : rep === null
          ? customerNeeds(message, docs, moment)
          : repNeeds(message, rep, docs, moment)
    return { ...(identity && { identity }), ...more }
  },
  decide(message, docs: Docs<string>, _keys, moment) {
    const rep = repOf(message, docs, moment.directory)
    const forwarded = rep === null ? forwardedTap(message) : null
    if (forwarded !== null) return refuseForwarded(message, forwarded, docs, moment)
    if (rep === null) return decideCustomer(message, docs, moment)
    const decision = decideRep(message, rep, docs, moment)
    const bound = bind(message, docs.identity ?? null, { rep: rep.rep_id })
    return { ...decision, proposals: [...decision.proposals, ...bound] }
  },
}

const identityOf = ({ handles: { other } }: DecodedMessage) => (other === null ? null : identityKey(other))

function repOf({ handles }: DecodedMessage, docs: Docs<string>, directory: Directory): RepRow | null {
  if (handles.customer !== null) return directory.repByPhone(handles.customer.phone)
  const known = docs.identity?.value as IdentityDoc | undefined
  return known !== undefined && 'rep' in known ? directory.rep(known.rep) : null
}

/** A tap on a button that only reps get, and where its lock stands. */
function forwardedTap({ bridge, message }: DecodedMessage) {
  const tapped = readChoice(message.choice?.id ?? '')
  if (tapped === null) return null
  const { kind: action, lead } = tapped
  return { lead, action, said: saidKey(shardOfLead(lead), bridge, message.event_id) }
}

function refuseForwarded(
  message: DecodedMessage,
  { lead, action, said }: { lead: string; action: 'claim' | Outcome; said: Key },
  docs: Docs<string>,
  { nowMs }: Moment,
): Decision {
  if (docs.said != null) return NOTHING
  const { event_id } = message.message
  const shard = shardOfKey(said)
  const job = answerTo(contactFrom(message), customerText.notForYou('id'), { lead }, nowMs)
  const sent = jobWrites(shard, event_id, [job], nowMs)
  const entry = entryOf('lead.tap_refused', {
    lead,
    rep: null,
    dealer: null,
    action,
    reason: 'not_invited',
    event_id,
  })
  return {
    proposals: [
      {
        shard,
        once: [{ key: said, value: saidDoc(message) }],
        set: sent.set,
        append: [{ stream: 'ledger', ...entry }],
        index: [{ name: leadEntriesIndex(lead), member: ENTRY_ID, score: nowMs }, ...sent.index],
      },
    ],
    receipt: null,
    jobs: sent.jobs,
  }
}
