/** Every inbound shape of the Cloud API, invented values; what the hub makes of each. */
import type { InboundMessage } from '../../../../gateway/contract/bridge.ts'

export const ACCOUNT = '100200300400500'
export const WA_ID = '6281200000001'
export const USER_ID = 'ID.1111222233334444'
/** 2026-09-21T14:13:20Z */
export const SECONDS = 1790000000

export interface Sample {
  readonly shape: string
  readonly message: Record<string, unknown>
  /** In `value`, beside the messages; default: Rina, by her phone. */
  readonly contacts?: readonly object[] | null
  readonly errors?: readonly object[]
  /** What is expected beyond the common fields. */
  readonly is: Partial<InboundMessage>
}

const RINA = { profile: { name: 'Rina', username: '@rina' }, wa_id: WA_ID, user_id: USER_ID }
const media = (more: object = {}) => ({ id: '999', mime_type: 'image/jpeg', sha256: 'aGFsbG8=', ...more })
const OUT = 'wamid.OUT'
const PHONE = `+${WA_ID}`

export const SAMPLES: readonly Sample[] = [
  {
    shape: 'text',
    message: { type: 'text', text: { body: 'halo, apa kabar? 🙏 Größe' } },
    is: { kind: 'text', text: 'halo, apa kabar? 🙏 Größe', reply_to: null, referral: null },
  },
  {
    shape: 'text that answers a message',
    message: { type: 'text', text: { body: 'ya' }, context: { from: '15550100001', id: OUT } },
    is: { kind: 'text', reply_to: OUT },
  },
  {
    shape: 'text that was forwarded, so that its context has no id',
    message: { type: 'text', text: { body: 'ya' }, context: { forwarded: true } },
    is: { kind: 'text', reply_to: null },
  },
  {
    shape: 'text about a product',
    message: {
      type: 'text',
      text: { body: 'ini?' },
      context: { from: '1', id: OUT, referred_product: { catalog_id: 'c', product_retailer_id: 'p' } },
    },
    is: { kind: 'text', reply_to: OUT },
  },
  {
    shape: 'quick reply of a template',
    message: {
      type: 'button',
      button: { payload: 'CONFIRM_17', text: 'Ya, benar' },
      context: { from: '15550100001', id: OUT },
    },
    is: { kind: 'choice', choice: { id: 'CONFIRM_17', title: 'Ya, benar' }, reply_to: OUT },
  },
  {
    shape: 'quick reply of a template without context',
    message: { type: 'button', button: { payload: 'CONFIRM_17', text: 'Ya' } },
    is: { kind: 'choice', choice: { id: 'CONFIRM_17', title: 'Ya' }, reply_to: null },
  },
  {
    shape: 'tap on a button',
    message: {
      type: 'interactive',
      interactive: { type: 'button_reply', button_reply: { id: 'yes_17', title: 'Ya' } },
      context: { from: '15550100001', id: OUT },
    },
    is: { kind: 'choice', choice: { id: 'yes_17', title: 'Ya' }, reply_to: OUT },
  },
  {
    shape: 'tap on a list row',
    message: {
      type: 'interactive',
      interactive: {
        type: 'list_reply',
        list_reply: { id: 'slot_2', title: 'Besok', description: '09.00' },
      },
      context: { id: OUT },
    },
    is: { kind: 'choice', choice: { id: 'slot_2', title: 'Besok' } },
  },
  {
    shape: 'tap on a list row without description',
    message: {
      type: 'interactive',
      interactive: { type: 'list_reply', list_reply: { id: 'slot_2', title: 'Besok' } },
    },
    is: { kind: 'choice', choice: { id: 'slot_2', title: 'Besok' } },
  },
  {
    shape: 'interactive without its object, an error beside it',
    message: { type: 'interactive' },
    errors: [{ code: 131000, title: 'Something went wrong' }],
    is: { kind: 'other' },
  },
  {
    shape: 'answer to a flow',
    message: {
      type: 'interactive',
      interactive: {
        type: 'nfm_reply',
        nfm_reply: { name: 'flow', body: 'Sent', response_json: '{"a":1}' },
      },
    },
    is: { kind: 'other' },
  },
  {
    shape: 'place that was picked',
    message: {
      type: 'location',
      location: {
        latitude: -6.2,
        longitude: 106.8,
        name: 'Kantor',
        address: 'Jl. Contoh 1',
        url: 'https://example.test',
      },
    },
    is: { kind: 'location', location: { lat: -6.2, lon: 106.8, name: 'Kantor' } },
  },
  {
    shape: 'current location, the answer to a request',
    message: { type: 'location', location: { latitude: -6, longitude: 106 }, context: { id: OUT } },
    is: { kind: 'location', location: { lat: -6, lon: 106, name: null }, reply_to: OUT },
  },
  {
    shape: 'location off the earth',
    message: { type: 'location', location: { latitude: 91, longitude: 0 } },
    is: { kind: 'other' },
  },
  {
    shape: 'image with caption',
    message: { type: 'image', image: media({ caption: 'motornya', url: 'https://example.test/i' }) },
    is: { kind: 'media', text: 'motornya' },
  },
  ...['video', 'audio', 'document', 'sticker'].map((type) => ({
    shape: type,
    message: { type, [type]: media({ filename: 'a', voice: true, animated: false }) },
    is: { kind: 'media', text: null } as const,
  })),
  {
    shape: 'reaction',
    message: { type: 'reaction', reaction: { message_id: OUT, emoji: '👍' } },
    is: { kind: 'other' },
  },
  {
    shape: 'reaction that was removed',
    message: { type: 'reaction', reaction: { message_id: OUT } },
    is: { kind: 'other' },
  },
  { shape: 'contacts', message: { type: 'contacts', contacts: [{ name: {} }] }, is: { kind: 'other' } },
  { shape: 'order', message: { type: 'order', order: { catalog_id: '1' } }, is: { kind: 'other' } },
  {
    shape: 'system: the number changed, without contacts',
    message: { type: 'system', system: { type: 'user_changed_number', body: 'x', wa_id: '6281299999999' } },
    contacts: null,
    is: { kind: 'other', customer: { phone: PHONE, user_id: null, name: null } },
  },
  {
    shape: 'edit',
    message: { type: 'edit', edit: { original_message_id: 'wamid.A', message: { type: 'text' } } },
    is: { kind: 'other' },
  },
  {
    shape: 'revoke',
    message: { type: 'revoke', revoke: { original_message_id: 'wamid.A' } },
    is: { kind: 'other' },
  },
  {
    shape: 'unsupported',
    message: {
      type: 'unsupported',
      errors: [{ code: 131051, title: 'x', message: 'x', error_data: { details: 'x' } }],
      unsupported: { type: 'poll' },
    },
    is: { kind: 'other' },
  },
  {
    shape: 'unknown, the older form, with a text beside it',
    message: { type: 'unknown', errors: [{ code: 131051, details: 'x', title: 'x' }], text: { body: 'no' } },
    is: { kind: 'other' },
  },
  { shape: 'type of the future', message: { type: 'hologram', hologram: {} }, is: { kind: 'other' } },
  { shape: 'no type', message: {}, is: { kind: 'other' } },
  {
    shape: 'text in a group',
    message: { type: 'text', text: { body: 'halo' }, group_id: 'G1' },
    is: { kind: 'other' },
  },
  {
    shape: 'first message from an advertisement',
    message: {
      type: 'text',
      text: { body: 'Info' },
      referral: {
        source_url: 'https://fb.me/xxxx',
        source_id: '1200000000001',
        source_type: 'ad',
        headline: 'Promo',
        body: 'Isi iklan',
        media_type: 'image',
        image_url: 'https://example.test/a.jpg',
        ctwa_clid: 'ARxxxx',
        welcome_message: { text: 'Hai' },
      },
    },
    is: {
      kind: 'text',
      referral: {
        source_type: 'ad',
        source_id: '1200000000001',
        source_url: 'https://fb.me/xxxx',
        headline: 'Promo',
        ctwa_clid: 'ARxxxx',
      },
    },
  },
  {
    shape: 'image from an advertisement without a click id',
    message: { type: 'image', image: media(), referral: { source_id: '12' } },
    is: {
      kind: 'media',
      referral: {
        source_type: null,
        source_id: '12',
        source_url: null,
        headline: null,
        ctwa_clid: null,
      },
    },
  },
  {
    shape: 'username, no phone: `from` is missing',
    message: { from: undefined, from_user_id: USER_ID, type: 'text', text: { body: 'halo' } },
    contacts: [{ profile: { name: 'Rina', username: 'rina' }, user_id: USER_ID }],
    is: { kind: 'text', customer: { phone: null, user_id: USER_ID, name: 'Rina' } },
  },
  {
    shape: 'username, no phone: `from` is empty',
    message: { from: '', from_user_id: USER_ID, type: 'text', text: { body: 'halo' } },
    contacts: [{ profile: { username: '@rina' }, wa_id: '', user_id: USER_ID }],
    is: { kind: 'text', customer: { phone: null, user_id: USER_ID, name: '@rina' } },
  },
  {
    shape: 'username, no phone: the user id stands in `from` and `wa_id`',
    message: { from: USER_ID, type: 'text', text: { body: 'halo' } },
    contacts: [{ profile: { name: 'Rina' }, wa_id: USER_ID }],
    is: { kind: 'text', customer: { phone: null, user_id: USER_ID, name: 'Rina' } },
  },
  {
    shape: 'phone and user id, and a contact who is somebody else first',
    message: { from_user_id: USER_ID, type: 'text', text: { body: 'halo' } },
    contacts: [{ profile: { name: 'Budi' }, wa_id: '6281200000002', user_id: 'ID.2' }, RINA],
    is: { kind: 'text', customer: { phone: PHONE, user_id: USER_ID, name: 'Rina' } },
  },
  {
    shape: 'text of 70,000 characters, cut',
    message: { type: 'text', text: { body: 'a'.repeat(70_000) } },
    is: { kind: 'text', text: 'a'.repeat(65_536) },
  },
  {
    shape: 'timestamp in milliseconds, as a number',
    message: { type: 'text', text: { body: 'halo' }, timestamp: SECONDS * 1000 + 5 },
    is: { at: '2026-09-21T14:13:20.005Z' },
  },
  {
    shape: 'timestamp as a number',
    message: { type: 'text', text: { body: 'halo' }, timestamp: SECONDS },
    is: { at: '2026-09-21T14:13:20.000Z' },
  },
  ...[undefined, null, '', 'soon', -1, 1e300, {}].map((timestamp) => ({
    shape: `timestamp that is none: ${JSON.stringify(timestamp)}`,
    message: { type: 'text', text: { body: 'halo' }, timestamp },
    is: { at: '2026-11-22T08:00:00.000Z' },
  })),
]

/** The message of a sample, with an id of its own. */
export const messageOf = (sample: Sample, id: string): Record<string, unknown> => ({
  from: WA_ID,
  id,
  timestamp: String(SECONDS),
  ...sample.message,
})

export const messagesValue = (part: object): object => ({
  messaging_product: 'whatsapp',
  metadata: { display_phone_number: '+1 555 010-0001', phone_number_id: ACCOUNT },
  ...part,
})

export const envelopeOf = (...values: object[]): object => ({
  object: 'whatsapp_business_account',
  entry: values.map((value) => ({ id: 'WABA', changes: [{ field: 'messages', value }] })),
})

export const webhookOf = (sample: Sample, id: string): object =>
  envelopeOf(
    messagesValue({
      ...(sample.contacts !== null && { contacts: sample.contacts ?? [RINA] }),
      messages: [messageOf(sample, id)],
      ...(sample.errors && { errors: sample.errors }),
    }),
  )
