/**
 * What devices say (CONTRACT, «Payloads»): one zod schema per kind of event. Types, validation, `asyncapi.yaml`
 * and the simulator's generators all come from these. Unknown fields are ignored, and counted by the decoder.
 */
import { z } from 'zod'

/** Bytes: what a device, and what a bridge, may send in one message. */
export const DEVICE_PAYLOAD_BYTES_MAX = 64 * 1024
export const BRIDGE_PAYLOAD_BYTES_MAX = 1024 * 1024

export const CHANNELS = [
  'tiktok',
  'google_search',
  'walk_in',
  'meta_ads',
  'event',
  'referral',
  'other',
] as const

export type Channel = (typeof CHANNELS)[number]

export const eventId = z
  .string()
  .min(1)
  .max(64)
  .describe('Made and kept by the sender; sent again unchanged until a receipt arrives')

/** UTC or with an offset; the hub stores UTC. */
export const instant = z.iso.datetime({ offset: true }).describe('Instant, ISO 8601 with zone')

/** ISO 4217 code. Amounts on the wire are whole units of it (rupiah, not sen). */
const currency = z.string().regex(/^[A-Z]{3}$/, 'expected an ISO 4217 code such as IDR')

const unitsMax = 1_000_000_000_000

export const sale = z
  .object({
    event_id: eventId,
    serial: z.string().min(1).max(64).describe('Serial number of the vehicle; SERIAL_PATTERN decides'),
    model: z.string().min(1).max(64),
    price: z.number().int().min(0).max(unitsMax).describe('Price paid, in whole units of the currency'),
    currency,
    sold_at: instant,
    channel: z.enum(CHANNELS).optional(),
    lead_id: z.string().min(1).max(64).optional(),
    customer_phone: z.string().min(4).max(32).optional(),
    seq: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  })
  .describe('A vehicle was sold at a terminal')

export const status = z
  .object({
    event_id: eventId,
    serial: z.string().min(1).max(64),
    at: instant,
    odometer_km: z.number().min(0).max(10_000_000),
    battery_pct: z.number().min(0).max(100),
    lat: z.number().min(-90).max(90),
    lon: z.number().min(-180).max(180),
    state: z.enum(['parked', 'riding', 'charging', 'fault']),
    fault_code: z.string().min(1).max(64).optional(),
  })
  .describe('Where a vehicle is and how it is')

export const health = z
  .object({
    at: instant.optional(),
    online: z.boolean(),
    uptime_s: z.number().min(0).optional(),
    firmware: z.string().max(64).optional(),
    queue_depth: z.number().int().min(0).optional().describe('Messages waiting in the device'),
    rssi_dbm: z.number().min(-200).max(50).optional().describe('Received signal strength, dBm'),
  })
  .describe('How a device is; also its will message, with online false')

export type Sale = z.infer<typeof sale>
export type Status = z.infer<typeof status>
export type Health = z.infer<typeof health>

/** The schema of each uplink; a device's topic ends in the key. */
export const deviceEvents = { sale, status, health } as const
