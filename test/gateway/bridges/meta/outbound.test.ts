import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toGraphBody } from '../../../../gateway/bridges/meta/outbound.ts'
import { MESSAGE_LIMITS, type OutboundMessage } from '../../../../gateway/contract/bridge.ts'
import { readRequest } from '../../../../simulator/whatsapp/meta-request.ts'
import { seedOfRun } from '../../../support/random.ts'

const job = (more: Partial<OutboundMessage>): OutboundMessage => ({
  job_id: 'job-17',
  to: { phone: '+6281200000001' },
  kind: 'text',
  body: 'halo',
  expires_at: '2026-11-22T09:00:00.000Z',
  ...more,
})
const COMMON = {
  messaging_product: 'whatsapp',
  recipient_type: 'individual',
  to: '6281200000001',
  biz_opaque_callback_data: 'job-17',
}
const YES = { id: 'yes_17', title: 'Ya' }
const NO = { id: 'no_17', title: 'Tidak' }

describe('a job is written as Meta describes it', () => {
  const rows: [string, Partial<OutboundMessage>, object][] = [
    ['text', {}, { ...COMMON, type: 'text', text: { body: 'halo', preview_url: false } }],
    [
      'text that answers a message',
      { reply_to: 'wamid.IN' },
      {
        ...COMMON,
        context: { message_id: 'wamid.IN' },
        type: 'text',
        text: { body: 'halo', preview_url: false },
      },
    ],
    [
      'text to who has only a user id',
      { to: { user_id: 'ID.1111' } },
      {
        messaging_product: 'whatsapp',
        recipient_type: 'individual',
        recipient: 'ID.1111',
        biz_opaque_callback_data: 'job-17',
        type: 'text',
        text: { body: 'halo', preview_url: false },
      },
    ],
    [
      'buttons',
      { kind: 'buttons', choices: [YES, NO] },
      {
        ...COMMON,
        type: 'interactive',
        interactive: {
          type: 'button',
          body: { text: 'halo' },
          action: {
            buttons: [
              { type: 'reply', reply: YES },
              { type: 'reply', reply: NO },
            ],
          },
        },
      },
    ],
    [
      'list',
      { kind: 'list', button: 'Pilih', choices: [{ id: 'd1', title: 'Senin', description: 'pagi' }, NO] },
      {
        ...COMMON,
        type: 'interactive',
        interactive: {
          type: 'list',
          body: { text: 'halo' },
          action: {
            button: 'Pilih',
            sections: [{ rows: [{ id: 'd1', title: 'Senin', description: 'pagi' }, NO] }],
          },
        },
      },
    ],
    [
      'location request',
      { kind: 'location_request' },
      {
        ...COMMON,
        type: 'interactive',
        interactive: {
          type: 'location_request_message',
          body: { text: 'halo' },
          action: { name: 'send_location' },
        },
      },
    ],
    [
      'template',
      {
        kind: 'template',
        template: {
          name: 'confirm_visit',
          language: 'id',
          parameters: ['Rina'],
          payloads: ['CONFIRM_17', 'NO_17'],
        },
      },
      {
        ...COMMON,
        type: 'template',
        template: {
          name: 'confirm_visit',
          language: { code: 'id' },
          components: [
            { type: 'body', parameters: [{ type: 'text', text: 'Rina' }] },
            {
              type: 'button',
              sub_type: 'quick_reply',
              index: '0',
              parameters: [{ type: 'payload', payload: 'CONFIRM_17' }],
            },
            {
              type: 'button',
              sub_type: 'quick_reply',
              index: '1',
              parameters: [{ type: 'payload', payload: 'NO_17' }],
            },
          ],
        },
      },
    ],
    [
      'template without anything to fill in',
      { kind: 'template', template: { name: 'hello', language: 'en', parameters: [] } },
      { ...COMMON, type: 'template', template: { name: 'hello', language: { code: 'en' } } },
    ],
    [
      'read, and typing',
      { kind: 'read', message_id: 'wamid.IN' },
      {
        messaging_product: 'whatsapp',
        status: 'read',
        message_id: 'wamid.IN',
        typing_indicator: { type: 'text' },
      },
    ],
  ]
  it.each(rows)('%s', (_, more, body) => {
    expect(toGraphBody(job(more))).toEqual({ ok: true, body })
    expect(readRequest(body).kind).not.toBe('error')
  })
})

const x = (length: number) => 'x'.repeat(length)
const many = (count: number) => Array.from({ length: count }, (_, i) => ({ id: `i${i}`, title: `t${i}` }))
const list = (choices: OutboundMessage['choices'], button = 'Pilih'): Partial<OutboundMessage> => ({
  kind: 'list',
  button,
  choices,
})
const template = (more: object): Partial<OutboundMessage> => ({
  kind: 'template',
  template: { name: 'n', language: 'id', parameters: [], ...more },
})

describe('what breaks a limit is refused, and the field named', () => {
  const rows: [field: string, Partial<OutboundMessage>][] = [
    ['body', { body: x(4097) }],
    ['body', { body: '' }],
    ['body', { body: '  ' }],
    ['body', { body: undefined }],
    ['body', { kind: 'buttons', choices: [YES], body: x(1025) }],
    ['body', { kind: 'list', choices: [YES], button: 'b', body: x(1025) }],
    ['body', { kind: 'location_request', body: x(1025) }],
    ['choices', { kind: 'buttons', choices: [] }],
    ['choices', { kind: 'buttons' }],
    ['choices', { kind: 'buttons', choices: many(4) }],
    ['choices.0.title', { kind: 'buttons', choices: [{ id: 'a', title: x(21) }] }],
    ['choices.1.title', { kind: 'buttons', choices: [YES, { id: 'a', title: 'Ya' }] }],
    ['choices.1.id', { kind: 'buttons', choices: [YES, { ...NO, id: YES.id }] }],
    ['choices.0.id', { kind: 'buttons', choices: [{ id: x(257), title: 'Ya' }] }],
    ['choices.0.id', { kind: 'buttons', choices: [{ id: ' a', title: 'Ya' }] }],
    ['choices.0.id', { kind: 'buttons', choices: [{ id: '', title: 'Ya' }] }],
    ['choices', list(many(11))],
    ['choices', list([])],
    ['button', list([YES], x(21))],
    ['button', { kind: 'list', choices: [YES] }],
    ['choices.0.title', list([{ id: 'a', title: x(25) }])],
    ['choices.0.id', list([{ id: x(201), title: 'a' }])],
    ['choices.1.id', list([YES, { ...NO, id: YES.id }])],
    ['choices.0.description', list([{ ...YES, description: x(73) }])],
    ['template', { kind: 'template' }],
    ['template.name', template({ name: '' })],
    ['template.language', template({ language: '' })],
    ['template.parameters.1', template({ parameters: ['a', ''] })],
    ['template.payloads.0', template({ payloads: [x(129)] })],
    ['message_id', { kind: 'read' }],
    ['to', { to: {} }],
    ['to', { to: { room_id: 'r' } }],
    ['to.phone', { to: { phone: 'rina' } }],
    ['to.user_id', { to: { user_id: '' } }],
  ]
  it.each(rows)('%s: %j', (field, more) => {
    const refused = toGraphBody(job(more))
    expect(refused).toMatchObject({ ok: false, field })
    expect(refused.ok ? '' : refused.message).toMatch(new RegExp(`^${field}: expected .*, received `))
  })

  it('personal data is not repeated', () => {
    const refused = toGraphBody(job({ to: { phone: '0812-RINA-555' } }))
    expect(JSON.stringify(refused)).not.toContain('RINA')
  })
})

it('whatever is let through, Meta takes, and reads what was meant', () => {
  const upTo = (max: number) => fc.string({ unit: 'grapheme', minLength: 0, maxLength: max + 2, size: 'max' })
  const choices = fc.array(
    fc.record({ id: upTo(12), title: upTo(MESSAGE_LIMITS.rowTitle), description: upTo(72) }),
    { maxLength: 12 },
  )
  const jobs = fc.record({
    job_id: fc.string({ minLength: 1, maxLength: 128 }),
    to: fc.constantFrom({ phone: '+62 812-0000-0001' }, { user_id: 'ID.1' }, { phone: '1' }),
    kind: fc.constantFrom('text', 'buttons', 'list', 'location_request', 'template', 'read'),
    body: fc.oneof(upTo(30), upTo(1024)),
    button: upTo(20),
    choices,
    template: fc.record({
      name: upTo(10),
      language: fc.constantFrom('id', 'en'),
      parameters: fc.array(upTo(20), { maxLength: 3 }),
      payloads: fc.array(upTo(128), { maxLength: 3 }),
    }),
    message_id: fc.constant('wamid.IN'),
    expires_at: fc.constant('2026-11-22T09:00:00.000Z'),
  }) as fc.Arbitrary<OutboundMessage>
  let taken = 0
  fc.assert(
    fc.property(jobs, (one) => {
      const graph = toGraphBody(one)
      if (!graph.ok) return
      taken++
      const request = readRequest(JSON.parse(JSON.stringify(graph.body)))
      if (one.kind === 'read') {
        expect(request).toEqual({ kind: 'read', messageId: 'wamid.IN', isTyping: true })
        return
      }
      expect(request).toMatchObject({
        kind: 'message',
        message: { type: one.kind, callbackData: one.job_id },
      })
      if (request.kind !== 'message') return
      if (one.kind === 'buttons' || one.kind === 'list') {
        expect(request.message.choices).toEqual(one.choices?.map(({ id, title }) => ({ id, title })))
      }
      if (one.kind === 'template')
        expect(request.message.template?.parameters).toEqual(one.template?.parameters)
      else expect(request.message.text).toBe(one.body)
    }),
    { numRuns: 1000, seed: seedOfRun() },
  )
  expect(taken).toBeGreaterThan(100)
})
