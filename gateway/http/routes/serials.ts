/** `GET /api/v1/serials/{serial}`: all that is known of one vehicle. */
import { z } from 'zod'
import {
  attemptsIndex,
  type ReferenceDoc,
  type RegistrationRow,
  referenceKey,
  registrationKey,
  serialKey,
  type VehicleDoc,
  type Versioned,
  vehicleKey,
  visibleRow,
} from '../../documents.ts'
import { allow, BEARER, callerOf, READERS } from '../access.ts'
import { decodeIndexPlace, encodeIndexPlace, indexSource, pageOf, pageQuery, scan } from '../paging.ts'
import { Problem, problems } from '../problem.ts'
import type { App, ReadStore } from '../services.ts'
import { type SaleItem, saleItem, saleOf } from './sales.ts'

/** Each is an entry to be read by itself. */
const ATTEMPTS_MAX = 100

const registration = z.object({
  model: z.string(),
  dealer_id: z.string().nullable().describe('The dealer it is allotted to; null: any'),
  produced_on: z.string().nullable(),
  attributes: z.record(z.string(), z.string()).optional(),
})

const vehicle = z.object({
  dealer: z.string(),
  device: z.string(),
  at: z.string().describe('By the vehicle’s own clock'),
  state: z.string(),
  fault_code: z.string().optional(),
  odometer_km: z.number(),
  battery_pct: z.number(),
  lat: z.number(),
  lon: z.number(),
})

const history = z.object({
  serial: z.string(),
  registration: registration.nullable().describe('Its row in the corporate registration ledger'),
  sale: saleItem.nullable().describe('The sale that registered it'),
  attempts: pageOf(saleItem).describe('Later attempts to sell it, oldest first'),
  vehicle: vehicle.nullable().describe('The last status it reported'),
})

export function serialsRoutes(app: App, store: ReadStore): void {
  app.get(
    '/api/v1/serials/:serial',
    {
      schema: {
        tags: ['serials'],
        summary: 'One serial’s whole history',
        description:
          'A dealer’s token sees what concerns its own dealer: its allotment, its sale, its attempts, its vehicle.',
        security: BEARER,
        params: z.object({ serial: z.string().min(1).max(64) }),
        querystring: z.strictObject({
          after: pageQuery.after.describe('Cursor into attempts'),
          limit: z.coerce
            .number()
            .int()
            .min(1)
            .max(ATTEMPTS_MAX)
            .default(50)
            .describe('Attempts at the most'),
        }),
        response: { 200: history, ...problems(400, 401, 403, 404) },
      },
      onRequest: allow(store, READERS),
    },
    async (request) => {
      const { serial } = request.params
      const { after, limit } = request.query
      const { dealer } = callerOf(request)
      const isShown = (owner: string | null) => dealer === null || owner === null || owner === dealer
      const readShownSale = async (id: string): Promise<SaleItem | null> => {
        const entry = await store.entry('ledger', id)
        const sale = entry && saleOf(entry)
        return sale && isShown(sale.dealer) ? sale : null
      }

      const place = decodeIndexPlace('attempts', after)
      const [[rows, reference, holder, last], attempts] = await Promise.all([
        store.read([registrationKey(serial), referenceKey('serials'), serialKey(serial), vehicleKey(serial)]),
        scan(indexSource(store, [attemptsIndex(serial)]), place, limit, (members) =>
          Promise.all(members.map(({ member }) => readShownSale(member))),
        ),
      ])
      const row = visibleRow(
        rows?.value as Versioned<RegistrationRow> | undefined,
        reference?.value as ReferenceDoc | undefined,
      )
      const status = (last?.value ?? null) as VehicleDoc | null
      const registration = row && isShown(row.dealer_id) ? row : null
      const sale = holder?.entry ? await readShownSale(holder.entry) : null
      const vehicle = status && isShown(status.dealer) ? status : null
      const isKnown = registration !== null || sale !== null || vehicle !== null || attempts.items.length > 0
      // Behind the last attempt there is nothing, of a serial that is known all the same.
      if (!isKnown && after === undefined) throw new Problem(404, `Nothing is known of serial ${serial}`)
      const next = attempts.next && encodeIndexPlace('attempts', attempts.next)
      return { serial, registration, sale, attempts: { items: attempts.items, next }, vehicle }
    },
  )
}
