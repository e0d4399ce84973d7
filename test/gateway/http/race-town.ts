/** A small town for races over HTTP: four dealers, five reps, and people who write to them. */
import { Readable } from 'node:stream'
import type { LightMyRequestResponse } from 'fastify'
import { expect } from 'vitest'
import { importReference } from '../../../gateway/reference/import.ts'
import type { Store } from '../../../gateway/store/store.ts'
import type { Role } from '../../../gateway/tokens.ts'
import type { HttpHub } from './hub.ts'

/** In Bandung, from north to south, and one in Jakarta. `shut` is closed on every day of the week. */
export const TOWN = {
  dealers: `dealer_id,name,region,lat,lon,opens,closes,daily_quota,phone,closed_on
north,Dealer Dago,Jawa Barat,-6.88,107.61,00:00,24:00,,+622220000001,
middle,Dealer Braga,Jawa Barat,-6.92,107.61,00:00,24:00,500,,
south,Dealer Buah Batu,Jawa Barat,-6.95,107.63,00:00,24:00,,,
shut,Dealer Tutup,Jawa Barat,-6.93,107.62,00:00,24:00,,,sun;mon;tue;wed;thu;fri;sat
jakarta,Dealer Jakarta,Jakarta,-6.2,106.8,00:00,24:00,,,
`,
  reps: `rep_id,dealer_id,name,phone,language
r-north,north,Sari,+6281200000001,id
r-middle,middle,Budi,+6281200000002,id
r-south,south,Tono,+6281200000003,en
r-south-2,south,Dewi,+6281200000005,en
r-jakarta,jakarta,Wati,+6281200000004,id
`,
}

export async function settleTown(store: Store): Promise<void> {
  for (const kind of ['dealers', 'reps'] as const) {
    const result = await importReference(store, kind, Readable.from([Buffer.from(TOWN[kind])]), {
      serialPattern: /^[A-Z0-9]{6,32}$/,
    })
    expect(result.outcome).toBe('imported')
  }
}

const PHONES: Readonly<Record<string, string>> = Object.fromEntries(
  TOWN.reps
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(','))
    .map(([rep, , , phone]) => [rep, phone]),
)

let count = 0
/** Of a customer nobody has heard of. */
export const newPhone = (): string => `+62813${String(++count).padStart(8, '0')}`

export const form = (changes: Record<string, unknown> = {}) => ({
  event_id: `form-${++count}`,
  name: 'Rina Pelanggan',
  phone: newPhone(),
  lat: -6.9,
  lon: 107.61,
  model: 'Volt One',
  channel: 'tiktok',
  campaign: 'november',
  message: 'tolong cepat',
  ...changes,
})

export async function postLead(
  hub: HttpHub,
  payload: object | string,
  role: Role | null = 'admin',
  headers: Record<string, string> = {},
): Promise<LightMyRequestResponse> {
  const authorization = role === null ? {} : { authorization: `Bearer ${await hub.token(role)}` }
  return hub.app.inject({
    method: 'POST',
    url: '/api/v1/lead',
    headers: { 'content-type': 'application/json', ...authorization, ...headers },
    payload,
  })
}

/** A lead that the reps of north, middle and south were asked about. @returns its id */
export async function newLead(hub: HttpHub, changes: Record<string, unknown> = {}): Promise<string> {
  const response = await postLead(hub, form(changes))
  expect(response.json()).toMatchObject({ state: 'UNCLAIMED' })
  return response.json().lead
}

/** A rep taps a button of a lead: `claim`, `contacted`, … Resolves after the commit. */
export const tap = (hub: HttpHub, rep: string, action: string, lead: string): Promise<void> =>
  says(hub, rep, { kind: 'choice', choice: { id: `${action}:${lead}`, title: action } })

export const says = (hub: HttpHub, rep: string, what: Record<string, unknown>): Promise<void> =>
  hub.say('bridge/meta', 'inbound', {
    event_id: `wamid-${++count}`,
    bridge: 'meta',
    account: '100',
    customer: { phone: PHONES[rep], user_id: null, name: null },
    at: new Date().toISOString(),
    raw: null,
    ...what,
  })

/** The winner was not in touch in time. */
export const release = (hub: HttpHub, lead: string, round: number): Promise<void> =>
  hub.say('internal', 'timer', { timer: 'contact', lead, n: round })
