/**
 * What people read at `/` and Prometheus at `/metrics`: counts since the start, gauges of now, histograms of the intake's batches, and
 * what the process says of itself (`process_…`, `nodejs_…`, the event loop's lag among it). The parts of the hub count
 * for themselves; here it is only read.
 *
 * Names end in their unit, counters in `_total`.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** What the parts of the hub count, now and since its start; read anew at each look. */
export interface Figures {
  readonly broker: {
    readonly connections: number
    readonly received: number
    readonly acknowledged: number
    /** By reason. */
    readonly refused: ReadonlyMap<string, number>
  }
  readonly intake: {
    /** Messages taken in and not committed yet. */
    readonly pending: number
  }
  readonly receipts: {
    readonly delivered: number
    readonly inFlight: number
    /** Devices whose outbox is about to be read. */
    readonly sweepsWaiting: number
  }
  readonly messages: {
    /** To bridges, since the start. */
    readonly handedOver: number
  }
  /** What the bridges of this process have still to send, by bridge. */
  readonly queues: ReadonlyMap<string, { readonly waiting: number; readonly isStopped: boolean }>
  /** By target. */
  readonly crm: ReadonlyMap<
    string,
    { readonly delivered: number; readonly refused: number; readonly waiting: number }
  >
  /** Messages committed, by kind; `undecodable` ones are in quarantine. */
  readonly committed: ReadonlyMap<string, number>
  readonly projector: {
    /** Whether the last write to the metrics database succeeded. */
    readonly ok: boolean
    /** Whether this hub is the one that projects. */
    readonly holdsLease: boolean
    readonly caughtUpAtMs: number | null
    readonly entries: number
  }
}

/** As the intake reports a batch. */
export interface Batch {
  readonly messages: number
  readonly durationMs: number
  readonly committed: boolean
  readonly kinds: Readonly<Record<string, number>>
}

/** The parts, by what they count. */
export interface MonitoringSources {
  readonly broker: { readonly stats: Figures['broker'] }
  readonly intake: Figures['intake']
  readonly receipts: { readonly stats: Figures['receipts'] }
  readonly projector: { readonly state: Figures['projector'] }
  readonly messages: { readonly stats: Figures['messages'] }
  readonly bridges: { readonly queues: Figures['queues'] }
  readonly crm: { readonly state: Figures['crm'] }
}

export interface Monitoring {
  observeBatch(batch: Batch): void
  /** Fields of devices' messages that no schema knows. */
  countUnknownFields(count: number): void
  figures(): Figures
  /** In Prometheus' text format; its media type is `contentType`. */
  text(): Promise<string>
  readonly contentType: string
}

/** Seconds: from an idle SQLite on a fast disk to a store that is nearly given up. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const SIZE_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]

export function createMonitoring({
  broker,
  intake,
  receipts,
  projector,
  messages,
  bridges,
  crm,
}: MonitoringSources): Monitoring {
  const registry = new Registry()
  const registers = [registry]
  const committed = new Map<string, number>()
  const figures = (): Figures => ({
    broker: broker.stats,
    intake,
    committed,
    receipts: receipts.stats,
    projector: projector.state,
    messages: messages.stats,
    queues: bridges.queues,
    crm: crm.state,
  })
  collectDefaultMetrics({ register: registry })

  const counter = (name: string, help: string, read: (figures: Figures) => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(read(figures()))
      },
    })
  const counterBy = (
    label: string,
    name: string,
    help: string,
    read: (figures: Figures) => ReadonlyMap<string, number>,
  ) =>
    new Counter({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset()
        for (const [value, count] of read(figures())) this.inc({ [label]: value }, count)
      },
    })
  const gauge = (name: string, help: string, read: (figures: Figures) => number | null) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const value = read(figures())
        // What is not known has no sample; a zero would say that all is well.
        if (value === null) this.remove()
        else this.set(value)
      },
    })

  const gaugeBy = (
    label: string,
    name: string,
    help: string,
    read: (figures: Figures) => ReadonlyMap<string, number>,
  ) =>
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset()
        for (const [value, now] of read(figures())) this.set({ [label]: value }, now)
      },
    })

  gauge('hub_mqtt_connections', 'MQTT connections to this hub', ({ broker }) => broker.connections)
  counter(
    'hub_mqtt_messages_received_total',
    'Messages that clients published',
    ({ broker }) => broker.received,
  )
  counter(
    'hub_mqtt_messages_acknowledged_total',
    'Messages acknowledged, each after its commit',
    ({ broker }) => broker.acknowledged,
  )
  counterBy(
    'reason',
    'hub_mqtt_refused_total',
    'Connections, packets and subscriptions refused',
    ({ broker }) => broker.refused,
  )
  gauge(
    'hub_intake_messages_pending',
    'Messages taken in and not committed yet',
    ({ intake }) => intake.pending,
  )
  counterBy(
    'kind',
    'hub_intake_messages_total',
    'Messages committed; undecodable ones are in quarantine',
    (figures) => figures.committed,
  )
  const batchSize = new Histogram({
    name: 'hub_intake_batch_messages',
    help: 'Messages that were committed together',
    buckets: SIZE_BUCKETS,
    registers,
  })
  const batchDuration = new Histogram({
    name: 'hub_intake_batch_duration_seconds',
    help: 'From the first look at a batch to its acknowledgement',
    buckets: DURATION_BUCKETS,
    registers,
  })
  const batchesFailed = new Counter({
    name: 'hub_intake_batches_failed_total',
    help: 'Batches that could not be committed in time: their senders were dropped and send again',
    registers,
  })
  const unknownFields = new Counter({
    name: 'hub_intake_unknown_fields_total',
    help: 'Fields of messages that no schema knows; they were ignored',
    registers,
  })
  counter(
    'hub_receipts_delivered_total',
    'Receipts that their device acknowledged',
    ({ receipts }) => receipts.delivered,
  )
  gauge(
    'hub_receipts_in_flight',
    'Receipts sent and not acknowledged yet',
    ({ receipts }) => receipts.inFlight,
  )
  gauge(
    'hub_receipts_devices_waiting',
    'Devices whose outbox is about to be read',
    ({ receipts }) => receipts.sweepsWaiting,
  )
  gauge(
    'hub_projector_up',
    'Whether the last write to the metrics database succeeded; only on the hub that projects',
    ({ projector }) => (projector.holdsLease ? Number(projector.ok) : null),
  )
  gauge(
    'hub_projector_lag_seconds',
    'Age of the state of the ledger that the metrics database has; only on the hub that projects',
    ({ projector }) => lagSeconds(projector),
  )
  counter(
    'hub_projector_entries_total',
    'Entries of the ledger and the telemetry that this hub has projected',
    ({ projector }) => projector.entries,
  )

  counter(
    'hub_messages_handed_over_total',
    'Messages to people that a bridge has taken',
    ({ messages }) => messages.handedOver,
  )
  gaugeBy(
    'bridge',
    'hub_bridge_messages_waiting',
    'Messages that a bridge of this process has still to send',
    ({ queues }) => mapValues(queues, ({ waiting }) => waiting),
  )
  gaugeBy(
    'bridge',
    'hub_bridge_stopped',
    'Whether a bridge has stopped sending until somebody puts it right (token, billing, policy)',
    ({ queues }) => mapValues(queues, ({ isStopped }) => Number(isStopped)),
  )
  counterBy('target', 'hub_crm_delivered_total', 'Events that a CRM has taken', ({ crm }) =>
    mapValues(crm, ({ delivered }) => delivered),
  )
  counterBy('target', 'hub_crm_refused_total', 'Events that a CRM refused for good', ({ crm }) =>
    mapValues(crm, ({ refused }) => refused),
  )
  gaugeBy('target', 'hub_crm_waiting', 'Events that a CRM is still to be told of', ({ crm }) =>
    mapValues(crm, ({ waiting }) => waiting),
  )

  return {
    observeBatch(batch) {
      if (!batch.committed) {
        batchesFailed.inc()
        return
      }
      batchSize.observe(batch.messages)
      batchDuration.observe(batch.durationMs / 1000)
      for (const [kind, count] of Object.entries(batch.kinds)) {
        if (count > 0) committed.set(kind, (committed.get(kind) ?? 0) + count)
      }
    },
    countUnknownFields: (count) => unknownFields.inc(count),
    figures,
    contentType: registry.contentType,
    text: () => registry.metrics(),
  }
}

const mapValues = <Value>(
  map: ReadonlyMap<string, Value>,
  read: (value: Value) => number,
): ReadonlyMap<string, number> => new Map([...map].map(([name, value]) => [name, read(value)]))

/** How far the metrics are behind the ledger; null when this hub is not the one that projects, or has just begun. */
export function lagSeconds({ holdsLease, caughtUpAtMs }: Figures['projector']): number | null {
  return holdsLease && caughtUpAtMs !== null ? Math.max(0, (Date.now() - caughtUpAtMs) / 1000) : null
}
