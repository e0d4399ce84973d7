/**
 * Vehicle status and device health: to the telemetry stream, and into the last-known document of the unit. They come
 * in volume and decide nothing; the business ledger stays clear of them.
 */
import type { Health, Status } from '../contract/events.ts'
import type { HealthEntry, StatusEntry } from '../contract/ledger.ts'
import { type DeviceName, deviceId } from '../contract/topics.ts'
import { type HealthDoc, healthKey, type VehicleDoc, vehicleKey } from '../documents.ts'
import { shardOfKey } from '../store/keys.ts'
import type { Json } from '../store/store.ts'
import { type Decider, type Decision, type Docs, type Keys, NOTHING } from './decision.ts'

/** A unit resends what was not acknowledged: a handful of messages, never hundreds. */
const RECENT_EVENTS = 32

export interface StatusReport {
  readonly name: DeviceName
  readonly event: Status
}

export const statusDecider: Decider<StatusReport, 'vehicle'> = {
  keys: ({ event }) => ({ vehicle: vehicleKey(event.serial) }),
  reads: ['vehicle'],
  readsAgain: ['vehicle'],
  decide: decideStatus,
}

/** An older report than the last one is kept in the stream, but does not move the vehicle back. */
function decideStatus(
  { name, event }: StatusReport,
  docs: Docs<'vehicle'>,
  { vehicle: key }: Keys<'vehicle'>,
): Decision {
  const version = docs.vehicle?.version ?? 0
  const last = docs.vehicle?.value as VehicleDoc | undefined
  const recent = last?.recent ?? []
  if (recent.includes(event.event_id)) return NOTHING
  const entry: StatusEntry = { ...event, dealer: name.dealer, device: name.device }
  const { serial: _, ...now } = entry
  const state = last === undefined || event.at >= last.at ? now : last
  const doc: VehicleDoc = { ...state, recent: [...recent, event.event_id].slice(-RECENT_EVENTS) }
  return {
    proposals: [
      {
        shard: shardOfKey(key),
        check: [{ key, version }],
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

export const healthDecider: Decider<HealthReport, 'health'> = {
  keys: ({ name }) => ({ health: healthKey(deviceId(name)) }),
  reads: ['health'],
  readsAgain: ['health'],
  decide: decideHealth,
}

/** The latest to arrive counts, whatever its clock says: a will was written long before it is sent. */
function decideHealth(
  { name, event }: HealthReport,
  docs: Docs<'health'>,
  { health: key }: Keys<'health'>,
): Decision {
  const doc: HealthDoc = { ...event, at: event.at ?? null }
  const entry: HealthEntry = { ...doc, dealer: name.dealer, device: name.device }
  return {
    proposals: [
      {
        shard: shardOfKey(key),
        check: [{ key, version: docs.health?.version ?? 0 }],
        set: [{ key, value: doc as unknown as Json }],
        append: [{ stream: 'telemetry', type: 'device.health', data: entry }],
      },
    ],
    receipt: null,
  }
}
