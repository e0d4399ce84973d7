/** `hub ledger export|verify|tail`: everything that happened. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { writeLedgerParquet } from '../analytics/exports/ledger-parquet.ts'
import type { Entry } from '../gateway/contract/ledger.ts'
import { followLedger, ledgerLine, readLedger, verifyLedger } from '../gateway/ledger-file.ts'
import { count, jsonLine, ProgressBar, print } from './output.ts'
import { untilStopped } from './signals.ts'
import { withExistingStore } from './with-store.ts'

export const ledgerCommand = (): Command =>
  new Command('ledger')
    .summary('everything that happened: export, verify, tail')
    .description('Everything that happened: entries that are never edited and never removed.')
    .addCommand(
      new Command('export')
        .description(
          'Every entry as a JSON line: {"entry","at","type","data"}; or as a row of a Parquet file.',
        )
        .argument('[file]', 'the Parquet file; JSON lines go to stdout')
        .addOption(
          new Option('--format <format>', 'jsonl or parquet').choices(['jsonl', 'parquet']).default('jsonl'),
        )
        .option('--type <types>', 'only these, separated by commas', types)
        .option('--from <instant>', 'only entries at or after it', instant)
        .option('--to <instant>', 'only entries before it', instant)
        .addHelpText('after', EXPORT_EXAMPLES)
        .action(exportLedger),
    )
    .addCommand(
      new Command('verify')
        .description('Check that no entry is missing and none was altered. Exit code 1 when one is.')
        .option('--json', 'the report as JSON')
        .addHelpText('after', VERIFY_EXAMPLES)
        .action(verify),
    )
    .addCommand(
      new Command('tail')
        .description('The newest entries, then what comes, until Ctrl-C; JSON lines as of export.')
        .option('-n, --newest <number>', 'entries to begin with', wholeNumber, 10)
        .option('--type <types>', 'only these, separated by commas', types)
        .addHelpText('after', TAIL_EXAMPLES)
        .action(tail),
    )

const EXPORT_EXAMPLES = `
In order within a lane, by instant across lanes; up to where the ledger was when the export began.

Examples:
  $ hub ledger export > ledger.jsonl
  $ hub ledger export --type sale.registered --from 2026-11-01T00:00:00+07:00 --to 2026-12-01T00:00:00+07:00
  $ hub ledger export --type sale.rejected | jq -r .data.reason | sort | uniq -c
  $ hub ledger export --format parquet ledger.parquet
  $ duckdb -c "SELECT dealer, count(*), sum(price) FROM 'ledger.parquet' WHERE type = 'sale.registered' GROUP BY 1"`

const VERIFY_EXAMPLES = `
In every lane the numbers are without gaps, each entry's link is recomputed from the one before, and the newest is
the one that the store remembers.

Examples:
  $ hub ledger verify
  $ hub ledger verify --json | jq .violations`

const TAIL_EXAMPLES = `
Examples:
  $ hub ledger tail
  $ hub ledger tail -n 0 --type alert.raised`

interface Filter {
  readonly type?: ReadonlySet<string>
  /** ISO 8601, UTC, milliseconds: compared as text with an entry's. */
  readonly from?: string
  readonly to?: string
}

function chosen(entries: readonly Entry[], { type, from, to }: Filter): Entry[] {
  return entries
    .filter((entry) => type?.has(entry.type) ?? true)
    .filter(({ at }) => (from === undefined || at >= from) && (to === undefined || at < to))
}

const linesOf = (entries: readonly Entry[], filter: Filter): string =>
  chosen(entries, filter).map(ledgerLine).join('')

async function exportLedger(
  file: string | undefined,
  { format, ...filter }: Filter & { format: 'jsonl' | 'parquet' },
  command: Command,
): Promise<void> {
  if (format === 'parquet' && file === undefined)
    command.error('error: Parquet needs a FILE to be written to')
  if (format === 'jsonl' && file !== undefined) command.error(`error: JSON lines go to stdout: > ${file}`)
  await withExistingStore(async (store) => {
    if (file === undefined) {
      for await (const entries of readLedger(store)) await print(linesOf(entries, filter))
      return
    }
    using bar = new ProgressBar()
    const total = (await store.heads('ledger')).reduce((sum, { number }) => sum + number, 0)
    let read = 0
    async function* pages(): AsyncGenerator<Entry[]> {
      for await (const entries of readLedger(store)) {
        read += entries.length
        bar.update('writing', Math.min(1, read / total), count(read, 'entry', 'entries'))
        yield chosen(entries, filter)
      }
    }
    const { entries, bytes } = await writeLedgerParquet(file, pages())
    bar[Symbol.dispose]()
    await print(`${count(entries, 'entry', 'entries')} in ${file}, ${(bytes / 1e6).toFixed(1)} MB\n`)
  })
}

async function verify({ json }: { json?: true }): Promise<void> {
  const report = await withExistingStore(async (store) => {
    using bar = new ProgressBar()
    const heads = await store.heads('ledger')
    const total = heads.reduce((sum, { number }) => sum + number, 0)
    return await verifyLedger(store, (entries) =>
      bar.update('checking', entries / total, count(entries, 'entry', 'entries')),
    )
  })
  const { entries, lanes, from, to, violations, violationsTotal, clockSetBack } = report
  if (violationsTotal > 0) process.exitCode = 1
  if (json) {
    const { violationsTotal: violations_total, clockSetBack: clock_set_back, ...rest } = report
    return print(jsonLine({ ...rest, violations_total, clock_set_back }))
  }
  const span = from === null ? '' : `, from ${from} to ${to}`
  await print(
    `Checked ${count(entries, 'entry', 'entries')} in ${count(lanes, 'lane')}${span}: numbers, links, heads.\n`,
  )
  if (clockSetBack > 0) {
    await print(
      `${count(clockSetBack, 'entry is', 'entries are')} older than the one before: the clock was set back.\n`,
    )
  }
  for (const violation of violations) await print(`✖ ${violation}\n`)
  if (violationsTotal > violations.length) await print(`… and ${violationsTotal - violations.length} more\n`)
  if (violationsTotal === 0) await print('✔ None is missing, none was altered.\n')
}

function tail({ newest, ...filter }: Filter & { newest: number }): Promise<void> {
  return withExistingStore(async (store) => {
    const stopped = new AbortController()
    void untilStopped().then(() => stopped.abort())
    for await (const entries of followLedger(store, { newest, signal: stopped.signal })) {
      await print(linesOf(entries, filter))
    }
  })
}

const types = (text: string): ReadonlySet<string> => new Set(text.split(','))

function instant(text: string): string {
  const at = new Date(text)
  if (!Number.isNaN(at.getTime())) return at.toISOString()
  throw new InvalidArgumentError('expected an instant such as 2026-11-22T00:00:00+07:00')
}

function wholeNumber(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected a whole number')
}
