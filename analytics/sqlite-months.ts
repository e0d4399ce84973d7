/**
 * Sums by calendar month and tags, beside the points of the embedded metrics and in the same transactions: years are
 * asked for often, and must not be summed up point by point each time. They answer for whole months as they are known now;
 * days, and what was known at an instant, are summed up from the points.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { createMonthFinder } from './business-days.ts'
import { designOf, type Measurement, measurementsOf } from './measurements.ts'

export interface Months {
  /** Sums that a point adds; kept with the next `flush`. */
  add(measurement: Measurement, timeMs: number, tags: readonly string[], sums: readonly bigint[]): void
  flush(): void
  /** What was added since the last `flush` came to nothing. */
  discard(): void
  /** Forgets all months of all measurements. */
  clear(): void
}

/** Of the ledger's measurements; telemetry is not asked for by years. */
export const hasMonths = (measurement: Measurement): boolean => designOf(measurement).stream === 'ledger'
export const monthsTable = (measurement: Measurement): string => `${measurement}_months`

/** @param sql prepares each statement once */
export function openMonths(db: DatabaseSync, sql: (text: string) => StatementSync, timezone: string): Months {
  for (const measurement of measurementsOf('ledger')) db.exec(tableOf(measurement))
  db.exec(
    'CREATE TABLE IF NOT EXISTS months_zone (only INTEGER PRIMARY KEY CHECK (only = 1), timezone TEXT) STRICT',
  )

  const pending = new Map<string, { measurement: Measurement; key: string[]; sums: bigint[] }>()
  const monthOf = createMonthFinder(timezone)

  const months: Months = {
    add(measurement, timeMs, tags, sums) {
      if (sums.every((sum) => sum === 0n)) return
      const key = [monthOf(timeMs).month, ...tags]
      const name = JSON.stringify([measurement, ...key])
      const found = pending.get(name)
      if (found === undefined) pending.set(name, { measurement, key, sums: [...sums] })
      else for (const [i, sum] of sums.entries()) found.sums[i] = (found.sums[i] as bigint) + sum
    },
    flush() {
      for (const { measurement, key, sums } of pending.values())
        sql(upsertOf(measurement)).run(...key, ...sums)
      pending.clear()
    },
    discard() {
      pending.clear()
    },
    clear() {
      pending.clear()
      for (const measurement of measurementsOf('ledger')) {
        db.exec(`DROP TABLE IF EXISTS ${monthsTable(measurement)}`)
        db.exec(tableOf(measurement))
      }
    },
  }
  return months
}

const columnsOf = (measurement: Measurement): string[] => {
  const { tags } = designOf(measurement)
  // Those that are asked for most come first: groups then come in order, and need not be sorted.
  const first = ['dealer', 'channel'].filter((name) => tags.includes(name))
  return ['month', ...first, ...tags.filter((name) => !first.includes(name))]
}

function tableOf(measurement: Measurement): string {
  const columns = columnsOf(measurement)
  const { sums } = designOf(measurement)
  return `CREATE TABLE IF NOT EXISTS ${monthsTable(measurement)} (
    ${columns.map((name) => `${name} TEXT NOT NULL`).join(', ')},
    ${sums.map((name) => `"${name}" INTEGER NOT NULL`).join(', ')},
    PRIMARY KEY (${columns.join(', ')})) STRICT, WITHOUT ROWID`
}

const upserts = new Map<Measurement, string>()

function upsertOf(measurement: Measurement): string {
  let upsert = upserts.get(measurement)
  if (upsert === undefined) {
    const { tags, sums } = designOf(measurement)
    const columns = ['month', ...tags, ...sums.map((name) => `"${name}"`)]
    upsert = `INSERT INTO ${monthsTable(measurement)} (${columns.join(', ')})
      VALUES (${columns.map(() => '?').join(', ')})
      ON CONFLICT DO UPDATE SET ${sums.map((name) => `"${name}" = "${name}" + excluded."${name}"`).join(', ')}`
    upserts.set(measurement, upsert)
  }
  return upsert
}
