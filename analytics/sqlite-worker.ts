/**
 * The thread that owns the embedded metrics' file: one table per measurement, a point in each row, the point's
 * identity (its series and its time) as the key. The tables follow `measurements.ts`; since all is made from the
 * ledger, there are no migrations: `DESIGN` rises and they are made again.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { workerData } from 'piscina'
import { DAY_MS, dayIn, type Span } from './business-days.ts'
import { ALL_MEASUREMENTS, designOf, type Measurement, measurementsOf, type Point } from './measurements.ts'
import { type Checkpoint, conditionsOf, EMPTY, type Question } from './metrics.ts'

const { file } = workerData as { file: string }
const db = open()
const prepared = new Map<string, StatementSync>()

function open(): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 5000 })
  // NORMAL: a power cut may take the last transactions, facts and checkpoint alike, and the ledger gives them again.
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA temp_store = MEMORY;
    CREATE TABLE IF NOT EXISTS checkpoint (only INTEGER PRIMARY KEY CHECK (only = 1), state TEXT NOT NULL) STRICT;
  `)
  for (const measurement of ALL_MEASUREMENTS) database.exec(tableOf(measurement))
  return database
}

function tableOf(measurement: Measurement): string {
  const { tags, sums, gauges, texts } = designOf(measurement)
  const columns = [
    'time_ms INTEGER NOT NULL',
    'tiebreak INTEGER NOT NULL',
    ...tags.map((name) => `${name} TEXT NOT NULL`),
    ...sums.map((name) => `${name} INTEGER`),
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
    keepCheckpoint(request.checkpoint)
  })
}

const upserts = new Map<Measurement, { columns: readonly string[]; statement: string }>()

/** As InfluxDB does: a point that is there keeps the fields that the new one does not have. */
function keep({ measurement, timeMs, tiebreak, values }: Point): void {
  let upsert = upserts.get(measurement)
  if (upsert === undefined) {
    const { tags, sums, gauges, texts } = designOf(measurement)
    const fields = [...sums, ...gauges, ...texts]
    const columns = [...tags, ...fields]
    const statement = `INSERT INTO ${measurement} (time_ms, tiebreak, ${columns.join(', ')})
      VALUES (?, ?${', ?'.repeat(columns.length)})
      ON CONFLICT DO UPDATE SET ${fields.map((name) => `${name} = coalesce(excluded.${name}, ${name})`).join(', ')}`
    upsert = { columns, statement }
    upserts.set(measurement, upsert)
  }
  const bound = upsert.columns.map((name) => values[name] ?? null)
  sql(upsert.statement).run(timeMs, tiebreak, ...bound)
}

export function reset(): void {
  transaction(() => {
    const { generation } = checkpoint()
    for (const measurement of measurementsOf('ledger')) {
      db.exec(`DROP TABLE ${measurement}`)
      db.exec(tableOf(measurement))
    }
    keepCheckpoint({ ...EMPTY, generation: generation + 1 })
  })
}

export interface TotalsRequest {
  readonly question: Question<Measurement, string>
  readonly spans: readonly Span[]
}

/** The groups of each span; see `answer`. */
export function totals({ question, spans }: TotalsRequest) {
  const { measurement, by } = question
  const { sums } = designOf(measurement)
  const conditions = conditionsOf(question)
  const statement = [
    `SELECT ${[...by, ...sums.map((name) => `coalesce(sum(${name}), 0) AS ${name}`)].join(', ')}`,
    // Counted from a midnight before the span, so that the division never meets a negative number; and an integer
    // division, since parameters come as floating point.
    `FROM (SELECT *, (time_ms - CAST(? AS INTEGER)) / ${DAY_MS} AS day FROM ${measurement} WHERE time_ms >= ? AND time_ms < ?)`,
    ...conditions.map(
      ([tag, values], index) =>
        `${index === 0 ? 'WHERE' : 'AND'} ${tag} IN (${values.map(() => '?').join(', ')})`,
    ),
    by.length > 0 ? `GROUP BY ${by.join(', ')}` : '',
    'HAVING count(*) > 0',
  ].join(' ')
  const values = conditions.flatMap(([, accepted]) => accepted)
  const select = sql(statement)
  // A sum past what a number holds exactly is for `answer` to refuse.
  select.setReadBigInts(true)
  return spans.flatMap((span) => {
    const midnightMs = Math.floor((span.startMs + span.offsetMs) / DAY_MS) * DAY_MS - span.offsetMs
    const nameIn = (row: Record<string, unknown>, name: string): string =>
      name === 'day' ? dayIn(span, midnightMs + Number(row.day) * DAY_MS) : (row[name] as string)
    return select.all(midnightMs, span.startMs, span.endMs, ...values).map((row) => ({
      by: Object.fromEntries(by.map((name) => [name, nameIn(row, name)])),
      sums: Object.fromEntries(sums.map((name) => [name, Number(row[name])])),
    }))
  })
}

export function ping(): void {
  sql('SELECT 1').get()
}

export function close(): void {
  prepared.clear()
  db.close()
}
