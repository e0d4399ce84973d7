import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync, type MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TOWN } from '../gateway/http/race-town.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

let hub: HubProcess
let bridge: MqttClient
let adminToken: string
beforeAll(async () => {
  hub = await startHub()
  const folder = temporaryFolder('race').path
  for (const [kind, csv] of Object.entries(TOWN)) {
    writeFileSync(join(folder, `${kind}.csv`), csv)
    expect(await hub.run('import', kind, join(folder, `${kind}.csv`))).toMatchObject({ code: 0 })
  }
  const token = async (role: string): Promise<string> =>
    JSON.parse((await hub.run('token', 'add', '--role', role, '--json')).stdout).token
  adminToken = await token('admin')
  bridge = await connectAsync(hub.mqttUrl, { username: 'api', password: await token('bridge:meta') })
})
afterAll(async () => {
  await bridge?.endAsync(true)
  await hub?.stop()
})

let count = 0
async function newLead(changes: object = {}): Promise<string> {
  const response = await fetch(`${hub.httpUrl}/api/v1/lead`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      event_id: `form-${++count}`,
      name: 'Rina Pelanggan',
      phone: `+62813000000${String(count).padStart(2, '0')}`,
      lat: -6.9,
      lon: 107.61,
      model: 'Volt One',
      channel: 'tiktok',
      ...changes,
    }),
  })
  expect(response.status).toBe(202)
  return ((await response.json()) as { lead: string }).lead
}

/** Resolves at the PUBACK. */
const tap = (phone: string, lead: string, action = 'claim') =>
  bridge.publishAsync(
    'hub/v1/bridge/meta/inbound',
    JSON.stringify({
      event_id: `wamid-${++count}`,
      bridge: 'meta',
      account: '100',
      customer: { phone, user_id: null, name: null },
      at: new Date().toISOString(),
      kind: 'choice',
      choice: { id: `${action}:${lead}`, title: action },
    }),
    { qos: 1 },
  )
const [SARI, BUDI, TONO, WATI] = [1, 2, 3, 4].map((n) => `+628120000000${n}`) as [
  string,
  string,
  string,
  string,
]

describe('hub race', () => {
  it('prints who was asked and who tapped when, in order, with the margin to the winner', async () => {
    const lead = await newLead()
    for (const rep of [BUDI, SARI, TONO, WATI]) await tap(rep, lead)
    await tap(BUDI, lead, 'won')

    const { code, stdout, stderr } = await hub.run('race', lead)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [head, facts, , , ...lines] = stdout.trimEnd().split('\n')
    expect(head).toMatch(
      new RegExp(`^${lead}: WON, held by Budi \\(Dealer Braga\\), \\d+(\\.\\d+)? s after the offer$`),
    )
    expect(facts).toMatch(/^Kota Bandung · Volt One · tiktok · cus_/)
    const whats = lines.map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} +/, ''))
    expect(whats).toHaveLength(7)
    expect(whats[0]).toBe('created, by a form')
    expect(whats[1]).toMatch(
      /^0 ms +race 1, ring 1: offered to (?=.*Budi \(Dealer Braga, 2\.2 km\))(?=.*Sari \(Dealer Dago, 2\.2 km\))(?=.*Tono).*; passed over Dealer Tutup \(3\.5 km: holiday\)$/,
    )
    expect(whats[2]).toMatch(/^\d+ ms +#1 +✔ Budi \(Dealer Braga\) won it, 2\.2 km away$/)
    expect(whats[3]).toMatch(/^\d+ ms +#2 +\d+ ms +✖ Sari \(Dealer Dago\) was too slow$/)
    expect(whats[4]).toMatch(/^\d+ ms +#3 +\d+ ms +✖ Tono \(Dealer Buah Batu\) was too slow$/)
    expect(whats[5]).toMatch(/^\d+ ms +#4 .*Wati \(Dealer Jakarta\) tapped claim: refused, not_invited$/)
    expect(whats[6]).toMatch(/^\d+ ms +won: Budi \(Dealer Braga\)$/)
    for (const personal of ['Rina', '+62813']) expect(stdout).not.toContain(personal)
  })

  it('says with --json the same as one object, its times as the ledger has them', async () => {
    const lead = await newLead()
    await tap(TONO, lead)
    await tap(SARI, lead)
    const { stdout, code } = await hub.run('race', lead, '--json')
    expect(code).toBe(0)
    expect(stdout.trimEnd().split('\n')).toHaveLength(1)
    const race = JSON.parse(stdout)
    const { stdout: exported } = await hub.run('ledger', 'export')
    const entries = exported
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ type, data }) => data.lead === lead && type.startsWith('lead.'))
    expect(
      race.steps.map(({ entry, at, type, data }: Record<string, unknown>) => ({ entry, at, type, data })),
    ).toEqual(entries)
    const [, offered, claimed, slow] = race.steps
    expect(race).toMatchObject({
      lead,
      state: 'CLAIMED',
      rep: 'r-south',
      claimed_at: claimed.at,
      time_to_claim_s: (Date.parse(claimed.at) - Date.parse(offered.at)) / 1000,
    })
    expect(slow.tap).toEqual({ order: 2, margin_ms: Date.parse(slow.at) - Date.parse(claimed.at) })
    for (const personal of ['Rina', '+62813', '107.61']) expect(stdout).not.toContain(personal)
  })

  it('lets nothing that somebody typed into a form reach the terminal as a command', async () => {
    const lead = await newLead({ campaign: 'a\u001b[2Jb' })
    const { stdout } = await hub.run('race', lead)
    expect(stdout).toContain('a\uFFFD[2Jb')
    expect(stdout).not.toContain('\u001b')
  })

  it.each(['L00-000000000000', 'nothing'])('ends with 1 when no lead is called %s', async (id) => {
    expect(await hub.run('race', id)).toEqual({
      code: 1,
      stdout: '',
      stderr: `hub: no lead is called ${id}\n`,
    })
  })
})
