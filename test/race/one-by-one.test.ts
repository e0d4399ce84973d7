/**
 * What chance has found (`race.test.ts`), told as short as it can be: one or two hubs, a lead, and the order of things that
 * once went wrong.
 */
import { describe, expect, it } from 'vitest'
import { createPeople } from '../../gateway/customers.ts'
import { DEFAULT_RACE_RULES } from '../../gateway/deciders/decision.ts'
import { createDecode } from '../../gateway/decode.ts'
import { type Intake, startIntake } from '../../gateway/intake.ts'
import { importReference } from '../../gateway/reference/import.ts'
import type { Store } from '../../gateway/store/store.ts'
import { embeddedKeySpaces, type KeySpaces, redisKeySpaces } from './key-spaces.ts'
import { MORNING, TIMEZONE } from './world.ts'

const decode = createDecode({
  serialPattern: /^[A-Z0-9]{6,32}$/,
  people: createPeople('a secret of the tests'),
  onUnknownFields() {},
})

const openHub = (store: Store): Intake =>
  startIntake({
    store,
    decode,
    timezone: TIMEZONE,
    rules: DEFAULT_RACE_RULES,
    now: () => MORNING,
    onReceipt: null,
    onJobs() {},
    onBatch() {},
  })

const phoneOf = (n: number) => `+62811${String(n).padStart(7, '0')}`

/** Dealers one behind the other, and reps of the same numbers. */
async function importDealers(store: Store, dealers: number): Promise<void> {
  const files = {
    dealers: [
      'dealer_id,name,region,lat,lon,opens,closes,daily_quota,phone',
      ...Array.from({ length: dealers }, (_, i) => `d${i + 1},D,J,-7,${107 + i / 100},00:00,24:00,,`),
    ],
    reps: [
      'rep_id,dealer_id,name,phone,language',
      ...Array.from({ length: dealers }, (_, i) => `r${i + 1},d${i + 1},Rep ${i + 1},${phoneOf(i + 1)},en`),
    ],
  }
  for (const kind of ['dealers', 'reps'] as const) {
    const bytes = (async function* () {
      yield Buffer.from(`${files[kind].join('\n')}\n`)
    })()
    await importReference(store, kind, bytes, { serialPattern: /./ })
  }
}

/** A form of somebody who lives at the first dealer's. */
const form = (hub: Intake, person: object = { event_id: 'form', phone: '+6281300000001' }) =>
  hub.accept({
    topic: 'hub/v1/portal/hq/lead',
    sender: 'hub',
    payload: Buffer.from(JSON.stringify({ ...person, lat: -7, lon: 107 })),
  }) as Promise<{ lead: string; state: string; offered_to: string[] } | null>

function says(hub: Intake, rep: number, eventId: string, what: object): Promise<object | null> {
  const message = {
    event_id: eventId,
    bridge: 'race',
    account: '1',
    customer: { phone: phoneOf(rep), user_id: null, name: null },
    at: new Date(MORNING).toISOString(),
    kind: 'choice' in what ? 'choice' : 'text',
    ...what,
    raw: null,
  }
  const payload = Buffer.from(JSON.stringify(message))
  return hub.accept({ topic: 'hub/v1/bridge/race/inbound', sender: 'race', payload })
}

const taps = (hub: Intake, rep: number, eventId: string, lead: string) =>
  says(hub, rep, eventId, { choice: { id: `claim:${lead}:1`, title: 'Claim' } })

/** When a hub has read and decided for the first time, and before it commits, somebody else is faster. */
function overtaken(store: Store, rival: () => Promise<unknown>): Store {
  let isFirst = true
  return {
    ...store,
    async commit(proposals) {
      if (isFirst) {
        isFirst = false
        await rival()
      }
      return store.commit(proposals)
    },
  }
}

async function typesOf(store: Store): Promise<string[]> {
  const { entries } = await store.entriesAfter('ledger', '', 1000)
  return entries.map(({ type, data }) => [type, data.rep].filter((part) => part !== undefined).join(' '))
}

describe.each([
  { name: 'the embedded store', open: embeddedKeySpaces },
  { name: 'Redis', open: redisKeySpaces },
])('on $name', ({ open }) => {
  const race = async (work: (store: Store, other: Store) => Promise<void>): Promise<void> => {
    await using spaces: KeySpaces = await open()
    await spaces.race(2, ([store, other]) => work(store as Store, other as Store))
  }

  it('who taps twice on one hub, and is too slow for a tap on another, is told so twice', () =>
    race(async (store, other) => {
      await importDealers(store, 3)
      const rival = openHub(other)
      const lead = (await form(rival))?.lead as string
      const hub = openHub(overtaken(store, () => taps(rival, 1, 'first', lead)))
      await Promise.all([taps(hub, 2, 'second', lead), taps(hub, 2, 'third', lead)])
      expect(await typesOf(store)).toEqual([
        'lead.created',
        'lead.offered',
        'lead.claimed r1',
        'lead.too_slow r2',
        'lead.too_slow r2',
      ])
    }))

  it('of two forms with one e-mail address, on two hubs at once, one is a lead and the other is told which', () =>
    race(async (store, other) => {
      await importDealers(store, 3)
      const rival = openHub(other)
      const first = Promise.withResolvers<{ lead: string } | null>()
      const overtake = async () =>
        first.resolve(await form(rival, { event_id: 'by mail', email: 'rina@example.test' }))
      const both = { event_id: 'with a number', phone: '+6281300000001', email: 'Rina@example.test' }
      const second = await form(openHub(overtaken(store, overtake)), both)
      expect(second).toMatchObject({ state: 'DUPLICATE', lead: (await first.promise)?.lead })
    }))

  it.each([8, 97])(
    'a lead is offered to the first dealers that are able, though %i nearer ones are not',
    (count) =>
      race(async (store) => {
        await importDealers(store, count + 3)
        const hub = openHub(store)
        const gone = Array.from({ length: count }, (_, i) => says(hub, i + 1, `out-${i}`, { text: 'OUT' }))
        await Promise.all(gone)
        const able = [1, 2, 3].map((n) => `d${count + n}`)
        expect(await form(hub)).toMatchObject({ offered_to: able })
      }),
  )
})
