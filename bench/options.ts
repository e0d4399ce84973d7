/** The command line of `npm run bench`. */
import { Command, InvalidArgumentError, Option } from 'commander'
import type { RedisOptions } from '../test/support/services.ts'
import { TARGET_NAMES, type TargetName } from './targets.ts'

export interface Options {
  /** What to measure; none: throughput, paced and micro. */
  readonly throughput?: true
  readonly paced?: true
  readonly micro?: true
  readonly taps?: true
  readonly soak?: number
  readonly idle?: number
  readonly cpuProf?: true
  /** Entries of the ledger. */
  readonly variables?: number | true

  readonly quick?: true
  readonly targets?: readonly TargetName[]
  readonly reference?: true
  readonly repetitions: number
  readonly seconds: number
  readonly paces: readonly number[]
  readonly window: number
  readonly soakRate: number
  readonly appendfsync: NonNullable<RedisOptions['appendfsync']>
  readonly json?: string
}

const EXAMPLES = `
Examples:
  npm run bench                                          throughput, paced and micro: a quarter of an hour
  npm run bench -- --quick                               the same in a minute or two, and coarse
  npm run bench -- --taps                                the race: verdicts and webhooks, two minutes
  npm run bench -- --soak 600                            memory over ten minutes of work
  npm run bench -- --idle 10000                          memory of ten thousand connections
  npm run bench -- --cpu-prof --targets hub-redis        where the time goes
  npm run bench -- --throughput --targets bare,hub-sqlite --repetitions 5 --json results.json
  npm run bench -- --variables 1000000                   two years of figures, of a million entries
  taskset -c 0,1 npm run bench                           on two cores of a larger machine
  npm run --silent bench -- --throughput --paced --micro --soak 600 --idle 10000 --reference > docs/bench.md
                                                         all of it, kept: an hour and a half
`

export function parseOptions(): Options {
  return new Command('bench')
    .description(
      'Measures the hub against bare Aedes and a naive hub; runs redis-server and influxd of its own.',
    )
    .option('--throughput', 'as fast as it goes, and at what cost')
    .option('--paced', 'how long a terminal waits at a steady pace')
    .option('--micro', 'parts by themselves')
    .option('--taps', 'how long a rep waits for the verdict, and WhatsApp for its 200')
    .option('--soak <seconds>', 'memory over time', positive)
    .option('--idle <devices>', 'memory per connection', positive)
    .option('--cpu-prof', 'where the time goes: functions by thread, Redis commands')
    .option(
      '--variables [entries]',
      'tables of the unit economics, and the rebuild of their metrics',
      positive,
    )
    .option('--quick', 'one short repetition of each')
    .option('--targets <names>', `some of ${TARGET_NAMES.join(', ')}`, targetNames)
    .option('--reference', 'also hubs with dealers, prices and a registration ledger imported')
    .option('--repetitions <count>', 'of throughput, paced and micro; targets take turns', positive, 3)
    .option('--seconds <seconds>', 'measured in each repetition', positive, 15)
    .option('--paces <rates>', 'of --paced: sales a second', rates, [200, 8000])
    .option('--window <sales>', 'of each terminal, unacknowledged at most', positive, 50)
    .option('--soak-rate <rate>', 'of --soak: sales a second', positive, 2000)
    .addOption(
      new Option('--appendfsync <policy>', 'of Redis: when its file is synced')
        .choices(['always', 'everysec', 'no'])
        .default('everysec'),
    )
    .option('--json <file>', 'where to write all figures')
    .addHelpText('after', EXAMPLES)
    .parse()
    .opts<Options>()
}

function positive(text: string): number {
  const number = Number(text)
  if (!(number > 0)) throw new InvalidArgumentError('Expected a number above 0.')
  return number
}

const rates = (text: string): number[] => text.split(',').map(positive)

const targetNames = (text: string): TargetName[] =>
  text.split(',').map((name) => {
    const found = TARGET_NAMES.find((known) => known === name)
    if (found === undefined) throw new InvalidArgumentError(`Expected some of ${TARGET_NAMES.join(', ')}.`)
    return found
  })
