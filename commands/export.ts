/** `hub export feishu`: the unit economics into a Feishu Base. */
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { exportToFeishu, type FeishuProgress } from '../analytics/exports/feishu.ts'
import { openFeishuBase } from '../analytics/exports/feishu-base.ts'
import { EXPORT_DAYS_MAX, EXPORT_ROWS_MAX, type ExportSource } from '../gateway/contract/export-table.ts'
import { checkpointKey } from '../gateway/documents.ts'
import { openExportSource, openMetrics } from '../gateway/gateway.ts'
import { createLease } from '../gateway/lease.ts'
import { shardOfKey } from '../gateway/store/keys.ts'
import type { Store } from '../gateway/store/store.ts'
import { count, jsonLine, ProgressBar, print } from './output.ts'
import { withExistingStore } from './with-store.ts'

export const exportCommand = (): Command =>
  new Command('export')
    .description('The unit economics, to where people look at them.')
    .addCommand(
      new Command('feishu')
        .description('Into a table of a Feishu or Lark Base: records are created and updated, never deleted.')
        .requiredOption('--from <day>', 'first business day', day)
        .requiredOption('--to <day>', 'last business day, included', day)
        .option('--by <dimensions>', 'what rows are grouped by, separated by commas', names, [
          'day',
          'dealer',
          'channel',
        ])
        .option('--table <name>', 'table in the Base; made when there is none', 'Unit economics')
        .option('--json', 'the result as JSON')
        .addHelpText('after', EXAMPLES)
        .action(toFeishu),
    )

const EXAMPLES = `
Dimensions are day, month, dealer, region, initiative and channel; day or month is one of them. A row is known by its
dimensions, in the field key: the same export again updates the same records. An export that was cut short goes on where
it was. Settings: FEISHU_APP_ID, FEISHU_APP_SECRET, FEISHU_BASE_TOKEN, FEISHU_API_URL; docs/exports.md, step by step.

Examples:
  $ hub export feishu --from 2026-11-01 --to 2026-11-30
  $ hub export feishu --from 2026-01-01 --to 2026-12-31 --by month,region --table "Months by region"`

interface FeishuOptions {
  readonly from: string
  readonly to: string
  readonly by: readonly string[]
  readonly table: string
  readonly json?: true
}

function toFeishu({ from, to, by, table: name, json }: FeishuOptions): Promise<void> {
  return withExistingStore(async (store, config) => {
    const { feishu, timezone } = config
    if (feishu === null) {
      throw new Error('no Base to export to: set FEISHU_APP_ID, FEISHU_APP_SECRET and FEISHU_BASE_TOKEN')
    }
    await using stack = new AsyncDisposableStack()
    const metrics = stack.adopt(await openMetrics(config), (it) => it.close())
    const table = await readTable(openExportSource(config, metrics), { from, to, by })

    const place = `feishu:${feishu.baseToken}:${name}`
    const lease = createLease(store, place)
    stack.defer(() => lease.release())
    const bar = stack.use(new ProgressBar())
    const base = openFeishuBase(feishu, {
      wait: (ms) => wait(ms),
      onRetry: (reason, ms) => console.error(`hub: ${reason}; again in ${ms / 1000} s`),
    })
    const result = await exportToFeishu({
      base,
      name,
      table,
      timezone,
      lease,
      ...progressIn(store, place),
      newRun: randomUUID,
      onProgress: (done, rows) => bar.update('writing', done / rows, count(done, 'row')),
    })
    bar[Symbol.dispose]()
    if (json) return print(jsonLine({ table: name, rows: table.rows.length, ...result }))
    const { created, updated, resumed } = result
    const before = resumed === 0 ? '' : `, ${resumed} already written before`
    await print(`${name}: ${created} created, ${updated} updated${before}\n`)
  })
}

async function readTable(source: ExportSource, { from, to, by }: Pick<FeishuOptions, 'from' | 'to' | 'by'>) {
  const dimensions = source.columns.flatMap((it) => (it.concept === 'dimension' ? [it.name] : []))
  const wrong = by.filter((name, i) => !dimensions.includes(name) || by.indexOf(name) !== i)
  if (wrong.length > 0)
    throw new Error(`--by: expected each once, of ${dimensions.join(', ')}, received ${wrong.join(', ')}`)
  if (to < from) throw new Error(`--to: expected a day not before ${from}, received ${to}`)
  const days = (Date.parse(to) - Date.parse(from)) / 86_400_000 + 1
  if (days > EXPORT_DAYS_MAX)
    throw new Error(`--from: expected at most ${EXPORT_DAYS_MAX} days, received ${days}`)
  // A month has one record: part of it would overwrite the whole.
  if (by.includes('month') && !by.includes('day') && !(from.endsWith('-01') && isLastOfMonth(to))) {
    throw new Error(`--by month: expected whole months, received ${from} to ${to}`)
  }
  const table = await source.read({ from, to, by })
  if (table.rows.length > EXPORT_ROWS_MAX) {
    throw new Error(
      `expected at most ${EXPORT_ROWS_MAX} rows, received ${table.rows.length}: fewer dimensions or days`,
    )
  }
  return table
}

const isLastOfMonth = (text: string): boolean => {
  const date = Temporal.PlainDate.from(text)
  return date.day === date.daysInMonth
}

/** How far an export has come is kept in the store, where the next attempt finds it, whichever hub makes it. */
function progressIn(store: Store, place: string) {
  const key = checkpointKey(place)
  return {
    async recall(): Promise<FeishuProgress | null> {
      const [doc] = await store.read([key])
      return (doc?.value as FeishuProgress | undefined) ?? null
    },
    async remember(value: FeishuProgress | null): Promise<void> {
      await store.commit([
        { shard: shardOfKey(key), token: randomUUID(), set: [{ key, value: value && { ...value } }] },
      ])
    },
  }
}

function day(text: string): string {
  if (/^\d{4}-\d\d-\d\d$/.test(text) && new Date(text).toJSON()?.startsWith(text)) return text
  throw new InvalidArgumentError('expected a day such as 2026-11-22')
}

const names = (text: string): string[] => text.split(',')
