/**
 * The CRM of Qontak on handoff: a contact for the customer, a deal for the lead, and a note with what they want.
 *
 *   contact   one for each customer, whatever leads come of them
 *   deal      one for each lead, on that contact
 *   note      one for each lead, on both
 *
 * Qontak's CRM takes no id of ours as a key, so what was made is remembered (`QontakRecordDoc`), and before something is
 * asked for, that it is. A try that finds «asked, and no id» after a crash or a lost answer looks for it at Qontak first:
 * a contact among those made since then, by our customer id or the phone; a deal among those of its contact, by our
 * name for it. A note can't be looked for: it may stand there twice. So may a contact or deal that Qontak shows only
 * later than we look, and a contact that somebody made by hand: it is not looked for before the first try.
 */
import type { CrmEvent, CrmHandoff } from '../../contract/crm.ts'
import type { QontakRecordDoc } from '../../documents.ts'
import type { CrmResult, CrmTarget } from '../../effects/crm.ts'
import { type Fields, fieldsOf, listOf, textOf } from '../reading.ts'
import type { Answer, QontakClient } from './client.ts'

export interface QontakCrmOptions {
  readonly client: Pick<QontakClient, 'gateway'>
  /** `contact/{customer}`, `deal/{lead}`, `note/{lead}` → what is known of it. */
  readonly recall: (about: string) => Promise<QontakRecordDoc | null>
  readonly remember: (about: string, record: QontakRecordDoc) => Promise<void>
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** Pages of contacts looked through: those of two days, 25 or so a page. */
const PAGES_MAX = 40
const SETUP_QUIET_MS = 5 * 60_000
const BUSY_QUIET_MS = 30_000

/** A call that was not answered as it should: ends the delivery with this result. */
class Undone extends Error {
  readonly result: CrmResult
  constructor(result: CrmResult) {
    super(result.result)
    this.result = result
  }
}

export function createQontakCrm({ client, recall, remember, now = Date.now }: QontakCrmOptions): CrmTarget {
  /** Being made: two leads of one customer may be handed off at once. */
  const underWay = new Map<string, Promise<string>>()

  return {
    name: 'qontak',
    types: ['lead.handoff'],
    async deliver(id, event, signal) {
      if (event.type !== 'lead.handoff') return { result: 'refused', reason: 'no_handoff' }
      try {
        await handOff(id, event, signal)
        return { result: 'delivered' }
      } catch (error) {
        if (error instanceof Undone) return error.result
        throw error
      }
    },
  }

  async function handOff(id: string, { data }: CrmHandoff, signal: AbortSignal): Promise<void> {
    const call = (method: 'GET' | 'POST', path: string, body?: object) => ask(method, path, signal, body)
    // A lead without an id, or of a customer who was erased, is its entry's.
    const lead = data.lead ?? id
    const customer = data.customer?.id ?? `entry-${id}`
    const phone = data.customer?.phone ?? null
    const contact = await make(`contact/${customer}`, call, {
      path: '/qontak/crm/contacts',
      body: {
        first_name: data.customer?.name ?? phone ?? customer,
        ...(phone !== null && { telephone: phone }),
        customer_id: customer,
      },
      find: (sinceMs) => findContact(call, sinceMs, customer, phone),
    })
    const name = dealName(lead, data)
    const deal = await make(`deal/${lead}`, call, {
      path: '/qontak/crm/deals',
      body: { name, crm_lead_ids: [Number(contact)] },
      find: () => findDeal(call, contact, lead),
    })
    await make(`note/${lead}`, call, {
      path: '/qontak/crm/notes',
      body: {
        note: noteOf(lead, data),
        type: 'Crm::PersonNote',
        crm_person_id: Number(contact),
        crm_deal_id: Number(deal),
      },
      find: async () => null,
    })
  }

  interface Making {
    readonly path: string
    readonly body: object
    /** Its id, when Qontak has one that was made since then. */
    readonly find: (sinceMs: number) => Promise<string | null>
  }

  function make(about: string, call: Ask, making: Making): Promise<string> {
    const found = underWay.get(about)
    if (found !== undefined) return found
    const made = makeOnce(about, call, making).finally(() => underWay.delete(about))
    underWay.set(about, made)
    return made
  }

  async function makeOnce(about: string, call: Ask, { path, body, find }: Making): Promise<string> {
    const known = await recall(about)
    if (known !== null && known.id !== null) return known.id
    const askedMs = known?.asked_ms ?? now()
    const found = known === null ? null : await find(askedMs)
    if (known === null) await remember(about, { id: null, asked_ms: askedMs })
    const id = found ?? idOf(fieldsOf((await call('POST', path, body)).response).id)
    // It may be there: found the next time.
    if (id === null) throw new Undone({ result: 'retry', reason: 'no_id', quietMs: null })
    await remember(about, { id, asked_ms: askedMs })
    return id
  }

  async function ask(
    method: 'GET' | 'POST',
    path: string,
    signal: AbortSignal,
    body?: object,
  ): Promise<Fields> {
    const answer = await client.gateway({ method, path, ...(body && { body }) }, signal)
    if (answer.is === 'answer' && answer.status >= 200 && answer.status < 300) return answer.body
    throw new Undone(resultOf(answer))
  }
}

type Ask = (method: 'GET' | 'POST', path: string, body?: object) => Promise<Fields>

/** Two hubs' clocks may differ, and Qontak's days are in its own time zone: a day before is looked through as well. */
async function findContact(
  call: Ask,
  sinceMs: number,
  customer: string,
  phone: string | null,
): Promise<string | null> {
  const [year, month, day] = new Date(sinceMs - 86_400_000).toISOString().slice(0, 10).split('-')
  const digits = phone?.replace(/\D/g, '')
  for (let page = 1; page <= PAGES_MAX; page++) {
    const answer = await call(
      'GET',
      `/qontak/crm/contacts?created_after=${day}-${month}-${year}&page=${page}`,
    )
    const contacts = listOf(answer.response).map(fieldsOf)
    const found = contacts.find(
      ({ customer_id, telephone }) =>
        customer_id === customer || (digits && textOf(telephone)?.replace(/\D/g, '') === digits),
    )
    if (found !== undefined) return idOf(found.id)
    const { total_page: pages } = answer
    if (contacts.length === 0 || typeof pages !== 'number' || page >= pages) return null
  }
  return null
}

/** A contact has the ids of its deals and, in the same order, their names. */
async function findDeal(call: Ask, contact: string, lead: string): Promise<string | null> {
  const { response } = await call('GET', `/qontak/crm/contacts/${contact}`)
  // One contact; the reference's example shows a list.
  const one = Array.isArray(response)
    ? listOf(response)
        .map(fieldsOf)
        .find(({ id }) => idOf(id) === contact)
    : fieldsOf(response)
  const names = listOf(one?.crm_deal_name)
  const at = names.findIndex((name) => textOf(name)?.endsWith(mark(lead)) === true)
  return at === -1 ? null : idOf(listOf(one?.crm_deal_ids)[at])
}

function resultOf(answer: Answer): CrmResult {
  if (answer.is === 'failure') {
    return { result: 'retry', reason: answer.isNeverSent ? 'unreachable' : 'no_answer', quietMs: null }
  }
  const { status, retryAfterMs } = answer
  const reason = `http_${status}`
  if (status === 401 || status === 403) return { result: 'retry', reason, quietMs: SETUP_QUIET_MS }
  if (status === 429 || status === 503)
    return { result: 'retry', reason, quietMs: retryAfterMs ?? BUSY_QUIET_MS }
  if (status === 408 || status >= 500) return { result: 'retry', reason, quietMs: null }
  return { result: 'refused', reason }
}

type Handoff = Extract<CrmEvent, { type: 'lead.handoff' }>['data']

const mark = (lead: string): string => `[${lead}]`

/** For people first; the lead's id at its end is how it is found again. */
const dealName = (lead: string, { model, area }: Handoff): string =>
  [[model, area].filter(Boolean).join(', ') || 'Lead', mark(lead)].join(' ')

function noteOf(lead: string, data: Handoff): string {
  const rows: readonly (readonly [label: string, value: string | null | undefined])[] = [
    ['Lead', lead],
    ['Model', data.model],
    ['Area', data.area],
    ['Minat / intent', data.intent],
    ['Kapan / when', data.when],
    ['Kanal / channel', data.channel],
    ['Dealer', data.dealer && [data.dealer.name, data.dealer.id].filter(Boolean).join(', ')],
    ['Sales', data.rep && [data.rep.name, data.rep.phone].filter(Boolean).join(', ')],
    ['Diambil / claimed', data.claimed_at],
  ]
  return rows.flatMap(([label, value]) => (value ? [`${label}: ${value}`] : [])).join('\n')
}

/** Qontak's ids are numbers; kept as text. */
const idOf = (value: unknown): string | null =>
  typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : textOf(value)
