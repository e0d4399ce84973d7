/**
 * The thread that owns the embedded metrics' file: one table per measurement, a point in each row, the point's
 * identity (its series and its time) as the key; and their sums by month beside them (`sqlite-months.ts`). The tables
 * follow `measurements.ts`; since all is made from the ledger, there are no migrations: `DESIGN` rises and they are made
 * again.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { workerData } from 'piscina'
import { DAY_MS, type DayRange, dayIn, monthsOf, type Span, spansOf } from './business-days.ts'
import { ALL_MEASUREMENTS, designOf, type Measurement, measurementsOf, type Point } from './measurements.ts'
import { type Checkpoint, conditionsOf, EMPTY, type Question } from './metrics.ts'
import { hasMonths, monthsTable, openMonths } from './sqlite-months.ts'

const { file, timezone } = workerData as { file: string; timezone: string }
const prepared = new Map<string, StatementSync>()
const db = open()
const months = openMonths(db, sql, timezone)
keepZone()

function open(): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 5000 })
  // NORMAL: a power cut may take the last transactions, facts and checkpoint alike, and the ledger gives them again.
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -65536;
    CREATE TABLE IF NOT EXISTS checkpoint (only INTEGER PRIMARY KEY CHECK (only = 1), state TEXT NOT NULL) STRICT;
  `)
  for (const measurement of ALL_MEASUREMENTS) database.exec(tableOf(measurement))
  return database
}

/** Months begin with the time zone's midnights: when the setting has changed, their sums are made again. */
function keepZone(): void {
  const kept = sql('SELECT timezone FROM months_zone').get() as { timezone: string } | undefined
  if (kept?.timezone === timezone) return
  transaction(() => {
    if (kept !== undefined) {
      months.clear()
      for (const measurement of measurementsOf('ledger')) addMonths(measurement)
      months.flush()
    }
    sql('INSERT OR REPLACE INTO months_zone (only, timezone) VALUES (1, ?)').run(timezone)
  })
}

function addMonths(measurement: Measurement): void {
  const { tags, sums } = designOf(measurement)
  const select = sql(`SELECT time_ms, ${[...tags, ...sums].map(quoted).join(', ')} FROM ${measurement}`)
  select.setReadBigInts(true)
  for (const row of select.iterate()) {
    const tagValues = tags.map((name) => row[name] as string)
    months.add(
      measurement,
      Number(row.time_ms),
      tagValues,
      sums.map((name) => (row[name] ?? 0n) as bigint),
    )
  }
}

const quoted = (name: string): string => `"${name}"`

function tableOf(measurement: Measurement): string {
  const { tags, sums, gauges, texts, stream } = designOf(measurement)
  const columns = [
    'time_ms INTEGER NOT NULL',
    'tiebreak INTEGER NOT NULL',
    ...tags.map((name) => `${name} TEXT NOT NULL`),
    ...sums.map((name) => `"${name}" INTEGER`),
    ...(stream === 'ledger' ? ['known_at INTEGER NOT NULL'] : []),
    ...gauges.map((name) => `${name} REAL`),
    ...texts.map((name) => `${name} TEXT`),
    `PRIMARY KEY (time_ms, tiebreak, ${tags.join(', ')})`,
  ]
  return `CREATE TABLE IF NOT EXISTS ${measurement} (${columns.join(', ')}) STRICT, WITHOUT ROWID`
}

function sql(statement: string): StatementSync {
  let found = prepared.get(statement)
  if (found === undefined) {
    found = db.prepare(statement)
    prepared.set(statement, found)
  }
  return found
}

function transaction<Result>(work: () => Result): Result {
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    db.exec('COMMIT')
    return result
  } catch (error) {
    months.discard()
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

export function checkpoint(): Checkpoint {
  const row = sql('SELECT state FROM checkpoint').get() as { state: string } | undefined
  return row === undefined ? EMPTY : JSON.parse(row.state)
}

function keepCheckpoint(state: Checkpoint): void {
  sql('INSERT OR REPLACE INTO checkpoint (only, state) VALUES (1, ?)').run(JSON.stringify(state))
}

export function write(request: { points: string; checkpoint: Checkpoint }): void {
  const points: Point[] = JSON.parse(request.points)
  transaction(() => {
    if (checkpoint().generation !== request.checkpoint.generation) {
      throw new Error('the metrics were reset by another process')
    }
    for (const point of points) keep(point)
    months.flush()
    keepCheckpoint(request.checkpoint)
  })
}

interface Writing {
  readonly columns: readonly string[]
  readonly insert: string
  readonly update: string
  readonly selectSums: string
}

const writings = new Map<Measurement, Writing>()

function writingOf(measurement: Measurement): Writing {
  let found = writings.get(measurement)
  if (found === undefined) {
    const { tags, sums, gauges, texts, stream } = designOf(measurement)
    const fields = [...sums, ...(stream === 'ledger' ? ['known_at'] : []), ...gauges, ...texts].map(quoted)
    const columns = [...tags, ...fields]
    const into = `INSERT INTO ${measurement} (time_ms, tiebreak, ${columns.join(', ')})
      VALUES (?, ?${', ?'.repeat(columns.length)}) ON CONFLICT`
    const key = ['time_ms', 'tiebreak', ...tags].map((name) => `${name} = ?`).join(' AND ')
    found = {
      columns: columns.map((name) => name.replaceAll('"', '')),
      insert: `${into} DO NOTHING`,
      // As InfluxDB does: a point that is there keeps the fields that the new one does not have.
      update: `${into} DO UPDATE SET ${fields.map((name) => `${name} = coalesce(excluded.${name}, ${name})`).join(', ')}`,
      selectSums: `SELECT ${sums.map((name) => `coalesce("${name}", 0) AS "${name}"`).join(', ')} FROM ${measurement} WHERE ${key}`,
    }
    writings.set(measurement, found)
  }
  return found
}

/** A point that is there already adds to the months only what differs, which is nothing when it is the same. */
function keep({ measurement, timeMs, tiebreak, knownAtMs, values }: Point): void {
  const { columns, insert, update, selectSums } = writingOf(measurement)
  const { tags, sums } = designOf(measurement)
  const bound = columns.map((name) => (name === 'known_at' ? knownAtMs : values[name]) ?? null)
  if (!hasMonths(measurement)) {
    sql(update).run(timeMs, tiebreak, ...bound)
    return
  }
  const tagValues = tags.map((name) => values[name] as string)
  const isNew = sql(insert).run(timeMs, tiebreak, ...bound).changes === 1
  const sumsBefore = isNew ? null : sumsAt(selectSums, [timeMs, tiebreak, ...tagValues])
  if (sumsBefore !== null) sql(update).run(timeMs, tiebreak, ...bound)
  const added = sums.map((name, i) => {
    const value = values[name]
    if (value === undefined) return 0n
    return BigInt(value) - (sumsBefore?.[i] ?? 0n)
  })
  months.add(measurement, timeMs, tagValues, added)
}

function sumsAt(select: string, key: (string | number)[]): bigint[] {
  const statement = sql(select)
  statement.setReadBigInts(true)
  return Object.values(statement.get(...key) ?? {}) as bigint[]
}

export function reset(): void {
  transaction(() => {
    const { generation } = checkpoint()
    for (const measurement of measurementsOf('ledger')) {
      db.exec(`DROP TABLE ${measurement}`)
      db.exec(tableOf(measurement))
    }
    months.clear()
    keepCheckpoint({ ...EMPTY, generation: generation + 1 })
  })
}

export interface TotalsRequest {
  readonly question: Question<Measurement, string>
}

type Groups = { by: Record<string, string>; sums: Record<string, number> }[]

/** The groups of each part of the range (see `answer`), as JSON: cheaper to hand over than thousands of objects. */
export const totals = ({ question }: TotalsRequest): string => JSON.stringify(groupsOf(question))

function groupsOf(question: TotalsRequest['question']): Groups {
  const { by, knownAt, knownAfter, measurement } = question
  const isNow = knownAt === undefined && knownAfter === undefined
  // So that what is no range is refused as a whole.
  const spans = spansOf(question, timezone)
  const parts = by.includes('month') || (isNow && !by.includes('day')) ? monthsOf(question) : []
  if (!isNow || by.includes('day') || !hasMonths(measurement) || !parts.some(({ isWhole }) => isWhole)) {
    if (!by.includes('month')) return spans.flatMap((span) => totalsOfPoints(question, span))
    return parts.flatMap((part) => totalsOfDays(question, part))
  }
  const whole = parts.filter(({ isWhole }) => isWhole).map(({ month }) => month)
  return [
    ...totalsOfMonths(question, whole[0] as string, whole.at(-1) as string),
    ...parts.filter(({ isWhole }) => !isWhole).flatMap((part) => totalsOfDays(question, part)),
  ]
}

const totalsOfDays = (question: TotalsRequest['question'], part: DayRange & { month: string }): Groups =>
  spansOf(part, timezone).flatMap((span) => totalsOfPoints(question, span, part.month))

function totalsOfMonths(question: TotalsRequest['question'], first: string, last: string): Groups {
  const { measurement, by } = question
  const conditions = conditionsOf(question)
  const rows = select(
    [
      `SELECT ${[...by, ...sumsOf(measurement)].join(', ')} FROM ${monthsTable(measurement)}`,
      'WHERE month >= ? AND month <= ?',
      ...conditions.map(([tag, values]) => `AND ${tag} IN (${values.map(() => '?').join(', ')})`),
      by.length > 0 ? `GROUP BY ${by.join(', ')}` : '',
      'HAVING count(*) > 0',
    ],
    [first, last, ...conditions.flatMap(([, values]) => values)],
  )
  return rows.map((row) => groupOf(question, row, (name) => row[name] as string))
}

function totalsOfPoints(question: TotalsRequest['question'], span: Span, month = ''): Groups {
  const { measurement } = question
  const by = question.by.filter((name) => name !== 'month')
  const midnightMs = Math.floor((span.startMs + span.offsetMs) / DAY_MS) * DAY_MS - span.offsetMs
  const { where, values } = conditionOf(question, span)
  // Counted from a midnight before the span, so that the division never meets a negative number; and an integer
  // division, since parameters come as floating point.
  const day = `(time_ms - CAST(? AS INTEGER)) / ${DAY_MS} AS day`
  const rows = select(
    [
      `SELECT ${[...by.map((name) => (name === 'day' ? day : name)), ...sumsOf(measurement)].join(', ')}`,
      `FROM ${measurement} WHERE ${where}`,
      by.length > 0 ? `GROUP BY ${by.map((_, i) => i + 1).join(', ')}` : '',
      'HAVING count(*) > 0',
    ],
    [...(by.includes('day') ? [midnightMs] : []), ...values],
  )
  return rows.map((row) =>
    groupOf(question, row, (name) => {
      if (name === 'day') return dayIn(span, midnightMs + Number(row.day) * DAY_MS)
      return name === 'month' ? month : (row[name] as string)
    }),
  )
}

const sumsOf = (measurement: Measurement): string[] =>
  designOf(measurement).sums.map((name) => `coalesce(sum("${name}"), 0) AS "${name}"`)

function select(lines: readonly string[], values: readonly (string | number)[]) {
  const statement = sql(lines.join(' '))
  // A sum past what a number holds exactly is for `answer` to refuse.
  statement.setReadBigInts(true)
  return statement.all(...values)
}

function groupOf(
  { measurement, by }: TotalsRequest['question'],
  row: Record<string, unknown>,
  nameIn: (name: string) => string,
) {
  const { sums } = designOf(measurement)
  return {
    by: Object.fromEntries(by.map((name) => [name, nameIn(name)])),
    sums: Object.fromEntries(sums.map((name) => [name, Number(row[name])])),
  }
}

/** What a point must be to be among those asked for. */
function conditionOf(question: TotalsRequest['question'], span: Span) {
  const { knownAt, knownAfter } = question
  const conditions: [string, readonly (string | number)[]][] = [
    ['time_ms >= ?', [span.startMs]],
    ['time_ms < ?', [span.endMs]],
    ...(knownAt === undefined ? [] : [['known_at <= ?', [knownAt]] as [string, number[]]]),
    ...(knownAfter === undefined ? [] : [['known_at > ?', [knownAfter]] as [string, number[]]]),
    ...conditionsOf(question).map(([tag, values]): [string, readonly string[]] => [
      `${tag} IN (${values.map(() => '?').join(', ')})`,
      values,
    ]),
  ]
  return {
    where: conditions.map(([condition]) => condition).join(' AND '),
    values: conditions.flatMap(([, values]) => values),
  }
}

export interface EntriesRequest extends TotalsRequest {
  /** Points. */
  readonly limit: number
}

/** The entry of each point, by time. */
export function entries({ question, limit }: EntriesRequest): string[] {
  const found: string[] = []
  for (const span of spansOf(question, timezone)) {
    const { where, values } = conditionOf(question, span)
    const rows = sql(
      `SELECT entry FROM ${question.measurement} WHERE ${where} ORDER BY time_ms, tiebreak LIMIT ?`,
    ).all(...values, limit - found.length)
    found.push(...rows.map(({ entry }) => entry as string))
    if (found.length >= limit) break
  }
  return found
}

export function ping(): void {
  sql('SELECT 1').get()
}

export function close(): void {
  prepared.clear()
  db.close()
}
