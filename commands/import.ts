/** `hub import`: reference data, spend and activities, from CSV. */
import { Argument, Command } from 'commander'
import { REFERENCE_KINDS, type ReferenceKind } from '../gateway/documents.ts'
import { type ImportProgress, type ImportResult, importReference } from '../gateway/reference/import.ts'
import { REPORT_KINDS, type ReportKind } from '../gateway/reports/files.ts'
import { importReports } from '../gateway/reports/import.ts'
import { errorLines, type InputFile, openInput } from './files.ts'
import { dryRun, openIntake } from './intake.ts'
import { count, jsonLine, ProgressBar, print } from './output.ts'
import { withStore } from './with-store.ts'

interface Flags {
  readonly dryRun?: boolean
  readonly json?: true
}

export const importCommand = (): Command =>
  new Command('import')
    .summary('dealers, reps, serials, prices, spend … from a CSV file')
    .description('Data from a CSV file: wholly or not at all, the same file any number of times.')
    .addArgument(new Argument('<kind>', 'what the file holds').choices([...REFERENCE_KINDS, ...REPORT_KINDS]))
    .argument('<file>', 'UTF-8 CSV with a header; - reads stdin')
    .option('--dry-run', 'only tell what would change')
    .option('--json', '{"kind","rows","added","changed","same","dry_run"}, or {"errors","errors_total"}')
    .addHelpText('after', EXAMPLES)
    .action(importFile)

const EXAMPLES = `
Columns (more are kept as attributes; rows that the file does not have stay as they are):
  dealers   dealer_id,name,region,lat,lon,opens,closes,daily_quota,phone
            and, if you like, closed_on: weekdays and dates it is closed on, such as sun;2026-12-25
  reps      rep_id,dealer_id,name,phone,language     language: id or en
  managers  manager_id,region,name,phone,language
  serials   serial,model,dealer_id,produced_on      dealer_id may be empty: any dealer
  prices    model,region,msrp,map,valid_from        region may be empty: all others
  spend     entry_id,date,initiative,dealer_id,region,channel,kind,amount,currency
            kind: corporate, subsidy, baseline or out_of_pocket
  activities
            activity_id,initiative,dealer_id,region,channel,name,start_date,end_date
  A changed row of spend or activities corrects what was reported; the ledger keeps both.

Examples:
  $ hub import dealers dealers.csv
  $ hub import reps reps.csv
  $ hub import serials serials.csv --dry-run
  $ hub import spend november.csv --json
  $ gunzip -c serials.csv.gz | hub import serials -`

type Kind = ReferenceKind | ReportKind

async function importFile(kind: Kind, path: string, { dryRun = false, json }: Flags): Promise<void> {
  const result = await runImport(kind, openInput(path), dryRun)
  switch (result.outcome) {
    case 'imported': {
      const { rows, added, changed, same } = result
      if (json) return print(jsonLine({ kind, rows, added, changed, same, dry_run: dryRun }))
      const what = `${count(added, 'new row')}, ${count(changed, 'changed', 'changed')}, ${count(same, 'as before', 'as before')}`
      return print(dryRun ? `${kind}: would import ${what}\n` : `${kind}: ${what}\n`)
    }
    case 'invalid':
      if (!json)
        throw new Error(
          ['nothing was imported, since the file is wrong:', ...errorLines(path, result)].join('\n'),
        )
      process.exitCode = 1
      return print(jsonLine({ errors: result.errors, errors_total: result.errorsTotal }))
    case 'superseded':
      throw new Error(`another import of ${kind} has begun since: nothing of this file counts`)
  }
}

async function runImport(kind: Kind, input: InputFile, isDry: boolean): Promise<ImportResult> {
  using bar = new ProgressBar()
  let bytesRead = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of input.bytes) {
      bytesRead += chunk.length
      yield chunk
    }
  }
  const onProgress = (progress: ImportProgress): void => {
    const rows = count(progress.rows, 'row')
    if (progress.phase === 'applying') bar.update('importing', progress.rows / progress.rowsTotal, rows)
    else bar.update('reading', input.size === null ? null : bytesRead / input.size, rows)
  }
  return await withStore(async (store, config) => {
    if (isReport(kind)) {
      const { accept } = await openIntake(store, config, isDry ? dryRun(store) : store)
      return importReports(kind, counted(), { submit: accept, onProgress })
    }
    const { serialPattern, redisUrl } = config
    const batchesAtOnce = redisUrl === null ? 1 : 2
    return importReference(store, kind, counted(), {
      serialPattern,
      dryRun: isDry,
      batchesAtOnce,
      onProgress,
    })
  })
}

const isReport = (kind: Kind): kind is ReportKind => (REPORT_KINDS as readonly string[]).includes(kind)
