/**
 * All commands, and what they have in common:
 *
 *   data on stdout, progress and errors on stderr
 *   exit code   0  done
 *               1  not done, or something is wrong
 *               2  not begun: a wrong command or option, or wrong settings (all of them are named)
 */
import { Command, CommanderError } from 'commander'
import { ConfigError } from '../config.ts'
import { backupCommand } from './backup.ts'
import { demoCommand } from './demo.ts'
import { deviceCommand } from './device.ts'
import { doctorCommand } from './doctor.ts'
import { exportCommand } from './export.ts'
import { importCommand } from './import.ts'
import { ledgerCommand } from './ledger.ts'
import { metricsCommand } from './metrics.ts'
import { quarantineCommand } from './quarantine.ts'
import { raceCommand } from './race.ts'
import { restoreCommand } from './restore.ts'
import { simulateHubCommand } from './simulate.ts'
import { startCommand } from './start.ts'
import { tokenCommand } from './token.ts'

const EXIT_FAILED = 1
const EXIT_NOT_BEGUN = 2

/** Runs the command that the words name, and sets the exit code. Never rejects. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  // Whoever reads us has enough (`hub ledger export | head`).
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? 0 : EXIT_FAILED),
  )
  try {
    await buildProgram().parseAsync(argv)
  } catch (error) {
    process.exitCode = explain(error)
  }
}

export function buildProgram(): Command {
  const program = new Command('hub')
    .description('Dealer Hub: what happens in a network of dealers, over MQTT, into a ledger.')
    .addHelpText('after', EXAMPLES)
  const commands = [
    startCommand(),
    demoCommand(),
    deviceCommand(),
    tokenCommand(),
    importCommand(),
    ledgerCommand(),
    raceCommand(),
    quarantineCommand(),
    metricsCommand(),
    exportCommand(),
    backupCommand(),
    restoreCommand(),
    doctorCommand(),
    simulateHubCommand(),
  ]
  for (const command of commands) program.addCommand(command)
  return configure(program)
}

const EXAMPLES = `
Settings come from the environment and from .env in this folder: hub doctor prints them.

Examples:
  $ hub demo                                             look at a hub at work
  $ hub start                                            the hub
  $ hub device add --dealer jkt-01 --device pos-1        a terminal's credential
  $ hub ledger export > ledger.jsonl                     everything that happened`

/** The same manners for every command, however deep. */
function configure(command: Command): Command {
  command.exitOverride().showHelpAfterError(`Try: ${pathOf(command)} --help`)
  for (const child of command.commands) configure(child)
  return command
}

const pathOf = (command: Command): string =>
  command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`

/** Tells on stderr what went wrong. @returns the exit code */
function explain(error: unknown): number {
  // It has been told already, and help that was asked for is no error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_NOT_BEGUN
  if (error instanceof ConfigError) {
    console.error('These settings are wrong (environment, or .env in this folder):')
    for (const { setting, message } of error.errors) console.error(`  ${setting}: ${message}`)
    return EXIT_NOT_BEGUN
  }
  console.error(`hub: ${messageOf(error)}`)
  return EXIT_FAILED
}

/** What a dependency could not do, in its words; a mistake of ours with the place where it happened. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code, port } = error as NodeJS.ErrnoException & { port?: number }
  if (code === 'EADDRINUSE') return `port ${port} is in use; MQTT_PORT and HTTP_PORT choose others`
  const isOurs = error.constructor !== Error && code === undefined
  return isOurs ? (error.stack ?? error.message) : error.message
}
