/**
 * A telematics unit in a vehicle: reports its state, and keeps the reports it could not send. Nobody answers it; a
 * report is done at its PUBACK.
 */
import { type DeviceOptions, SimulatedDevice } from './device.ts'

export class SimulatedVehicle extends SimulatedDevice {
  constructor(options: DeviceOptions) {
    super(options, { firmware: 'tcu-1.9.0', uplink: 'status', subscriptions: [], onMessage: () => {} })
  }
}
