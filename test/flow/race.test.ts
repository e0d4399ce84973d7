/**
 * The race through the whole system: people on a WhatsApp cloud of our own, the real hub between them, a CRM that listens.
 * A customer writes, is screened, and becomes a lead; the reps of the three nearest dealers are asked; the first tap wins.
 */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Entry } from '../../gateway/contract/ledger.ts'
import {
  type MetaCloud,
  type MetaPerson,
  type ReceivedMessage,
  startMetaCloud,
} from '../../simulator/whatsapp/meta-cloud.ts'
import { type DeviceCredentials, provision, Terminal } from '../support/devices.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { saleSource } from '../support/sales.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { until } from '../support/until.ts'

const META = {
  META_APP_SECRET: 'app secret of the tests',
  META_VERIFY_TOKEN: 'verify token of the tests',
  META_ACCESS_TOKEN: 'access token of the tests',
  META_PHONE_NUMBER_ID: '100200300400500',
}
const CRM_SECRET = `whsec_${Buffer.alloc(24, 7).toString('base64')}`

const FILES = {
  dealers: [
    'dealer_id,name,region,lat,lon,opens,closes,daily_quota,phone',
    'bdg-1,Dealer Dago,Jawa Barat,-6.88,107.61,00:00,24:00,,',
    'bdg-2,Dealer Braga,Jawa Barat,-6.92,107.61,00:00,24:00,,',
    'bdg-3,Dealer Buah Batu,Jawa Barat,-6.95,107.63,00:00,24:00,,',
    'jkt-1,Dealer Jakarta,Jakarta,-6.2,106.8,00:00,24:00,,',
  ],
  reps: [
    'rep_id,dealer_id,name,phone,language',
    'r1,bdg-1,Sari,+6281200000001,id',
    'r2,bdg-2,Budi,+6281200000002,id',
    'r3,bdg-3,Tono,+6281200000003,en',
    'r4,jkt-1,Wati,+6281200000004,id',
  ],
  prices: ['model,region,msrp,map,valid_from', 'Volt One,,28500000,27000000,2026-01-01'],
}

let cloud: MetaCloud
let hub: HubProcess
let crm: Server
const crmHeard: { type: string; data: Record<string, unknown> }[] = []
let reps: MetaPerson[]
let people = 0

beforeAll(async () => {
  crm = createServer(async (request, response) => {
    const body = await text(request)
    const headers = request.headers as Record<string, string>
    crmHeard.push(new Webhook(CRM_SECRET).verify(body, headers) as (typeof crmHeard)[number])
    response.writeHead(204).end()
  })
  await new Promise<void>((resolve) => crm.listen(0, '127.0.0.1', resolve))
  cloud = await startMetaCloud({
    phoneNumberId: META.META_PHONE_NUMBER_ID,
    accessToken: META.META_ACCESS_TOKEN,
    appSecret: META.META_APP_SECRET,
    verifyToken: META.META_VERIFY_TOKEN,
    webhookRetryDelayMs: () => 200,
  })
  const { port } = crm.address() as AddressInfo
  hub = await startHub({
    settings: {
      ...META,
      META_API_URL: cloud.url,
      CRM_WEBHOOK_URL: `http://127.0.0.1:${port}/`,
      CRM_WEBHOOK_SECRET: CRM_SECRET,
    },
  })
  cloud.sendWebhooksTo(`${hub.httpUrl}/webhooks/meta`)
  const folder = temporaryFolder('race').path
  for (const [kind, lines] of Object.entries(FILES)) {
    const path = join(folder, `${kind}.csv`)
    await writeFile(path, `${lines.join('\n')}\n`)
    expect(await hub.run('import', kind, path)).toMatchObject({ code: 0 })
  }
  reps = [1, 2, 3, 4].map((n) => cloud.person({ phone: `+628120000000${n}`, name: `Rep ${n}` }))
}, 120_000)
afterAll(async () => {
  await hub?.[Symbol.asyncDispose]()
  await cloud?.close()
  crm?.close()
})

const newcomer = (more: { username?: string } = {}): MetaPerson =>
  cloud.person({ phone: `+62813000000${String(++people).padStart(2, '0')}`, name: 'Rina', ...more })

/** The nth message somebody got, waited for. */
async function message(person: MetaPerson, nth: number): Promise<ReceivedMessage> {
  while (cloud.received(person).length < nth) await once(cloud, 'received')
  return cloud.received(person)[nth - 1] as ReceivedMessage
}

const tapFirst = (person: MetaPerson, received: ReceivedMessage): string =>
  cloud.tap(person, received, received.choices[0]?.id as string)

/** Somebody says all at once, consents, and is offered: the offers to the reps of Bandung. */
async function offered(customer: MetaPerson): Promise<ReceivedMessage[]> {
  const had = reps.map((rep) => cloud.received(rep).length)
  cloud.say(customer, 'Halo, saya mau beli Volt One di Kota Bandung bulan ini')
  tapFirst(customer, await message(customer, 1))
  return Promise.all(reps.slice(0, 3).map((rep, at) => message(rep, (had[at] as number) + 1)))
}

const leadOf = (offer: ReceivedMessage): string => offer.choices[0]?.id.split(':')[1] as string

async function entriesOf(lead: string): Promise<Entry[]> {
  const { stdout } = await hub.run('ledger', 'export')
  const lines = stdout.trim().split('\n')
  return lines.map((line) => JSON.parse(line) as Entry).filter(({ data }) => data.lead === lead)
}

describe('a lead', () => {
  it('is screened, offered to the three nearest without name or number, and won by the first tap', async () => {
    const rina = newcomer()
    const offers = await offered(rina)
    expect((await message(rina, 2)).text).toContain('Volt One')
    for (const offer of offers) expect(JSON.stringify(offer)).not.toMatch(/Rina|81300000/)
    expect(cloud.received(reps[3] as MetaPerson), 'Jakarta is not asked').toEqual([])

    const [sari, budi] = reps as [MetaPerson, MetaPerson]
    const heard = [sari, budi].map((rep) => cloud.received(rep).length) as [number, number]
    tapFirst(budi, offers[1] as ReceivedMessage)
    const won = await message(budi, heard[1] + 1)
    expect(won.text).toMatch(/Rina.*\+6281300000001.*Kota Bandung.*Volt One/s)
    expect(won.choices.map(({ id }) => id.split(':')[0])).toEqual(['contacted', 'demo', 'won', 'lost'])
    expect((await message(rina, 3)).text).toContain('Budi')

    tapFirst(sari, offers[0] as ReceivedMessage)
    const lost = await message(sari, heard[0] + 1)
    expect(lost.text).toMatch(/^❌ Too slow! Budi lebih cepat \d+\.\d detik\.$/)

    const lead = leadOf(offers[0] as ReceivedMessage)
    const entries = await entriesOf(lead)
    const [claimed, slow] = ['lead.claimed', 'lead.too_slow'].map((type) =>
      entries.find((entry) => entry.type === type),
    ) as [Entry, Entry]
    const margin = (Date.parse(slow.at) - Date.parse(claimed.at)) / 1000
    expect(lost.text).toContain(`${margin.toFixed(1)} detik`)

    tapFirst(budi, offers[1] as ReceivedMessage)
    expect((await message(budi, heard[1] + 2)).text, 'told again').toBe(won.text)

    const race = await hub.run('race', lead)
    expect(race).toMatchObject({ code: 0, stdout: expect.stringContaining('Budi') })
  })

  it('is told to the CRM on handoff and outcome, and a sale to that customer gives it the serial', async () => {
    const rina = newcomer()
    const offers = await offered(rina)
    const lead = leadOf(offers[2] as ReceivedMessage)
    const tono = reps[2] as MetaPerson
    const heard = cloud.received(tono).length
    tapFirst(tono, offers[2] as ReceivedMessage)
    const won = await message(tono, heard + 1)
    cloud.tap(tono, won, `contacted:${lead}`)
    await message(tono, heard + 2)

    const [credentials] = await provision(hub, [{ dealer: 'bdg-3', device: 'pos' }])
    await using terminal = await Terminal.connect(hub.mqttUrl, credentials as DeviceCredentials)
    const sale = saleSource(1)({ customer_phone: rina.phone, model: 'Volt One' })
    expect(await terminal.sell(sale)).toMatchObject({ outcome: 'registered' })

    await until('the CRM has heard of it', () => crmHeard.some((event) => event.type === 'lead.outcome'))
    expect(crmHeard.filter(({ data }) => data.lead === lead)).toMatchObject([
      {
        type: 'lead.handoff',
        data: { customer: { name: 'Rina', phone: `+${rina.phone}` }, rep: { name: 'Tono' } },
      },
      { type: 'lead.outcome', data: { outcome: 'won' } },
    ])
    const types = (await entriesOf(lead)).map(({ type }) => type)
    expect(types.filter((type) => type.startsWith('lead.'))).toEqual([
      'lead.created',
      'lead.offered',
      'lead.claimed',
      'lead.contacted',
      'lead.sold',
      'lead.won',
    ])
  })

  it('may be somebody without a phone number', async () => {
    const budiman = newcomer({ username: 'budiman' })
    const offers = await offered(budiman)
    const sari = reps[0] as MetaPerson
    const heard = cloud.received(sari).length
    tapFirst(sari, offers[0] as ReceivedMessage)
    expect((await message(sari, heard + 1)).text).toContain('hanya lewat WhatsApp')
    expect((await message(budiman, 3)).text).toContain('Sari')
  })

  it('that was offered in a forwarded message is not theirs to tap', async () => {
    const [offer] = await offered(newcomer())
    const stranger = newcomer()
    cloud.send(stranger, {
      type: 'button',
      button: { payload: offer?.choices[0]?.id as string, text: 'Ambil' },
    })
    expect((await message(stranger, 1)).text).toContain('hanya untuk sales')
    const lead = leadOf(offer as ReceivedMessage)
    const types = (await entriesOf(lead)).map(({ type }) => type)
    expect(types).toContain('lead.tap_refused')
    expect(types).not.toContain('lead.claimed')
  })
})
