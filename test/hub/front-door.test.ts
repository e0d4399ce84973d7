import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { expect, it } from 'vitest'
import { buildProgram } from '../../commands/program.ts'
import { hubPlace } from './run-hub.ts'

/** Every command that does something, by its words: `ledger export`. */
function leaves(command: Command, words: readonly string[] = []): [words: string, command: Command][] {
  const children = command.commands.filter((child) => child.name() !== 'help')
  if (children.length === 0) return [[words.join(' '), command]]
  return children.flatMap((child) => leaves(child, [...words, child.name()]))
}

it('has every command of the contract that this hub can do', () => {
  expect(
    leaves(buildProgram())
      .map(([words]) => words)
      .toSorted(),
  ).toEqual([
    'backup',
    'demo',
    'device add',
    'doctor',
    'export feishu',
    'import',
    'ledger export',
    'ledger tail',
    'ledger verify',
    'metrics rebuild',
    'quarantine list',
    'quarantine replay',
    'quarantine show',
    'race',
    'restore',
    'simulate',
    'start',
    'token add',
  ])
})

it.each(leaves(buildProgram()))(
  'hub %s --help describes it, each option, and shows examples',
  (_, command) => {
    let help = ''
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
    expect(command.description()).not.toBe('')
    for (const option of command.options) expect(option.description, option.long).not.toBe('')
    expect(help).toMatch(/Examples:\n/)
    expect(help).toContain(`  $ hub `)
  },
)

it.each<[rule: string, words: string[], settings: Record<string, string>, code: number, stderr: RegExp]>([
  ['help that was asked for is no error', ['--help'], {}, 0, /^$/],
  ['help of a command is no error', ['ledger', 'export', '--help'], {}, 0, /^$/],
  [
    'a command that does not exist: the nearest is named',
    ['strat'],
    {},
    2,
    /unknown command 'strat'\n\(Did you mean start\?\)/,
  ],
  ['no command: the help', [], {}, 2, /Commands:\n {2}start/],
  ['a group without its command: its help', ['ledger'], {}, 2, /Commands:\n {2}export/],
  [
    'an option that does not exist',
    ['doctor', '--jason'],
    {},
    2,
    /unknown option '--jason'\n\(Did you mean --json\?\)\nTry: hub doctor --help/,
  ],
  [
    'an argument too few',
    ['import', 'serials'],
    {},
    2,
    /missing required argument 'file'\nTry: hub import --help/,
  ],
  [
    'a kind of file that does not exist',
    ['import', 'seriels', 'x.csv'],
    {},
    2,
    /Allowed choices are dealers, reps, managers, serials, prices/,
  ],
  [
    'a role that there is not',
    ['start', '--role', 'broker,gatway'],
    {},
    2,
    /Roles are broker, gateway, bridge, projector, web; not gatway/,
  ],
  [
    'roles that can’t be apart',
    ['start', '--role', 'broker,web'],
    {},
    2,
    /Name broker and gateway together, or bridge alone, or projector alone/,
  ],
  [
    'a bridge that is told neither of a hub nor of a provider',
    ['start', '--role', 'bridge'],
    {},
    2,
    /HUB_MQTT_URL: expected the MQTT address of the hub.*\n.*META_PHONE_NUMBER_ID: expected the settings of Meta or of Qontak/,
  ],
  [
    'a bridge without its token',
    ['start', '--role', 'bridge'],
    {
      HUB_MQTT_URL: 'mqtt://127.0.0.1:1',
      META_APP_SECRET: 'x',
      META_VERIFY_TOKEN: 'x',
      META_ACCESS_TOKEN: 'x',
      META_PHONE_NUMBER_ID: '1',
    },
    2,
    /META_BRIDGE_TOKEN: expected a token \(hub token add --role bridge:meta\)/,
  ],
  [
    'a projector alone on an embedded store, which is another process’s',
    ['start', '--role', 'projector'],
    {},
    2,
    /REDIS_URL: expected the store of the hub/,
  ],
  [
    'wrong settings: all of them are named',
    ['start'],
    { MQTT_PORT: 'mqtt', HUB_TIMEZONE: 'WIB+7', REDIS_URL: '127.0.0.1' },
    2,
    /HUB_TIMEZONE: expected .*\n {2}MQTT_PORT: expected .*\n {2}REDIS_URL: expected /,
  ],
  [
    'a store that is not there, for a command that only reads',
    ['ledger', 'export'],
    {},
    1,
    /no store in .*HUB_DATA_DIR/,
  ],
  [
    'a server that is not there',
    ['ledger', 'verify'],
    { REDIS_URL: 'redis://127.0.0.1:1' },
    1,
    /^hub: Redis at 127\.0\.0\.1:1 .*\n$/,
  ],
])('%s', async (_, words, settings, code, stderr) => {
  using place = hubPlace(settings)
  const result = await place.run(words)
  expect(result.stderr).toMatch(stderr)
  expect(result.code).toBe(code)
  expect(result.stdout === '').toBe(code !== 0)
})

it('a Node that is too old is told so, in one line', async () => {
  using place = hubPlace()
  const older =
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '24.5.0' } })"
  const child = place.spawn(['doctor'], ['--import', `data:text/javascript,${encodeURIComponent(older)}`])
  const closed = once(child, 'close')
  expect(await text(child.stderr)).toMatch(/^hub needs Node 26, and this is Node 24\.5\.0\. .*npx hub.*\n$/)
  expect((await closed)[0]).toBe(2)
})
