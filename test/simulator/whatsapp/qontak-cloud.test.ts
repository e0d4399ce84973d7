/** The local Qontak is worth what it refuses: each rule of the reference, asked without the hub. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { signedHeaders } from '../../../gateway/bridges/qontak/signing.ts'
import {
  openQontakCloud,
  type QontakCloud,
  type QontakCloudOptions,
} from '../../../simulator/whatsapp/qontak-cloud.ts'

const PHONE = '+6281200000001'

async function open(options: QontakCloudOptions = {}): Promise<QontakCloud> {
  const cloud = await openQontakCloud(options)
  onTestFinished(() => cloud[Symbol.asyncDispose]())
  return cloud
}

async function ask(cloud: QontakCloud, path: string, body?: object, token = cloud.account.botToken) {
  const response = await fetch(cloud.apiUrl + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  })
  return {
    status: response.status,
    body: (await response.json()) as Record<string, unknown>,
    headers: response.headers,
  }
}

async function withRoom(options?: QontakCloudOptions) {
  const cloud = await open(options)
  await cloud.say(PHONE, 'halo')
  return { cloud, room_id: cloud.room(PHONE)?.id as string }
}

describe('the chat API', () => {
  it('knows nobody without a token', async () => {
    const cloud = await open()
    expect(await ask(cloud, '/templates/whatsapp', undefined, 'x')).toMatchObject({
      status: 401,
      body: { message: 'Unauthorized' },
    })
  })

  it('lets only bots speak as bots', async () => {
    const { cloud, room_id } = await withRoom()
    const message = { room_id, type: 'text', text: 'halo' }
    expect((await ask(cloud, '/messages/whatsapp/bot', message, cloud.account.userToken)).status).toBe(403)
    expect((await ask(cloud, '/messages/whatsapp/bot', message)).status).toBe(201)
  })

  it('writes to nobody whose session is over, until they write again', async () => {
    const { cloud, room_id } = await withRoom()
    const message = { room_id, type: 'text', text: 'halo' }
    cloud.expireSession(PHONE)
    expect(await ask(cloud, '/messages/whatsapp/bot', message)).toMatchObject({
      status: 422,
      body: { status: 'error', error: { code: 422, messages: ['Room session is expired'] } },
    })
    await cloud.say(PHONE, 'masih ada?')
    expect((await ask(cloud, '/messages/whatsapp/bot', message)).status).toBe(201)
  })

  const buttons = (count: number, title = 'Ya') =>
    Array.from({ length: count }, (_, i) => ({ id: `b${i}`, title: `${title}${i}` }))

  it.each([
    [201, { type: 'button', interactive: { body: 'Benar?', buttons: buttons(3) } }],
    // Meta's shape is not Qontak's.
    [422, { type: 'button', interactive: { body: { text: 'Benar?' }, buttons: buttons(3) } }],
    [422, { type: 'button', interactive: { body: 'Benar?', buttons: buttons(4) } }],
    [422, { type: 'button', interactive: { body: 'Benar?', buttons: buttons(1, 'x'.repeat(20)) } }],
    [422, { type: 'list', interactive: { body: 'Benar?', buttons: buttons(1) } }],
    [
      201,
      {
        type: 'list',
        interactive: { body: 'Benar?', lists: { button: 'Pilih', sections: [{ rows: buttons(10) }] } },
      },
    ],
    [
      422,
      {
        type: 'list',
        interactive: { body: 'Benar?', lists: { button: 'Pilih', sections: [{ rows: buttons(11) }] } },
      },
    ],
  ])('answers %i to interactive %o', async (status, message) => {
    const { cloud, room_id } = await withRoom()
    expect(
      (await ask(cloud, '/messages/whatsapp/interactive_message/bot', { room_id, ...message })).status,
    ).toBe(status)
  })

  it('takes sixty broadcasts in a minute, and each with all that is required', async () => {
    let nowMs = Date.parse('2026-11-22T08:00:00Z')
    const cloud = await open({
      templates: [{ name: 'offer', language: 'id', status: 'APPROVED', labels: [] }],
      now: () => nowMs,
    })
    const broadcast = {
      to_name: 'Rina',
      to_number: '6281200000001',
      message_template_id: cloud.templates[0]?.id,
      channel_integration_id: cloud.channelId,
      language: { code: 'id' },
      parameters: { body: [] },
    }
    const send = (more: object = {}) => ask(cloud, '/broadcasts/whatsapp/direct', { ...broadcast, ...more })
    for (const field of Object.keys(broadcast)) expect((await send({ [field]: undefined })).status).toBe(422)
    nowMs += 61_000
    const statuses = new Set<number>()
    for (let i = 0; i < 60; i++) statuses.add((await send()).status)
    expect(statuses).toEqual(new Set([201]))
    expect(await send()).toMatchObject({ status: 429 })
    nowMs += 61_000
    expect((await send()).status).toBe(201)
  })

  it('lets nobody tap what was not offered', async () => {
    const { cloud } = await withRoom()
    await expect(cloud.tap(PHONE, 'Ya')).rejects.toThrow('nothing that can be tapped')
  })
})

describe('the gateway', () => {
  const sign = (cloud: QontakCloud, more: { atMs?: number; clientSecret?: string; path?: string } = {}) =>
    signedHeaders(
      { ...cloud.account, ...more },
      { method: 'GET', path: '/qontak/crm/contacts', body: null, atMs: Date.now(), ...more },
    )
  const get = async (cloud: QontakCloud, headers: Record<string, string>) =>
    (await fetch(`${cloud.origin}/qontak/crm/contacts`, { headers })).status

  it('takes a call that is signed, with a clock up to 300 s off', async () => {
    const cloud = await open()
    expect(await get(cloud, sign(cloud))).toBe(200)
    expect(await get(cloud, sign(cloud, { atMs: Date.now() - 290_000 }))).toBe(200)
    expect(await get(cloud, sign(cloud, { atMs: Date.now() - 310_000 }))).toBe(401)
    expect(await get(cloud, sign(cloud, { atMs: Date.now() + 310_000 }))).toBe(401)
  })

  it('refuses another secret, another path, and no signature', async () => {
    const cloud = await open()
    expect(await get(cloud, sign(cloud, { clientSecret: 'other' }))).toBe(401)
    expect(await get(cloud, sign(cloud, { path: '/qontak/crm/deals' }))).toBe(401)
    expect(await get(cloud, {})).toBe(401)
  })

  it('refuses a body that is not the one whose digest was given', async () => {
    const cloud = await open()
    const path = '/qontak/crm/contacts'
    const headers = signedHeaders(cloud.account, {
      method: 'POST',
      path,
      body: '{"first_name":"Rina"}',
      atMs: Date.now(),
    })
    const post = async (body: string) =>
      (await fetch(cloud.origin + path, { method: 'POST', headers, body })).status
    expect(await post('{"first_name":"Rima"}')).toBe(401)
    expect(await post('{"first_name":"Rina"}')).toBe(200)
  })
})

describe('webhooks', () => {
  async function listen(statuses: number[]) {
    const bodies: Record<string, unknown>[] = []
    const server = createServer(async (request, response) => {
      bodies.push(JSON.parse(await text(request)))
      response.writeHead(statuses.shift() ?? 200).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return { bodies, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
  }

  it('come again until they are answered 200, and only 200', async () => {
    const cloud = await open()
    const hook = await listen([500, 201, 404])
    cloud.webhooks.url = hook.url
    expect((await cloud.say(PHONE, 'halo')).statuses).toEqual([500, 201, 404, 200])
    expect(new Set(hook.bodies.map(({ id }) => id)).size).toBe(1)
  })

  it.each([
    ['new', true],
    ['2021', false],
  ] as const)('in the shape of %s', async (shape, hasEvent) => {
    const cloud = await open({ shape })
    const hook = await listen([])
    cloud.webhooks.url = hook.url
    await cloud.say(PHONE, 'halo')
    await ask(cloud, '/messages/whatsapp/bot', { room_id: cloud.room(PHONE)?.id, type: 'text', text: 'hai' })
    await cloud.webhooks.idle()
    expect(hook.bodies.map(({ participant_type, status }) => `${participant_type} ${status}`)).toEqual([
      'customer created',
      'bot created',
      'bot delivered',
      'bot sent',
    ])
    for (const body of hook.bodies) expect('data_event' in body && 'webhook_event' in body).toBe(hasEvent)
  })
})
