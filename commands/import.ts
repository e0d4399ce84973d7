/** `hub import`: reference data, from CSV. */
import { Argument, Command } from 'commander'
import { REFERENCE_KINDS, type ReferenceKind } from '../gateway/documents.ts'
import { type ImportResult, importReference } from '../gateway/reference/import.ts'
import { errorLines, type InputFile, openInput } from './files.ts'
import { count, jsonLine, ProgressBar, print } from './output.ts'
import { withStore } from './with-store.ts'

interface Flags {
  readonly dryRun?: boolean
  readonly json?: true
}

export const importCommand = (): Command =>
  new Command('import')
    .summary('dealers, reps, managers, serials, prices from a CSV file')
    .description('Reference data from a CSV file: wholly or not at all, the same file any number of times.')
    .addArgument(new Argument('<kind>', 'what the file holds').choices(REFERENCE_KINDS))
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

Examples:
  $ hub import dealers dealers.csv
  $ hub import reps reps.csv
  $ hub import serials serials.csv --dry-run
  $ gunzip -c serials.csv.gz | hub import serials -`

async function importFile(kind: ReferenceKind, path: string, { dryRun = false, json }: Flags): Promise<void> {
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

async function runImport(kind: ReferenceKind, input: InputFile, dryRun: boolean): Promise<ImportResult> {
  using bar = new ProgressBar()
  let bytesRead = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of input.bytes) {
      bytesRead += chunk.length
      yield chunk
    }
  }
  return await withStore((store, { serialPattern, redisUrl }) =>
    importReference(store, kind, counted(), {
      serialPattern,
      dryRun,
      batchesAtOnce: redisUrl === null ? 1 : 2,
      onProgress: (progress) => {
        const rows = count(progress.rows, 'row')
        if (progress.phase === 'applying') bar.update('importing', progress.rows / progress.rowsTotal, rows)
        else bar.update('reading', input.size === null ? null : bytesRead / input.size, rows)
      },
    }),
  )
}
