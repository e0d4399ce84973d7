/**
 * A Feishu Base on this machine, with the limits that its reference states: a tenant token for everything, 1,000 records a
 * call, 500 a page, one write at a time per table, `client_token` that makes a repeat harmless, 50 calls a second of each
 * kind, batches that are done as a whole or not at all. Refusals come with HTTP 200 and a code, as Feishu's do, those of
 * tokens and rates with HTTP 400. Faults are scripted.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'

export interface BaseRecord {
  readonly id: string
  fields: Record<string, unknown>
}

export interface BaseTable {
  readonly id: string
  readonly name: string
  readonly fields: { field_name: string; type: number }[]
  readonly records: Map<string, BaseRecord>
}

export type FeishuFault =
  /** Answered so, and nothing is done. */
  | { readonly kind: 'answer'; readonly status: number; readonly body: object | string }
  /** Done, and the connection breaks before the answer; or it never comes. */
  | { readonly kind: 'reset_after' }
  | { readonly kind: 'silent_after' }
  | { readonly kind: 'reset_before' }

export interface LocalFeishu extends AsyncDisposable {
  readonly url: string
  readonly appId: string
  readonly appSecret: string
  readonly baseToken: string
  readonly tables: Map<string, BaseTable>
  /** Calls by `METHOD …/last part`, with the code answered. */
  readonly calls: {
    readonly call: string
    readonly code: number
    readonly token: string | null
    readonly records: number
  }[]
  /** How often a write came while another to the same table was under way. */
  readonly conflicts: number
  /** The next calls whose name contains `call`, in turn. */
  fail(call: string, ...faults: FeishuFault[]): void
  /** Before a write is done: another may come meanwhile. */
  onWrite: () => Promise<void>
}

type Answer = {
  readonly status?: number
  readonly code: number
  readonly msg?: string
  readonly data?: object
}
type Body = Record<string, unknown>

const RECORDS_MAX = 1000
const PAGE_MAX = 500
const CALLS_PER_SECOND = 50
const TEXT = 1
const NUMBER = 2
const DATE = 5
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

export async function startFeishu({ now = Date.now }: { now?: () => number } = {}): Promise<LocalFeishu> {
  // The SDK keeps tokens by app for a whole process.
  const appId = `cli_${randomUUID()}`
  const appSecret = randomUUID()
  const baseToken = `bas${randomUUID().slice(0, 8)}`
  const bearer = `t-${randomUUID()}`
  const tables = new Map<string, BaseTable>()
  const calls: LocalFeishu['calls'] = []
  const faults: { call: string; fault: FeishuFault }[] = []
  const writing = new Set<string>()
  const answered = new Map<string, Answer>()
  const windows = new Map<string, { second: number; calls: number }>()
  let ids = 0
  let conflicts = 0

  function tooMany(call: string): boolean {
    const second = Math.floor(now() / 1000)
    const window = windows.get(call)
    if (window?.second !== second) {
      windows.set(call, { second, calls: 1 })
      return false
    }
    return ++window.calls > CALLS_PER_SECOND
  }

  async function answer(request: IncomingMessage, url: URL, body: Body): Promise<Answer> {
    const path = url.pathname
    if (path === '/open-apis/auth/v3/tenant_access_token/internal') {
      const isApp = body.app_id === appId && body.app_secret === appSecret
      return isApp
        ? { code: 0, data: { tenant_access_token: bearer, expire: 7200 } }
        : refusal(10014, 'app secret invalid')
    }
    if (request.headers.authorization !== `Bearer ${bearer}`) {
      return { ...refusal(99991663, 'Invalid access token'), status: 400 }
    }
    const call = callOf(request, url)
    if (tooMany(call)) return { ...refusal(99991400, 'request trigger frequency limit'), status: 400 }
    const [, base, , tableId, kind, verb] = path.replace('/open-apis/bitable/v1/', '').split('/')
    if (base !== baseToken) return refusal(91402, 'NOTEXIST')
    if (tableId === undefined) {
      if (request.method === 'GET')
        return listed(
          [...tables.values()].map(({ id, name }) => ({ table_id: id, name })),
          url,
          100,
        )
      return createTable(body.table as { name: string; fields?: BaseTable['fields'] })
    }
    const table = tables.get(tableId)
    if (table === undefined) return refusal(1254041, 'TableIdNotFound')
    if (kind === 'fields' && request.method === 'GET') return listed(table.fields, url, 100)
    if (verb === 'search') return search(table, url, body)
    return write(table, url, () => (kind === 'fields' ? addField(table, body) : change(table, verb, body)))
  }

  function createTable({ name, fields = [] }: { name: string; fields?: BaseTable['fields'] }): Answer {
    if ([...tables.values()].some((table) => table.name === name))
      return refusal(1254013, 'TableNameDuplicated')
    const id = `tbl${++ids}`
    tables.set(id, { id, name, fields: [...fields], records: new Map() })
    return { code: 0, data: { table_id: id } }
  }

  function addField(table: BaseTable, { field_name, type }: Body): Answer {
    if (table.fields.some((field) => field.field_name === field_name))
      return refusal(1254014, 'FieldNameDuplicated')
    table.fields.push({ field_name: field_name as string, type: type as number })
    return { code: 0, data: { field: { field_name, type } } }
  }

  function search(table: BaseTable, url: URL, { field_names }: Body): Answer {
    if (Number(url.searchParams.get('page_size') ?? 20) > PAGE_MAX)
      return refusal(99992402, 'page_size is too large')
    const isText = new Set(
      table.fields.filter(({ type }) => type === TEXT).map(({ field_name }) => field_name),
    )
    const items = [...table.records.values()].map(({ id, fields }) => ({
      record_id: id,
      fields: Object.fromEntries(
        Object.entries(fields)
          .filter(([name]) => !Array.isArray(field_names) || field_names.includes(name))
          .map(([name, value]) => [name, isText.has(name) ? [{ text: value, type: 'text' }] : value]),
      ),
    }))
    return listed(items, url, PAGE_MAX)
  }

  /** One at a time per table; a token that was answered is answered the same, and nothing is done. */
  async function write(table: BaseTable, url: URL, apply: () => Answer): Promise<Answer> {
    const token = url.searchParams.get('client_token')
    if (token !== null && !UUID_V4.test(token)) return refusal(99992402, 'client_token is no uuid v4')
    const known = token === null ? undefined : answered.get(`${table.id} ${token}`)
    if (known !== undefined) return known
    if (writing.has(table.id)) {
      conflicts++
      return refusal(1254291, 'Write conflict')
    }
    writing.add(table.id)
    try {
      await local.onWrite()
      const done = apply()
      if (token !== null && done.code === 0) answered.set(`${table.id} ${token}`, done)
      return done
    } finally {
      writing.delete(table.id)
    }
  }

  function change(table: BaseTable, verb: string | undefined, body: Body): Answer {
    const records = body.records as { record_id?: string; fields: Record<string, unknown> }[]
    if (records.length > RECORDS_MAX) return refusal(1254104, 'RecordAddOnceExceedLimit')
    for (const { record_id, fields } of records) {
      if (verb === 'batch_update' && !table.records.has(record_id as string))
        return refusal(1254043, 'RecordIdNotFound')
      const wrong = wrongField(table, fields)
      if (wrong !== null) return wrong
    }
    const items = records.map(({ record_id, fields }) => {
      const id = record_id ?? `rec${++ids}`
      const merged = { ...table.records.get(id)?.fields, ...fields }
      const record = {
        id,
        fields: Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null)),
      }
      table.records.set(id, record)
      return { record_id: id, fields }
    })
    return { code: 0, data: { records: items } }
  }

  const server = createServer((request, response) => void serve(request, response))
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url as string, 'http://feishu')
    const body = JSON.parse((await readText(request)) || '{}') as Body
    const call = callOf(request, url)
    const due = faults.findIndex((fault) => call.includes(fault.call))
    const fault = due < 0 ? null : (faults.splice(due, 1)[0]?.fault ?? null)
    if (fault?.kind === 'reset_before') return void request.socket.destroy()
    if (fault?.kind === 'answer') {
      response.writeHead(fault.status, { 'content-type': 'application/json' })
      return void response.end(typeof fault.body === 'string' ? fault.body : JSON.stringify(fault.body))
    }
    const { status = 200, code, msg = 'success', data } = await answer(request, url, body)
    const records = Array.isArray(body.records) ? body.records.length : 0
    calls.push({ call, code, token: url.searchParams.get('client_token'), records })
    if (fault?.kind === 'reset_after') return void request.socket.destroy()
    if (fault?.kind === 'silent_after') return
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
    // The token's answer has its fields beside the code, all others below data.
    const isToken = call.endsWith('internal')
    response.end(JSON.stringify(isToken ? { code, msg, ...data } : { code, msg, data: data ?? {} }))
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const local: LocalFeishu = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    appId,
    appSecret,
    baseToken,
    tables,
    calls,
    get conflicts() {
      return conflicts
    },
    fail(call, ...wanted) {
      faults.push(...wanted.map((fault) => ({ call, fault })))
    },
    onWrite: () => wait(0),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return local
}

const refusal = (code: number, msg: string): Answer => ({ code, msg })

const callOf = (request: IncomingMessage, url: URL): string =>
  `${request.method} ${url.pathname.split('/').slice(-2).join('/')}`

function listed(items: readonly object[], url: URL, sizeMax: number): Answer {
  const size = Math.min(Number(url.searchParams.get('page_size') ?? 20), sizeMax)
  const start = Number(url.searchParams.get('page_token') ?? 0)
  const end = start + size
  const has_more = end < items.length
  return {
    code: 0,
    data: {
      items: items.slice(start, end),
      has_more,
      total: items.length,
      ...(has_more && { page_token: String(end) }),
    },
  }
}

function wrongField(table: BaseTable, fields: Record<string, unknown>): Answer | null {
  for (const [name, value] of Object.entries(fields)) {
    const field = table.fields.find(({ field_name }) => field_name === name)
    if (field === undefined) return refusal(1254045, 'FieldNameNotFound')
    if (value === null) continue
    if (field.type === TEXT && typeof value !== 'string') return refusal(1254060, 'TextFieldConvFail')
    if (field.type === NUMBER && typeof value !== 'number') return refusal(1254061, 'NumberFieldConvFail')
    // Milliseconds, not seconds: before 2001 there was no business.
    if (field.type === DATE && !(Number.isInteger(value) && (value as number) > 978_307_200_000)) {
      return refusal(1254064, 'DatetimeFieldConvFail')
    }
  }
  return null
}
