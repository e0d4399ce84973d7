import { describe, expect, it } from 'vitest'
import { sign } from '../../../../simulator/whatsapp/meta-webhooks.ts'
import { until } from '../../../support/until.ts'
import { envelopeOf, messageOf, messagesValue, SAMPLES, webhookOf } from './samples.ts'
import { SETTINGS } from './start-bridge.ts'
import { openMeta } from './support.ts'

const TEXT = SAMPLES[0] as (typeof SAMPLES)[number]

const post = (url: string, body: string | Buffer, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-hub-signature-256': sign(body, SETTINGS.appSecret),
      ...headers,
    },
    body,
  })

describe('the handshake', () => {
  const ask = (url: string, query: Record<string, string>) => fetch(`${url}?${new URLSearchParams(query)}`)
  const right = { 'hub.mode': 'subscribe', 'hub.verify_token': 'verify-token', 'hub.challenge': '1158201444' }

  it('answers the challenge, and nothing but it', async () => {
    const { url, cloud } = await openMeta()
    const response = await ask(url, right)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(await response.text()).toBe('1158201444')
    expect(await cloud.webhooks.verify()).toBe(true)
  })

  it.each([
    ['another token', { 'hub.verify_token': 'verify-tokem' }],
    ['no token', { 'hub.verify_token': '' }],
    ['another mode', { 'hub.mode': 'unsubscribe' }],
    ['a challenge that is a script', { 'hub.challenge': '<script>alert(1)</script>' }],
  ])('refuses %s', async (_, more) => {
    const { url } = await openMeta()
    const response = await ask(url, { ...right, ...more })
    expect(response.status).toBe(403)
    expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect(await response.text()).not.toContain('script')
  })
})

describe('what Meta signed', () => {
  it('is answered 200, whatever its shape, and reaches the hub', async () => {
    const { url, hub } = await openMeta()
    for (const [i, sample] of SAMPLES.entries()) {
      const response = await post(url, JSON.stringify(webhookOf(sample, `wamid.${i}`)))
      expect(response.status, sample.shape).toBe(200)
      expect(await response.text()).toBe('')
    }
    expect(hub.inbound.map(({ event_id }) => event_id)).toEqual(SAMPLES.map((_, i) => `wamid.${i}`))
    expect(hub.undecodable).toEqual([])
  })

  it('is taken whatever its content type says', async () => {
    const { url, hub } = await openMeta()
    const body = Buffer.from(JSON.stringify(webhookOf(TEXT, 'wamid.1')))
    for (const type of [
      'text/plain',
      'application/json; charset=utf-8',
      'application/x-www-form-urlencoded',
    ]) {
      expect((await post(url, body, { 'content-type': type })).status).toBe(200)
    }
    expect(hub.inbound).toHaveLength(3)
  })

  it('is answered only after the hub has all of it', async () => {
    const { url, hub } = await openMeta()
    const messages = Array.from({ length: 1000 }, (_, i) => messageOf(TEXT, `wamid.${i}`))
    const response = await post(url, JSON.stringify(envelopeOf(messagesValue({ messages }))))
    expect(response.status).toBe(200)
    expect(hub.inbound.map(({ event_id }) => event_id)).toEqual(messages.map(({ id }) => id))
  })

  it('may be 3 MB', async () => {
    const { url, hub } = await openMeta()
    const messages = Array.from({ length: 700 }, (_, i) => ({
      ...messageOf(TEXT, `wamid.${i}`),
      text: { body: 'x'.repeat(4096) },
    }))
    const body = JSON.stringify(envelopeOf(messagesValue({ messages })))
    expect(body.length).toBeGreaterThan(2.9e6)
    expect((await post(url, body)).status).toBe(200)
    expect(hub.inbound).toHaveLength(700)
    expect((await post(url, 'x'.repeat(3 * 1024 * 1024 + 1))).status).toBe(413)
  })

  it('and can’t be read is kept as it came, and answered 200', async () => {
    const { url, hub, bridge } = await openMeta()
    const bodies = ['{"entry":[', 'null', '[]', '"x"', 'not json \u00e4', '{"entry":"x"}']
    for (const body of bodies) expect((await post(url, body)).status).toBe(200)
    expect(hub.undecodable.map(String)).toEqual(bodies)
    expect(bridge.state.counts.get('unreadable')).toBe(bodies.length)
  })

  it('and can’t be read is kept whole, also when it is more than the hub takes at once', async () => {
    const { url, hub } = await openMeta()
    const body = `{"entry":[${'x'.repeat(2_500_000)}`
    expect((await post(url, body)).status).toBe(200)
    expect(hub.undecodable.map(({ length }) => length)).toEqual([
      1_048_576,
      1_048_576,
      body.length - 2_097_152,
    ])
    expect(Buffer.concat(hub.undecodable).toString()).toBe(body)
  })

  it('and has one element that can’t be read gives the others, and keeps that one', async () => {
    const { url, hub } = await openMeta()
    const messages = [messageOf(TEXT, 'wamid.1'), { type: 'text', no: 'id' }, messageOf(TEXT, 'wamid.2')]
    expect((await post(url, JSON.stringify(envelopeOf(messagesValue({ messages }))))).status).toBe(200)
    expect(hub.inbound.map(({ event_id }) => event_id)).toEqual(['wamid.1', 'wamid.2'])
    expect(hub.undecodable.map(String)).toEqual(['{"type":"text","no":"id"}'])
  })

  it('says the same under the same id when it comes again, so that the hub can tell', async () => {
    const { url, hub } = await openMeta()
    const body = JSON.stringify(webhookOf(TEXT, 'wamid.1'))
    for (let i = 0; i < 3; i++) expect((await post(url, body)).status).toBe(200)
    expect(new Set(hub.inbound.map((message) => JSON.stringify(message))).size).toBe(1)
  })

  it('about a job is told once, however often it comes', async () => {
    const { url, hub, bridge } = await openMeta()
    const status = (state: string) => ({
      id: 'wamid.OUT',
      status: state,
      timestamp: '1790000000',
      biz_opaque_callback_data: 'job-1',
    })
    const body = JSON.stringify(envelopeOf(messagesValue({ statuses: ['read', 'sent', 'sent'].map(status) })))
    for (let i = 0; i < 3; i++) expect((await post(url, body)).status).toBe(200)
    expect(hub.states().toSorted().slice(0, 2)).toEqual(['job-1 read', 'job-1 sent'])
    // The two in one body are under way together: the hub may hear of that one twice.
    expect(hub.statuses.length).toBeLessThanOrEqual(3)
    expect(bridge.state.counts.get('status again')).toBeGreaterThanOrEqual(6)
  })
})

it('what comes late of a message that failed does not keep its job from going out as another', async () => {
  const { url, hub, cloud, job } = await openMeta()
  const rina = cloud.person({ phone: '6281200000001', name: 'Rina' })
  cloud.say(rina, 'halo')
  const status = (state: string) => ({
    id: 'wamid.FIRST',
    status: state,
    biz_opaque_callback_data: 'job-1',
    ...(state === 'failed' && { errors: [{ code: 131000 }] }),
  })
  for (const state of ['failed', 'sent']) {
    const body = JSON.stringify(envelopeOf(messagesValue({ statuses: [status(state)] })))
    expect((await post(url, body)).status).toBe(200)
  }
  await hub.handOver(job('job-1'))
  await until('it goes out', () => cloud.received(rina).length === 1)
})

describe('what Meta did not sign', () => {
  const body = JSON.stringify(webhookOf(TEXT, 'wamid.1'))
  it.each<[string, Record<string, string>]>([
    ['signed with another secret', { 'x-hub-signature-256': sign(body, 'other') }],
    ['the signature of another body', { 'x-hub-signature-256': sign('{}', SETTINGS.appSecret) }],
    ['a signature that is none', { 'x-hub-signature-256': 'sha256=1' }],
    ['the older signature', { 'x-hub-signature-256': '', 'x-hub-signature': 'sha1=0' }],
  ])('%s is refused, and nothing of it is taken', async (_, headers) => {
    const { url, hub } = await openMeta()
    const response = await post(url, body, headers)
    expect(response.status).toBe(401)
    expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect((await post(url, body)).status).toBe(200)
    expect(hub.inbound).toHaveLength(1)
    expect(hub.undecodable).toEqual([])
  })

  it('without any signature, or any body, is refused', async () => {
    const { url, hub } = await openMeta()
    expect((await fetch(url, { method: 'POST', body })).status).toBe(401)
    expect((await fetch(url, { method: 'POST' })).status).toBe(401)
    expect(hub.inbound).toEqual([])
  })
})

describe('while the hub is away', () => {
  it('a webhook is answered 503 with a time to come again, and is taken then', async () => {
    const { url, hub, app } = await openMeta()
    hub.isAway = true
    const body = JSON.stringify(webhookOf(TEXT, 'wamid.1'))
    const response = await post(url, body)
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('5')
    expect(hub.inbound).toEqual([])
    hub.isAway = false
    await until('it is taken again', async () => (await post(url, body)).status === 200)
    expect(hub.inbound.map(({ event_id }) => event_id)).toEqual(['wamid.1'])
    expect(app.server.listening).toBe(true)
  })

  it('Meta’s repeats bring everything, and a batch that was taken by half is taken whole', async () => {
    const { hub, cloud } = await openMeta({ batchUpdatesMax: 7 })
    const rina = cloud.person({ phone: '6281200000001', name: 'Rina' })
    hub.isAway = true
    const ids = Array.from({ length: 20 }, (_, i) => cloud.say(rina, `m${i}`))
    await until('some were refused', () => cloud.webhooks.counts.refused > 2)
    hub.isAway = false
    await cloud.webhooks.idle()
    expect([...new Set(hub.inbound.map(({ event_id }) => event_id))].toSorted()).toEqual(ids.toSorted())
  })
})

describe('people', () => {
  it('whatever they do is one message in the hub’s form', async () => {
    const { hub, cloud } = await openMeta({ batchUpdatesMax: 1 })
    const sari = cloud.person({ phone: '6281200000003', name: 'Sari Größe 🙏', username: 'sari' })
    cloud.say(sari, 'Halo 🙏', { referral: { source_type: 'ad', source_id: '12', ctwa_clid: 'AR' } })
    cloud.shareLocation(sari, { latitude: -6.2, longitude: 106.8 })
    await cloud.webhooks.idle()
    const customer = { phone: null, user_id: sari.userId, name: 'Sari Größe 🙏' }
    expect(hub.inbound).toHaveLength(2)
    expect(hub.inbound.find(({ kind }) => kind === 'text')).toMatchObject({
      account: SETTINGS.phoneNumberId,
      customer,
      text: 'Halo 🙏',
      referral: { source_type: 'ad', source_id: '12', ctwa_clid: 'AR' },
    })
    expect(hub.inbound.find(({ kind }) => kind === 'location')).toMatchObject({
      customer,
      location: { lat: -6.2, lon: 106.8 },
    })
  })
})
