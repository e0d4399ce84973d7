/**
 * Vehicle status and device health: to the telemetry stream, and into the last-known document of the unit. They come
 * in volume and decide nothing; the business ledger stays clear of them.
 */
import type { Health, Status } from '../contract/events.ts'
import type { HealthEntry, StatusEntry } from '../contract/ledger.ts'
import { type DeviceName, deviceId } from '../contract/topics.ts'
import { type HealthDoc, healthKey, type VehicleDoc, vehicleKey } from '../documents.ts'
import { shardOf } from '../store/keys.ts'
import type { Json } from '../store/store.ts'
import { type Decider, type Decision, type Docs, NOTHING } from './decision.ts'

/** A unit resends what was not acknowledged: a handful of messages, never hundreds. */
const RECENT_EVENTS = 32

export interface StatusReport {
  readonly name: DeviceName
  readonly event: Status
}

export const statusDecider: Decider<StatusReport> = {
  reads: ({ event }) => [vehicleKey(event.serial)],
  decide: decideStatus,
}

/** An older report than the last one is kept in the stream, but does not move the vehicle back. */
function decideStatus({ name, event }: StatusReport, docs: Docs): Decision {
  const key = vehicleKey(event.serial)
  const last = docs.get<VehicleDoc>(key)
  const recent = last?.value.recent ?? []
  if (recent.includes(event.event_id)) return NOTHING
  const entry: StatusEntry = { ...event, dealer: name.dealer, device: name.device }
  const { serial: _, ...now } = entry
  const state = last === null || event.at >= last.value.at ? now : last.value
  const doc: VehicleDoc = { ...state, recent: [...recent, event.event_id].slice(-RECENT_EVENTS) }
  return {
    proposals: [
      {
        shard: shardOf(event.serial),
        check: [{ key, version: last?.version ?? 0 }],
        set: [{ key, value: doc as unknown as Json }],
        append: [{ stream: 'telemetry', type: 'vehicle.status', data: entry }],
      },
    ],
    receipt: null,
  }
}

export interface HealthReport {
  readonly name: DeviceName
  readonly event: Health
}

export const healthDecider: Decider<HealthReport> = {
  reads: ({ name }) => [healthKey(deviceId(name))],
  decide: decideHealth,
}

/** The latest to arrive counts, whatever its clock says: a will was written long before it is sent. */
function decideHealth({ name, event }: HealthReport, docs: Docs): Decision {
  const id = deviceId(name)
  const key = healthKey(id)
  const doc: HealthDoc = { ...event, at: event.at ?? null }
  const entry: HealthEntry = { ...doc, dealer: name.dealer, device: name.device }
  return {
    proposals: [
      {
        shard: shardOf(id),
        check: [{ key, version: docs.get(key)?.version ?? 0 }],
        set: [{ key, value: doc as unknown as Json }],
        append: [{ stream: 'telemetry', type: 'device.health', data: entry }],
      },
    ],
    receipt: null,
  }
}
