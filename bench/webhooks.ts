/**
 * How long WhatsApp waits for the 200: signed webhooks, each with a message of somebody new, at a steady pace. A local
 * Graph API takes what the hub answers these people. A 200 means that the message is in the ledger.
 */
import { readFileSync } from 'node:fs'
import { startMetaCloud } from '../simulator/whatsapp/meta-cloud.ts'
import { envelope, sign } from '../simulator/whatsapp/meta-webhooks.ts'
import { startHub } from '../test/support/hub-process.ts'
import { type RedisOptions, startRedis } from '../test/support/services.ts'
import { short, table, whole } from './markdown.ts'
import { paced, type Waits, waitsOf } from './percentiles.ts'
import { medianBy } from './statistics.ts'
import { TARGETS } from './targets.ts'
import { temporaryRoot } from './temporary-root.ts'

export interface WebhookOptions {
  readonly repetitions: number
  readonly durationMs: number
  readonly appendfsync: NonNullable<RedisOptions['appendfsync']>
  readonly progress: (what: string) => void
}

export interface WebhookRun {
  readonly target: 'hub-sqlite' | 'hub-redis'
  readonly answered: Waits
}

const WEBHOOKS_PER_SECOND = 200
const WARM_UP = 600
const META = {
  META_APP_SECRET: 'app secret of the bench',
  META_VERIFY_TOKEN: 'verify token of the bench',
  META_ACCESS_TOKEN: 'access token of the bench',
  META_PHONE_NUMBER_ID: '100200300400500',
}

export async function measureWebhooks(options: WebhookOptions): Promise<WebhookRun[]> {
  const runs: WebhookRun[] = []
  for (let repetition = 1; repetition <= options.repetitions; repetition++) {
    for (const target of ['hub-sqlite', 'hub-redis'] as const) {
      options.progress(`webhooks, ${repetition} of ${options.repetitions}: ${TARGETS[target]}`)
      runs.push({ target, answered: await measureOnce(target, options) })
    }
  }
  return runs
}

async function measureOnce(
  target: WebhookRun['target'],
  { durationMs, appendfsync }: WebhookOptions,
): Promise<Waits> {
  using _root = temporaryRoot()
  await using cloud = await startMetaCloud({
    phoneNumberId: META.META_PHONE_NUMBER_ID,
    accessToken: META.META_ACCESS_TOKEN,
    appSecret: META.META_APP_SECRET,
    verifyToken: META.META_VERIFY_TOKEN,
  })
  await using redis = target === 'hub-redis' ? await startRedis({ appendfsync }) : null
  const settings = { ...META, META_API_URL: cloud.url, ...(redis && { REDIS_URL: redis.url }) }
  await using hub = await startHub({ settings })
  const count = WARM_UP + Math.round((durationMs / 1000) * WEBHOOKS_PER_SECOND)
  const waits: number[] = []
  const posts: Promise<void>[] = []
  const bodies = Array.from({ length: count }, (_, n) => bodyOf(n))
  for (let n = 0; n < count; n++) cloud.person({ phone: phoneOf(n), name: 'Seseorang' })
  await paced(count, WEBHOOKS_PER_SECOND, (at, dueMs) => {
    const body = bodies[at] as string
    const post = async () => {
      const response = await fetch(`${hub.httpUrl}/webhooks/meta`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-hub-signature-256': sign(body, META.META_APP_SECRET),
        },
        body,
      })
      await response.arrayBuffer()
      if (response.status !== 200) throw new Error(`a webhook was answered ${response.status}`)
      if (at >= WARM_UP) waits.push(performance.now() - dueMs)
    }
    posts.push(post())
  })
  await Promise.all(posts)
  const ledger = readFileSync(await hub.exportLedger(), 'utf8')
  const heard = ledger.split('"customer.message"').length - 1
  if (heard !== count)
    throw new Error(`${count} webhooks were answered 200, but ${heard} messages are in the ledger`)
  return waitsOf(waits)
}

const phoneOf = (n: number): string => `62813${String(n).padStart(7, '0')}`

function bodyOf(n: number): string {
  const from = phoneOf(n)
  const update = {
    kind: 'message',
    message: {
      from,
      id: `wamid.bench.${n}`,
      timestamp: String(Math.floor(Date.now() / 1000)),
      type: 'text',
      text: { body: 'Halo, mau beli motor listrik' },
    },
    contact: { wa_id: from, profile: { name: 'Seseorang' } },
  } as const
  const number = { phoneNumberId: META.META_PHONE_NUMBER_ID, displayPhoneNumber: '+62 811-0000-0000' }
  return JSON.stringify(envelope([update], number))
}

/** Of each target, the run with the median p99. */
export function webhooksMarkdown(runs: readonly WebhookRun[]): string {
  const rows = (['hub-sqlite', 'hub-redis'] as const).map((target) => {
    const { answered } = medianBy(
      runs.filter((run) => run.target === target),
      (run) => run.answered.p99Ms,
    )
    const { p50Ms, p99Ms, p999Ms, maxMs } = answered
    return [TARGETS[target], short(p50Ms), `**${short(p99Ms)}**`, short(p999Ms), short(maxMs)]
  })
  return `## From a webhook to its 200

${whole(WEBHOOKS_PER_SECOND)} signed webhooks of WhatsApp a second, each with a message of somebody new; from when one was due. All
are in the ledger, and all these people are answered through a local Graph API meanwhile. Of each, the run with the
median p99.

${table(['', '200 ms p50', 'p99', 'p99.9', 'max'], rows)}`
}
