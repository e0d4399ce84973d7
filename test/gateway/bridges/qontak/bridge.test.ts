import { describe, expect, it } from 'vitest'
import { RECONCILE_MS } from '../../../../gateway/contract/bridge.ts'
import type { QontakCloud } from '../../../../simulator/whatsapp/qontak-cloud.ts'
import type { Broadcast } from '../../../../simulator/whatsapp/qontak-rooms.ts'
import { freePort } from '../../../support/ports.ts'
import { until } from '../../../support/until.ts'
import { openBridge, openCloud, PHONE } from './open-bridge.ts'

const BUTTONS = [
  { id: 'yes:1', title: 'Ya, benar' },
  { id: 'no:1', title: 'Bukan' },
]
const post = (url: string, body: string | Buffer) =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
/** Longer than after a start: nothing is handed over any more from before it. */
const SETTLED_MS = 2 * RECONCILE_MS + 1000

describe('what a customer writes', () => {
  it.each(['new', '2021'] as const)('reaches the hub, in the shape of Qontak’s %s bodies', async (shape) => {
    const cloud = await openCloud({ shape })
    const { heard } = await openBridge(cloud)
    expect((await cloud.say(PHONE, 'halo', 'Rina')).statuses).toEqual([200])
    expect(heard).toMatchObject([
      {
        bridge: 'qontak',
        account: cloud.channelId,
        customer: { phone: PHONE, name: 'Rina' },
        room_id: cloud.room(PHONE)?.id,
        kind: 'text',
        text: 'halo',
      },
    ])
  })

  it('is answered 200 once the hub has it, and not before', async () => {
    const cloud = await openCloud()
    const { bridge, hub, heard } = await openBridge(cloud)
    const taken = Promise.withResolvers<void>()
    hub.gate = taken.promise
    const order: string[] = []
    const said = cloud.say(PHONE, 'halo').then(({ statuses }) => order.push(`answered ${statuses}`))
    // A webhook that asks nothing of the hub is answered meanwhile.
    await post(cloud.webhooks.url as string, '{"verify_info":{}}')
    expect(bridge.state.counts.get('ignored: verification')).toBe(1)
    order.push('taken')
    taken.resolve()
    await said
    expect(order).toEqual(['taken', 'answered 200'])
    expect(heard[0]?.text).toBe('halo')
  })

  it('while the hub is away is asked for again, and comes', async () => {
    const cloud = await openCloud()
    const { hub, heard, webhookUrl } = await openBridge(cloud)
    hub.isAway = true
    const response = await post(
      webhookUrl,
      JSON.stringify({ ...MESSAGE, organization_id: cloud.organizationId }),
    )
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await response.json()).toMatchObject({ status: 503 })
    const said = cloud.say(PHONE, 'halo')
    await until('it was refused', () => cloud.webhooks.deliveries[0]?.statuses[0] === 503)
    hub.isAway = false
    expect((await said).statuses.at(-1)).toBe(200)
    expect(heard.map(({ text }) => text)).toEqual(['halo'])
  })

  it('that cannot be read is handed to the hub as it came, for quarantine', async () => {
    const cloud = await openCloud()
    const { raw, webhookUrl } = await openBridge(cloud, { settings: { organizationId: null } })
    const bodies = ['{"a":', JSON.stringify({ ...MESSAGE, room_id: null, room: {} })]
    for (const body of bodies) expect((await post(webhookUrl, body)).status).toBe(200)
    expect(raw.map((bytes) => Buffer.from(bytes).toString())).toEqual(bodies)
  })
})

const MESSAGE = {
  id: 'msg-1',
  type: 'text',
  room_id: 'room-1',
  participant_type: 'customer',
  text: 'halo',
  status: 'created',
  room: { account_uniq_id: '6281200000001' },
}

describe('the webhook’s address', () => {
  it.each(['a-path-nobody-guesseZ', 'a', `${'a'.repeat(90)}`])(
    'with another secret is a path that there is not: %s',
    async (secret) => {
      const cloud = await openCloud()
      const { webhookUrl, heard, bridge } = await openBridge(cloud)
      const url = webhookUrl.replace(/[^/]+$/, secret)
      const response = await post(url, JSON.stringify(MESSAGE))
      expect(response.status).toBe(404)
      expect(await response.json()).toEqual({
        type: 'about:blank',
        title: 'Not Found',
        status: 404,
        detail: `There is nothing at /webhooks/qontak/${secret}`,
      })
      expect(heard).toEqual([])
      expect(bridge.state.counts.get('refused: secret')).toBe(1)
    },
  )

  it.each([
    ['another organisation', { organization_id: 'another' }],
    ['no organisation', {}],
  ])('takes nothing of %s', async (_, more) => {
    const cloud = await openCloud()
    const { webhookUrl, heard, raw } = await openBridge(cloud)
    expect((await post(webhookUrl, JSON.stringify({ ...MESSAGE, ...more }))).status).toBe(403)
    expect([heard, raw]).toEqual([[], []])
  })

  it('is verified by Qontak when it is registered', async () => {
    const cloud = await openCloud()
    const { webhookUrl } = await openBridge(cloud)
    cloud.webhooks.url = null
    await fetch(`${cloud.apiUrl}/message_interactions`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${cloud.account.botToken}` },
      body: JSON.stringify({ url: webhookUrl, receive_message_from_customer: true }),
    })
    await cloud.webhooks.idle()
    expect(cloud.webhooks.deliveries.map(({ statuses }) => statuses)).toEqual([[200]])
  })

  it('takes no more than a megabyte', async () => {
    const cloud = await openCloud()
    const { webhookUrl } = await openBridge(cloud)
    expect((await post(webhookUrl, Buffer.alloc(1024 * 1024 + 1, 0x20))).status).toBe(413)
  })
})

describe('a message of the hub', () => {
  it('is written in the person’s room and told of until it is delivered; its echo is no message', async () => {
    const cloud = await openCloud()
    const hub = await openBridge(cloud)
    await cloud.say(PHONE, 'halo')
    const job = hub.job({ body: 'Selamat pagi' })
    await hub.hand(job)
    const { provider_id } = await hub.until(job, 'sent')
    await hub.until(job, 'delivered')
    expect(provider_id).toBe(cloud.room(PHONE)?.messages.at(-1)?.id)
    await cloud.agentSays(PHONE, 'saya bantu')
    await cloud.webhooks.idle()
    expect(cloud.heard(PHONE)).toEqual(['Selamat pagi', 'saya bantu'])
    expect(hub.heard.map(({ text }) => text)).toEqual(['halo'])
    expect(new Set(hub.statuses.map(({ job_id }) => job_id))).toEqual(new Set([job.job_id]))
  })

  it('to a room goes there, whether the person is known or not', async () => {
    const cloud = await openCloud()
    await cloud.say(PHONE, 'halo')
    const hub = await openBridge(cloud)
    const job = hub.job({ to: { room_id: cloud.room(PHONE)?.id as string } })
    await hub.hand(job)
    await hub.until(job, 'sent')
    expect(cloud.heard(PHONE)).toEqual([job.body])
  })

  it('to somebody who has never written is not sent: that takes a template', async () => {
    const cloud = await openCloud()
    const hub = await openBridge(cloud)
    const job = hub.job()
    await hub.hand(job)
    expect(await hub.until(job, 'failed')).toMatchObject({ error: { code: 'no_room', retryable: false } })
    expect(cloud.asked).toEqual([])
  })

  it('that was read marks the room as read', async () => {
    const cloud = await openCloud()
    const hub = await openBridge(cloud)
    await cloud.say(PHONE, 'halo')
    const job = hub.job({ kind: 'read', message_id: 'msg-1' })
    await hub.hand(job)
    await hub.until(job, 'sent')
    expect(cloud.room(PHONE)?.markedRead).toBe(1)
  })

  it.each([
    ['buttons', { kind: 'buttons' as const, choices: BUTTONS }],
    ['a list', { kind: 'list' as const, button: 'Pilih', choices: BUTTONS }],
  ])(
    'with %s is answered by a tap, which comes as a choice though Qontak sends its title',
    async (_, more) => {
      const cloud = await openCloud()
      const hub = await openBridge(cloud)
      await cloud.say(PHONE, 'halo')
      const job = hub.job({ body: 'Benar?', ...more })
      await hub.hand(job)
      await hub.until(job, 'sent')
      await cloud.tap(PHONE, 'Ya, benar')
      expect(hub.heard.at(-1)).toMatchObject({
        kind: 'choice',
        text: 'Ya, benar',
        choice: { id: 'yes:1', title: 'Ya, benar' },
      })
      await cloud.say(PHONE, 'ya, tapi kapan?')
      expect(hub.heard.at(-1)).toMatchObject({ kind: 'text', text: 'ya, tapi kapan?' })
    },
  )

  it('asking for a location is a text, and the location comes', async () => {
    const cloud = await openCloud()
    const hub = await openBridge(cloud)
    await cloud.say(PHONE, 'halo')
    const job = hub.job({ kind: 'location_request', body: 'Di mana?' })
    await hub.hand(job)
    await hub.until(job, 'sent')
    expect(cloud.heard(PHONE)[0]).toMatch(/^Di mana\?/)
    await cloud.shareLocation(PHONE, -6.2, 106.8, 'Kantor')
    expect(hub.heard.at(-1)).toMatchObject({
      kind: 'location',
      location: { lat: -6.2, lon: 106.8, name: 'Kantor' },
    })
  })
})

const OFFER = { name: 'lead_offer', language: 'id', status: 'APPROVED', labels: ['Ambil', 'Lewati'] } as const
const offer = {
  kind: 'template' as const,
  template: { name: 'lead_offer', language: 'id', parameters: ['Kemang'], payloads: ['claim:1', 'pass:1'] },
}

describe('a template', () => {
  it('goes to a number, by the id Qontak has for its name; a tap on it is the choice', async () => {
    const cloud = await openCloud({ templates: [{ ...OFFER, language: 'en' }, OFFER] })
    const hub = await openBridge(cloud)
    const job = hub.job(offer)
    await hub.hand(job)
    const { provider_id } = await hub.until(job, 'sent')
    expect(cloud.heard(PHONE)).toEqual(['[lead_offer] Kemang'])
    expect(cloud.broadcasts).toMatchObject([
      { id: provider_id, template: { id: cloud.templates[1]?.id }, language: 'id' },
    ])
    await cloud.tap(PHONE, 'Ambil')
    expect(hub.heard.at(-1)).toMatchObject({ kind: 'choice', choice: { id: 'claim:1', title: 'Ambil' } })
  })

  it('is told of when it is delivered, and when it is not', async () => {
    const cloud = await openCloud({ templates: [OFFER] })
    const hub = await openBridge(cloud)
    const [good, bad] = [hub.job(offer), hub.job({ ...offer, to: { phone: '+6281200000002' } })]
    for (const job of [good, bad]) {
      await hub.hand(job)
      await hub.until(job, 'sent')
    }
    const [first, second] = cloud.broadcasts as [Broadcast, Broadcast]
    await cloud.reportBroadcast(first, 'delivered')
    await cloud.webhooks.repeat(await cloud.reportBroadcast(second, 'failed', 'Message undeliverable'))
    expect(hub.statesOf(good.job_id).map(({ state }) => state)).toEqual(['sent', 'delivered'])
    expect(hub.statesOf(bad.job_id)).toMatchObject([
      { state: 'sent' },
      { state: 'failed', error: { message: 'Message undeliverable', retryable: false } },
    ])
  })

  it.each([
    ['that Qontak does not have', [] as const, 'no_template'],
    ['that is not approved', [{ ...OFFER, status: 'PENDING' as const }], 'no_template'],
  ])('%s is not sent', async (_, templates, code) => {
    const cloud = await openCloud({ templates })
    const hub = await openBridge(cloud)
    const job = hub.job(offer)
    await hub.hand(job)
    expect(await hub.until(job, 'failed')).toMatchObject({ error: { code, retryable: false } })
    expect(cloud.broadcasts).toEqual([])
  })

  it('leaves by the channel of the settings', async () => {
    const cloud = await openCloud({ templates: [OFFER] })
    const hub = await openBridge(cloud, { settings: { channelId: 'another' } })
    const job = hub.job(offer)
    await hub.hand(job)
    expect(await hub.until(job, 'failed')).toMatchObject({
      error: { code: 'http_422', message: 'channel_integration_id is invalid', retryable: false },
    })
  })

  it('is held back so that no minute has more than sixty', async () => {
    const cloud = await openCloud({ templates: [OFFER], now: () => hub.clock.now() })
    const hub = await openBridge(cloud)
    const jobs = Array.from({ length: 70 }, (_, i) =>
      hub.job({ ...offer, to: { phone: `+62812000${10_000 + i}` } }),
    )
    for (const job of jobs) await hub.hand(job)
    await until('all are sent', () => {
      hub.clock.pass(400)
      return hub.statuses.filter(({ state }) => state === 'sent').length === 70
    })
    expect(cloud.asked.filter(({ status }) => status === 429)).toEqual([])
    expect(cloud.broadcasts).toHaveLength(70)
  })

  it('through the gateway, signed, when there is no token: broadcasts go, rooms do not', async () => {
    const cloud = await openCloud({ templates: [OFFER] })
    const gateway = { apiUrl: `${cloud.origin}/qontak/chat/v1`, login: null }
    const hub = await openBridge(cloud, { settings: gateway })
    await cloud.say(PHONE, 'halo')
    const [template, text] = [hub.job(offer), hub.job()]
    await hub.hand(template)
    await hub.hand(text)
    await hub.until(template, 'sent')
    expect(await hub.until(text, 'failed')).toMatchObject({ error: { code: 'http_404' } })
  })
})

describe('a login', () => {
  const login = { username: 'hub@dealer.example', password: 'qontak-password' }

  it('is made once, and a token that is refused is renewed once', async () => {
    const cloud = await openCloud()
    const hub = await openBridge(cloud, { settings: { login } })
    await cloud.say(PHONE, 'halo')
    for (const renew of [() => {}, () => cloud.tokens.revoke(), () => {}]) {
      renew()
      const job = hub.job()
      await hub.hand(job)
      await hub.until(job, 'sent')
    }
    expect([...cloud.tokens.grants]).toEqual([
      ['password', 1],
      ['refresh_token', 1],
    ])
    cloud.tokens.revoke()
    cloud.tokens.revokeRefresh()
    const job = hub.job()
    await hub.hand(job)
    await hub.until(job, 'sent')
    expect(cloud.tokens.grants.get('password')).toBe(2)
    expect(cloud.heard(PHONE)).toHaveLength(4)
  })

  it.each([
    ['password', { login: { ...login, password: 'wrong' } }],
    ['token', { login: { token: 'wrong' } }],
  ])('whose %s is wrong stops sending, loses nothing, and goes on when it is right', async (_, settings) => {
    const cloud = await openCloud()
    const hub = await openBridge(cloud, { settings })
    await cloud.say(PHONE, 'halo')
    const jobs = [hub.job(), hub.job(), hub.job()]
    for (const job of jobs) await hub.hand(job)
    await until('sending stopped', () => hub.bridge.state.rooms.stopped)
    expect(hub.bridge.state.rooms.stopped?.error).toMatchObject({ code: 'http_401', retryable: true })
    expect(hub.statuses).toEqual([])
    // Somebody puts it right, at Qontak.
    Object.assign(cloud.account, { password: 'wrong', botToken: 'wrong' })
    await until('all are sent', () => {
      hub.clock.pass(10_000)
      return jobs.every(({ job_id }) => hub.statesOf(job_id).some(({ state }) => state === 'sent'))
    })
    expect(cloud.heard(PHONE)).toEqual(jobs.map(({ body }) => body))
  })
})

describe('what Qontak answers', () => {
  const MESSAGES = /^POST \/api\/open\/v1\/messages/

  async function openSettled(options = {}) {
    const cloud = await openCloud()
    const hub = await openBridge(cloud, options)
    await cloud.say(PHONE, 'halo')
    hub.clock.pass(SETTLED_MS)
    return { cloud, hub }
  }

  it('that a session is over fails the message, which is not tried again', async () => {
    const { cloud, hub } = await openSettled()
    cloud.expireSession(PHONE)
    const job = hub.job()
    await hub.hand(job)
    expect(await hub.until(job, 'failed')).toMatchObject({
      provider_id: null,
      error: { code: 'http_422', message: 'Room session is expired', retryable: false },
    })
    expect(cloud.asked).toHaveLength(1)
  })

  it.each([
    [429, { 'retry-after': '7' }, 7000],
    [429, {}, 5000],
    [503, {}, 1000],
  ])('%i %o keeps everybody waiting, and each is sent once', async (status, headers, waitMs) => {
    const { cloud, hub } = await openSettled()
    cloud.fault({ on: MESSAGES, answer: { status, headers }, times: 1 })
    const jobs = [hub.job(), hub.job()]
    for (const job of jobs) await hub.hand(job)
    await until('sending stopped', () => hub.bridge.state.rooms.stopped)
    hub.clock.pass(waitMs - 500)
    expect(cloud.asked).toHaveLength(1)
    hub.clock.pass(500)
    for (const job of jobs) await hub.until(job, 'sent')
    expect(cloud.heard(PHONE)).toEqual(jobs.map(({ body }) => body))
  })

  it('nothing at all, since nobody is there: it waits, and is told of when its time is over', async () => {
    const { cloud, hub } = await openSettled({
      settings: { apiUrl: `http://127.0.0.1:${await freePort()}/api/open/v1` },
    })
    const job = hub.job()
    await hub.hand(job)
    await until('sending stopped', () => hub.bridge.state.rooms.stopped)
    expect(hub.bridge.state.rooms.stopped?.error.code).toBe('unreachable')
    expect(hub.statesOf(job.job_id)).toEqual([])
    expect(hub.bridge.state.rooms.waiting).toBe(1)
    expect(cloud.heard(PHONE)).toEqual([])
    hub.clock.pass(3_600_000)
    expect(await hub.until(job, 'failed')).toMatchObject({ error: { code: 'expired' } })
  })

  const UNKNOWN = ['reset-after', 'never-after', { status: 500 }, { status: 502 }, 'reset', 'never'] as const

  it.each(UNKNOWN)(
    '%o leaves open whether it was sent: nothing is said, and nothing is sent again by itself',
    async (answer) => {
      const { cloud, hub } = await openSettled({ timeoutMs: 200 })
      cloud.webhooks.url = null
      cloud.fault({ on: MESSAGES, answer, times: 1 })
      const job = hub.job()
      await hub.hand(job)
      await until('it is unknown', () => hub.bridge.state.rooms.unknown === 1)
      hub.clock.pass(RECONCILE_MS - 1000)
      await hub.hand(job)
      expect(cloud.asked).toHaveLength(1)
      expect(hub.statuses).toEqual([])
    },
  )

  it.each(UNKNOWN)(
    '%o, handed over again: the room is read first, and the person hears of it once',
    async (answer) => {
      const { cloud, hub } = await openSettled({ timeoutMs: 200 })
      // Not even a report.
      cloud.webhooks.url = null
      cloud.fault({ on: MESSAGES, answer, times: 1 })
      const job = hub.job()
      await hub.hand(job)
      await until('it is unknown', () => hub.bridge.state.rooms.unknown === 1)
      hub.clock.pass(RECONCILE_MS + 1000)
      await hub.hand(job)
      const { provider_id } = await hub.until(job, 'sent')
      expect(cloud.heard(PHONE)).toEqual([job.body])
      expect(cloud.room(PHONE)?.messages.at(-1)?.id).toBe(provider_id)
    },
  )

  it.each(['reset-after', 'never-after'] as const)(
    '%s: the report that follows tells that it was sent',
    async (answer) => {
      const { cloud, hub } = await openSettled({ timeoutMs: 200 })
      cloud.fault({ on: MESSAGES, answer, times: 1 })
      const job = hub.job()
      await hub.hand(job)
      const { provider_id } = await hub.until(job, 'sent')
      expect(provider_id).toBe(cloud.room(PHONE)?.messages.at(-1)?.id)
      hub.clock.pass(RECONCILE_MS + 1000)
      await hub.hand(job)
      await cloud.webhooks.idle()
      expect(cloud.heard(PHONE)).toEqual([job.body])
    },
  )

  it('while the room cannot be read, what is open stays open', async () => {
    const { cloud, hub } = await openSettled({ timeoutMs: 200 })
    cloud.webhooks.url = null
    cloud.fault({ on: MESSAGES, answer: 'reset-after', times: 1 })
    cloud.fault({ on: /^GET .*\/rooms\//, answer: { status: 500 }, times: 1 })
    const job = hub.job()
    await hub.hand(job)
    for (const times of [1, 2]) {
      await until('it is unknown', () => hub.bridge.state.rooms.unknown === 1)
      hub.clock.pass(RECONCILE_MS + 1000)
      await hub.hand(job)
      if (times === 1)
        await until('the room was asked for', () => cloud.asked.some(({ method }) => method === 'GET'))
    }
    await hub.until(job, 'sent')
    expect(cloud.heard(PHONE)).toEqual([job.body])
  })

  it('to a bridge that died before it could say so: the next one does not send it again', async () => {
    const cloud = await openCloud()
    const first = await openBridge(cloud)
    await cloud.say(PHONE, 'halo')
    cloud.webhooks.url = null
    const job = first.job()
    first.hub.isAway = true
    await first.hand(job)
    await until('it is sent', () => cloud.heard(PHONE).length === 1)
    await first.stop()
    const second = await openBridge(cloud)
    await second.hand({ ...job, to: { ...job.to, room_id: cloud.room(PHONE)?.id as string } })
    const { provider_id } = await second.until(job, 'sent')
    expect(provider_id).toBe(cloud.room(PHONE)?.messages.at(-1)?.id)
    // The next of the same words is another message.
    await cloud.say(PHONE, 'apa?')
    const again = second.job({ body: job.body as string })
    await second.hand(again)
    await second.until(again, 'sent')
    expect(cloud.heard(PHONE)).toEqual([job.body, job.body])
  })

  it.each<[rule: string, before: (cloud: QontakCloud, body: string) => Promise<unknown>]>([
    ['the customer said the same', (cloud, body) => cloud.say(PHONE, body)],
    [
      'it was said long before',
      async (cloud, body) => {
        await cloud.agentSays(PHONE, body)
        const [said] = cloud.room(PHONE)?.messages.slice(-1) ?? []
        Object.assign(said ?? {}, { created_at: new Date(Date.now() - 3_600_000).toISOString() })
      },
    ],
  ])('to a bridge that has just started: when %s, that is no sign that it was sent', async (_, before) => {
    const cloud = await openCloud()
    const hub = await openBridge(cloud)
    await cloud.say(PHONE, 'halo')
    await before(cloud, 'Selamat pagi')
    const job = hub.job({ body: 'Selamat pagi' })
    await hub.hand(job)
    const { provider_id } = await hub.until(job, 'sent')
    expect(cloud.room(PHONE)?.messages.at(-1)).toMatchObject({ id: provider_id, participant_type: 'bot' })
  })

  it('to a bridge that has just started: the same words twice are two messages', async () => {
    const cloud = await openCloud()
    const hub = await openBridge(cloud)
    await cloud.say(PHONE, 'halo')
    for (const job of [hub.job({ body: 'Sebentar' }), hub.job({ body: 'Sebentar' })]) {
      await hub.hand(job)
      await hub.until(job, 'sent')
    }
    expect(cloud.heard(PHONE)).toEqual(['Sebentar', 'Sebentar'])
  })

  it('by breaking off, after an agent has said the same: that is no sign either', async () => {
    const { cloud, hub } = await openSettled()
    await cloud.agentSays(PHONE, 'Sebentar')
    hub.clock.pass(1000)
    cloud.fault({ on: MESSAGES, answer: 'reset', times: 1 })
    const job = hub.job({ body: 'Sebentar' })
    await hub.hand(job)
    await until('it is unknown', () => hub.bridge.state.rooms.unknown === 1)
    expect(hub.statuses).toEqual([])
  })

  it('to a broadcast whose answer was lost: its report tells that it was sent', async () => {
    const cloud = await openCloud({ templates: [OFFER] })
    const hub = await openBridge(cloud, { timeoutMs: 200 })
    cloud.fault({ on: /^POST .*\/broadcasts/, answer: 'reset-after', times: 1 })
    const job = hub.job(offer)
    await hub.hand(job)
    await until('it is unknown', () => hub.bridge.state.broadcasts.unknown === 1)
    await cloud.reportBroadcast(cloud.broadcasts[0] as Broadcast, 'sent')
    expect(await hub.until(job, 'sent')).toMatchObject({ provider_id: cloud.broadcasts[0]?.id })
    hub.clock.pass(RECONCILE_MS + 1000)
    await hub.hand(job)
    expect(cloud.broadcasts).toHaveLength(1)
  })
})
