/**
 * A webhook body → the hub's normal form. Pure, and nothing that Meta may send makes it throw: a type that is not known
 * becomes kind `other` with what came as `raw`, and an element that lacks what every message has (an id, a sender) is
 * handed back as unreadable, for quarantine.
 *
 * Everything in a body is optional until seen; each field is looked at for its type and for being empty. Texts longer
 * than the contract allows are cut: `raw` has them whole.
 */

import type { InboundMessage, JobState, Person, Referral } from '../../contract/bridge.ts'
import { cut, type Fields, fieldsOf, listOf, textOf } from '../reading.ts'
import { isRetryable, readMetaError } from './errors.ts'

/** A status that is about one of our jobs. */
export interface StatusUpdate {
  readonly jobId: string
  readonly providerId: string
  readonly state: JobState
  readonly at: string
  readonly error: { readonly code: string; readonly message: string; readonly retryable: boolean } | null
}

export interface Webhook {
  readonly messages: InboundMessage[]
  readonly statuses: StatusUpdate[]
  /** What should have been a message and can't be read as one. */
  readonly unreadable: unknown[]
  /** How much of what is none of the hub's business, by what it is: for counting. */
  readonly ignored: Map<string, number>
}

/** Bytes → JSON with the envelope of a webhook, or null when it is not that. */
export function parseWebhook(body: Uint8Array): { readonly entry: readonly unknown[] } | null {
  try {
    const value: unknown = JSON.parse(utf8.decode(body))
    return Array.isArray(fieldsOf(value).entry) ? (value as { entry: unknown[] }) : null
  } catch {
    return null
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** @param receivedAtMs stands for the time of a message whose own can't be read */
export function readWebhook(
  { entry }: { readonly entry: readonly unknown[] },
  { bridge, receivedAtMs }: { readonly bridge: string; readonly receivedAtMs: number },
): Webhook {
  const webhook: Webhook = { messages: [], statuses: [], unreadable: [], ignored: new Map() }
  const ignore = (what: string) => webhook.ignored.set(what, (webhook.ignored.get(what) ?? 0) + 1)
  for (const one of entry) {
    const { id: accountId, changes } = fieldsOf(one)
    if (!Array.isArray(changes)) {
      webhook.unreadable.push(one)
      continue
    }
    for (const change of changes) {
      const { field, value } = fieldsOf(change)
      if (field !== 'messages') {
        ignore(`field ${typeof field === 'string' ? field.slice(0, 64) : 'without a name'}`)
        continue
      }
      const { metadata, contacts, messages, statuses, errors } = fieldsOf(value)
      const { phone_number_id, display_phone_number } = fieldsOf(metadata)
      const account =
        [phone_number_id, display_phone_number, accountId].map(textOf).find(Boolean) ?? 'unknown'
      for (const message of listOf(messages)) {
        const read = messageOf(
          fieldsOf(message),
          listOf(contacts),
          account.slice(0, 128),
          bridge,
          receivedAtMs,
        )
        if (read === null) webhook.unreadable.push(message)
        else webhook.messages.push({ ...read, raw: message })
      }
      for (const status of listOf(statuses)) {
        const read = statusOf(fieldsOf(status), receivedAtMs)
        if (typeof read === 'string') ignore(read)
        else webhook.statuses.push(read)
      }
      for (const _ of listOf(errors)) ignore('error of the number')
    }
  }
  return webhook
}

function messageOf(
  message: Fields,
  contacts: readonly unknown[],
  account: string,
  bridge: string,
  receivedAtMs: number,
): Omit<InboundMessage, 'raw'> | null {
  const id = textOf(message.id)
  const customer = personOf(message, contacts)
  if (id === null || id.length > 256 || customer === null) return null
  const context = fieldsOf(message.context)
  const replyTo = textOf(context.id)
  return {
    event_id: id,
    bridge,
    account,
    customer,
    at: instantOf(message.timestamp, receivedAtMs),
    ...contentOf(message),
    reply_to: replyTo !== null && replyTo.length <= 256 ? replyTo : null,
    referral: referralOf(message.referral),
  }
}

type Content = Pick<InboundMessage, 'kind' | 'text' | 'choice' | 'location'>

const OTHER: Content = { kind: 'other' }
const MEDIA = new Set(['image', 'video', 'audio', 'document', 'sticker'])

function contentOf(message: Fields): Content {
  const type = textOf(message.type) ?? ''
  const part = fieldsOf(message[type])
  // Said in a group, not to us.
  if (textOf(message.group_id) !== null) return OTHER
  if (MEDIA.has(type)) return { kind: 'media', text: cut(part.caption, 65_536) }
  switch (type) {
    case 'text': {
      const text = cut(part.body, 65_536)
      return text === null ? OTHER : { kind: 'text', text }
    }
    // A quick reply of a template: `payload` is what was sent along with it, else the label.
    case 'button':
      return choiceOf(part.payload, part.text)
    case 'interactive': {
      const reply = fieldsOf(part.button_reply ?? part.list_reply)
      return choiceOf(reply.id, reply.title)
    }
    case 'location': {
      const { latitude: lat, longitude: lon, name } = part
      if (!isWithin(lat, 90) || !isWithin(lon, 180)) return OTHER
      return { kind: 'location', location: { lat, lon, name: cut(name, 1024) } }
    }
    default:
      return OTHER
  }
}

function choiceOf(id: unknown, title: unknown): Content {
  if (textOf(id) === null && textOf(title) === null) return OTHER
  return { kind: 'choice', choice: { id: cut(id, 512) ?? '', title: cut(title, 512) ?? '' } }
}

const isWithin = (value: unknown, bound: number): value is number =>
  typeof value === 'number' && Math.abs(value) <= bound

/** `<CC>.<alphanumeric>`, or `<CC>.ENT.<alphanumeric>`: a business-scoped id, wherever it stands. */
const USER_ID = /^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,250}$/
const PHONE = /^\+?[0-9]{4,20}$/

/** A person who took a username may come without a phone number: `from` is then missing, empty, or the user id. */
function personOf(message: Fields, contacts: readonly unknown[]): Person | null {
  const from = textOf(message.from)
  const fromUserId = textOf(message.from_user_id)
  // By who it is: contacts stand in no order.
  const contact = contacts
    .map(fieldsOf)
    .find(
      ({ wa_id, user_id }) =>
        (from !== null && (wa_id === from || user_id === from)) ||
        (fromUserId !== null && (user_id === fromUserId || wa_id === fromUserId)),
    )
  const profile = fieldsOf(contact?.profile)
  const phone = [from, textOf(contact?.wa_id)].find((id) => id !== null && PHONE.test(id)) ?? null
  const userIds = [textOf(contact?.user_id), from, textOf(contact?.wa_id)]
  // `from_user_id` is believed whatever its form; what else may hold one, only when it looks like one.
  const userId =
    fromUserId !== null && fromUserId.length <= 256
      ? fromUserId
      : (userIds.find((id) => id !== null && USER_ID.test(id)) ?? null)
  if (phone === null && userId === null) return null
  return {
    // E.164 has a plus; Meta's ids are the same digits without it.
    phone: phone === null ? null : `+${phone.replace('+', '')}`,
    user_id: userId,
    name: cut(profile.name, 200) ?? cut(profile.username, 200),
  }
}

function referralOf(value: unknown): Referral | null {
  const referral = fieldsOf(value)
  const found = {
    source_type: cut(referral.source_type, 32),
    source_id: cut(referral.source_id, 256),
    source_url: cut(referral.source_url, 2048),
    headline: cut(referral.headline, 1024),
    ctwa_clid: cut(referral.ctwa_clid, 1024),
  }
  return Object.values(found).some((part) => part !== null) ? found : null
}

const STATES: Readonly<Record<string, JobState>> = {
  sent: 'sent',
  delivered: 'delivered',
  read: 'read',
  failed: 'failed',
}

/** @returns the update, or why it is ignored */
function statusOf(status: Fields, receivedAtMs: number): StatusUpdate | string {
  const providerId = textOf(status.id)
  const jobId = textOf(status.biz_opaque_callback_data)
  // `played`, `deleted` and what may come are no news of a job.
  const state = Object.hasOwn(STATES, String(status.status)) ? STATES[String(status.status)] : undefined
  if (state === undefined) return 'status of another kind'
  if (jobId === null || jobId.length > 128) return 'status of a message that is not the hub’s'
  if (providerId === null || providerId.length > 256) return 'status without a message'
  const at = instantOf(status.timestamp, receivedAtMs)
  if (state !== 'failed') return { jobId, providerId, state, at, error: null }
  const error = readMetaError(listOf(status.errors)[0])
  const { code, message } = error
  return {
    jobId,
    providerId,
    state,
    at,
    error: { code: String(code ?? 'unknown'), message, retryable: isRetryable(error) },
  }
}

/** 9999-12-31: later instants are written in another form. */
const INSTANT_MS_MAX = 253_402_300_799_999
/** Seconds are given; milliseconds have been met. Nothing that happens now is below this in milliseconds. */
const MILLISECONDS_FROM = 1e12

function instantOf(timestamp: unknown, receivedAtMs: number): string {
  const given = typeof timestamp === 'string' && timestamp.trim() !== '' ? Number(timestamp) : timestamp
  const value = typeof given === 'number' ? given : Number.NaN
  const ms = value >= MILLISECONDS_FROM ? value : value * 1000
  const isUsable = Number.isFinite(ms) && ms > 0 && ms <= INSTANT_MS_MAX
  return new Date(isUsable ? ms : receivedAtMs).toISOString()
}
