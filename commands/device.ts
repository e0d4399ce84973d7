/** `hub device add`: provisions terminals and vehicle units. */
import { Command } from 'commander'
import { type DeviceName, parseDeviceId, RESERVED_DEALERS } from '../gateway/contract/topics.ts'
import { addDevices, type DeviceCredential } from '../gateway/devices.ts'
import { readDeviceFile } from './device-file.ts'
import { errorLines, openInput } from './files.ts'
import { count, jsonLine, print, table } from './output.ts'
import { withStore } from './with-store.ts'

interface Flags {
  readonly dealer?: string
  readonly device?: string
  readonly file?: string
  readonly json?: true
}

export const deviceCommand = (): Command =>
  new Command('device')
    .description('Devices and their credentials.')
    .addCommand(
      new Command('add')
        .description('Provision a device, or many, and print its credential. It is shown this once.')
        .option('--dealer <dealer>', 'the dealer it stands at')
        .option('--device <device>', 'its name there')
        .option('--file <file>', 'many, as CSV with the columns dealer_id,device_id; - reads stdin')
        .option('--json', '{"client_id","username","password"}, or an array of them with --file')
        .addHelpText('after', EXAMPLES)
        .action(add),
    )

const EXAMPLES = `
A device that exists already gets a new credential; its old one counts for nothing from then on.

Examples:
  $ hub device add --dealer jkt-01 --device pos-1
  $ hub device add --dealer jkt-01 --device pos-1 --json
  $ hub device add --file devices.csv > credentials.csv`

async function add(flags: Flags, command: Command): Promise<void> {
  const names = await namesOf(flags, command)
  const added = await withStore((store) => addDevices(store, names))
  const credentials = added.map(({ credential }) => credential)
  if (flags.file === undefined)
    await print(flags.json ? jsonLine(credentials[0]) : table(Object.entries(credentials[0] ?? {})))
  else await print(flags.json ? jsonLine(credentials) : csvOf(credentials))
  console.error(`${count(added.length, 'new credential')}, shown this once`)
  const rotated = added.filter(({ isRotated }) => isRotated).length
  if (rotated > 0) console.error(`${count(rotated, 'device')} had one before, which counts no longer`)
}

async function namesOf({ dealer, device, file }: Flags, command: Command): Promise<readonly DeviceName[]> {
  if (file === undefined) {
    if (dealer === undefined || device === undefined)
      return command.error('error: --dealer and --device, or --file')
    const name = parseDeviceId(`${dealer}/${device}`)
    if (name !== null) return [name]
    const reserved = RESERVED_DEALERS.join(', ')
    return command.error(
      `error: expected names of letters, digits, dots, dashes and underscores (no dealer is called ${reserved}), ` +
        `received ${JSON.stringify(dealer)} and ${JSON.stringify(device)}`,
    )
  }
  if (dealer !== undefined || device !== undefined)
    return command.error('error: either --file, or --dealer and --device')
  const read = await readDeviceFile(openInput(file).bytes)
  if (read.errorsTotal === 0) return read.names
  throw new Error(['nobody was provisioned, since the file is wrong:', ...errorLines(file, read)].join('\n'))
}

/** No value of it needs quoting. */
const csvOf = (credentials: readonly DeviceCredential[]): string =>
  [
    'client_id,username,password',
    ...credentials.map((credential) => Object.values(credential).join(',')),
    '',
  ].join('\n')
