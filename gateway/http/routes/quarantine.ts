/** `/api/v1/quarantine`: what could not be decoded, and once more through the door. */
import { z } from 'zod'
import { fieldError } from '../../contract/receipts.ts'
import { parseDeviceId } from '../../contract/topics.ts'
import { type QuarantineDoc, quarantineIndex, quarantineKey } from '../../documents.ts'
import { type QuarantineItem, readQuarantine } from '../../quarantine.ts'
import { SHARDS } from '../../store/keys.ts'
import { allow, BEARER, type Caller, callerOf, READERS } from '../access.ts'
import { decodeIndexPlace, encodeIndexPlace, indexSource, pageOf, pageQuery, scan } from '../paging.ts'
import { Problem, problems, unavailable } from '../problem.ts'
import type { App, HttpServices, ReadStore } from '../services.ts'

const STATES = ['waiting', 'replayed'] as const

const item = z.object({
  id: z.string(),
  topic: z.string(),
  sender: z.string().describe('{dealer}/{device}, or the client id of a person or program'),
  received_at: z.string(),
  bytes: z.number().int().describe('Length of what was sent'),
  errors: z.array(fieldError).describe('Why it could not be decoded'),
  state: z.enum(STATES),
  replayed_at: z.string().optional(),
})

const itemWithPayload = item.extend({
  payload_base64: z.string().describe('What was sent, byte by byte'),
  text: z.string().describe('The same for reading: as UTF-8, what is not UTF-8 replaced'),
})

const params = z.object({ id: z.string().min(1).max(64) })

/** Raw bytes may carry a customer's phone number, which analysts have no business with. */
const PAYLOAD_READERS = ['admin', 'manager', 'dealer'] as const

export function quarantineRoutes(app: App, store: ReadStore, { replay }: Pick<HttpServices, 'replay'>): void {
  app.get(
    '/api/v1/quarantine',
    {
      schema: {
        tags: ['quarantine'],
        summary: 'What could not be decoded, oldest first',
        description: 'Without the bytes. A dealer’s token sees what its own devices sent.',
        security: BEARER,
        querystring: z.strictObject({ ...pageQuery, state: z.enum(STATES).optional() }),
        response: { 200: pageOf(item), ...problems(400, 401, 403) },
      },
      onRequest: allow(store, READERS),
    },
    async (request) => {
      const { after, limit, state } = request.query
      const caller = callerOf(request)
      const source = indexSource(store, SHARDS.map(quarantineIndex))
      const place = decodeIndexPlace('quarantine', after)
      const { items, next } = await scan(source, place, limit, async (members) => {
        const docs = await store.read(members.map(({ member }) => quarantineKey(member)))
        return members.map(({ member }, i) => {
          const doc = (docs[i]?.value ?? null) as QuarantineDoc | null
          const isShown = doc && isOwn(caller, doc) && (state === undefined || doc.state === state)
          return isShown ? summarise({ id: member, ...doc }) : null
        })
      })
      return { items, next: next && encodeIndexPlace('quarantine', next) }
    },
  )

  app.get(
    '/api/v1/quarantine/:id',
    {
      schema: {
        tags: ['quarantine'],
        summary: 'One of them, with its bytes',
        security: BEARER,
        params,
        response: { 200: itemWithPayload, ...problems(400, 401, 403, 404) },
      },
      onRequest: allow(store, PAYLOAD_READERS),
    },
    async (request) => {
      const found = await readQuarantine(store, request.params.id)
      if (found === null || !isOwn(callerOf(request), found)) throw notFound(request.params.id)
      const text = Buffer.from(found.payload_base64, 'base64').toString()
      return { ...summarise(found), payload_base64: found.payload_base64, text }
    },
  )

  app.post(
    '/api/v1/quarantine/:id/replay',
    {
      schema: {
        tags: ['quarantine'],
        summary: 'Once more through the door',
        description:
          'As if its sender had sent it again. Repeating it is harmless: an event that was taken in is known.',
        security: BEARER,
        params,
        response: {
          200: z.object({ id: z.string(), result: z.literal('taken_in') }),
          ...problems(400, 401, 403, 404, 422),
        },
      },
      onRequest: allow(store, ['admin']),
    },
    async (request) => {
      const { id } = request.params
      const result = await replay(id).catch((cause: unknown) => {
        throw unavailable('It could not be committed now; try again', cause)
      })
      if (result.result === 'unknown') throw notFound(id)
      if (result.result === 'still_undecodable') {
        throw new Problem(422, `${id} still cannot be decoded`, { errors: result.errors })
      }
      return { id, result: result.result }
    },
  )
}

const isOwn = ({ dealer }: Caller, { sender }: QuarantineDoc): boolean =>
  dealer === null || parseDeviceId(sender)?.dealer === dealer

const notFound = (id: string) => new Problem(404, `There is no ${id} in quarantine`)

function summarise({ payload_base64, ...rest }: QuarantineItem): z.infer<typeof item> {
  return { ...rest, bytes: Buffer.byteLength(payload_base64, 'base64') }
}
