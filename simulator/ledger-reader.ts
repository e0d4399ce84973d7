/**
 * The hub's ledger, as an outsider reads it: page by page over HTTP, or from a file of `hub ledger export`.
 */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { type Entry, parseEntryId } from '../gateway/contract/ledger.ts'

export type LedgerEntry = Pick<Entry, 'entry' | 'at' | 'type' | 'data'>

export interface LedgerSource {
  /** `http://127.0.0.1:8080` */
  readonly httpUrl: string
  /** An API token with role admin or analyst. */
  readonly token: string
}

const entrySchema = z.object({
  entry: z.string().refine((id) => parseEntryId(id) !== null, { error: 'expected the id of a ledger entry' }),
  at: z.string(),
  type: z.string(),
  data: z.record(z.string(), z.unknown()),
})

const pageSchema = z.object({ items: z.array(entrySchema), next: z.string().nullable() })

const PAGE_ENTRIES = 1000
const TRIES_MAX = 8
const RETRY_MS = 500
const TIMEOUT_MS = 30_000

/**
 * @param after a cursor of an earlier page; null: from the beginning
 * @yields pages; `cursor` is where to go on from, now or later
 * @throws when the hub does not answer, refuses, or answers something else
 */
export async function* readLedger(
  source: LedgerSource,
  after: string | null,
): AsyncGenerator<{ entries: LedgerEntry[]; cursor: string | null }, void> {
  let cursor = after
  for (;;) {
    const url = new URL('/api/v1/ledger', source.httpUrl)
    url.searchParams.set('limit', String(PAGE_ENTRIES))
    if (cursor !== null) url.searchParams.set('after', cursor)
    const page = pageSchema.safeParse(await getJson(url, source.token))
    if (!page.success) throw new Error(`GET ${url}: ${z.prettifyError(page.error)}`)
    const { items, next } = page.data
    cursor = next ?? cursor
    yield { entries: items, cursor }
    if (next === null) return
  }
}

/** @throws when the file cannot be read, or a line is no entry */
export async function* readLedgerFile(path: string): AsyncGenerator<LedgerEntry, void> {
  const input = createReadStream(path)
  await once(input, 'open')
  let line = 0
  for await (const text of createInterface({ input })) {
    line++
    const entry = entrySchema.safeParse(parseJson(text))
    if (!entry.success) throw new Error(`${path}, line ${line}: ${z.prettifyError(entry.error)}`)
    yield entry.data
  }
}

/** A hub that has just started, or limits its callers, is asked again. */
async function getJson(url: URL, token: string): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    const answer = await attemptGet(url, token)
    if ('body' in answer) return answer.body
    if (attempt === TRIES_MAX) throw answer.failure
    await wait(answer.waitMs)
  }
}

async function attemptGet(
  url: URL,
  token: string,
): Promise<{ body: unknown } | { failure: Error; waitMs: number }> {
  let response: Response
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    response = await fetch(url, { headers: { authorization: `Bearer ${token}` }, signal })
  } catch (cause) {
    return { failure: new Error(`GET ${url} failed`, { cause }), waitMs: RETRY_MS }
  }
  if (response.ok) return { body: await response.json() }
  const failure = new Error(`GET ${url} answered ${response.status}: ${await response.text()}`)
  if (response.status !== 429 && response.status !== 503) throw failure
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return { failure, waitMs: Number.isFinite(seconds) ? seconds * 1000 : RETRY_MS }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
