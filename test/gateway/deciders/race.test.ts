import { describe, expect, it } from 'vitest'
import { DEFAULT_RACE_RULES } from '../../../gateway/deciders/decision.ts'
import { dealer, type Entry, form, NOON, raceWorld, rep, types } from './race-world.ts'

const { claimSlaMs, contactSlaMs, oneLeadMs } = DEFAULT_RACE_RULES
const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** Whom the last offer went to, and why nearer dealers were not asked. */
function offered(world: ReturnType<typeof raceWorld>) {
  const found = world.entries.findLast(({ type }) => type === 'lead.offered')
  const { offers, skipped } = (found as Entry).data as unknown as {
    offers: { dealer: string }[]
    skipped: { dealer: string; reason: string }[]
  }
  return {
    offers: offers.map(({ dealer }) => dealer),
    skipped: skipped.map(({ dealer, reason }) => `${dealer} ${reason}`),
  }
}

describe('a lead is offered to the three nearest able dealers', () => {
  it('by distance', () => {
    const world = raceWorld()
    world.lead()
    expect(offered(world)).toEqual({ offers: ['d1', 'd2', 'd3'], skipped: [] })
  })

  it.each([
    ['one outside its trading hours', { opens: '13:00' }, 'closed'],
    ['one that closes this minute', { closes: '12:00' }, 'closed'],
    ['one that is closed on Sundays', { attributes: { closed_on: 'sun' } }, 'holiday'],
    ['one with a holiday today', { attributes: { closed_on: 'fri;2026-11-22' } }, 'holiday'],
    ['one that serves no lead a day', { daily_quota: 0 }, 'quota'],
  ])('passing over %s', (_, more, reason) => {
    const world = raceWorld({ dealers: [dealer(1, more), dealer(2), dealer(3), dealer(4)] })
    world.lead()
    expect(offered(world)).toEqual({ offers: ['d2', 'd3', 'd4'], skipped: [`d1 ${reason}`] })
  })

  it.each([
    ['that opens at night, before midnight', { opens: '20:00', closes: '02:00' }, 11 * HOUR],
    ['that opens at night, after midnight', { opens: '20:00', closes: '02:00' }, 13 * HOUR],
    ['that is always open', { opens: '00:00', closes: '24:00' }, 15 * HOUR],
  ])('asking one %s', (_, more, later) => {
    const night = { opens: '00:00', closes: '24:00' }
    const world = raceWorld({ dealers: [dealer(1, more), dealer(2, night), dealer(3, night)] })
    world.pass(later)
    world.lead()
    expect(offered(world).offers).toContain('d1')
  })

  it('passing over one without a rep, and one whose reps have checked out until they check in', () => {
    const world = raceWorld({ reps: [2, 3, 4, 5].map((n) => rep(n)) })
    const out = world.take(world.said({ phone: rep(2).phone }, { text: 'Pulang' }))
    expect(types(out)).toEqual(['rep.checked_out'])
    world.lead()
    expect(offered(world)).toEqual({ offers: ['d3', 'd4', 'd5'], skipped: ['d1 no_rep', 'd2 no_rep'] })
    world.take(world.said({ phone: rep(2).phone }, { text: 'masuk' }))
    world.take(form('form-2', { lat: -6.9, lon: 107.6 }, '+6281300000002'))
    expect(offered(world).offers).toEqual(['d2', 'd3', 'd4'])
  })

  it('no more once a dealer has won its quota of the day, and again the next day', () => {
    const world = raceWorld({ dealers: [dealer(1, { daily_quota: 1 }), dealer(2), dealer(3), dealer(4)] })
    world.tap(1, `claim:${world.lead()}:1`)
    world.take(form('form-2', { lat: -6.9, lon: 107.6 }, '+6281300000002'))
    expect(offered(world)).toEqual({ offers: ['d2', 'd3', 'd4'], skipped: ['d1 quota'] })
    world.pass(24 * HOUR)
    world.take(form('form-3', { lat: -6.9, lon: 107.6 }, '+6281300000003'))
    expect(offered(world).offers).toEqual(['d1', 'd2', 'd3'])
  })

  it('of dealers as near as each other, each about as often as the others', () => {
    const heard = new Map<string, number>()
    for (let i = 0; i < 400; i++) {
      const same = { lat: -6.9, lon: 107.6 }
      const world = raceWorld({ dealers: [1, 2, 3, 4].map((n) => dealer(n, same)) })
      world.lead(`form-${i}`)
      for (const id of offered(world).offers) heard.set(id, (heard.get(id) ?? 0) + 1)
    }
    // Of 400 leads each is asked for 300 if the lot is fair; 250 to 350 is more than five standard deviations.
    for (const count of heard.values()) expect(Math.abs(count - 300)).toBeLessThan(50)
    expect(heard.size).toBe(4)
  })

  it('once one opens, when all are closed; it is not expired by waiting', () => {
    const world = raceWorld()
    world.pass(10 * HOUR)
    const lead = world.lead()
    expect(types(world.entries)).toEqual(['lead.created', 'lead.waiting'])
    expect(world.entries[1]?.data.until).toBe('2026-11-23T02:00:00.000Z')
    world.pass(11 * HOUR)
    expect(types(world.fire())).toEqual(['lead.offered'])
    expect(world.doc(lead)).toMatchObject({ state: 'UNCLAIMED', ring: 1 })
  })

  it('and waits for the one after it when the first that opens has nobody on shift', () => {
    const dealers = [
      dealer(1, { opens: '14:00', closes: '22:00' }),
      dealer(2, { opens: '16:00', closes: '22:00' }),
    ]
    const world = raceWorld({ dealers, reps: [rep(2)] })
    const lead = world.lead()
    world.pass(2 * HOUR)
    expect(types(world.fire())).toEqual(['lead.waiting'])
    world.pass(2 * HOUR)
    expect(types(world.fire())).toEqual(['lead.offered'])
    expect(world.doc(lead).offers).toMatchObject([{ dealer: 'd2', ring: 1 }])
  })

  it('or to nobody, when there is none: it expires at once, P0', () => {
    const world = raceWorld({ dealers: [], reps: [] })
    const lead = world.lead()
    expect(types(world.entries)).toEqual(['lead.created', 'lead.expired', 'alert.raised'])
    expect(world.entries[2]?.data).toMatchObject({ tier: 'P0', cause: 'lead_expired', lead })
  })

  it('showing area, model, distance and age, and neither name nor number', () => {
    const world = raceWorld()
    world.take(form('form-1', { place: 'Kota Bandung', model: 'Volt One', message: 'call me' }))
    const [offer] = world.sent
    expect(offer?.content?.template).toMatchObject({
      name: 'lead_offer',
      language: 'en',
      parameters: ['Kota Bandung', 'Volt One', expect.stringMatching(/^\d+\.\d km$/), 'just now'],
    })
    expect(JSON.stringify(world.sent)).not.toMatch(/Rina|81300000001|call me/)
  })

  it('with buttons to a rep who has written within 24 hours, with the registered template to others', () => {
    const world = raceWorld()
    world.take(world.said({ phone: rep(1).phone }, { text: 'in' }))
    world.sent.length = 0
    world.lead()
    expect(world.sent.map(({ content }) => content?.kind)).toEqual(['buttons', 'template', 'template'])
    world.pass(24 * HOUR)
    world.sent.length = 0
    world.take(form('form-2', { lat: -6.9, lon: 107.6 }, '+6281300000002'))
    expect(world.sent[0]?.content?.kind).toBe('template')
  })
})

describe('a tap on an offer', () => {
  it('wins, tells the winner all, the customer who comes, and stops the clock of the offer', () => {
    const world = raceWorld()
    const lead = world.lead()
    world.pass(12_345)
    const [claimed] = world.tap(2, `claim:${lead}:1`)
    expect(claimed).toMatchObject({
      type: 'lead.claimed',
      data: { lead, rep: 'r2', dealer: 'd2', round: 1, offered_at: new Date(NOON).toISOString() },
    })
    expect(world.sent.at(-1)?.content).toMatchObject({ kind: 'list', body: expect.stringContaining('Rina') })
    expect(world.sent.at(-1)?.content?.body).toContain('+6281300000001')
    expect([...world.timers.keys()]).toEqual([`contact:${lead}:1`])
  })

  it('after another is too slow', () => {
    const world = raceWorld()
    const lead = world.lead()
    world.tap(1, `claim:${lead}:1`)
    expect(types(world.tap(2, `claim:${lead}:1`))).toEqual(['lead.too_slow'])
    expect(world.sent.at(-1)).toMatchObject({ content: null, too_slow: { lead, round: 1, language: 'en' } })
  })

  it('by the winner once more tells them again that they won', () => {
    const world = raceWorld()
    const lead = world.lead()
    world.tap(1, `claim:${lead}:1`)
    expect(types(world.tap(1, `claim:${lead}:1`))).toEqual(['lead.claim_repeated'])
    expect(world.sent.at(-1)?.content?.body).toContain('This lead is yours!')
  })

  it('redelivered changes nothing', () => {
    const world = raceWorld()
    const lead = world.lead()
    const tap = world.said(
      { phone: rep(1).phone },
      { kind: 'choice', choice: { id: `claim:${lead}:1`, title: 'x' } },
    )
    world.take(tap)
    expect(world.take(tap)).toEqual([])
  })

  it.each([
    ['by a rep who was not asked', 6, 'not_invited'],
    ['of a lead that nobody knows', 1, 'unknown_lead'],
  ])('%s is refused', (_, n, reason) => {
    const world = raceWorld()
    const lead = world.lead()
    const named = reason === 'unknown_lead' ? 'L00-000000000000' : lead
    expect(world.tap(n, `claim:${named}:1`)).toMatchObject([{ type: 'lead.tap_refused', data: { reason } }])
    expect(world.doc(lead).state).toBe('UNCLAIMED')
  })

  it('by somebody who is no rep, from a forwarded message, is refused and is no part of their conversation', () => {
    const world = raceWorld()
    const lead = world.lead()
    const choice = { id: `claim:${lead}:1`, title: 'Claim' }
    const tap = world.said({ phone: '+6281399999999' }, { kind: 'choice', choice })
    expect(world.take(tap)).toMatchObject([
      { type: 'lead.tap_refused', data: { rep: null, reason: 'not_invited' } },
    ])
    expect(world.sent.at(-1)?.to).toMatchObject({ phone: '+6281399999999' })
  })

  it('of an expired lead, and of a finished one, is each told so', () => {
    const world = raceWorld({ dealers: [dealer(1)], reps: [rep(1)] })
    const lead = world.lead()
    world.pass(claimSlaMs)
    world.fire()
    expect(world.tap(1, `claim:${lead}:1`)).toMatchObject([{ data: { reason: 'expired' } }])
    const other = raceWorld()
    const sold = other.lead()
    other.tap(1, `claim:${sold}:1`)
    other.tap(1, `won:${sold}`)
    expect(other.tap(2, `claim:${sold}:1`)).toMatchObject([{ data: { reason: 'finished' } }])
  })

  it('can be written in words', () => {
    const world = raceWorld()
    const lead = world.lead()
    const tap = world.said({ phone: rep(1).phone }, { text: ` ambil ${lead.toLowerCase()} ` })
    expect(types(world.take(tap))).toEqual(['lead.claimed'])
  })

  it('by a rep whose number WhatsApp no longer shows counts, once it was seen with the number', () => {
    const world = raceWorld()
    world.take(world.said({ phone: rep(1).phone, user: 'ID.7' }, { text: 'in' }))
    const lead = world.lead()
    const choice = { id: `claim:${lead}:1`, title: 'Claim' }
    expect(types(world.take(world.said({ user: 'ID.7' }, { kind: 'choice', choice })))).toEqual([
      'lead.claimed',
    ])
  })
})

describe('time passes', () => {
  it('unclaimed: the ring widens, P0, until nobody is left', () => {
    const world = raceWorld()
    const lead = world.lead()
    world.pass(claimSlaMs - 1)
    expect(world.fire()).toEqual([])
    world.pass(1)
    expect(world.fire()).toMatchObject([
      { type: 'lead.widened', data: { ring: 2 } },
      { type: 'alert.raised', data: { tier: 'P0', cause: 'lead_unclaimed', lead } },
      { type: 'lead.offered', data: { ring: 2, round: 1 } },
    ])
    expect(offered(world).offers).toEqual(['d4', 'd5', 'd6'])
    world.pass(claimSlaMs)
    expect(types(world.fire())).toEqual(['lead.expired', 'alert.raised'])
    expect(world.doc(lead).state).toBe('EXPIRED')
    expect(world.timers.size).toBe(0)
  })

  it('a rep of the first ring may still win after it was widened', () => {
    const world = raceWorld()
    const lead = world.lead()
    world.pass(claimSlaMs)
    world.fire()
    expect(types(world.tap(1, `claim:${lead}:1`))).toEqual(['lead.claimed'])
  })

  it('claimed and not contacted: released to the next ring, raced for anew; the old winner is out', () => {
    const world = raceWorld()
    const lead = world.lead()
    world.tap(1, `claim:${lead}:1`)
    world.pass(contactSlaMs)
    expect(world.fire()).toMatchObject([
      { type: 'lead.released', data: { round: 1, rep: 'r1' } },
      { type: 'alert.raised', data: { tier: 'P0', cause: 'lead_uncontacted', rep: 'r1' } },
      { type: 'lead.offered', data: { round: 2, ring: 2 } },
    ])
    expect(world.doc(lead)).toMatchObject({ state: 'WIDENED', round: 2 })
    expect(world.tap(1, `claim:${lead}:1`)).toMatchObject([{ data: { reason: 'withdrawn' } }])
    expect(world.tap(4, `claim:${lead}:2`)).toMatchObject([{ type: 'lead.claimed', data: { round: 2 } }])
    expect(types(world.tap(5, `claim:${lead}:2`))).toEqual(['lead.too_slow'])
  })

  it('a timer that fires twice, or too late, does nothing', () => {
    const world = raceWorld()
    const lead = world.lead()
    const timer = { kind: 'timer', timer: 'claim', lead, n: 1 } as const
    world.take(timer)
    expect(world.take(timer)).toEqual([])
    world.tap(1, `claim:${lead}:1`)
    expect(world.take({ ...timer, n: 2 })).toEqual([])
    expect(world.take({ ...timer, timer: 'contact', n: 2 })).toEqual([])
    expect(world.doc(lead).state).toBe('CLAIMED')
  })
})

describe('the winner tells the outcome', () => {
  const claimedBy1 = () => {
    const world = raceWorld()
    const lead = world.lead()
    world.tap(1, `claim:${lead}:1`)
    return { world, lead }
  }

  it.each([
    ['contacted, demo, won', ['contacted', 'demo', 'won'], 'WON'],
    ['contacted, lost', ['contacted', 'lost'], 'LOST'],
    ['at once won', ['won'], 'WON'],
    ['a demo, and that it was contacted before', ['demo'], 'DEMO'],
  ])('%s', (_, outcomes, state) => {
    const { world, lead } = claimedBy1()
    for (const outcome of outcomes)
      expect(types(world.tap(1, `${outcome}:${lead}`))).toEqual([`lead.${outcome}`])
    expect(world.doc(lead).state).toBe(state)
    expect(world.timers.size).toBe(0)
  })

  it('never backwards', () => {
    const { world, lead } = claimedBy1()
    world.tap(1, `won:${lead}`)
    expect(world.tap(1, `contacted:${lead}`)).toMatchObject([
      { type: 'lead.tap_refused', data: { reason: 'finished' } },
    ])
    expect(world.doc(lead).state).toBe('WON')
  })

  it('and nobody else', () => {
    const { world, lead } = claimedBy1()
    expect(world.tap(2, `won:${lead}`)).toMatchObject([{ data: { reason: 'not_yours' } }])
    expect(world.tap(6, `won:${lead}`)).toMatchObject([{ data: { reason: 'not_invited' } }])
    expect(world.doc(lead).state).toBe('CLAIMED')
  })
})

describe('one customer is one lead', () => {
  it('whoever sends a form again within the time has the lead they had, and a new one after it', () => {
    const world = raceWorld()
    const lead = world.lead()
    const again = form('form-2', { lat: -6.9, lon: 107.6 })
    expect(world.reply(again)).toEqual({ lead, state: 'DUPLICATE', offered_to: [] })
    expect(types(world.take(again))).toEqual(['lead.duplicate'])
    world.pass(oneLeadMs)
    expect(types(world.take(form('form-3', { lat: -6.9, lon: 107.6 })))).toContain('lead.created')
  })

  it('the same form sent again is answered the same', () => {
    const world = raceWorld()
    const first = form('form-1', { lat: -6.9, lon: 107.6 })
    const answer = world.reply(first)
    world.take(first)
    expect(world.reply(first)).toEqual(answer)
    expect(answer).toMatchObject({ state: 'UNCLAIMED', offered_to: ['d1', 'd2', 'd3'] })
    expect(world.take(first)).toEqual([])
  })

  it('a form that does not say where is asked on WhatsApp', () => {
    const world = raceWorld()
    const message = form('form-1', { place: 'Atlantis' })
    expect(world.reply(message)).toEqual({ lead: null, state: 'SCREENING', offered_to: [] })
    world.take(message)
    expect(world.sent).toMatchObject([
      { content: { kind: 'template', template: { name: 'lead_screening' } } },
    ])
  })

  it('a sale to a customer gives their lead the serial, and wins it for the rep who holds it', () => {
    const world = raceWorld()
    const lead = world.lead()
    world.tap(1, `claim:${lead}:1`)
    const sold = {
      kind: 'sold',
      sale: '17',
      serial: 'SERIAL01',
      dealer: 'd1',
      lead_id: null,
      customer: 'cus_6281300000001',
    } as const
    expect(types(world.take(sold))).toEqual(['lead.sold', 'lead.won'])
    expect(world.doc(lead)).toMatchObject({ state: 'WON', serial: 'SERIAL01' })
    expect(world.take({ ...sold, sale: '33', serial: 'SERIAL02' })).toEqual([])
  })

  it('a sale that names a lead nobody holds gives it the serial and no winner', () => {
    const world = raceWorld()
    const lead = world.lead()
    const sold = {
      kind: 'sold',
      sale: '17',
      serial: 'S1',
      dealer: 'd9',
      lead_id: lead,
      customer: null,
    } as const
    expect(types(world.take(sold))).toEqual(['lead.sold'])
    expect(world.doc(lead).state).toBe('UNCLAIMED')
  })
})

describe('a customer without a phone number', () => {
  it('goes on as the customer of their number once it is known, the conversation included', () => {
    const world = raceWorld()
    world.take(world.said({ user: 'ID.1' }, { text: 'Halo, mau beli motor di Kota Bandung bulan ini' }))
    const both = { phone: '+6281300000009', user: 'ID.1' }
    const entries = world.take(
      world.said(both, { text: 'ya, setuju', at: new Date(NOON + HOUR / 2).toISOString() }),
    )
    expect(entries).toContainEqual({
      type: 'customer.merged',
      data: { from: 'cus_handle-ID.1', into: 'cus_6281300000009' },
    })
    // And from then on the id alone is that customer.
    const [next] = world.take(world.said({ user: 'ID.1' }, { text: 'halo' }))
    expect(next?.data.customer).toBe('cus_6281300000009')
  })
})
