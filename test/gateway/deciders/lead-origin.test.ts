/** What entries repeat of their lead, so that figures can be made of each of them alone. */
import { describe, expect, it } from 'vitest'
import { leadEntries } from '../../../gateway/contract/leads.ts'
import { dealer, form, raceWorld } from './race-world.ts'

const MINUTE = 60_000
const AT = { lat: -6.9, lon: 107.6 }
const facts = {
  sold_at: '2026-11-22T05:30:00.000Z',
  price: 28_500_000,
  currency: 'IDR',
  verified: true,
  region: 'Jawa Barat',
}

describe('a sale that was a lead’s and is void', () => {
  const sold = { kind: 'sold', sale: '17', serial: 'S1', dealer: 'd1', facts } as const
  const CUSTOMER = 'cus_6281300000001'

  it.each([
    ['when the terminal named the lead', { named: true }],
    ['when the buyer is known, and has a newer lead since', { named: false }],
  ])('is taken back with what was said of it, %s', (_, { named }) => {
    const world = raceWorld()
    const lead = world.lead()
    const whose = { lead_id: named ? lead : null, customer: named ? null : CUSTOMER }
    const [told] = world.take({ ...sold, ...whose })
    world.pass(8 * 24 * 60 * MINUTE)
    world.lead('form-2')
    const [unsold] = world.take({ kind: 'unsold', sale: '17', ...whose })
    expect(unsold).toEqual({ type: 'lead.unsold', data: told?.data })
    expect(world.doc(lead)).toMatchObject({ serial: null, voided: ['17'] })
    expect(world.doc(lead).sold).toBeUndefined()
  })

  it('is not given to it again, whatever is told once more; another one is', () => {
    const world = raceWorld()
    const whose = { lead_id: world.lead(), customer: null }
    world.take({ ...sold, ...whose })
    const voided = { kind: 'unsold', sale: '17', ...whose } as const
    expect(world.take(voided)).toHaveLength(1)
    expect(world.take(voided)).toEqual([])
    expect(world.take({ ...sold, ...whose })).toEqual([])
    expect(world.take({ ...sold, ...whose, sale: '33', serial: 'S2' })).toMatchObject([{ type: 'lead.sold' }])
    expect(world.take(voided)).toEqual([])
  })

  it('changes nothing where no lead had it', () => {
    const world = raceWorld()
    const whose = { lead_id: world.lead(), customer: null }
    expect(world.take({ kind: 'unsold', sale: '17', ...whose })).toEqual([])
    expect(world.take({ kind: 'unsold', sale: '17', lead_id: null, customer: CUSTOMER })).toEqual([])
    expect(world.take({ kind: 'unsold', sale: '17', lead_id: null, customer: null })).toEqual([])
  })
})

describe('where a lead came from', () => {
  it('is repeated by every entry that changes a figure of it, as it was when the lead came', () => {
    const dealers = [dealer(1, { region: 'Jawa Barat' }), dealer(2, { region: 'Banten' }), dealer(3)]
    const world = raceWorld({ dealers })
    world.take(form('form-1', { lat: -6.9, lon: 107.6 + 2 / 110, channel: 'tiktok' }))
    const created = world.entries.find(({ type }) => type === 'lead.created')?.data ?? {}
    const lead = created.lead as string
    expect(created.origin).toEqual({
      created_at: world.doc(lead).created_at,
      source: 'form',
      channel: 'tiktok',
      last_channel: 'tiktok',
      // Of the dealer that is nearest, whoever gets it.
      region: 'Banten',
      initiative: null,
    })
    world.tap(1, `claim:${lead}:1`)
    world.pass(16 * MINUTE)
    world.fire()
    world.take({ kind: 'sold', sale: '17', serial: 'S1', dealer: 'd1', lead_id: lead, customer: null, facts })
    const told = world.entries.filter(({ type }) => /claimed|released|expired|sold/.test(type))
    expect(told.map(({ type }) => type)).toEqual([
      'lead.claimed',
      'lead.released',
      'lead.expired',
      'lead.sold',
    ])
    for (const { data } of told) expect(data.origin).toEqual(created.origin)
  })

  it.each(['contacted', 'demo', 'won', 'lost'] as const)('is repeated when a rep says %s', (outcome) => {
    const world = raceWorld()
    const lead = world.lead()
    world.tap(1, `claim:${lead}:1`)
    const [entry] = world.tap(1, `${outcome}:${lead}`)
    expect(entry).toMatchObject({ type: `lead.${outcome}`, data: { origin: { source: 'form' } } })
    expect(leadEntries[`lead.${outcome}`].parse(entry?.data)).toEqual(entry?.data)
  })

  it('has the first touch of the person and the last one, also of a person with an earlier lead', () => {
    const world = raceWorld()
    world.take(form('form-1', { ...AT, channel: 'tiktok' }))
    world.pass(8 * 24 * 60 * MINUTE)
    const [created] = world.take(form('form-2', { ...AT, channel: 'google_search' }))
    expect(created?.data).toMatchObject({
      channel: 'tiktok',
      origin: { channel: 'tiktok', last_channel: 'google_search' },
    })
  })

  it('is not changed by a touch that comes later, which a sale tells beside it', () => {
    const world = raceWorld()
    world.take(form('form-1', { ...AT, channel: 'tiktok' }))
    const [again] = world.take(form('form-2', { ...AT, channel: 'event' }))
    expect(again?.type).toBe('lead.duplicate')
    const lead = again?.data.lead as string
    world.tap(1, `claim:${lead}:1`)
    const sold = { kind: 'sold', sale: '17', serial: 'S1', dealer: 'd9', customer: null, facts } as const
    const [entry] = world.take({ ...sold, lead_id: lead })
    expect(entry?.data).toMatchObject({
      matched_by: 'lead_id',
      dealer: 'd9',
      holder: 'd1',
      last_channel: 'event',
      facts,
      origin: { channel: 'tiktok', last_channel: 'tiktok' },
    })
    expect(leadEntries['lead.sold'].parse(entry?.data)).toEqual(entry?.data)
  })
})
