/**
 * The race through the whole system: people on a WhatsApp cloud of our own, the real hub between them. A customer writes,
 * is screened, and becomes a lead; the reps of the three nearest dealers are asked; the first tap wins.
 */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Entry } from '../../gateway/contract/ledger.ts'
import { type MetaCloud, type MetaPerson, type ReceivedMessage, startMetaCloud } from '../../simulator/whatsapp/meta-cloud.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { until } from '../support/until.ts'

const SECRETS = {
  META_APP_SECRET: 'app secret of the tests',
  META_VERIFY_TOKEN: 'verify token of the tests',
  META_ACCESS_TOKEN: 'access token of the tests',
  META_PHONE_NUMBER_ID: '100200300400500',
}

let cloud: MetaCloud
let hub: HubProcess
let reps: MetaPerson[]

beforeAll(async () => {
  cloud = await startMetaCloud({
    phoneNumberId: SECRETS.META_PHONE_NUMBER_ID,
    accessToken: SECRETS.META_ACCESS_TOKEN,
    appSecret: SECRETS.META_APP_SECRET,
    verifyToken: SECRETS.META_VERIFY_TOKEN,
    webhookRetryDelayMs: () => 200,
  })
  hub = await startHub({ settings: { ...SECRETS, META_API_URL: cloud.url } })
  cloud.sendWebhooksTo(`${hub.httpUrl}/webhooks/meta`)
  const folder = temporaryFolder('race').path
  const file = async (name: string, lines: string[]) => {
    const path = join(folder, `${name}.csv`)
    await writeFile(path, `${lines.join('\n')}\n`)
    return path
  }
  const dealers = await file('dealers', [
    'dealer_id,name,region,lat,lon,opens,closes,daily_quota,phone',
    'bdg-1,Dealer Dago,Jawa Barat,-6.88,107.61,00:00,24:00,,',
    'bdg-2,Dealer Braga,Jawa Barat,-6.92,107.61,00:00,24:00,,',
    'bdg-3,Dealer Buah Batu,Jawa Barat,-6.95,107.63,00:00,24:00,,',
    'jkt-1,Dealer Jakarta,Jakarta,-6.2,106.8,00:00,24:00,,',
  ])
  const repsFile = await file('reps', [
    'rep_id,dealer_id,name,phone,language',
    'r1,bdg-1,Sari,+6281200000001,id',
    'r2,bdg-2,Budi,+6281200000002,id',
    'r3,bdg-3,Tono,+6281200000003,en',
    'r4,jkt-1,Wati,+6281200000004,id',
  ])
  const prices = await file('prices', ['model,region,msrp,map,valid_from', 'Volt One,,28500000,27000000,2026-01-01'])
  for (const [kind, path] of [['dealers', dealers], ['reps', repsFile], ['prices', prices]] as const) {
    expect(await hub.run('import', kind, path)).toMatchObject({ code: 0 })
  }
  reps = [1, 2, 3, 4].map((n) => cloud.person({ phone: `+628120000000${n}`, name: `Rep ${n}` }))
}, 120_000)
afterAll(async () => {
  await hub?.[Symbol.asyncDispose]()
  await cloud?.close()
})

async function next(person: MetaPerson, count: number): Promise<ReceivedMessage> {
  while (cloud.received(person).length < count) await once(cloud, 'received')
  return cloud.received(person)[count - 1] as ReceivedMessage
}

async function ledger(): Promise<Entry[]> {
  const { stdout } = await hub.run('ledger', 'export')
  return stdout.trim().split('\n').filter(Boolean).map((line) => JSON.parse(line))
}

describe('a lead', () => {
  it('is screened, offered to the three nearest, and won by the first tap', async () => {
    const rina = cloud.person({ phone: '+6281300000001', name: 'Rina' })
    cloud.say(rina, 'Halo, saya mau beli Volt One di Kota Bandung bulan ini')
    let seen = 0
    for (;;) {
      const message = await next(rina, ++seen)
      console.log('RINA <-', message.type, message.text, message.choices.map((c) => `${c.id}=${c.title}`))
      const [first] = message.choices
      if (first === undefined) break
      cloud.tap(rina, message, first.id)
    }
    const offers = await Promise.all(reps.slice(0, 3).map((rep) => next(rep, 1)))
    for (const offer of offers) console.log('REP <-', offer.type, offer.text, offer.template, offer.choices)
    cloud.tap(reps[1] as MetaPerson, offers[1] as ReceivedMessage, (offers[1] as ReceivedMessage).choices[0]?.id as string)
    console.log('WINNER <-', (await next(reps[1] as MetaPerson, 2)).text)
    cloud.tap(reps[0] as MetaPerson, offers[0] as ReceivedMessage, (offers[0] as ReceivedMessage).choices[0]?.id as string)
    console.log('LOSER <-', (await next(reps[0] as MetaPerson, 2)).text)
    console.log('RINA <-', (await next(rina, ++seen)).text)
    await until('done', async () => (await ledger()).some((entry) => entry.type === 'lead.too_slow'))
    for (const { entry, at, type, data } of await ledger()) console.log(entry, at, type, JSON.stringify(data))
  }, 60_000)
})
