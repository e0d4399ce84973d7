import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type MetaCloud,
  type MetaCloudOptions,
  type MetaPerson,
  startMetaCloud,
} from '../../../simulator/whatsapp/meta-cloud.ts'
import { escapeNonAscii } from '../../../simulator/whatsapp/meta-webhooks.ts'
import { until } from '../../support/until.ts'

const SETTINGS = {
  phoneNumberId: '100200300400500',
  accessToken: 'token',
  appSecret: 'app-secret',
  verifyToken: 'verify-token',
}

interface Change {
  readonly contacts?: { wa_id?: string; user_id?: string; profile: { name: string; username?: string } }[]
  readonly messages?: Record<string, unknown>[]
  readonly statuses?: { id: string; status: string; biz_opaque_callback_data?: string; errors?: object[] }[]
}

/** What webhooks are posted to; `answers` are given in turn, then 200. */
async function openReceiver(answers: number[] = []) {
  const bodies: Buffer[] = []
  const signatures: string[] = []
  const server = createServer(async (request, response) => {
    bodies.push(await buffer(request))
    signatures.push(String(request.headers['x-hub-signature-256']))
    response.writeHead(answers.shift() ?? 200).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const values = (): Change[] =>
    bodies.flatMap((body) => {
      const { entry } = JSON.parse(String(body)) as { entry: { changes: { value: Change }[] }[] }
      return entry.flatMap(({ changes }) => changes.map(({ value }) => value))
    })
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}/webhooks/meta`,
    bodies,
    signatures,
    messages: () => values().flatMap(({ messages = [] }) => messages),
    contacts: () => values().flatMap(({ contacts = [] }) => contacts),
    statuses: () => values().flatMap(({ statuses = [] }) => statuses),
  }
}

async function open(options: Partial<MetaCloudOptions> = {}, answers: number[] = []) {
  const receiver = await openReceiver(answers)
  let nowMs = Date.parse('2026-11-22T08:00:00Z')
  const cloud = await startMetaCloud({
    ...SETTINGS,
    webhookUrl: receiver.url,
    webhookRetryDelayMs: () => 1,
    now: () => nowMs,
    ...options,
  })
  onTestFinished(() => cloud.close())
  const advance = (ms: number) => {
    nowMs += ms
  }
  return { cloud, receiver, advance, rina: cloud.person({ phone: '+62 812-0000-0001', name: 'Rina' }) }
}

const post = (cloud: MetaCloud, body: unknown, token = 'token', id = SETTINGS.phoneNumberId) =>
  fetch(`${cloud.url}/v25.0/${id}/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

const text = (person: MetaPerson, more: object = {}) => ({
  messaging_product: 'whatsapp',
  to: person.phone,
  type: 'text',
  text: { body: 'halo' },
  ...more,
})

async function codeOf(response: Response): Promise<[status: number, code: number | null]> {
  const { error } = (await response.json()) as { error?: { code: number } }
  return [response.status, error?.code ?? null]
}

describe('sending', () => {
  it('inside the window is accepted, and sent, delivered and read are reported under the callback data', async () => {
    const { cloud, receiver, rina } = await open()
    cloud.say(rina, 'halo')
    const response = await post(cloud, text(rina, { biz_opaque_callback_data: 'job-17' }))
    expect(response.status).toBe(200)
    const answer = (await response.json()) as { messages: { id: string }[] }
    const id = answer.messages[0]?.id ?? ''
    expect(answer).toEqual({
      messaging_product: 'whatsapp',
      contacts: [{ input: rina.phone, wa_id: rina.phone, user_id: rina.userId }],
      messages: [{ id: expect.stringMatching(/^wamid\./) }],
    })
    expect(cloud.received(rina)).toMatchObject([{ id, type: 'text', text: 'halo', jobId: 'job-17' }])
    await cloud.webhooks.idle()
    expect(receiver.statuses()).toMatchObject(
      ['sent', 'delivered', 'read'].map((status) => ({ id, status, biz_opaque_callback_data: 'job-17' })),
    )
  })

  it('to who has read receipts off is never reported as read', async () => {
    const { cloud, receiver } = await open()
    const budi = cloud.person({ phone: '6281200000002', name: 'Budi', reads: false })
    cloud.say(budi, 'halo')
    await post(cloud, text(budi))
    await cloud.webhooks.idle()
    expect(receiver.statuses().map(({ status }) => status)).toEqual(['sent', 'delivered'])
  })

  it('free-form is refused before a person wrote, and a day after they did; a template is not', async () => {
    const { cloud, advance, rina } = await open()
    const template = { type: 'template', template: { name: 'n', language: { code: 'id' } } }
    expect(await codeOf(await post(cloud, text(rina)))).toEqual([400, 131047])
    expect(await codeOf(await post(cloud, text(rina, template)))).toEqual([200, null])
    cloud.say(rina, 'halo')
    advance(24 * 3_600_000)
    expect(await codeOf(await post(cloud, text(rina)))).toEqual([200, null])
    advance(1)
    expect(await codeOf(await post(cloud, text(rina)))).toEqual([400, 131047])
  })

  it('one person gets 45 at once, then one in six seconds', async () => {
    const { cloud, advance, rina } = await open()
    cloud.say(rina, 'halo')
    for (let i = 0; i < 45; i++) expect((await post(cloud, text(rina))).status).toBe(200)
    expect(await codeOf(await post(cloud, text(rina)))).toEqual([400, 131056])
    advance(5999)
    expect(await codeOf(await post(cloud, text(rina)))).toEqual([400, 131056])
    advance(1)
    expect((await post(cloud, text(rina))).status).toBe(200)
    expect(await codeOf(await post(cloud, text(rina)))).toEqual([400, 131056])
  })

  it('the number handles 80 in a second, in and out together', async () => {
    const { cloud, advance } = await open()
    const people = Array.from({ length: 41 }, (_, i) =>
      cloud.person({ phone: `62812000${String(i).padStart(5, '0')}`, name: `P${i}` }),
    )
    for (const person of people.slice(0, 40)) cloud.say(person, 'halo')
    for (const person of people.slice(0, 40)) expect((await post(cloud, text(person))).status).toBe(200)
    expect(await codeOf(await post(cloud, text(people[0] as MetaPerson)))).toEqual([429, 130429])
    advance(999)
    expect(await codeOf(await post(cloud, text(people[0] as MetaPerson)))).toEqual([429, 130429])
    advance(1)
    expect((await post(cloud, text(people[0] as MetaPerson))).status).toBe(200)
  })

  it('to a number that is not on WhatsApp is accepted, and fails later', async () => {
    const { cloud, receiver } = await open()
    const nobody = { phone: '6281299999999' } as MetaPerson
    expect((await post(cloud, text(nobody, { biz_opaque_callback_data: 'j' }))).status).toBe(200)
    await cloud.webhooks.idle()
    expect(receiver.statuses()).toMatchObject([{ status: 'failed', errors: [{ code: 131026 }] }])
  })

  it('a read receipt names a message, and is heard', async () => {
    const { cloud, rina } = await open()
    const id = cloud.say(rina, 'halo')
    const heard = once(cloud, 'read')
    const response = await post(cloud, { messaging_product: 'whatsapp', status: 'read', message_id: id })
    expect(await response.json()).toEqual({ success: true })
    expect(await heard).toEqual([id])
    const wrong = { messaging_product: 'whatsapp', status: 'read', message_id: 'x' }
    expect(await codeOf(await post(cloud, wrong))).toEqual([400, 131009])
  })

  const buttons = (count: number) => ({
    type: 'interactive',
    interactive: {
      type: 'button',
      body: { text: 'b' },
      action: {
        buttons: Array.from({ length: count }, (_, i) => ({
          type: 'reply',
          reply: { id: `i${i}`, title: `t${i}` },
        })),
      },
    },
  })
  const rows = (...counts: number[]) => ({
    type: 'interactive',
    interactive: {
      type: 'list',
      body: { text: 'b' },
      action: {
        button: 'b',
        sections: counts.map((count, s) => ({
          title: 's',
          rows: Array.from({ length: count }, (_, i) => ({ id: `${s}-${i}`, title: 't' })),
        })),
      },
    },
  })
  it.each<[string, object | string, number, number]>([
    ['no JSON', '{', 400, 100],
    ['another product', { messaging_product: 'messenger' }, 400, 100],
    ['nobody to send to', { to: undefined }, 400, 131008],
    ['a recipient that is no number', { to: '123' }, 400, 131009],
    ['a type that is not known', { type: 'hologram' }, 400, 131051],
    ['no text', { text: {} }, 400, 131008],
    ['a text too long', { text: { body: 'x'.repeat(4097) } }, 400, 131009],
    ['four buttons', buttons(4), 400, 131009],
    ['eleven rows in two sections', rows(5, 6), 400, 131009],
    ['callback data too long', { biz_opaque_callback_data: 'x'.repeat(513) }, 400, 131009],
  ])('%s is refused', async (_, more, status, code) => {
    const { cloud, rina } = await open()
    cloud.say(rina, 'halo')
    const body = typeof more === 'string' ? more : text(rina, more)
    expect(await codeOf(await post(cloud, body))).toEqual([status, code])
    expect(cloud.received(rina)).toEqual([])
  })

  it('what is just within the limits is taken', async () => {
    const { cloud, rina } = await open()
    cloud.say(rina, 'halo')
    for (const more of [buttons(3), rows(5, 5), { text: { body: 'x'.repeat(4096) } }]) {
      expect((await post(cloud, text(rina, more))).status).toBe(200)
    }
  })

  it('another token, number or path is refused', async () => {
    const { cloud, rina } = await open({ templates: ['known'] })
    cloud.say(rina, 'halo')
    expect(await codeOf(await post(cloud, text(rina), 'other'))).toEqual([401, 190])
    expect(await codeOf(await post(cloud, text(rina), 'token', '999'))).toEqual([400, 100])
    cloud.setAccessToken('new')
    expect(await codeOf(await post(cloud, text(rina)))).toEqual([401, 190])
    expect((await post(cloud, text(rina), 'new')).status).toBe(200)
    const unknown = { type: 'template', template: { name: 'other', language: { code: 'id' } } }
    expect(await codeOf(await post(cloud, text(rina, unknown), 'new'))).toEqual([404, 132001])
  })
})

describe('faults are ordered', () => {
  it('errors, for as many requests as were ordered', async () => {
    const { cloud, rina } = await open()
    cloud.say(rina, 'halo')
    cloud.next(2, { kind: 'error', status: 500, code: 131000 })
    cloud.next(1, { kind: 'error', status: 502, code: null })
    expect(await codeOf(await post(cloud, text(rina)))).toEqual([500, 131000])
    expect(await codeOf(await post(cloud, text(rina)))).toEqual([500, 131000])
    const gateway = await post(cloud, text(rina))
    expect([gateway.status, gateway.headers.get('content-type')]).toEqual([502, 'text/html'])
    expect(cloud.received(rina)).toEqual([])
    expect((await post(cloud, text(rina))).status).toBe(200)
  })

  it('an answer that is lost, before or after the message was accepted', async () => {
    const { cloud, rina } = await open()
    cloud.say(rina, 'halo')
    cloud.next(1, { kind: 'reset_before' })
    await expect(post(cloud, text(rina))).rejects.toThrow()
    expect(cloud.received(rina)).toHaveLength(0)
    cloud.next(1, { kind: 'reset_after' })
    await expect(post(cloud, text(rina))).rejects.toThrow()
    expect(cloud.received(rina)).toHaveLength(1)
    cloud.next(1, { kind: 'lost_answer' })
    const received = once(cloud, 'received')
    const unanswered = post(cloud, text(rina))
    await received
    await cloud.close()
    await expect(unanswered).rejects.toThrow()
    expect(cloud.received(rina)).toHaveLength(2)
  })

  it('a message that was accepted and fails later', async () => {
    const { cloud, receiver, rina } = await open()
    cloud.say(rina, 'halo')
    cloud.next(1, { kind: 'fails_later', code: 131049 })
    expect((await post(cloud, text(rina))).status).toBe(200)
    await cloud.webhooks.idle()
    expect(receiver.statuses()).toMatchObject([{ status: 'failed', errors: [{ code: 131049 }] }])
    expect(cloud.received(rina)).toEqual([])
  })
})

describe('webhooks', () => {
  it('are ASCII, and signed over the bytes that leave', async () => {
    const { cloud, receiver, rina } = await open()
    cloud.say(rina, 'Größe 🙏')
    await cloud.webhooks.idle()
    const body = receiver.bodies[0] as Buffer
    expect(String(body)).toContain('Gr\\u00f6\\u00dfe \\ud83d\\ude4f')
    expect(body.every((byte) => byte < 0x7f)).toBe(true)
    const expected = createHmac('sha256', SETTINGS.appSecret).update(body).digest('hex')
    expect(receiver.signatures[0]).toBe(`sha256=${expected}`)
    expect(receiver.messages()[0]).toMatchObject({ text: { body: 'Größe 🙏' } })
  })

  it('what is escaped reads as before', () => {
    const value = { a: '\u007f\u00e4\u20ac\u{1f64f}', 'ключ"\\': 'x' }
    expect(JSON.parse(escapeNonAscii(JSON.stringify(value)))).toEqual(value)
  })

  it('carry many updates in one body, up to the size of a batch', async () => {
    const { cloud, receiver, rina } = await open({ batchUpdatesMax: 100 })
    for (let i = 0; i < 250; i++) cloud.say(rina, `m${i}`)
    await cloud.webhooks.idle()
    expect(receiver.bodies).toHaveLength(3)
    expect(receiver.messages()).toHaveLength(250)
  })

  it('come again until they are answered 200', async () => {
    const { cloud, receiver, rina } = await open({}, [503, 500, 204])
    cloud.say(rina, 'halo')
    await cloud.webhooks.idle()
    expect(receiver.bodies.map(String)).toEqual(Array(4).fill(String(receiver.bodies[0])))
    expect(cloud.webhooks.counts).toEqual({ posted: 1, refused: 3 })
  })

  it('come again, or in another order, on demand', async () => {
    const { cloud, receiver, rina } = await open({ batchUpdatesMax: 1 })
    cloud.webhooks.hold()
    for (const said of ['1', '2', '3']) cloud.say(rina, said)
    cloud.webhooks.release('reversed')
    await cloud.webhooks.idle()
    const said = receiver.messages().map(({ text }) => (text as { body: string }).body)
    expect(said.toSorted()).toEqual(['1', '2', '3'])
    cloud.webhooks.again(3)
    await until('all three came again', () => receiver.bodies.length === 6)
    expect(new Set(receiver.bodies.map(String)).size).toBe(3)
  })

  it('verify their URL with a challenge', async () => {
    const { cloud } = await open()
    expect(await cloud.webhooks.verify()).toBe(false)
  })
})

describe('people', () => {
  it('with a username show no phone number, and are reached by their user id', async () => {
    const { cloud, receiver } = await open()
    const sari = cloud.person({ phone: '6281200000003', name: 'Sari', username: 'sari' })
    cloud.say(sari, 'halo')
    await cloud.webhooks.idle()
    expect(receiver.messages()[0]).not.toHaveProperty('from')
    expect(receiver.messages()[0]).toMatchObject({ from_user_id: sari.userId })
    expect(receiver.contacts()).toEqual([
      { profile: { name: 'Sari', username: '@sari' }, user_id: sari.userId },
    ])
    const response = await post(cloud, text(sari, { to: undefined, recipient: sari.userId }))
    expect(await response.json()).toMatchObject({ contacts: [{ user_id: sari.userId }] })
    expect(cloud.received(sari)).toHaveLength(1)
  })

  it('tap what they received, and share where they are', async () => {
    const { cloud, receiver, rina } = await open()
    cloud.say(rina, 'halo', { referral: { source_id: '12', ctwa_clid: 'AR' } })
    const reply = { type: 'reply', reply: { id: 'yes_17', title: 'Ya' } }
    const choices = [
      { interactive: { type: 'button', body: { text: 'b' }, action: { buttons: [reply] } } },
      {
        interactive: {
          type: 'list',
          body: { text: 'b' },
          action: { button: 'b', sections: [{ rows: [{ id: 'yes_17', title: 'Ya' }] }] },
        },
      },
    ]
    for (const choice of choices) await post(cloud, text(rina, { type: 'interactive', ...choice }))
    const payload = { type: 'payload', payload: 'yes_17' }
    const component = { type: 'button', sub_type: 'quick_reply', index: '0', parameters: [payload] }
    const template = { name: 'n', language: { code: 'id' }, components: [component] }
    await post(cloud, text(rina, { type: 'template', template }))
    const received = cloud.received(rina)
    for (const message of received) cloud.tap(rina, message, 'yes_17')
    cloud.shareLocation(rina, { latitude: -6, longitude: 106 }, received[0])
    expect(() => cloud.tap(rina, received[0] as never, 'no')).toThrow('has no choice no')
    await cloud.webhooks.idle()
    const byType = receiver.messages().map(({ type, interactive, button, location, referral, context }) => ({
      type,
      ...(interactive !== undefined && { interactive }),
      ...(button !== undefined && { button }),
      ...(location !== undefined && { location }),
      ...(referral !== undefined && { referral }),
      answers: (context as { id: string } | undefined)?.id,
    }))
    const [first, second, third] = received.map(({ id }) => id)
    const choice = { id: 'yes_17', title: 'Ya' }
    expect(byType).toHaveLength(5)
    expect(byType).toEqual(
      expect.arrayContaining([
        { type: 'text', referral: { source_id: '12', ctwa_clid: 'AR' }, answers: undefined },
        { type: 'interactive', interactive: { type: 'button_reply', button_reply: choice }, answers: first },
        { type: 'interactive', interactive: { type: 'list_reply', list_reply: choice }, answers: second },
        { type: 'button', button: { payload: 'yes_17', text: 'yes_17' }, answers: third },
        { type: 'location', location: { latitude: -6, longitude: 106 }, answers: first },
      ]),
    )
  })
})
