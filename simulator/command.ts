/** `hub simulate`: the world outside, against any hub. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import type { Credential } from './connection.ts'
import { type WorldFiles, writeWorldFiles } from './files.ts'
import { readJournal } from './journal.ts'
import { type LedgerEntry, readLedgerFile } from './ledger-reader.ts'
import { runSimulation, type SimulationTarget } from './simulate.ts'
import { createView } from './terminal-view.ts'
import { judge } from './verdict.ts'
import { renderResult, renderVerdict, resultJson } from './verdict-report.ts'
import { SEED_MAX, World } from './world.ts'

/**
 * Makes the hub of this machine ready for a world: imports dealers, serials and prices, provisions the devices, and
 * tells how the hub is reached. Asked when no credentials were given.
 */
export type PrepareLocalHub = (files: WorldFiles) => Promise<SimulationTarget>

interface SimulateFlags {
  readonly seed?: number
  readonly dealers: number
  readonly units: number
  readonly stock: number
  readonly start: number
  readonly duration: number
  readonly speed: number | 'max'
  readonly sales?: number
  readonly pace: number
  readonly settle: number
  readonly mqtt?: string
  readonly http?: string
  readonly token?: string
  readonly credentials?: string
  readonly verify?: true
  readonly json?: true
  readonly journal?: string
  readonly ledger?: string
  readonly files?: string
}

/** The default beginning of the world: a Monday morning on which every dealer is open. */
const START = '2026-11-23T10:00:00+07:00'
const DAY_MS = 86_400_000

export function simulateCommand(prepareLocalHub: PrepareLocalHub): Command {
  return new Command('simulate')
    .description(
      'A network of dealers, from one seed, against any hub; with --verify, a verdict on what it holds.',
    )
    .option(
      '--seed <number>',
      'everything follows from it, and a hub takes each but once; drawn when not given',
      wholeNumber(0, SEED_MAX),
    )
    .option('--dealers <number>', 'dealers, the largest cities first', wholeNumber(1, 10_000), 110)
    .option(
      '--units <number>',
      'demonstration vehicles with a telematics unit, at each dealer',
      wholeNumber(0, 1000),
      2,
    )
    .option(
      '--stock <number>',
      'vehicles at each terminal; then it is sold out',
      wholeNumber(1, 1_000_000),
      500,
    )
    .option(
      '--duration <seconds>',
      'how long to trade, by our clock; with --speed max: a day of the world',
      positive,
      60,
    )
    .option('--speed <factor>', 'seconds of the world in one of ours, or max', speedFactor, 60)
    .option('--sales <number>', 'end after so many sales', wholeNumber(1, 1_000_000_000))
    .option('--pace <number>', 'sales of a dealer in an hour of trading', positive, 12)
    .addOption(
      new Option('--start <instant>', 'when the world begins, or now')
        .argParser(instant)
        .default(Date.parse(START), START),
    )
    .option('--settle <seconds>', 'how long to wait for what is under way at the end', positive, 30)
    .addOption(new Option('--mqtt <url>', 'the hub’s broker').env('HUB_MQTT_URL'))
    .addOption(new Option('--http <url>', 'the hub’s HTTP API, for --verify').env('HUB_HTTP_URL'))
    .addOption(
      new Option('--token <token>', 'an API token that may read the ledger, for --verify').env('HUB_TOKEN'),
    )
    .option('--credentials <file>', 'what «hub device add --file devices.csv --json» printed')
    .option('--verify', 'hold the hub’s ledger against what was sent; exit code 1 when anything differs')
    .option('--json', 'the result as JSON')
    .option('--journal <file>', 'keep a journal of all that was sent and told, JSON Lines')
    .option('--ledger <file>', 'send nothing: judge an earlier --journal by a file of «hub ledger export»')
    .option('--files <folder>', 'send nothing: write dealers.csv, serials.csv, prices.csv and devices.csv')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: SimulateFlags) => {
      if (flags.ledger !== undefined) await judgeFiles(flags, flags.ledger)
      else if (flags.files !== undefined) await writeWorldFiles(worldOf(flags), flags.files)
      else await simulate(flags, prepareLocalHub)
    })
}

const EXAMPLES = `
Examples:
  a minute of trading against the hub of this machine, and a verdict
    $ hub simulate --verify
  five thousand sales, as fast as the hub acknowledges
    $ hub simulate --seed 7 --speed max --sales 5000 --verify
  against another hub
    $ hub simulate --files world            # then, at that hub:
    $ hub import dealers world/dealers.csv && hub import serials world/serials.csv && hub import prices world/prices.csv
    $ hub device add --file world/devices.csv --json > credentials.json
    $ hub simulate --mqtt mqtt://hub.example:1883 --credentials credentials.json \\
        --http http://hub.example:8080 --token "$TOKEN" --verify
  judge later, from files
    $ hub simulate --journal run.jsonl && hub ledger export > ledger.jsonl
    $ hub simulate --journal run.jsonl --ledger ledger.jsonl`

function worldOf({
  seed = Math.floor(Math.random() * (SEED_MAX + 1)),
  dealers,
  units,
  stock,
}: SimulateFlags): World {
  return new World({ seed, dealers, unitsPerDealer: units, stockPerTerminal: stock })
}

async function simulate(flags: SimulateFlags, prepareLocalHub: PrepareLocalHub): Promise<void> {
  const world = worldOf(flags)
  const target = await targetOf(flags, world, prepareLocalHub)
  const interrupted = new AbortController()
  // The first Ctrl-C ends the trading and still settles and judges; the second ends the program.
  process.once('SIGINT', () => interrupted.abort())
  const result = await runSimulation({
    world,
    plan: {
      startAtMs: flags.start,
      spanMs: flags.speed === 'max' ? DAY_MS : flags.duration * 1000 * flags.speed,
      salesMax: flags.sales ?? null,
      salesPerDealerHour: flags.pace,
    },
    speed: flags.speed,
    target,
    verify: flags.verify === true,
    journalPath: flags.journal ?? null,
    settleMs: flags.settle * 1000,
    onProgress: createView(process.stderr),
    signal: interrupted.signal,
  })
  console.log(flags.json ? JSON.stringify(resultJson(result)) : renderResult(result))
  if (result.pending > 0 || result.verdict?.holds === false) process.exitCode = 1
}

async function targetOf(
  flags: SimulateFlags,
  world: World,
  prepareLocalHub: PrepareLocalHub,
): Promise<SimulationTarget> {
  if (flags.credentials === undefined) {
    const folder = await mkdtemp(join(tmpdir(), 'hub-simulate-'))
    try {
      return await prepareLocalHub(await writeWorldFiles(world, folder))
    } finally {
      await rm(folder, { recursive: true })
    }
  }
  const { mqtt: mqttUrl = 'mqtt://127.0.0.1:1883', http: httpUrl, token } = flags
  if (flags.verify && (httpUrl === undefined || token === undefined)) {
    throw new Error('--verify needs --http and --token, to read the hub’s ledger')
  }
  const ledger = httpUrl === undefined || token === undefined ? null : { httpUrl, token }
  return { mqttUrl, credentials: await readCredentials(flags.credentials), ledger }
}

const credentialsSchema = z.array(
  z.object({ client_id: z.string(), username: z.string(), password: z.string() }),
)

/** @throws when the file cannot be read or is something else, saying what was expected */
async function readCredentials(path: string): Promise<Credential[]> {
  const parsed = credentialsSchema.safeParse(JSON.parse(await readFile(path, 'utf8')))
  if (parsed.success) return parsed.data
  throw new Error(`${path}: ${z.prettifyError(parsed.error)}`)
}

async function judgeFiles({ journal, json }: SimulateFlags, ledgerPath: string): Promise<void> {
  if (journal === undefined)
    throw new Error('--ledger needs --journal: the journal that an earlier run has kept')
  const books = await readJournal(journal)
  const ledger: LedgerEntry[] = await Array.fromAsync(readLedgerFile(ledgerPath))
  const verdict = judge(new World(books.world), books, ledger)
  console.log(json ? JSON.stringify(verdict) : renderVerdict(verdict))
  if (!verdict.holds) process.exitCode = 1
}

function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() !== '' && Number.isInteger(value) && value >= low && value <= high) return value
    throw new InvalidArgumentError(`expected a whole number from ${low} to ${high}`)
  }
}

function positive(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value
  throw new InvalidArgumentError('expected a number above 0')
}

const speedFactor = (text: string): number | 'max' => (text === 'max' ? 'max' : positive(text))

function instant(text: string): number {
  const atMs = text === 'now' ? Date.now() : Date.parse(text)
  if (!Number.isNaN(atMs)) return atMs
  throw new InvalidArgumentError('expected now, or an instant such as 2026-11-23T10:00:00+07:00')
}
