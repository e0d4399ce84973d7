import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { RECONCILE_MS } from '../../../../gateway/contract/bridge.ts'
import { type Fault, startMetaCloud } from '../../../../simulator/whatsapp/meta-cloud.ts'
import { freePort } from '../../../support/ports.ts'
import { mulberry32, pick, seedOfRun } from '../../../support/random.ts'
import { ServerProcess } from '../../../support/server-process.ts'
import { until } from '../../../support/until.ts'
import { SETTINGS } from './start-bridge.ts'
import { openHub, openMeta } from './support.ts'

/** Everything at hand, and one person within the 24-hour window. */
async function open(options: Parameters<typeof openMeta>[0] = {}) {
  const all = await openMeta(options)
  const rina = all.cloud.person({ phone: '6281200000001', name: 'Rina' })
  all.cloud.say(rina, 'halo')
  await all.cloud.webhooks.idle()
  const codes = () => all.cloud.requests.map(({ code }) => code)
  const answered = (count: number) =>
    until(`${count} requests were answered`, () => {
      return codes().length >= count && all.bridge.state.queue.sending === 0
    })
  const heard = (...states: string[]) =>
    until(`the hub hears ${states}`, () => states.every((state) => all.hub.states().includes(state)))
  return { ...all, rina, codes, answered, heard }
}

const DELIVERED = ['job-1 sent', 'job-1 delivered', 'job-1 read']

describe('a job', () => {
  it('is sent, and the hub hears what became of it, under its id', async () => {
    const { hub, cloud, rina, job, heard } = await open()
    await hub.handOver(job('job-1'))
    await heard(...DELIVERED)
    const [message] = cloud.received(rina)
    expect(message).toMatchObject({ type: 'text', text: 'halo', jobId: 'job-1' })
    expect(new Set(hub.statuses.map(({ provider_id }) => provider_id))).toEqual(new Set([message?.id]))
  })

  it('of every kind is taken by Meta, and answered by a tap', async () => {
    const { hub, cloud, rina, job, heard } = await open()
    const choices = [
      { id: 'yes_17', title: 'Ya' },
      { id: 'no_17', title: 'Tidak' },
    ]
    await hub.handOver(job('job-1', { kind: 'buttons', choices }))
    await hub.handOver(job('job-2', { kind: 'list', button: 'Pilih', choices }))
    await hub.handOver(job('job-3', { kind: 'location_request' }))
    const template = { name: 'confirm', language: 'id', parameters: ['Rina'], payloads: ['yes_17'] }
    await hub.handOver(job('job-4', { kind: 'template', template }))
    await heard('job-1 sent', 'job-2 sent', 'job-3 sent', 'job-4 sent')
    const received = cloud.received(rina)
    expect(received.map(({ type }) => type)).toEqual(['buttons', 'list', 'location_request', 'template'])
    for (const message of received.filter((it) => it.choices.length > 0)) cloud.tap(rina, message, 'yes_17')
    await cloud.webhooks.idle()
    const taps = hub.inbound.filter(({ kind }) => kind === 'choice')
    expect(taps.map(({ choice }) => choice?.id)).toEqual(['yes_17', 'yes_17', 'yes_17'])
    expect(taps.map(({ reply_to }) => reply_to).toSorted()).toEqual(
      received
        .filter((it) => it.choices.length > 0)
        .map(({ id }) => id)
        .toSorted(),
    )
  })

  it('to mark a message as read is done without a message', async () => {
    const { hub, cloud, rina, job, heard } = await open()
    const id = cloud.say(rina, 'lagi')
    const read = once(cloud, 'read')
    await hub.handOver(job('job-1', { kind: 'read', message_id: id }))
    expect(await read).toEqual([id])
    await heard('job-1 sent')
    expect(hub.statuses[0]?.provider_id).toBeNull()
    expect(cloud.received(rina)).toEqual([])
  })

  it('reaches who shows no phone number by their user id', async () => {
    const { hub, cloud, job, heard } = await open()
    const sari = cloud.person({ phone: '6281200000003', name: 'Sari', username: 'sari' })
    cloud.say(sari, 'halo')
    await hub.handOver(job('job-1', { to: { user_id: sari.userId } }))
    await heard(...DELIVERED)
    expect(cloud.received(sari)).toHaveLength(1)
  })

  it('that breaks a limit costs no request', async () => {
    const { hub, cloud, job, heard } = await open()
    await hub.handOver(job('job-1', { body: 'x'.repeat(4097) }))
    await heard('job-1 invalid')
    expect(hub.statuses[0]?.error).toMatchObject({
      message: 'body: expected at most 4096 characters, received 4097',
      retryable: false,
    })
    expect(cloud.requests).toEqual([])
  })

  it('outside the 24-hour window fails by its code, and a template goes through', async () => {
    const { hub, clock, job, heard, codes } = await open()
    await clock.advance(24 * 3_600_000 + 1)
    await hub.handOver(job('job-1'))
    await heard('job-1 131047')
    expect(hub.statuses[0]?.error?.retryable).toBe(false)
    const template = { name: 'wake', language: 'id', parameters: [] }
    await hub.handOver(job('job-2', { kind: 'template', template }))
    await heard('job-2 sent')
    expect(codes()).toEqual([131047, null])
  })

  it('that Meta took and could not deliver fails later', async () => {
    const { hub, cloud, job, heard } = await open()
    cloud.next(1, { kind: 'fails_later', code: 131026 })
    await hub.handOver(job('job-1'))
    await heard('job-1 sent', 'job-1 131026')
  })
})

describe('when Meta', () => {
  it('answers 5xx, it is tried again until it is taken, and goes out once', async () => {
    const { hub, cloud, clock, rina, job, answered, heard } = await open()
    cloud.next(2, { kind: 'error', status: 500, code: 131000 })
    cloud.next(1, { kind: 'error', status: 503, code: null })
    await hub.handOver(job('job-1'))
    for (const [tries, waitMs] of [
      [1, 1000],
      [2, 2000],
      [3, 4000],
    ] as const) {
      await answered(tries)
      await clock.advance(waitMs)
    }
    await heard(...DELIVERED)
    expect(cloud.received(rina)).toHaveLength(1)
  })

  it('answers 5xx for long, the job fails, and may be handed over again', async () => {
    const { hub, cloud, clock, rina, job, answered, heard } = await open()
    cloud.next(5, { kind: 'error', status: 500, code: 131000 })
    await hub.handOver(job('job-1'))
    for (let tries = 1; tries <= 5; tries++) {
      await answered(tries)
      await clock.advance(60_000)
    }
    await heard('job-1 131000')
    expect(hub.statuses.at(-1)?.error?.retryable).toBe(true)
    await hub.handOver(job('job-1'))
    await heard(...DELIVERED)
    expect(cloud.received(rina)).toHaveLength(1)
  })

  it('throttles the number (130429), everybody waits, and then all of it goes out once', async () => {
    const { hub, cloud, clock, job, answered, heard, codes } = await open()
    const people = [2, 3, 4].map((i) => cloud.person({ phone: `628120000000${i}`, name: `P${i}` }))
    for (const person of people) cloud.say(person, 'halo')
    cloud.next(1, { kind: 'error', status: 429, code: 130429 })
    await hub.handOver(job('job-1'))
    await answered(1)
    for (const [i, { phone }] of people.entries()) await hub.handOver(job(`job-${i + 2}`, { to: { phone } }))
    await clock.advance(900)
    expect(codes()).toEqual([130429])
    await clock.advance(100)
    await answered(2)
    await clock.advance(1000)
    await heard('job-1 sent', 'job-2 sent', 'job-3 sent', 'job-4 sent')
    expect(codes()).toEqual([130429, null, null, null, null])
  })

  it('limits one person (131056), they alone wait, 4^n seconds', async () => {
    const { hub, cloud, clock, rina, job, answered, heard, codes } = await open()
    const budi = cloud.person({ phone: '6281200000002', name: 'Budi' })
    cloud.say(budi, 'halo')
    cloud.next(3, { kind: 'error', status: 400, code: 131056 })
    await hub.handOver(job('job-1'))
    await answered(1)
    await clock.advance(1000)
    await answered(2)
    await clock.advance(4000)
    await answered(3)
    await clock.advance(15_000)
    await hub.handOver(job('job-2', { to: { phone: budi.phone } }))
    await heard('job-2 sent')
    expect(codes()).toEqual([131056, 131056, 131056, null])
    await clock.advance(1000)
    await heard('job-1 sent')
    expect(cloud.received(rina)).toHaveLength(1)
  })

  it('refuses the token (190), nothing more is asked until a probe, and all goes out with a new one', async () => {
    const { hub, cloud, clock, bridge, rina, job, answered, heard, codes } = await open()
    cloud.setAccessToken('renewed elsewhere')
    await hub.handOver(job('job-1'))
    await answered(1)
    await hub.handOver(job('job-2'))
    await hub.handOver(job('job-3', { to: { phone: '6281200000009' } }))
    await clock.advance(59_000)
    expect(codes()).toEqual([190])
    expect(bridge.state.queue.stopped?.error.code).toBe('190')
    await clock.advance(1000)
    await answered(2)
    expect(codes()).toEqual([190, 190])
    cloud.setAccessToken(SETTINGS.accessToken)
    await clock.advance(120_000)
    await heard('job-1 sent')
    await clock.advance(1000)
    await heard('job-2 sent', 'job-3 sent')
    expect(bridge.state.queue.stopped).toBeNull()
    expect(cloud.received(rina).map(({ jobId }) => jobId)).toEqual(['job-1', 'job-2'])
  })

  it('can’t be reached, jobs wait, and go out once it can', async () => {
    const { hub, cloud, clock, bridge, job, heard } = await open()
    const { port } = new URL(cloud.url)
    await cloud.close()
    await hub.handOver(job('job-1'))
    await until('it was tried', () => bridge.state.queue.stopped?.error.code === 'unreachable')
    const back = await startMetaCloud({ ...SETTINGS, port: Number(port), now: clock.now })
    onTestFinished(() => back.close())
    const rina = back.person({ phone: '6281200000001', name: 'Rina' })
    back.sendWebhooksTo('http://127.0.0.1:1/')
    back.say(rina, 'halo')
    await clock.advance(1000)
    await heard('job-1 sent')
    expect(back.received(rina)).toHaveLength(1)
  })

  it.each<[string, Fault]>([
    ['never answers', { kind: 'lost_answer' }],
    ['breaks off', { kind: 'reset_after' }],
  ])(
    'takes a message and %s, its report tells that it was sent, and it is not sent again',
    async (_, fault) => {
      const { hub, cloud, clock, bridge, rina, job, heard } = await open({ timeoutMs: 200 })
      cloud.next(1, fault)
      await hub.handOver(job('job-1'))
      await heard(...DELIVERED)
      await until('the request ended', () => bridge.state.queue.sending === 0)
      await clock.advance(RECONCILE_MS + 1000)
      await hub.handOver(job('job-1'))
      await clock.advance(1000)
      await hub.handOver(job('job-2'))
      await heard('job-2 sent')
      expect(cloud.received(rina).map(({ jobId }) => jobId)).toEqual(['job-1', 'job-2'])
    },
  )

  it('breaks off before it took a message, nothing is said, and it is sent when it is handed over again', async () => {
    const { hub, cloud, clock, bridge, rina, job, heard } = await open()
    cloud.next(1, { kind: 'reset_before' })
    await hub.handOver(job('job-1'))
    await until('it is not known', () => bridge.state.queue.unknown === 1)
    await hub.handOver(job('job-1'))
    expect(hub.statuses).toEqual([])
    await clock.advance(RECONCILE_MS + 1000)
    await hub.handOver(job('job-1'))
    await heard(...DELIVERED)
    expect(cloud.received(rina)).toHaveLength(1)
  })

  it('answers through a gateway’s error page, it is not known whether it was taken, and nothing is sent twice', async () => {
    const { hub, cloud, bridge, rina, job, answered } = await open()
    cloud.next(1, { kind: 'error', status: 502, code: null })
    await hub.handOver(job('job-1'))
    await answered(1)
    expect(bridge.state.queue.unknown).toBe(1)
    expect(cloud.received(rina)).toEqual([])
  })
})

it('a rush of messages is spread so that Meta’s limits are never met', async () => {
  const { hub, cloud, clock, bridge, rina, job, codes } = await open()
  const people = Array.from({ length: 150 }, (_, i) =>
    cloud.person({ phone: `62813${String(i).padStart(8, '0')}`, name: `P${i}` }),
  )
  for (const person of people) cloud.say(person, 'halo')
  await cloud.webhooks.idle()
  await clock.advance(2000)
  for (let i = 0; i < 50; i++) await hub.handOver(job(`rina-${i}`))
  for (const [i, { phone }] of people.entries()) await hub.handOver(job(`all-${i}`, { to: { phone } }))
  const quiet = () => until('nothing is under way', () => bridge.state.queue.sending === 0)
  // Small steps: what leaves at one instant arrives at that instant.
  for (let i = 0; i < 300 && bridge.state.queue.waiting > 5; i++) {
    await clock.advance(13)
    await quiet()
  }
  expect(cloud.received(rina)).toHaveLength(45)
  for (let second = 0; second < 31; second++) {
    await clock.advance(1000)
    await quiet()
  }
  expect(codes()).toEqual(Array(200).fill(null))
  expect(cloud.received(rina).map(({ jobId }) => jobId)).toEqual(
    Array.from({ length: 50 }, (_, i) => `rina-${i}`),
  )
})

describe('when the bridge is killed between send and record', () => {
  async function openKillable() {
    const hub = await openHub()
    const cloud = await startMetaCloud({ ...SETTINGS, webhookRetryDelayMs: () => 50 })
    onTestFinished(() => cloud.close())
    const httpPort = await freePort()
    const bridge = await ServerProcess.start({
      name: 'meta bridge',
      command: [
        process.execPath,
        join(import.meta.dirname, 'bridge-process.ts'),
        String(hub.port),
        cloud.url,
        String(httpPort),
      ],
      cwd: process.cwd(),
      ready: async ({ stdout }) => stdout.includes('ready'),
    })
    onTestFinished(async () => {
      await bridge.kill()
    })
    cloud.sendWebhooksTo(`http://127.0.0.1:${httpPort}/webhooks/meta`)
    const rina = cloud.person({ phone: '6281200000001', name: 'Rina' })
    cloud.say(rina, 'halo')
    await cloud.webhooks.idle()
    const job = (id: string) => ({
      job_id: id,
      to: { phone: '+6281200000001' },
      kind: 'text' as const,
      body: 'halo',
      expires_at: new Date(Date.now() + 3_600_000).toISOString(),
    })
    return { hub, cloud, bridge, rina, job }
  }

  it('what Meta took is told by its report, and is not sent again', async () => {
    const { hub, cloud, bridge, rina, job } = await openKillable()
    cloud.webhooks.hold()
    cloud.next(1, { kind: 'lost_answer' })
    const received = once(cloud, 'received')
    await hub.handOver(job('job-1'))
    await received
    await bridge.kill()
    expect(hub.statuses).toEqual([])
    await bridge.restart()
    cloud.webhooks.release()
    await cloud.webhooks.idle()
    expect(hub.states().toSorted()).toEqual(['job-1 delivered', 'job-1 read', 'job-1 sent'])
    await hub.handOver(job('job-1'))
    await hub.handOver(job('job-2'))
    await until('the next one is sent', () => hub.states().includes('job-2 sent'))
    expect(cloud.received(rina).map(({ jobId }) => jobId)).toEqual(['job-1', 'job-2'])
  })

  it('what Meta did not take is sent when it is handed over again', async () => {
    const { hub, cloud, bridge, rina, job } = await openKillable()
    cloud.next(1, { kind: 'error', status: 500, code: 131000 })
    await hub.handOver(job('job-1'))
    await until('it was refused', () => cloud.requests.length === 1)
    await bridge.kill()
    expect(hub.statuses).toEqual([])
    await bridge.restart()
    await hub.handOver(job('job-1'))
    await until('it is sent', () => hub.states().includes('job-1 sent'))
    expect(cloud.received(rina).map(({ jobId }) => jobId)).toEqual(['job-1'])
  })
})

it('through faults of every kind, each job is accounted for: received once, or failed and not received', async () => {
  const seed = seedOfRun()
  const random = mulberry32(seed)
  const { hub, cloud, clock, bridge, job } = await open({ timeoutMs: 300 })
  const people = Array.from({ length: 12 }, (_, i) =>
    cloud.person({ phone: `62813${String(i).padStart(8, '0')}`, name: `P${i}`, reads: i % 2 === 0 }),
  )
  for (const person of people) cloud.say(person, 'halo')
  const jobs = Array.from({ length: 120 }, (_, i) =>
    job(`all-${i}`, {
      to: { phone: pick(random, people).phone },
      expires_at: new Date(clock.now() + 86_400_000).toISOString(),
    }),
  )
  const faults: Fault[] = [
    { kind: 'error', status: 500, code: 131000 },
    { kind: 'error', status: 429, code: 130429 },
    { kind: 'error', status: 400, code: 131056 },
    { kind: 'error', status: 401, code: 190 },
    { kind: 'error', status: 502, code: null },
    { kind: 'lost_answer' },
    { kind: 'reset_after' },
    { kind: 'reset_before' },
    { kind: 'fails_later', code: 131049 },
  ]
  // The hub's outbox: handed over again when nothing was heard for RECONCILE_MS, or it failed and may be tried again.
  const handedOverMs = new Map<string, number>()
  const isDone = (id: string) =>
    hub.statuses.some((it) => it.job_id === id && (it.state !== 'failed' || !it.error?.retryable))
  const hasFailedSince = (id: string, ms: number) =>
    hub.statuses.some((it) => it.job_id === id && it.error?.retryable && Date.parse(it.at) >= ms)
  for (let turn = 0; turn < 4000 && !jobs.every(({ job_id }) => isDone(job_id)); turn++) {
    if (turn < 60) cloud.next(1, pick(random, faults))
    const waiting = jobs.filter(({ job_id }) => {
      const atMs = handedOverMs.get(job_id)
      if (isDone(job_id)) return false
      return atMs === undefined || clock.now() - atMs > RECONCILE_MS || hasFailedSince(job_id, atMs)
    })
    for (const one of waiting.slice(0, 10)) {
      handedOverMs.set(one.job_id, clock.now())
      await hub.handOver(one)
    }
    await clock.advance(1000)
    await until('nothing is under way', () => bridge.state.queue.sending === 0)
    await cloud.webhooks.idle()
  }
  const received = people.flatMap((person) => cloud.received(person).map(({ jobId }) => jobId))
  const failed = new Set(
    hub.statuses.filter(({ error }) => error?.retryable === false).map(({ job_id }) => job_id),
  )
  expect(received.toSorted()).toEqual(
    jobs
      .map(({ job_id }) => job_id)
      .filter((id) => !failed.has(id))
      .toSorted(),
  )
  expect(received.filter((id) => failed.has(id ?? ''))).toEqual([])
  expect(bridge.state.queue).toMatchObject({ waiting: 0, sending: 0 })
})
