/**
 * A Feishu or Lark Base by the official SDK, and what the SDK leaves to its user: time-outs, errors that come with HTTP
 * 200, and trying again. What may be repeated is repeated until it is answered, or ATTEMPTS_MAX times; anything else
 * only when it was surely not done.
 *
 *   base    a document with tables; the app must be one of its editors
 *   table   known by its id (`tbl…`); its name is unique in the base
 *   field   a column; records name it by the name that people see
 */
import { Client, type HttpInstance, LoggerLevel } from '@larksuiteoapi/node-sdk'
import axios, { isAxiosError } from 'axios'

export interface FeishuAccess {
  readonly appId: string
  readonly appSecret: string
  /** Of the Base, from its address: `…/base/<token>`. */
  readonly baseToken: string
  /** `https://open.feishu.cn` or `https://open.larksuite.com`. */
  readonly apiUrl: string
}

/** Types of fields, as the API numbers them. */
export const FIELD_TYPES = { text: 1, number: 2, date: 5 } as const
export type FieldType = keyof typeof FIELD_TYPES

export interface Field {
  readonly name: string
  /** The API's number. */
  readonly type: number
}

/** By field name: dates in milliseconds since 1970; null empties a cell. */
export type Fields = Readonly<Record<string, string | number | null>>

export interface FeishuBase {
  /** Ids by name. */
  tables(): Promise<ReadonlyMap<string, string>>
  /** The first field identifies a record for people. @returns the table's id */
  createTable(name: string, fields: readonly Field[]): Promise<string>
  fields(table: string): Promise<Field[]>
  addField(table: string, field: Field): Promise<void>
  /** Every record: its id, and what a text field of it says. */
  texts(table: string, field: string): AsyncGenerator<{ readonly id: string; readonly text: string }>
  /** At most RECORDS_MAX, all or none. @param token a repeat with it does nothing more */
  createRecords(table: string, token: string, records: readonly Fields[]): Promise<void>
  updateRecords(
    table: string,
    records: readonly { readonly id: string; readonly fields: Fields }[],
  ): Promise<void>
}

/** Of one call. */
export const RECORDS_MAX = 1000
const SEARCH_PAGE = 500
const LIST_PAGE = 100

const TIMEOUT_MS = 30_000
const ANSWER_BYTES_MAX = 16 * 1024 * 1024
const ATTEMPTS_MAX = 8
const RETRY_FIRST_MS = 500
const RETRY_MAX_MS = 30_000

/** Refused, and nothing was done: another write to this table is under way; too many calls. */
const WRITE_CONFLICT = 1254291
const TOO_MANY_CALLS = 99991400

export class FeishuError extends Error {
  /** Feishu's own, null: there was no answer that has one. */
  readonly code: number | null
  constructor(message: string, code: number | null, cause?: unknown) {
    super(message, { cause })
    this.name = 'FeishuError'
    this.code = code
  }
}

export interface FeishuOptions {
  readonly timeoutMs?: number
  /** Resolves after so many milliseconds. */
  readonly wait: (ms: number) => Promise<void>
  readonly onRetry?: (reason: string, waitMs: number) => void
}

/** No call is made yet. */
export function openFeishuBase(
  { appId, appSecret, baseToken: app_token, apiUrl }: FeishuAccess,
  { timeoutMs = TIMEOUT_MS, wait, onRetry = () => {} }: FeishuOptions,
): FeishuBase {
  const http = axios.create({
    timeout: timeoutMs,
    maxContentLength: ANSWER_BYTES_MAX,
    maxRedirects: 0,
    // What the SDK's own instance does: its callers want bodies.
  })
  http.interceptors.response.use((response) => response.data)
  const client = new Client({
    appId,
    appSecret,
    domain: apiUrl,
    httpInstance: http as unknown as HttpInstance,
    // It would print whole requests; what went wrong is thrown.
    logger: SILENT,
    loggerLevel: LoggerLevel.fatal,
  })
  const { appTable, appTableField, appTableRecord } = client.bitable.v1

  interface Answer<Data> {
    code?: number
    msg?: string
    data?: Data
  }

  /** @param isRepeatable doing it twice is doing it once */
  async function call<Data>(
    what: string,
    isRepeatable: boolean,
    ask: () => Promise<Answer<Data> | null>,
  ): Promise<Data> {
    for (let attempt = 1; ; attempt++) {
      const failure = await ask().then(
        (answer) => (answer?.code === 0 ? { data: answer.data as Data } : failureOf(what, answer)),
        (error: unknown) => failureOfThrown(what, error),
      )
      if ('data' in failure) return failure.data
      const mayRepeat = failure.is === 'not_done' || (failure.is === 'unknown' && isRepeatable)
      if (!mayRepeat || attempt === ATTEMPTS_MAX) throw failure.error
      const waitMs = Math.min(RETRY_FIRST_MS * 2 ** (attempt - 1), RETRY_MAX_MS)
      onRetry(failure.error.message, waitMs)
      await wait(waitMs)
    }
  }

  interface Page<Item> {
    items?: Item[]
    has_more?: boolean
    page_token?: string
  }

  async function* pages<Item>(
    what: string,
    ask: (page_token: string | undefined) => Promise<Answer<Page<Item>>>,
  ): AsyncGenerator<Item> {
    let token: string | undefined
    do {
      const page: Page<Item> = await call(what, true, () => ask(token))
      yield* page.items ?? []
      token = page.has_more ? page.page_token : undefined
    } while (token)
  }

  const withPage = (page_size: number, page_token: string | undefined) => ({
    page_size,
    ...(page_token && { page_token }),
  })

  return {
    async tables() {
      const found = new Map<string, string>()
      const list = pages('list the tables of the Base', (token) =>
        appTable.list({ path: { app_token }, params: withPage(LIST_PAGE, token) }),
      )
      for await (const { name, table_id } of list) if (name && table_id) found.set(name, table_id)
      return found
    },
    async createTable(name, fields) {
      const data = { table: { name, fields: fields.map(fieldData) } }
      const { table_id } = await call(`create the table ${name}`, false, () =>
        appTable.create({ path: { app_token }, data }),
      )
      if (!table_id) throw new FeishuError(`Feishu created the table ${name} and gave it no id`, null)
      return table_id
    },
    async fields(table_id) {
      const found: Field[] = []
      const list = pages('list the fields of the table', (token) =>
        appTableField.list({ path: { app_token, table_id }, params: withPage(LIST_PAGE, token) }),
      )
      for await (const { field_name, type } of list) found.push({ name: field_name, type })
      return found
    },
    async addField(table_id, field) {
      await call(`add the field ${field.name}`, false, () =>
        appTableField.create({ path: { app_token, table_id }, data: fieldData(field) }),
      )
    },
    async *texts(table_id, field) {
      const list = pages('read which records there are', (token) =>
        appTableRecord.search({
          path: { app_token, table_id },
          params: withPage(SEARCH_PAGE, token),
          data: { field_names: [field] },
        }),
      )
      for await (const { record_id, fields } of list) {
        if (record_id) yield { id: record_id, text: textOf(fields[field]) }
      }
    },
    async createRecords(table_id, client_token, records) {
      const data = { records: records.map((fields) => ({ fields: filled(fields) })) }
      await call('create records', true, () =>
        appTableRecord.batchCreate({ path: { app_token, table_id }, params: { client_token }, data }),
      )
    },
    async updateRecords(table_id, records) {
      // The SDK's types know no null, the API does: it empties a cell.
      const data = {
        records: records.map(({ id: record_id, fields }) => ({
          record_id,
          fields: fields as Record<string, string | number>,
        })),
      }
      await call('update records', true, () =>
        appTableRecord.batchUpdate({ path: { app_token, table_id }, data }),
      )
    },
  }
}

type Failure = { readonly is: 'refused' | 'not_done' | 'unknown'; readonly error: FeishuError }

function failureOf(what: string, answer: { code?: number; msg?: string } | null): Failure {
  const { code = null, msg = 'no code' } = answer ?? {}
  const is = code === WRITE_CONFLICT || code === TOO_MANY_CALLS ? 'not_done' : 'refused'
  return { is, error: new FeishuError(`Feishu did not ${what}: ${msg} (code ${code})`, code) }
}

function failureOfThrown(what: string, error: unknown): Failure {
  const response = isAxiosError(error) ? error.response : undefined
  const answer = response?.data as { code?: unknown; msg?: unknown } | undefined
  // Not the error itself: it carries the request, and with it the token.
  const status = response === undefined ? '' : `HTTP ${response.status}, `
  const reason =
    typeof answer?.msg === 'string'
      ? `${answer.msg} (code ${answer.code})`
      : error instanceof Error
        ? error.message
        : String(error)
  const code = typeof answer?.code === 'number' ? answer.code : null
  const failure = new FeishuError(`Feishu did not ${what}: ${status}${reason}`, code)
  if (code === WRITE_CONFLICT || code === TOO_MANY_CALLS || response?.status === 429) {
    return { is: 'not_done', error: failure }
  }
  const isAnswered = response !== undefined && response.status < 500
  return { is: isAnswered || !isAxiosError(error) ? 'refused' : 'unknown', error: failure }
}

const fieldData = ({ name, type }: Field) => ({ field_name: name, type })

const filled = (fields: Fields): Record<string, string | number> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)) as Record<
    string,
    string | number
  >

/** A text comes as it is, or in segments: `[{ text, type: 'text' }]`. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return ''
  return value.map((segment) => (typeof segment?.text === 'string' ? segment.text : '')).join('')
}

const SILENT = { error() {}, warn() {}, info() {}, debug() {}, trace() {} }
