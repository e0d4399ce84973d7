/**
 * What the local Qontak posts to whoever registered: one event a body, in the shape of today or of 2021, and again until
 * it is answered 200. One after another, as nothing else is known of their order.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { Broadcast, Room, RoomMessage } from './qontak-rooms.ts'

export type Shape = 'new' | '2021'

export interface Organisation {
  readonly organizationId: string
  readonly channelId: string
  readonly accountName: string
}

/** A message, or what became of it. */
export function messageBody(
  { organizationId, channelId, accountName }: Organisation,
  room: Room,
  message: RoomMessage,
  event: 'receive_message_from_customer' | 'receive_message_from_agent' | 'status_message',
  shape: Shape,
): object {
  const isCustomer = message.participant_type === 'customer'
  return {
    id: message.id,
    type: message.type,
    room_id: room.id,
    is_campaign: false,
    sender_id: randomUUID(),
    sender_type: { customer: 'Models::Contact', agent: 'Models::User', bot: 'Models::SystemAccount' }[
      message.participant_type
    ],
    sender: { name: isCustomer ? room.name : 'Agen', avatar: null },
    participant_id: randomUUID(),
    participant_type: message.participant_type,
    organization_id: organizationId,
    text: message.text,
    status: message.status,
    external_id: `wamid.${message.id}`,
    local_id: null,
    created_at: message.created_at,
    reply: null,
    buttons: [],
    ...(message.location !== null && { location: message.location }),
    room: {
      id: room.id,
      name: room.name,
      status: 'unassigned',
      type: 'Models::CustomerServiceRoom',
      tags: [],
      channel: 'wa_cloud',
      channel_account: accountName,
      account_uniq_id: room.phone,
      channel_integration_id: channelId,
      organization_id: organizationId,
      session: room.session,
      is_blocked: false,
      extra: {},
    },
    ...(shape === 'new' && {
      channel_integration: { id: channelId, target_channel: 'wa_cloud' },
      last_campaign: {},
      data_event: event,
      webhook_event: 'message_interaction',
    }),
  }
}

export function broadcastBody(
  { organizationId, channelId }: Organisation,
  { id, name, phone, template, parameters }: Broadcast,
  status: 'sent' | 'delivered' | 'read' | 'failed',
  error: string | null,
): object {
  return {
    id: randomUUID(),
    messages_broadcast_id: id,
    organization_id: organizationId,
    channel_integration_id: channelId,
    contact_full_name: name,
    contact_phone_number: phone,
    status,
    whatsapp_message_id: `wamid.${id}`,
    whatsapp_error_message: error,
    is_pacing: false,
    messages: { body: { parameters, template: template.name, type: 'body' }, buttons: [], header: null },
    messages_response: { contacts: [], messages: [] },
    created_at: new Date().toISOString(),
    data_event: 'broadcast_log_status',
    webhook_event: 'message_interaction',
  }
}

export interface Delivery {
  readonly body: object
  /** Of each try; 0: no answer. */
  readonly statuses: number[]
}

export interface WebhookSender {
  url: string | null
  /** Resolves when it was answered 200, or given up. */
  post(body: object): Promise<Delivery>
  /** The same once more, as providers do. */
  repeat(delivery: Delivery): Promise<Delivery>
  readonly deliveries: readonly Delivery[]
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
  stop(): void
}

/** After the nth try; then it is given up. */
const RETRIES_MS = [50, 100, 200, 400, 800, 1600, 3200] as const
const TIMEOUT_MS = 10_000

export function createWebhookSender(): WebhookSender {
  const deliveries: Delivery[] = []
  const stopped = new AbortController()
  let queue: Promise<unknown> = Promise.resolve()

  async function deliver(delivery: Delivery): Promise<Delivery> {
    deliveries.push(delivery)
    for (const pauseMs of [...RETRIES_MS, null]) {
      if (sender.url === null || stopped.signal.aborted) return delivery
      const status = await fetch(sender.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(delivery.body),
        signal: AbortSignal.any([stopped.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      }).then(
        async (response) => {
          await response.body?.cancel()
          return response.status
        },
        () => 0,
      )
      delivery.statuses.push(status)
      if (status === 200 || pauseMs === null) return delivery
      await wait(pauseMs, null, { signal: stopped.signal }).catch(() => {})
    }
    return delivery
  }

  function post(body: object): Promise<Delivery> {
    const delivered = queue.then(() => deliver({ body, statuses: [] }))
    queue = delivered
    return delivered
  }

  const sender: WebhookSender = {
    url: null,
    post,
    repeat: ({ body }) => post(body),
    deliveries,
    async idle() {
      for (let seen = null; seen !== queue; ) {
        seen = queue
        await queue
      }
    },
    stop: () => stopped.abort(),
  }
  return sender
}
