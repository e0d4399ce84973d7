/** What programs read of the race: leads, claims, reps and dealers; and who sees what of them. */
import { beforeAll, describe, expect, it } from 'vitest'
import { leadEntriesIndex, leadKey } from '../../../gateway/race-documents.ts'
import type { Role } from '../../../gateway/tokens.ts'
import { describeOnBothStores } from '../../support/stores.ts'
import { allPages, type HttpHub, openHttpHub, sale } from './hub.ts'
import { newLead, newPhone, release, says, settleTown, tap } from './race-town.ts'

type Item = Record<string, unknown>

describeOnBothStores('the race over HTTP', (store) => {
  let hub: HttpHub
  beforeAll(async () => {
    await settleTown(store())
    hub = openHttpHub(store())
    return () => hub[Symbol.asyncDispose]()
  })

  async function ask(url: string, role: Role = 'admin') {
    const response = await hub.get(url, role)
    expect(response.statusCode, response.body).toBe(200)
    return response.json()
  }
  const readLead = (lead: string, role?: Role) => ask(`/api/v1/leads/${lead}`, role)
  const leadsOf = (role: Role, filters = '') => allPages(hub, `/api/v1/leads?limit=7&${filters}`, role)
  const idsOf = (items: Item[]) => items.map(({ lead }) => lead)

  /** Middle's Budi wins; Sari and Tono are too slow, in this order. */
  async function runRace(phone = newPhone(), name = 'Rina Pelanggan'): Promise<string> {
    const lead = await newLead(hub, { phone, name })
    await tap(hub, 'r-middle', 'claim', lead)
    await tap(hub, 'r-north', 'claim', lead)
    await tap(hub, 'r-south', 'claim', lead)
    return lead
  }

  describe('a lead', () => {
    it('nobody has claimed yet says since when it is offered, and to how many rings', async () => {
      const lead = await newLead(hub)
      expect(await readLead(lead)).toMatchObject({
        lead,
        state: 'UNCLAIMED',
        round: 1,
        ring: 1,
        offered_at: expect.stringMatching(/Z$/),
        dealer: null,
        rep: null,
        claimed_at: null,
        time_to_claim_s: null,
        sale_status: 'open',
        serial: null,
        claims: [],
      })
    })

    it('that was won says by whom, and how soon, to the millisecond of the store’s clock', async () => {
      const lead = await runRace()
      const { timeline, ...found } = await readLead(lead)
      const [offered, claimed] = ['lead.offered', 'lead.claimed'].map(
        (type) => timeline.find((step: Item) => step.type === type).at,
      )
      const took = (Date.parse(claimed) - Date.parse(offered)) / 1000
      expect(found).toMatchObject({
        state: 'CLAIMED',
        dealer: 'middle',
        rep: 'r-middle',
        rep_name: 'Budi',
        offered_at: offered,
        claimed_at: claimed,
        time_to_claim_s: took,
        claims: [{ lead, round: 1, rep: 'r-middle', at: claimed, time_to_claim_s: took, outcome: 'CLAIMED' }],
      })
      expect(found.offers.map(({ rep }: Item) => rep).sort()).toEqual([
        'r-middle',
        'r-north',
        'r-south',
        'r-south-2',
      ])
    })

    it('goes on to CONTACTED and WON, and learns the serial of what the customer bought', async () => {
      const phone = newPhone()
      const lead = await runRace(phone)
      await tap(hub, 'r-middle', 'contacted', lead)
      expect(await readLead(lead)).toMatchObject({
        state: 'CONTACTED',
        contacted_at: expect.stringMatching(/Z$/),
        sale_status: 'open',
      })
      const { serial } = sale()
      await hub.say('internal', 'sold', {
        sale: '160',
        serial,
        dealer: 'middle',
        lead_id: lead,
        customer: null,
      })
      expect(await readLead(lead)).toMatchObject({
        state: 'WON',
        sale_status: 'sold',
        serial,
        rep: 'r-middle',
      })
    })

    it.each([
      ['won', 'won'],
      ['lost', 'lost'],
    ])('whose rep says %s is %s', async (action, status) => {
      const lead = await runRace()
      await tap(hub, 'r-middle', action, lead)
      expect(await readLead(lead)).toMatchObject({ sale_status: status, rep: 'r-middle', serial: null })
    })

    it('released to the next ring is nobody’s again, and keeps what was', async () => {
      const lead = await runRace()
      await release(hub, lead, 1)
      await tap(hub, 'r-jakarta', 'claim', lead)
      const found = await readLead(lead)
      expect(found).toMatchObject({
        state: 'CLAIMED',
        round: 2,
        ring: 2,
        dealer: 'jakarta',
        rep: 'r-jakarta',
      })
      expect(found.claims).toMatchObject([
        { round: 1, rep: 'r-middle', outcome: 'RELEASED' },
        { round: 2, rep: 'r-jakarta', outcome: 'CLAIMED' },
      ])
    })

    it('that does not exist is not found', async () => {
      for (const id of ['L00-000000000000', 'nothing', 'x'.repeat(64)]) {
        expect((await hub.get(`/api/v1/leads/${id}`)).statusCode).toBe(404)
      }
    })
  })

  describe('the timeline', () => {
    it('has every step in order, and of each tap its place and its margin to the winner', async () => {
      const lead = await runRace()
      await tap(hub, 'r-jakarta', 'claim', lead)
      await tap(hub, 'r-middle', 'claim', lead)
      const { timeline, timeline_complete } = await readLead(lead)
      expect(timeline_complete).toBe(true)
      expect(timeline.map(({ type, rep }: Item) => [type, rep])).toEqual([
        ['lead.created', null],
        ['lead.offered', null],
        ['lead.claimed', 'r-middle'],
        ['lead.too_slow', 'r-north'],
        ['lead.too_slow', 'r-south'],
        ['lead.tap_refused', 'r-jakarta'],
        ['lead.claim_repeated', 'r-middle'],
      ])
      const numbers = timeline.map(({ entry }: { entry: string }) => Number(entry))
      expect(numbers).toEqual(numbers.toSorted((a: number, b: number) => a - b))
      const wonMs = Date.parse(timeline[2].at)
      expect(timeline.map(({ tap }: Item) => tap)).toEqual(
        [null, null, 1, 2, 3, 4, 5].map((order, i) =>
          order === null ? null : { order, margin_ms: Date.parse(timeline[i].at) - wonMs },
        ),
      )
      const offeredMs = Date.parse(timeline[1].at)
      for (const step of timeline.slice(1)) expect(step.since_offer_ms).toBe(Date.parse(step.at) - offeredMs)
      expect(timeline[0].since_offer_ms).toBeNull()
      expect(timeline[3]).toMatchObject({ rep_name: 'Sari', dealer_name: 'Dealer Dago' })
    })

    it('tells of a release with its alert and the new race, taps counted anew', async () => {
      const lead = await runRace()
      await release(hub, lead, 1)
      await tap(hub, 'r-jakarta', 'claim', lead)
      await tap(hub, 'r-north', 'claim', lead)
      const { timeline } = await readLead(lead)
      const late = Date.parse(timeline.at(-1).at) - Date.parse(timeline.at(-2).at)
      expect(timeline.slice(5).map(({ type, tap }: Item) => [type, tap])).toEqual([
        ['lead.released', null],
        ['alert.raised', null],
        ['lead.offered', null],
        ['lead.claimed', { order: 1, margin_ms: 0 }],
        ['lead.tap_refused', { order: 2, margin_ms: late }],
      ])
    })

    it('has the steps of this lead only, though others are decided in the same batch', async () => {
      const leads = await Promise.all(Array.from({ length: 40 }, () => newLead(hub)))
      const reps = ['r-north', 'r-middle', 'r-south', 'r-south-2']
      await Promise.all(leads.flatMap((lead) => reps.map((rep) => tap(hub, rep, 'claim', lead))))
      for (const lead of leads) {
        const { timeline } = await readLead(lead)
        expect(timeline.every(({ data }: { data: Item }) => data.lead === lead)).toBe(true)
        expect(timeline.map(({ type }: Item) => type)).toEqual([
          'lead.created',
          'lead.offered',
          'lead.claimed',
          ...Array.from({ length: 3 }, () => 'lead.too_slow'),
        ])
        expect(timeline.slice(2).map(({ tap }: { tap: Item }) => tap.order)).toEqual([1, 2, 3, 4])
      }
    })

    it('that is too long for one request says so', async () => {
      const lead = await newLead(hub)
      const name = leadEntriesIndex(lead)
      // As many taps as a rep could make in a day.
      const shard = Number(lead.slice(1, 3))
      const [outcome] = await store().commit([
        {
          shard,
          token: `fill ${lead}`,
          check: [{ key: leadKey(lead), version: 1 }],
          append: Array.from({ length: 1001 }, () => ({
            stream: 'ledger' as const,
            type: 'lead.claim_repeated',
            data: { lead, round: 1, dealer: 'north', rep: 'r-north', event_id: 'e' },
          })),
        },
      ])
      expect(outcome?.outcome).toBe('committed')
      const from = Number((outcome as { entry: string }).entry)
      const index = Array.from({ length: 1001 }, (_, i) => ({
        name,
        member: String(from + i * 16),
        score: i,
      }))
      await store().commit([{ shard, token: `index ${lead}`, index }])
      const { timeline, timeline_complete } = await readLead(lead)
      expect(timeline_complete).toBe(false)
      expect(timeline.length).toBeGreaterThan(900)
      expect(timeline.length).toBeLessThan(1300)
    }, 60_000)
  })

  describe('leads', () => {
    it('are listed newest first, each once, page by page', async () => {
      const made: string[] = []
      for (let i = 0; i < 15; i++) made.push(await newLead(hub))
      const listed = idsOf(await leadsOf('admin'))
      expect(listed).toHaveLength(new Set(listed).size)
      const ours = listed.filter((lead) => made.includes(lead as string))
      expect(ours.toSorted()).toEqual(made.toSorted())
      const instants = (await leadsOf('admin')).map(({ created_at }) => created_at as string)
      expect(instants).toEqual(instants.toSorted().toReversed())
    })

    it('are narrowed by state and by dealer, which both must hold', async () => {
      const won = await runRace()
      const open = await newLead(hub)
      const newer = await newLead(hub)
      const unclaimed = idsOf(await leadsOf('admin', 'state=UNCLAIMED'))
      expect(unclaimed).not.toContain(won)
      expect(unclaimed.filter((lead) => lead === open || lead === newer)).toEqual([newer, open])
      const elsewhere = (await newLead(hub, { lat: -6.2, lon: 106.8 })) as string
      const claimed = idsOf(await leadsOf('admin', 'state=CLAIMED'))
      expect(claimed).toContain(won)
      expect(claimed).not.toContain(open)
      for (const { state } of await leadsOf('admin', 'state=CLAIMED')) expect(state).toBe('CLAIMED')
      expect(idsOf(await leadsOf('admin', 'dealer=jakarta'))).toContain(elsewhere)
      expect(idsOf(await leadsOf('admin', 'dealer=jakarta'))).not.toContain(won)
      expect(idsOf(await leadsOf('admin', 'dealer=jakarta&state=CLAIMED'))).not.toContain(elsewhere)
      expect((await hub.get('/api/v1/leads?state=FORGOTTEN')).statusCode).toBe(400)
    })

    it('can’t be gone on with by a cursor of another list', async () => {
      const { next } = await ask('/api/v1/reps?limit=1')
      expect((await hub.get(`/api/v1/leads?after=${next}`)).statusCode).toBe(400)
    })
  })

  describe('personal data of a customer', () => {
    const seen = async (lead: string, role: Role) => {
      const item = (await leadsOf(role)).find((found) => found.lead === lead)
      const one = await readLead(lead, role)
      expect(one.person).toEqual(item?.person)
      return one.person
    }

    it('is for admins, managers and the dealer that holds the lead', async () => {
      const phone = newPhone()
      const lead = await runRace(phone)
      const whole = {
        name: 'Rina Pelanggan',
        phone,
        email: null,
        message: 'tolong cepat',
        lat: -6.9,
        lon: 107.61,
      }
      expect(await seen(lead, 'admin')).toEqual(whole)
      expect(await seen(lead, 'manager')).toEqual(whole)
      expect(await seen(lead, 'dealer:middle')).toEqual(whole)
    })

    it('is for nobody else, in no list and no field', async () => {
      const phone = newPhone()
      const lead = await runRace(phone, 'Anonim')
      for (const role of ['analyst', 'dealer:north'] as const) {
        expect(await seen(lead, role)).toBeNull()
        for (const url of [
          `/api/v1/leads/${lead}`,
          '/api/v1/leads?limit=1000',
          '/api/v1/claims?limit=1000',
        ]) {
          const { body } = await hub.get(url, role)
          for (const personal of [phone, phone.slice(1), 'Anonim', 'wamid']) {
            expect(body.includes(personal), `${personal} in ${url} for ${role}`).toBe(false)
          }
        }
      }
    })

    it('is not the dealer’s any more once the lead was released', async () => {
      const lead = await runRace()
      await release(hub, lead, 1)
      expect(await seen(lead, 'dealer:middle')).toBeNull()
      expect(await readLead(lead, 'dealer:middle')).toMatchObject({ dealer: null, rep: null })
    })
  })

  describe('a dealer’s token', () => {
    it('sees the leads its reps were asked about, and no others', async () => {
      const lead = await runRace()
      expect(idsOf(await leadsOf('dealer:south'))).toContain(lead)
      expect(idsOf(await leadsOf('dealer:jakarta'))).not.toContain(lead)
      expect((await hub.get(`/api/v1/leads/${lead}`, 'dealer:jakarta')).statusCode).toBe(404)
      expect((await hub.get('/api/v1/leads?dealer=north', 'dealer:south')).statusCode).toBe(403)
    })

    it('sees of a lead that another dealer won only what is its own', async () => {
      const lead = await runRace()
      const found = await readLead(lead, 'dealer:south')
      expect(found).toMatchObject({
        state: 'CLAIMED',
        dealer: null,
        rep: null,
        time_to_claim_s: null,
        claims: [],
      })
      expect(found.offers.map(({ rep }: Item) => rep).sort()).toEqual(['r-south', 'r-south-2'])
      expect(found.timeline.map(({ type }: Item) => type)).toEqual([
        'lead.created',
        'lead.offered',
        'lead.too_slow',
      ])
      expect(found.timeline[1].data.offers.map(({ dealer }: Item) => dealer)).toEqual(['south', 'south'])
      expect(found.timeline[2]).toMatchObject({ rep: 'r-south', tap: { order: 3 } })
      const text = JSON.stringify(found)
      for (const other of ['middle', 'Budi', 'north', 'Sari']) expect(text).not.toContain(other)
    })

    it('sees its own claims, its own reps and itself', async () => {
      const lead = await runRace()
      const claims = await allPages(hub, '/api/v1/claims', 'dealer:middle')
      expect(idsOf(claims)).toContain(lead)
      expect(new Set(claims.map(({ dealer }) => dealer))).toEqual(new Set(['middle']))
      expect(idsOf(await allPages(hub, '/api/v1/claims', 'dealer:south'))).not.toContain(lead)
      const reps = (await ask('/api/v1/reps', 'dealer:south')).items
      expect(reps.map(({ rep }: Item) => rep)).toEqual(['r-south', 'r-south-2'])
      expect(reps[0].phone).toBe('+6281200000003')
      expect((await ask('/api/v1/dealers', 'dealer:south')).items).toMatchObject([{ dealer: 'south' }])
      for (const list of ['claims', 'reps', 'dealers']) {
        expect((await hub.get(`/api/v1/${list}?dealer=north`, 'dealer:south')).statusCode).toBe(403)
      }
    })

    it('sees the ledger’s alerts about its own dealer, and not those that are nobody’s', async () => {
      const lead = await newLead(hub)
      await hub.say('internal', 'timer', { timer: 'claim', lead, n: 1 })
      await tap(hub, 'r-middle', 'claim', lead)
      await release(hub, lead, 1)
      const alerts = async (role: Role) =>
        (await allPages(hub, '/api/v1/ledger?type=alert.raised&limit=1000', role))
          .map(({ data }) => data as Item)
          .filter((data) => data.lead === lead)
      expect(await alerts('dealer:middle')).toMatchObject([{ cause: 'lead_uncontacted', rep: 'r-middle' }])
      expect(await alerts('dealer:north')).toEqual([])
      expect((await alerts('admin')).map(({ cause }) => cause).toSorted()).toEqual([
        'lead_expired',
        'lead_unclaimed',
        'lead_uncontacted',
      ])
    })
  })

  describe('claims', () => {
    it('are listed newest first, by dealer, rep and what became of them', async () => {
      const first = await runRace()
      const second = await runRace()
      await tap(hub, 'r-middle', 'lost', first)
      const claims = await allPages(hub, '/api/v1/claims?limit=3&rep=r-middle')
      const ours = idsOf(claims).filter((lead) => lead === first || lead === second)
      expect(ours).toEqual([second, first])
      const { items } = await ask(`/api/v1/claims?outcome=LOST&dealer=middle`)
      expect(idsOf(items)).toContain(first)
      expect(idsOf(items)).not.toContain(second)
      expect(items.find(({ lead }: Item) => lead === first)).toEqual({
        entry: expect.stringMatching(/^\d+$/),
        lead: first,
        round: 1,
        dealer: 'middle',
        rep: 'r-middle',
        rep_name: 'Budi',
        at: expect.stringMatching(/Z$/),
        time_to_claim_s: expect.any(Number),
        distance_km: 2.2,
        outcome: 'LOST',
      })
    })
  })

  describe('reps', () => {
    it('are on shift until they check out, and their 24 hours begin with what they write', async () => {
      const rep = async () =>
        (await ask('/api/v1/reps?dealer=jakarta')).items.find(({ rep }: Item) => rep === 'r-jakarta')
      await says(hub, 'r-jakarta', { kind: 'text', text: 'pulang' })
      const off = await rep()
      expect(off).toMatchObject({
        name: 'Wati',
        phone: '+6281200000004',
        on_shift: false,
        bridge: 'meta',
        window_open: true,
      })
      expect(Date.parse(off.window_until) - Date.parse(off.last_inbound_at)).toBe(24 * 3_600_000)
      const listed = async (filter: string) =>
        (await ask(`/api/v1/reps?${filter}`)).items.map(({ rep }: Item) => rep)
      expect(await listed('on_shift=false')).toEqual(['r-jakarta'])
      expect(await listed('on_shift=true')).not.toContain('r-jakarta')
      await says(hub, 'r-jakarta', { kind: 'text', text: 'masuk' })
      expect(await rep()).toMatchObject({ on_shift: true })
    })

    it('who were never heard of have no window', async () => {
      const { items } = await ask('/api/v1/reps?dealer=south')
      expect(items.find(({ rep }: Item) => rep === 'r-south-2')).toMatchObject({ on_shift: true })
    })

    it('show their numbers to everybody but analysts', async () => {
      const { items } = await ask('/api/v1/reps', 'analyst')
      expect(items).toHaveLength(5)
      for (const { phone } of items) expect(phone).toBeNull()
    })
  })

  describe('dealers', () => {
    it('say whether they are open and who is on shift', async () => {
      const { items } = await ask('/api/v1/dealers?limit=200')
      expect(items.map(({ dealer }: Item) => dealer)).toEqual(['jakarta', 'middle', 'north', 'shut', 'south'])
      const of = (id: string) => items.find(({ dealer }: Item) => dealer === id)
      expect(of('north')).toMatchObject({
        name: 'Dealer Dago',
        region: 'Jawa Barat',
        phone: '+622220000001',
        open: true,
        closed_because: null,
        reps: 1,
        reps_on_shift: 1,
        daily_quota: null,
        won_today: null,
      })
      expect(of('shut')).toMatchObject({ open: false, closed_because: 'holiday', reps: 0, reps_on_shift: 0 })
      expect(of('south')).toMatchObject({ reps: 2, reps_on_shift: 2 })
      expect((await ask('/api/v1/dealers?region=Jakarta')).items).toMatchObject([{ dealer: 'jakarta' }])
    })

    it('with a quota count what they won today', async () => {
      const won = async () => (await ask('/api/v1/dealers?dealer=middle')).items[0]
      const before = await won()
      expect(before.daily_quota).toBe(500)
      await runRace()
      expect((await won()).won_today).toBe(before.won_today + 1)
    })
  })
})
