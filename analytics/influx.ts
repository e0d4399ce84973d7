/**
 * Metrics in InfluxDB 1.x, 2.x or 3, by what all of them speak: line protocol in, InfluxQL over `/query` out.
 *
 *            1.x                    2.x                    3
 *   write    /write?db=             /api/v2/write          /api/v2/write
 *   query    /query?db=             /query?db= (the bucket's own mapping, or one the operator made)
 *   create   CREATE DATABASE        by the operator        by the first write
 *   forget   DROP MEASUREMENT       DROP MEASUREMENT       DELETE /api/v3/configure/table
 *
 * Requests go through the official client's transport, one batch and one attempt at a time. Its `WriteApi` on top of
 * that is left aside: it keeps lines for later, drops the oldest of them when there are too many, and counts every
 * line's bytes, which costs more than to make the lines; whereas here the projector repeats a batch until it is
 * answered, and batches are its own.
 *
 * The checkpoint is a measurement beside the others. It is appended, never overwritten (InfluxDB 3 does not say which
 * of two writes of one point wins), with a time that always rises; the newest one of the highest generation counts.
 * It may lag behind the points: what was written after it is written once more, which changes nothing. What changes a
 * month is marked beside it (`influx-months.ts`).
 */
import { type Headers, HttpError, InfluxDB, escape as lineProtocol } from '@influxdata/influxdb-client'
import { type DayRange, dayIn, type Span, spansOf } from './business-days.ts'
import { CHANGES, createInfluxMonths, partsOf } from './influx-months.ts'
import { lineOf } from './line-protocol.ts'
import { designOf, type Measurement, measurementsOf } from './measurements.ts'
import {
  answer,
  type Checkpoint,
  checkQuestion,
  conditionsOf,
  EMPTY,
  entriesOf,
  type Group,
  type Metrics,
  MetricsError,
  type Question,
} from './metrics.ts'

/** Shorter than the ten seconds in which a hub that is told to stop must have ended. */
const TIMEOUT_MS = 8000
/** A crash repeats at most what was written in this time; a save is a request of its own. */
const CHECKPOINT_INTERVAL_MS = 10_000
const CHECKPOINTS = 'hub_checkpoint'

export interface InfluxMetricsOptions {
  /** `http://host:port` or `https://…` */
  readonly url: string
  /** API token, or `user:password` for 1.x; null without authentication. */
  readonly token: string | null
  /** Organisation (2.x). */
  readonly org: string | null
  /** Bucket or database. */
  readonly bucket: string
  /** Of business days. */
  readonly timezone: string
}

/** What `hub_checkpoint` holds; `resetting`: a reset was asked for and not carried out yet. */
interface KeptCheckpoint extends Checkpoint {
  readonly resetting?: true
}

/** Connects with the first call: a server that is away now is no reason not to start. */
export function openInfluxMetrics({ url, token, org, bucket, timezone }: InfluxMetricsOptions): Metrics {
  const { host } = new URL(url)
  const { transport } = new InfluxDB({
    url,
    headers: token === null ? {} : { authorization: authorization(token) },
  })

  let version: Promise<number> | null = null
  let savedAtMs = Number.NEGATIVE_INFINITY
  let unsaved: Checkpoint | null = null
  /** Of the newest checkpoint in the database, whoever wrote it. */
  let newestMs = 0

  /** One request. @throws MetricsError when there is no answer in time, or one that does not say yes. */
  async function request(
    doing: string,
    path: string,
    { method = 'POST', body = '', contentType = 'text/plain; charset=utf-8' } = {},
  ): Promise<{ answered: unknown; headers: Headers }> {
    // The client's own timeout ends the wait and leaves the request open, which adds up over a long outage; and
    // AbortSignal.timeout() would keep each batch in memory until its time is over.
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), TIMEOUT_MS)
    let headers: Headers = {}
    let status = 0
    try {
      const answered: unknown = await transport.request(
        path,
        body,
        {
          method,
          headers: { 'content-type': contentType, accept: 'application/json' },
          signal: deadline.signal,
        },
        (responseHeaders, statusCode = 0) => {
          headers = responseHeaders
          status = statusCode
        },
      )
      // With 201 InfluxDB 3 may say that it took a part of the batch.
      if (status === 201) throw new HttpError(201, 'a part of the batch was refused')
      return { answered, headers }
    } catch (cause) {
      version = null
      throw failed(doing, host, deadline.signal.aborted ? new NoAnswer() : (cause as Error))
    } finally {
      clearTimeout(timer)
    }
  }

  /** The server's major version, asked once and again after each failure: servers get replaced. */
  function majorVersion(): Promise<number> {
    version ??= request('ping', '/ping', { method: 'GET' }).then(({ headers }) => {
      const digits = /^v?(\d+)\./.exec(String(headers['x-influxdb-version']))
      // What does not name itself is a later product.
      return digits === null ? 2 : Number(digits[1])
    })
    return version
  }

  /** All series of an InfluxQL query, one array per statement; null when there is no such database. */
  async function query(statements: string): Promise<Series[][] | null> {
    const path = `/query?db=${encodeURIComponent(bucket)}&epoch=ms`
    const body = String(new URLSearchParams({ q: statements }))
    try {
      const { answered } = await request('query', path, { body, contentType: FORM })
      const { results } = answered as { results: { series?: Series[]; error?: string }[] }
      return results.map(({ series = [], error }) => {
        if (error !== undefined) throw failed('query', host, new Error(error))
        return series
      })
    } catch (error) {
      if (/database not found/i.test((error as Error).message)) return null
      throw error
    }
  }

  async function send(lines: string): Promise<void> {
    const isVersion1 = (await majorVersion()) === 1
    const place = new URLSearchParams(
      isVersion1 ? { db: bucket } : { org: org ?? '', bucket, precision: 'ns' },
    )
    try {
      await request('write', `${isVersion1 ? '/write' : '/api/v2/write'}?${place}`, { body: lines })
    } catch (error) {
      if (!isBeyondRetention(error)) throw error
    }
  }

  async function save(checkpoint: KeptCheckpoint): Promise<void> {
    const timeMs = Math.max(Date.now(), newestMs + 1)
    const state = lineProtocol.quoted(JSON.stringify(checkpoint))
    await send(`${CHECKPOINTS},generation=${checkpoint.generation} state=${state} ${timeMs}000000`)
    newestMs = timeMs
    savedAtMs = performance.now()
    unsaved = null
  }

  /** The newest checkpoint of the highest generation. */
  async function load(): Promise<KeptCheckpoint> {
    const found = await query(
      `SELECT "state" FROM "${CHECKPOINTS}" GROUP BY "generation" ORDER BY time DESC LIMIT 1`,
    )
    if (found === null && (await majorVersion()) === 1) await query(`CREATE DATABASE ${quoteName(bucket)}`)
    const kept = (found ?? []).flat().map(({ values }) => {
      const [timeMs, state] = values[0] as [number, string]
      return { timeMs, checkpoint: JSON.parse(state) as KeptCheckpoint }
    })
    const loadedMs = Math.max(0, ...kept.map(({ timeMs }) => timeMs))
    const newest = kept.reduce<KeptCheckpoint>(
      (best, { checkpoint }) => (checkpoint.generation >= best.generation ? checkpoint : best),
      EMPTY,
    )
    const isUntouched = loadedMs === newestMs
    // Nobody saved another one, and the database is the same: what was written since the last save is in it.
    if (isUntouched && unsaved?.generation === newest.generation) return unsaved
    unsaved = null
    if (!isUntouched) {
      newestMs = loadedMs
      // So that the database says with the next write that it is this one.
      savedAtMs = Number.NEGATIVE_INFINITY
    }
    return newest
  }

  async function forgetLedger(): Promise<void> {
    const measurements: readonly string[] = measurementsOf('ledger')
    if ((await majorVersion()) < 3) {
      await query([...measurements, CHANGES].map((name) => `DROP MEASUREMENT ${quoteName(name)}`).join('; '))
      return
    }
    for (const name of measurements) {
      const table = new URLSearchParams({ db: bucket, table: name })
      try {
        await request('delete a table', `/api/v3/configure/table?${table}`, { method: 'DELETE' })
      } catch (error) {
        if (refusal(error)?.statusCode !== 404) throw error
      }
    }
  }

  /** Groups of one part of a range, summed up from the points. */
  async function sumUp(question: Question<Measurement, string>, part: DayRange & { month?: string }) {
    const spans = spansOf(part, timezone)
    const found = await query(spans.map((span) => selectOf(question, span)).join('; '))
    return (found ?? []).flatMap((series, index) =>
      series.flatMap((one) => groupsOf(question, one, { ...(spans[index] as Span), month: part.month })),
    )
  }

  const months = createInfluxMonths({
    timezone,
    readGroups: (question) => sumUp(question, question),
    async readTokens(measurement) {
      const found = await query(
        `SELECT LAST("token") FROM "${CHANGES}" WHERE "measurement" = ${quoteText(measurement)} GROUP BY "month"`,
      )
      return new Map(
        (found ?? []).flat().map(({ tags, values }) => [tags?.month ?? '', values[0]?.[1] as string]),
      )
    },
  })

  return {
    async checkpoint() {
      const { resetting, ...checkpoint } = await load()
      if (resetting) {
        await forgetLedger()
        await save(checkpoint)
      }
      return checkpoint
    },
    async write(points, checkpoint) {
      if (points.length > 0) await send(points.map(lineOf).join('\n'))
      const marks = (await majorVersion()) < 3 ? months.marksFor(points) : []
      if (marks.length > 0) await send(marks.join('\n'))
      if (performance.now() - savedAtMs >= CHECKPOINT_INTERVAL_MS) await save(checkpoint)
      else unsaved = checkpoint
    },
    async reset() {
      const { generation } = await load()
      await save({ ...EMPTY, generation: generation + 1, resetting: true })
    },
    async totals(question) {
      checkQuestion(question)
      const { whole, others } = partsOf(question, timezone, (await majorVersion()) < 3)
      const groups: Group[] = whole.length === 0 ? [] : await months.totals(question, whole)
      // One request each: a year of many series takes longer than a request may.
      for (const part of others) groups.push(...(await sumUp(question, part)))
      return answer(question, groups)
    },
    async entriesBehind(question, limit) {
      checkQuestion(question)
      const spans = spansOf(question, timezone)
      const found = await query(spans.map((span) => selectEntries(question, span, limit + 1)).join('; '))
      const entries = (found ?? []).flat().flatMap(({ values }) => values.map(([, entry]) => entry as string))
      return entriesOf(entries, limit)
    },
    async ping() {
      await request('ping', '/ping', { method: 'GET' })
    },
    async close() {
      // Best effort: without it the next hub merely repeats what was written since the last save.
      if (unsaved !== null) await save(unsaved).catch(() => {})
    },
  }
}

// — requests —

const authorization = (token: string): string =>
  token.includes(':') ? `Basic ${Buffer.from(token).toString('base64')}` : `Token ${token}`

class NoAnswer extends Error {
  constructor() {
    super(`no answer in ${TIMEOUT_MS / 1000} s`)
  }
}

const FORM = 'application/x-www-form-urlencoded'

function refusal(error: unknown): HttpError | null {
  return error instanceof MetricsError && error.cause instanceof HttpError ? error.cause : null
}

/** Points older than the operator wants to keep are not kept; all others of the batch were. */
function isBeyondRetention(error: unknown): boolean {
  const said = String(refusal(error)?.body)
  return /partial write/i.test(said) && /(beyond|outside) retention policy/i.test(said)
}

const HINTS: Readonly<Record<number, string>> = {
  401: ' (check INFLUX_TOKEN)',
  403: ' (check what INFLUX_TOKEN may do)',
  404: ' (check INFLUX_BUCKET and INFLUX_ORG)',
}

function failed(doing: string, host: string, cause: Error): MetricsError {
  if (!(cause instanceof HttpError)) {
    // A connection refused by each of several addresses has a code and no message.
    const reason = cause.message || (cause as NodeJS.ErrnoException).code
    return new MetricsError(`InfluxDB at ${host} did not ${doing}: ${reason}`, { cause })
  }
  const reason = `${cause.statusCode} ${said(cause)}${HINTS[cause.statusCode] ?? ''}`
  const retryAfter = String(cause.headers?.['retry-after'])
  return new MetricsError(`InfluxDB at ${host} did not ${doing}: ${reason}`, {
    cause,
    // In seconds; a date, which it might also be, no InfluxDB sends.
    retryAfterMs: /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : null,
  })
}

/** What an answer says: 1.x and 3 under `error`, 2.x under `message`. */
function said({ body, json, statusMessage }: HttpError): string {
  const { error, message } = (json ?? {}) as { error?: string; message?: string }
  return message ?? error ?? body ?? statusMessage ?? ''
}

// — InfluxQL —

interface Series {
  readonly tags?: Readonly<Record<string, string>>
  readonly columns: readonly string[]
  readonly values: readonly (readonly unknown[])[]
}

const quoteName = (name: string): string => `"${name.replace(/["\\]/g, '\\$&')}"`
const quoteText = (text: string): string => `'${text.replace(/['\\]/g, '\\$&')}'`

interface MonthSpan extends Span {
  /** InfluxQL has no months: each is asked for by itself. */
  readonly month: string | undefined
}

/** What a point must be to be among those asked for. */
function conditionOf(question: Question<Measurement, string>, span: Span): string {
  const { knownAt, knownAfter } = question
  const conditions = conditionsOf(question).map(([tag, values]) =>
    values.length === 0
      ? // Nothing is one of no values.
        `${quoteName(tag)} = ''`
      : `(${values.map((value) => `${quoteName(tag)} = ${quoteText(value)}`).join(' OR ')})`,
  )
  return [
    `time >= ${span.startMs}ms`,
    `time < ${span.endMs}ms`,
    ...conditions,
    ...(knownAt === undefined ? [] : [`"known_at" <= ${knownAt}`]),
    ...(knownAfter === undefined ? [] : [`"known_at" > ${knownAfter}`]),
  ].join(' AND ')
}

const selectEntries = (question: Question<Measurement, string>, span: Span, limit: number): string =>
  `SELECT "entry" FROM ${quoteName(question.measurement)} WHERE ${conditionOf(question, span)} ORDER BY time LIMIT ${limit}`

function selectOf(question: Question<Measurement, string>, span: Span): string {
  const { measurement } = question
  const by = question.by.filter((name) => name !== 'month')
  const sums = designOf(measurement).sums.map((name) => `SUM(${quoteName(name)}) AS ${quoteName(name)}`)
  const groups = by.map((name) => (name === 'day' ? `time(1d, ${-span.offsetMs}ms)` : quoteName(name)))
  const groupBy = groups.length > 0 ? ` GROUP BY ${groups.join(', ')}` : ''
  // fill() is only for groups by time, and only there would empty groups come.
  const fill = by.includes('day') ? ' fill(none)' : ''
  return `SELECT ${sums.join(', ')} FROM ${quoteName(measurement)} WHERE ${conditionOf(question, span)}${groupBy}${fill}`
}

function groupsOf({ measurement, by }: Question<Measurement, string>, series: Series, span: MonthSpan) {
  const { sums } = designOf(measurement)
  const columns = sums.map((name) => series.columns.indexOf(name))
  const nameIn = (name: string, timeMs: number): string => {
    if (name === 'day') return dayIn(span, timeMs)
    return (name === 'month' ? span.month : series.tags?.[name]) ?? ''
  }
  return series.values.map((row) => ({
    by: Object.fromEntries(by.map((name) => [name, nameIn(name, row[0] as number)])),
    sums: Object.fromEntries(
      sums.map((name, index) => [name, (row[columns[index] as number] ?? 0) as number]),
    ),
  }))
}
