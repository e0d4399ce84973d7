/**
 * A Qontak webhook → what it says, in the hub's words. Pure, and nothing that may come makes it throw.
 *
 *   message   a customer wrote: for the hub
 *   fate      of a message that went out: ours, an agent's, or Qontak's own bot's. In a room it is known by its id; an
 *             `echo` (its room and text) also tells one whose answer never came. Of a broadcast it is known by the
 *             broadcast's id and the phone
 *   ignored   with the reason, for counting
 *   unreadable   should have been a customer's message, and lacks what one has
 *
 * One event a body, a flat object. The older bodies (2021) have neither `data_event` nor `webhook_event`; then
 * `participant_type` and `status` tell what it is. No public body of a tap on a button or list row was found: a tap is
 * taken for a text equal to the title (`titles.ts`).
 */
import type { InboundMessage, JobState } from '../../contract/bridge.ts'
import { cut, type Fields, fieldsOf, listOf, textOf } from '../reading.ts'

export const QONTAK_BRIDGE = 'qontak'

export interface Fate {
  readonly is: 'fate'
  /** The message's id, or the broadcast's. */
  readonly providerId: string
  /** null: no news of a job, only that the message exists. */
  readonly state: JobState | null
  readonly error: { readonly code: string; readonly message: string; readonly retryable: false } | null
  readonly at: string
  readonly echo: { readonly roomId: string; readonly text: string } | null
  /** Of a broadcast's recipient, digits. */
  readonly phone: string | null
}

export type QontakEvent =
  | {
      readonly is: 'message'
      readonly message: InboundMessage & { readonly room_id: string }
      readonly organizationId: string | null
    }
  | (Fate & { readonly organizationId: string | null })
  | { readonly is: 'ignored'; readonly reason: string; readonly organizationId: string | null }
  | { readonly is: 'unreadable'; readonly organizationId: string | null }

/** Bytes → an object, or null when they are not JSON of one. */
export function parseBody(body: Uint8Array): Fields | null {
  try {
    const value: unknown = JSON.parse(utf8.decode(body))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null
  } catch {
    return null
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** @param receivedAtMs stands for a time that can't be read */
export function readEvent(body: Fields, receivedAtMs: number): QontakEvent {
  const organizationId =
    [body.organization_id, fieldsOf(body.room).organization_id].map(textOf).find(Boolean) ?? null
  return { ...eventOf(body, receivedAtMs), organizationId }
}

type Event = {
  [Is in QontakEvent['is']]: Omit<Extract<QontakEvent, { is: Is }>, 'organizationId'>
}[QontakEvent['is']]

function eventOf(body: Fields, receivedAtMs: number): Event {
  // Sent when the webhook is registered; what else is in it is not documented.
  if (body.verify_info !== undefined) return { is: 'ignored', reason: 'verification' }
  if (body.data_event === 'broadcast_log_status') return broadcastOf(body, receivedAtMs)
  const { participant_type: participant, status } = body
  const from = textOf(participant)
  if (from === 'customer') {
    // A customer's message is told once; later statuses of it (read by an agent) are no message.
    if (status !== undefined && status !== null && status !== 'created') {
      return { is: 'ignored', reason: 'status of a customer’s message' }
    }
    const message = messageOf(body, receivedAtMs)
    return message === null ? { is: 'unreadable' } : { is: 'message', message }
  }
  if (from === 'bot' || from === 'agent') return fateOf(body, receivedAtMs)
  if (body.data_event === 'receive_message_from_customer') return { is: 'unreadable' }
  const name = textOf(body.data_event) ?? textOf(body.event_name) ?? 'without a name'
  return { is: 'ignored', reason: `event ${name.slice(0, 64)}` }
}

function messageOf(body: Fields, receivedAtMs: number): (InboundMessage & { room_id: string }) | null {
  const room = fieldsOf(body.room)
  const id = idOf(body.id)
  const roomId = idOf(body.room_id) ?? idOf(room.id)
  if (id === null || roomId === null) return null
  const phone = phoneOf(room.account_uniq_id)
  const account =
    [room.channel_integration_id, fieldsOf(body.channel_integration).id, room.channel_account, room.channel]
      .map(textOf)
      .find(Boolean) ?? 'unknown'
  return {
    event_id: id,
    bridge: QONTAK_BRIDGE,
    account: account.slice(0, 128),
    customer: {
      phone: phone && `+${phone}`,
      // On other channels a person is known by an address or id of that channel, or by the room alone.
      user_id: phone === null ? (idOf(room.account_uniq_id) ?? idOf(body.sender_id) ?? roomId) : null,
      name: cut(fieldsOf(body.sender).name, 200) ?? cut(room.name, 200),
    },
    room_id: roomId,
    at: instantOf(body.created_at, receivedAtMs),
    ...contentOf(body),
    reply_to: replyOf(body.reply),
    referral: null,
    raw: body,
  }
}

const MEDIA = new Set(['image', 'video', 'audio', 'document', 'sticker', 'voice', 'file'])

function contentOf(body: Fields): Pick<InboundMessage, 'kind' | 'text' | 'location'> {
  const type = textOf(body.type) ?? 'text'
  const text = cut(body.text, 65_536)
  if (type === 'location') {
    const location = placeOf(body)
    return location === null ? { kind: 'other', text } : { kind: 'location', location }
  }
  if (MEDIA.has(type)) return { kind: 'media', text }
  // Whatever else has a text was said: a tap, as far as is known, is of type text.
  return text === null || type === 'system' ? { kind: 'other', text } : { kind: 'text', text }
}

/**
 * Where a location stands in a body is not documented: looked for in the fields that other messages have, as numbers,
 * texts of numbers, or in a link to a map.
 */
function placeOf(body: Fields): InboundMessage['location'] | null {
  const places = [body.location, body, body.raw_message, body.file].map(fieldsOf)
  for (const place of places) {
    const lat = degrees(place.latitude ?? place.lat, 90)
    const lon = degrees(place.longitude ?? place.lon ?? place.lng, 180)
    if (lat !== null && lon !== null) return { lat, lon, name: cut(place.name ?? place.address, 1024) }
  }
  const [, latText, lonText] =
    /(-?\d{1,2}\.\d+)\s*(?:,|%2C)\s*(-?\d{1,3}\.\d+)/i.exec(textOf(body.text) ?? '') ?? []
  const lat = degrees(latText, 90)
  const lon = degrees(lonText, 180)
  return lat === null || lon === null ? null : { lat, lon, name: null }
}

function degrees(value: unknown, bound: number): number | null {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof number === 'number' && Math.abs(number) <= bound ? number : null
}

/** The message that is answered: its id, or an object that has one. */
function replyOf(reply: unknown): string | null {
  const { id, message_id } = fieldsOf(reply)
  return idOf(reply) ?? idOf(id) ?? idOf(message_id)
}

const STATES: ReadonlyMap<unknown, JobState> = new Map([
  ['sent', 'sent'],
  ['delivered', 'delivered'],
  ['read', 'read'],
  ['failed', 'failed'],
])

function fateOf(body: Fields, receivedAtMs: number): Event {
  const id = idOf(body.id)
  const roomId = idOf(body.room_id) ?? idOf(fieldsOf(body.room).id)
  const text = cut(body.text, 65_536)
  if (id === null) return { is: 'ignored', reason: 'status without a message' }
  const state = STATES.get(body.status) ?? null
  return {
    is: 'fate',
    providerId: id,
    state,
    error: state === 'failed' ? errorOf(body.error ?? body.error_message) : null,
    // When it was written; when it got this far is not told.
    at: new Date(receivedAtMs).toISOString(),
    echo: roomId === null || text === null || body.is_campaign === true ? null : { roomId, text },
    phone: null,
  }
}

function broadcastOf(body: Fields, receivedAtMs: number): Event {
  const id = idOf(body.messages_broadcast_id)
  if (id === null) return { is: 'ignored', reason: 'status without a message' }
  const state = STATES.get(body.status) ?? null
  return {
    is: 'fate',
    providerId: id,
    state,
    error: state === 'failed' ? errorOf(body.whatsapp_error_message) : null,
    at: new Date(receivedAtMs).toISOString(),
    echo: null,
    phone: phoneOf(body.contact_phone_number),
  }
}

function errorOf(value: unknown): Fate['error'] {
  const first = fieldsOf(listOf(value)[0] ?? value)
  const message = cut(value, 1000) ?? cut(first.message ?? first.title, 1000) ?? 'no reason given'
  const code = typeof first.code === 'number' ? String(first.code) : (cut(first.code, 64) ?? 'not_delivered')
  return { code, message, retryable: false }
}

const idOf = (value: unknown): string | null => {
  const id = textOf(value)
  return id !== null && id.length <= 256 ? id : null
}

/** Digits, as Qontak has a phone number; null when it is something else. */
function phoneOf(value: unknown): string | null {
  const text = textOf(value)?.replace(/[\s()+-]/g, '') ?? ''
  return /^\d{5,20}$/.test(text) ? text : null
}

/** ISO 8601, or nothing that can be relied on. Written with four digits of a year. */
function instantOf(value: unknown, receivedAtMs: number): string {
  const ms = Date.parse(textOf(value) ?? '')
  return new Date(ms > 0 && ms < 253_402_300_800_000 ? ms : receivedAtMs).toISOString()
}
