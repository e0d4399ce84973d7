/** `POST /api/v1/lead`: what forms and advertisements send, and what they are answered. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { Role } from '../../../gateway/tokens.ts'
import { describeOnBothStores } from '../../support/stores.ts'
import { allPages, type HttpHub, openHttpHub } from './hub.ts'
import { form, newPhone, postLead, settleTown } from './race-town.ts'

describeOnBothStores('a lead from a form', (store) => {
  let hub: HttpHub
  beforeAll(async () => {
    await settleTown(store())
    hub = openHttpHub(store())
    return () => hub[Symbol.asyncDispose]()
  })
  const entries = (type: string) => allPages(hub, `/api/v1/ledger?type=${type}&limit=1000`)

  it('is offered to the three nearest dealers that are open, and the answer says to whom', async () => {
    const response = await postLead(hub, form())
    expect(response.statusCode).toBe(202)
    const answer = response.json()
    expect(answer).toEqual({
      lead: expect.stringMatching(/^L/),
      state: 'UNCLAIMED',
      offered_to: expect.arrayContaining(['north', 'middle', 'south']),
    })
    expect(answer.offered_to).toHaveLength(3)
    const created = (await entries('lead.created')).filter(
      ({ data }) => (data as { lead: string }).lead === answer.lead,
    )
    expect(created).toMatchObject([
      { data: { source: 'form', model: 'Volt One', channel: 'tiktok', campaign: 'november' } },
    ])
  })

  it('is known by its event_id, or by Idempotency-Key in its place, quoted or not: sent again it gets the same answer', async () => {
    const { event_id, ...said } = form()
    const before = (await entries('lead.created')).length
    const answers = []
    answers.push(await postLead(hub, { event_id, ...said }))
    answers.push(await postLead(hub, { event_id, ...said }, 'admin', { 'idempotency-key': event_id }))
    answers.push(await postLead(hub, said, 'admin', { 'idempotency-key': event_id }))
    answers.push(await postLead(hub, said, 'admin', { 'idempotency-key': `"${event_id}"` }))
    const [first, ...others] = answers.map((answer) => ({ ...answer.json(), status: answer.statusCode }))
    expect(first).toMatchObject({ status: 202, state: 'UNCLAIMED' })
    for (const other of others) expect(other).toEqual(first)
    expect(await entries('lead.created')).toHaveLength(before + 1)
  })

  it('of a person with a recent lead is that lead, by phone or by e-mail, whatever the channel', async () => {
    const [phone, email] = [newPhone(), 'rina@example.test']
    const { lead } = (await postLead(hub, form({ phone, email }))).json()
    const duplicate = { lead, state: 'DUPLICATE', offered_to: [] }
    const local = `0${phone.slice(3)}`
    expect((await postLead(hub, form({ phone: local, channel: 'meta_ads' }))).json()).toEqual(duplicate)
    const byMail = form({ phone: undefined, email: 'Rina@Example.test', channel: 'google_search' })
    expect((await postLead(hub, byMail)).json()).toEqual(duplicate)
  })

  it('that does not say where the person is, is asked on WhatsApp', async () => {
    const response = await postLead(hub, form({ lat: undefined, lon: undefined }))
    expect(response.statusCode).toBe(202)
    expect(response.json()).toEqual({ lead: null, state: 'SCREENING', offered_to: [] })
  })

  it('may name a city instead of coordinates', async () => {
    const answer = (await postLead(hub, form({ lat: undefined, lon: undefined, place: 'Bandung' }))).json()
    expect(answer).toMatchObject({ state: 'UNCLAIMED', lead: expect.stringMatching(/^L/) })
  })

  it.each<[string, Record<string, unknown>, string[]]>([
    ['nobody to call', { phone: undefined }, ['phone', 'email']],
    ['a number that is none', { phone: 'ask me later' }, ['phone']],
    ['an address that is none', { email: 'rina' }, ['email']],
    ['half of a place', { lon: undefined }, ['lon']],
    ['a channel nobody knows', { channel: 'smoke signals' }, ['channel']],
    ['too long a model', { model: 'x'.repeat(65) }, ['model']],
    ['several at once', { lat: 'north', channel: 7 }, ['lat', 'channel']],
    [
      'nothing to go on with',
      { phone: undefined, email: 'r@example.test', lat: undefined, lon: undefined },
      ['lat/lon', 'place', 'phone'],
    ],
    [
      'a place that is nowhere, and no phone to ask',
      { phone: undefined, email: 'r@example.test', lat: undefined, lon: undefined, place: 'Atlantis' },
      ['lat/lon', 'place', 'phone'],
    ],
    ['no id', { event_id: undefined }, ['event_id']],
    ['an empty id', { event_id: '' }, ['event_id']],
  ])('with %s is refused, each field named, and leaves nothing behind', async (_, changes, fields) => {
    const end = (await hub.get('/api/v1/ledger?after=end')).json().next
    const response = await postLead(hub, form(changes))
    expect(response.statusCode, response.body).toBe(422)
    expect(response.headers['content-type']).toContain('application/problem+json')
    const { errors } = response.json()
    expect(errors.map(({ field }: { field: string }) => field)).toEqual(fields)
    for (const error of errors) {
      expect(error).toEqual({
        field: expect.any(String),
        expected: expect.any(String),
        received: expect.any(String),
      })
    }
    expect((await hub.get(`/api/v1/ledger?after=${end}`)).json().items).toEqual([])
    expect((await hub.get('/api/v1/quarantine')).json().items).toEqual([])
  })

  it('with one id in the body and another in the header is refused', async () => {
    const response = await postLead(hub, form(), 'admin', { 'idempotency-key': 'another' })
    expect(response.statusCode).toBe(422)
    expect(response.json().errors).toMatchObject([
      { field: 'event_id', expected: expect.stringContaining('another') },
    ])
    const long = await postLead(hub, form({ event_id: undefined }), 'admin', {
      'idempotency-key': 'x'.repeat(65),
    })
    expect(long.statusCode).toBe(422)
    expect(long.json().errors).toMatchObject([{ field: 'Idempotency-Key' }])
  })

  it.each(['{"event_id":', '[]', '"lead"', ''])('that is no JSON object (%s) is refused', async (payload) => {
    const response = await postLead(hub, payload)
    expect([400, 422]).toContain(response.statusCode)
    expect(response.headers['content-type']).toContain('application/problem+json')
  })

  it('that a dealer’s portal publishes by itself is held to the same; what was said is not repeated', async () => {
    const nowhere = {
      phone: undefined,
      email: 'r@example.test',
      lat: undefined,
      lon: undefined,
      place: 'Atlantis',
    }
    await hub.say('portal/north', 'lead', form(nowhere))
    const { items } = (await hub.get('/api/v1/quarantine')).json()
    expect(items).toHaveLength(1)
    expect(items[0].errors.map(({ field }: { field: string }) => field)).toEqual([
      'lat/lon',
      'place',
      'phone',
    ])
    expect(JSON.stringify(items)).not.toContain('Atlantis')
    const before = (await entries('lead.created')).length
    await hub.say('portal/north', 'lead', form())
    expect(await entries('lead.created')).toHaveLength(before + 1)
  })

  it('comes from admins, managers and dealers, and from nobody else', async () => {
    const status = async (role: Role | null) => (await postLead(hub, form(), role)).statusCode
    expect(await status('admin')).toBe(202)
    expect(await status('manager')).toBe(202)
    expect(await status('dealer:north')).toBe(202)
    expect(await status('analyst')).toBe(403)
    expect(await status('bridge:meta')).toBe(403)
    expect(await status(null)).toBe(401)
  })
})

describe('a lead from a form, when it cannot be committed', () => {
  describeOnBothStores('now', (store) => {
    it('is to be sent again a little later', async () => {
      await using hub = openHttpHub(store(), { accept: () => Promise.reject(new Error('connection lost')) })
      const response = await postLead(hub, form())
      expect(response.statusCode).toBe(503)
      expect(Number(response.headers['retry-after'])).toBeGreaterThan(0)
      expect(response.json()).toMatchObject({ status: 503, detail: expect.stringContaining('send it again') })
      expect(response.body).not.toContain('connection lost')
    })

    it('goes into the way of the dealer whose token it is, and of the head office otherwise', async () => {
      const topics: string[] = []
      await using hub = openHttpHub(store(), {
        accept: async ({ topic, sender }) => {
          topics.push(`${sender} ${topic}`)
          return { lead: null, state: 'SCREENING', offered_to: [] }
        },
      })
      await postLead(hub, form(), 'dealer:north')
      await postLead(hub, form(), 'manager')
      expect(topics).toEqual(['dealer:north hub/v1/portal/north/lead', 'manager hub/v1/portal/hq/lead'])
    })
  })
})
