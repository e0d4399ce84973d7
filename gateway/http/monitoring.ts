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

export function createMonitoring({ broker, intake, receipts, projector }: MonitoringSources): Monitoring {
  const registry = new Registry()
  const registers = [registry]
  const committed = new Map<string, number>()
  const figures = (): Figures => ({
    broker: broker.stats,
    intake,
    committed,
    receipts: receipts.stats,
    projector: projector.state,
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

/** How far the metrics are behind the ledger; null when this hub is not the one that projects, or has just begun. */
export function lagSeconds({ holdsLease, caughtUpAtMs }: Figures['projector']): number | null {
  return holdsLease && caughtUpAtMs !== null ? Math.max(0, (Date.now() - caughtUpAtMs) / 1000) : null
}
