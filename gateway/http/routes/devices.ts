/** `GET /api/v1/devices`: the provisioned devices, how they are, and what is missing of what they numbered. */
import { z } from 'zod'
import { parseDeviceId } from '../../contract/topics.ts'
import {
  type DeviceDoc,
  deviceKey,
  devicesIndex,
  type HealthDoc,
  healthKey,
  type SequenceDoc,
  sequenceKey,
} from '../../documents.ts'
import { countIn, gapsIn } from '../../sequences.ts'
import { SHARDS } from '../../store/keys.ts'
import { allow, BEARER, dealerAskedFor, READERS } from '../access.ts'
import { decodeIndexPlace, encodeIndexPlace, indexSource, pageOf, pageQuery, scan } from '../paging.ts'
import { problems } from '../problem.ts'
import type { App, HttpServices, ReadStore } from '../services.ts'

const health = z.object({
  at: z.string().nullable().describe('By the device’s own clock; null when it sent no time'),
  online: z.boolean(),
  uptime_s: z.number().optional(),
  firmware: z.string().optional(),
  queue_depth: z.number().int().optional().describe('Messages waiting in the device'),
  rssi_dbm: z.number().optional(),
})

const sequence = z
  .object({
    last: z.number().int().describe('The highest number seen'),
    missing: z.number().int().describe('How many numbers below it are missing'),
    gaps: z.array(z.tuple([z.number().int(), z.number().int()])).describe('From, to; both missing'),
  })
  .describe('The numbers (seq) of its sales that the ledger holds')

const device = z.object({
  id: z.string().describe('Its client id: {dealer}/{device}'),
  dealer: z.string(),
  device: z.string(),
  created_at: z.string(),
  connected: z.boolean().describe('To this hub, now'),
  health: health.nullable().describe('Its last report; null when it has sent none'),
  sequence: sequence.nullable().describe('Null when it does not number its sales'),
})

type Device = z.infer<typeof device>

export function devicesRoutes(app: App, store: ReadStore, { broker }: Pick<HttpServices, 'broker'>): void {
  async function describe(ids: readonly string[]): Promise<(Device | null)[]> {
    const docs = await store.read(ids.flatMap((id) => [deviceKey(id), healthKey(id), sequenceKey(id)]))
    return ids.map((id, i) => {
      const [known, health, sequence] = docs.slice(i * 3).map((doc) => doc?.value)
      if (!known) return null
      const { dealer, device, created_at } = known as DeviceDoc
      return {
        id,
        dealer,
        device,
        created_at,
        connected: broker.isConnected(id),
        health: (health as HealthDoc | undefined) ?? null,
        sequence: sequence ? describeSequence(sequence as SequenceDoc) : null,
      }
    })
  }

  app.get(
    '/api/v1/devices',
    {
      schema: {
        tags: ['devices'],
        summary: 'Devices, by name',
        description: 'A dealer’s token sees its own devices.',
        security: BEARER,
        querystring: z.strictObject({ ...pageQuery, dealer: z.string().min(1).max(64).optional() }),
        response: { 200: pageOf(device), ...problems(400, 401, 403) },
      },
      onRequest: allow(store, READERS),
    },
    async (request) => {
      const { after, limit } = request.query
      const dealer = dealerAskedFor(request, request.query.dealer)
      const isShown = (id: string) => dealer === null || parseDeviceId(id)?.dealer === dealer
      const source = indexSource(store, SHARDS.map(devicesIndex))
      const place = decodeIndexPlace('devices', after)
      const { items, next } = await scan(source, place, limit, async (members) => {
        const shown = members.map(({ member }) => member).filter(isShown)
        const described = new Map((await describe(shown)).map((item) => [item?.id, item]))
        return members.map(({ member }) => described.get(member) ?? null)
      })
      return { items, next: next && encodeIndexPlace('devices', next) }
    },
  )
}

function describeSequence({ seen }: SequenceDoc): Device['sequence'] {
  const last = seen.at(-1)
  if (last === undefined) return null
  const gaps = gapsIn(seen)
  return { last: last[1], missing: countIn(gaps), gaps }
}
