/** A Qontak bridge between a local Qontak and a hub that is a list; its webhook stands on a bare Fastify. */
import Fastify from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { onTestFinished } from 'vitest'
import type { QontakConfig } from '../../../../config.ts'
import type { Clock } from '../../../../gateway/bridges/clock.ts'
import { createQontakBridge } from '../../../../gateway/bridges/qontak/qontak.ts'
import {
  type InboundMessage,
  inbound,
  type JobStatus,
  jobStatus,
  type OutboundMessage,
} from '../../../../gateway/contract/bridge.ts'
import { sendProblem } from '../../../../gateway/http/problem.ts'
import { qontakWebhookRoutes } from '../../../../gateway/http/routes/webhooks-qontak.ts'
import type { App } from '../../../../gateway/http/services.ts'
import {
  openQontakCloud,
  type QontakCloud,
  type QontakCloudOptions,
} from '../../../../simulator/whatsapp/qontak-cloud.ts'
import { until } from '../../../support/until.ts'

export const PHONE = '+6281200000001'
export const SECRET = 'a-path-nobody-guesses'
const SILENT = { info() {}, warn() {}, error() {} }

/** The system's clock, and ahead of it. */
export function openClock(): Clock & { pass(ms: number): void } {
  const timers = new Set<{ dueMs: number; run: () => void; timer: NodeJS.Timeout }>()
  let aheadMs = 0
  const now = () => Date.now() + aheadMs
  return {
    now,
    after(ms, run) {
      const one = {
        dueMs: now() + ms,
        run: () => {
          timers.delete(one)
          run()
        },
        timer: setTimeout(() => one.run(), ms),
      }
      timers.add(one)
      return () => {
        clearTimeout(one.timer)
        timers.delete(one)
      }
    },
    pass(ms) {
      aheadMs += ms
      for (const one of [...timers].sort((a, b) => a.dueMs - b.dueMs)) {
        if (one.dueMs > now()) break
        clearTimeout(one.timer)
        one.run()
      }
    },
  }
}

export async function openCloud(options: QontakCloudOptions = {}): Promise<QontakCloud> {
  const cloud = await openQontakCloud(options)
  onTestFinished(() => cloud[Symbol.asyncDispose]())
  return cloud
}

/** How the bridge is told to reach a local Qontak. */
export const settingsOf = (cloud: QontakCloud): QontakConfig => ({
  apiUrl: cloud.apiUrl,
  gatewayUrl: cloud.origin,
  clientId: cloud.account.clientId,
  clientSecret: cloud.account.clientSecret,
  login: { token: cloud.account.botToken },
  webhookSecret: SECRET,
  channelId: null,
  organizationId: cloud.organizationId,
})

let jobs = 0

export async function openBridge(
  cloud: QontakCloud,
  { settings = {}, timeoutMs = 1000 }: { settings?: Partial<QontakConfig>; timeoutMs?: number } = {},
) {
  const clock = openClock()
  const heard: InboundMessage[] = []
  const raw: Uint8Array[] = []
  const statuses: JobStatus[] = []
  const hub = { isAway: false, gate: Promise.resolve() }
  let hand: (job: OutboundMessage) => void | Promise<void> = () => {}
  const bridge = createQontakBridge({
    settings: { ...settingsOf(cloud), ...settings },
    log: SILENT,
    clock,
    random: () => 0,
    timeoutMs,
    bus: {
      onOutbound(handler) {
        hand = handler
      },
      async publish(kind, payload) {
        if (hub.isAway) throw new Error('no connection to the hub')
        await hub.gate
        if (kind === 'status') {
          statuses.push(jobStatus.parse(payload))
          return
        }
        const bytes = payload instanceof Uint8Array ? payload : Buffer.from(JSON.stringify(payload))
        const message = inbound.safeParse(parse(bytes))
        if (message.success) heard.push(message.data)
        else raw.push(bytes)
      },
    },
  })
  const app = Fastify().withTypeProvider<ZodTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(sendProblem)
  qontakWebhookRoutes(app as unknown as App, bridge)
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const webhookUrl = `${address}/webhooks/qontak/${SECRET}`
  cloud.webhooks.url = webhookUrl
  const stop = async () => {
    await bridge.close()
    await app.close()
  }
  onTestFinished(stop)

  const statesOf = (job: string) => statuses.filter(({ job_id }) => job_id === job)
  return {
    bridge,
    app,
    clock,
    hub,
    webhookUrl,
    /** What the hub was told, by kind. */
    heard,
    raw,
    statuses,
    statesOf,
    stop,
    hand: (job: OutboundMessage) => hand(job),
    job: (more: Partial<OutboundMessage> = {}): OutboundMessage => ({
      job_id: `job-${++jobs}`,
      to: { phone: PHONE },
      kind: 'text',
      body: `pesan ${jobs}`,
      expires_at: new Date(clock.now() + 3_600_000).toISOString(),
      ...more,
    }),
    until: (job: OutboundMessage, state: string): Promise<JobStatus> =>
      until(`${job.job_id} is ${state}`, () => statesOf(job.job_id).find((status) => status.state === state)),
  }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return null
  }
}
