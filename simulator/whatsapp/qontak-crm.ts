/** The CRM behind the Mekari gateway, as far as a handoff needs it: contacts, deals and notes, in memory. */
import { randomUUID } from 'node:crypto'

export interface CrmContact {
  readonly id: number
  readonly first_name: string
  readonly telephone: string | null
  readonly customer_id: string | null
  readonly created_at: string
  readonly crm_deal_ids: number[]
  readonly crm_deal_name: string[]
}
export interface CrmDeal {
  readonly id: number
  readonly name: string
  readonly crm_lead_ids: readonly number[]
}
export interface CrmNote {
  readonly id: number
  readonly note: string
  readonly crm_person_id: number | null
  readonly crm_deal_id: number | null
}

export interface QontakCrm {
  readonly contacts: readonly CrmContact[]
  readonly deals: readonly CrmDeal[]
  readonly notes: readonly CrmNote[]
  /** A call below `/qontak/crm`. */
  call(method: string, url: URL, body: Readonly<Record<string, unknown>>): { status: number; body: object }
}

const PAGE = 25

export function createCrm(now: () => number): QontakCrm {
  const contacts: CrmContact[] = []
  const deals: CrmDeal[] = []
  const notes: CrmNote[] = []
  let last = 0

  const reply = (status: number, response: unknown, message: string, paging: object = {}) => ({
    status,
    body: {
      meta: {
        status,
        type: status === 200 ? 'OK' : 'ERROR',
        error_code: status === 200 ? null : String(status),
        developer_message: message,
        message,
        timestamp: new Date(now()).toISOString(),
        log_id: randomUUID(),
      },
      response,
      ...paging,
    },
  })
  const ok = (response: unknown, paging?: object) => reply(200, response, 'Success', paging)
  const invalid = (what: string) => reply(422, null, what)
  const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
  const byId = (id: unknown) => contacts.find((contact) => contact.id === Number(id))

  return {
    contacts,
    deals,
    notes,
    call(method, { pathname, searchParams }, body) {
      const [, kind, id] = /^\/qontak\/crm\/(\w+)(?:\/(\d+))?$/.exec(pathname) ?? []
      switch (`${method} ${kind}`) {
        case 'GET contacts': {
          if (id !== undefined) {
            const found = byId(id)
            return found ? ok(found) : reply(404, null, 'Not found')
          }
          // DD-MM-YYYY
          const [day, month, year] = (searchParams.get('created_after') ?? '01-01-1970').split('-')
          const after = Date.parse(`${year}-${month}-${day}T00:00:00Z`)
          const page = Number(searchParams.get('page') ?? 1)
          const found = contacts.filter(({ created_at }) => Date.parse(created_at) >= after)
          return ok(found.slice((page - 1) * PAGE, page * PAGE), {
            page,
            total_page: Math.max(1, Math.ceil(found.length / PAGE)),
            total_data: found.length,
          })
        }
        case 'POST contacts': {
          if (!isText(body.first_name)) return invalid('first_name is required')
          const contact: CrmContact = {
            id: ++last,
            first_name: body.first_name,
            telephone: isText(body.telephone) ? body.telephone : null,
            customer_id: isText(body.customer_id) ? body.customer_id : null,
            created_at: new Date(now()).toISOString(),
            crm_deal_ids: [],
            crm_deal_name: [],
          }
          contacts.push(contact)
          return ok(contact)
        }
        case 'POST deals': {
          if (!isText(body.name)) return invalid('name is required')
          const ids = Array.isArray(body.crm_lead_ids) ? body.crm_lead_ids.map(Number) : []
          if (ids.some((one) => byId(one) === undefined)) return invalid('crm_lead_ids is invalid')
          const deal: CrmDeal = { id: ++last, name: body.name, crm_lead_ids: ids }
          deals.push(deal)
          for (const one of ids) {
            byId(one)?.crm_deal_ids.push(deal.id)
            byId(one)?.crm_deal_name.push(deal.name)
          }
          return ok(deal)
        }
        case 'POST notes': {
          if (!isText(body.note)) return invalid('note is required')
          if (body.type !== 'Crm::PersonNote') return invalid('type is invalid')
          if (byId(body.crm_person_id) === undefined) return invalid('crm_person_id is invalid')
          const note: CrmNote = {
            id: ++last,
            note: body.note,
            crm_person_id: Number(body.crm_person_id),
            crm_deal_id: body.crm_deal_id === undefined ? null : Number(body.crm_deal_id),
          }
          notes.push(note)
          return ok(note)
        }
        default:
          return reply(404, null, 'Not found')
      }
    },
  }
}
