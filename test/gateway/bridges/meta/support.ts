/** A hub's broker, the bridge, its webhook over HTTP, and the server that plays Meta: all real, on loopback. */
import { onTestFinished } from 'vitest'
import type { MetaBridge } from '../../../../gateway/bridges/meta/meta.ts'
import {
  type InboundMessage,
  inbound,
  type JobStatus,
  jobStatus,
  type OutboundMessage,
} from '../../../../gateway/contract/bridge.ts'
import type { App } from '../../../../gateway/http/services.ts'
import {
  type MetaCloud,
  type MetaCloudOptions,
  startMetaCloud,
} from '../../../../simulator/whatsapp/meta-cloud.ts'
import { openBroker } from '../../../broker/support.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { until } from '../../../support/until.ts'
import { SETTINGS, startBridge } from './start-bridge.ts'

export const OUTBOUND = 'hub/v1/bridge/meta/outbound'

/** What a hub makes of what a bridge publishes, without a ledger. */
export interface TestHub {
  readonly port: number
  readonly inbound: InboundMessage[]
  readonly statuses: JobStatus[]
  /** For quarantine. */
  readonly undecodable: Buffer[]
  /** While true, nothing is acknowledged and connections are dropped. */
  isAway: boolean
  /** `job-1 sent`, `job-2 131047`, … in the order they came. */
  states(): string[]
  /** Hands a job over, once the bridge listens. */
  handOver(job: OutboundMessage): Promise<string>
}

export async function openHub(): Promise<TestHub> {
  const hub = {
    inbound: [] as InboundMessage[],
    statuses: [] as JobStatus[],
    undecodable: [] as Buffer[],
    isAway: false,
  }
  const { broker, port } = await openBroker({
    accept: async ({ topic, payload }) => {
      if (hub.isAway) throw new Error('store away')
      const bytes = Buffer.from(payload)
      let value: unknown
      try {
        value = JSON.parse(bytes.toString())
      } catch {
        value = null
      }
      const isStatus = topic.endsWith('/status')
      const message = isStatus ? jobStatus.safeParse(value) : inbound.safeParse(value)
      if (!message.success) hub.undecodable.push(bytes)
      else if (isStatus) hub.statuses.push(message.data as JobStatus)
      else hub.inbound.push(message.data as InboundMessage)
    },
  })
  return Object.assign(hub, {
    port,
    states: () => hub.statuses.map(({ job_id, state, error }) => `${job_id} ${error?.code ?? state}`),
    handOver: (job: OutboundMessage) =>
      until('the bridge takes the job', async () => {
        const outcome = await broker.deliver(OUTBOUND, JSON.stringify(job))
        return outcome === 'delivered' && outcome
      }),
  })
}

/** All of it, closed when the test is finished. */
export async function openMeta(options: Partial<MetaCloudOptions> & { timeoutMs?: number } = {}): Promise<{
  hub: TestHub
  cloud: MetaCloud
  clock: FakeClock
  bridge: MetaBridge
  app: App
  url: string
  job(id: string, more?: Partial<OutboundMessage>): OutboundMessage
}> {
  const clock = new FakeClock()
  const hub = await openHub()
  const cloud = await startMetaCloud({
    ...SETTINGS,
    now: clock.now,
    webhookRetryDelayMs: () => 20,
    ...options,
  })
  const { bridge, app, url, close } = await startBridge(hub.port, cloud.url, {
    clock,
    timeoutMs: options.timeoutMs ?? 5000,
  })
  onTestFinished(async () => {
    await cloud.close()
    await close()
  })
  cloud.sendWebhooksTo(url)
  const job = (id: string, more: Partial<OutboundMessage> = {}): OutboundMessage => ({
    job_id: id,
    to: { phone: '+6281200000001' },
    kind: 'text',
    body: 'halo',
    expires_at: new Date(clock.now() + 3_600_000).toISOString(),
    ...more,
  })
  return { hub, cloud, clock, bridge, app, url, job }
}
