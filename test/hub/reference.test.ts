import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { authenticateDevice } from '../../gateway/devices.ts'
import { openSqliteStore } from '../../gateway/store/sqlite.ts'
import { findToken } from '../../gateway/tokens.ts'
import { hubPlace } from './run-hub.ts'

const SERIALS = 'serial,model,dealer_id,produced_on'
const file = (folder: string, name: string, lines: readonly string[]) =>
  writeFileSync(join(folder, name), [...lines, ''].join('\n'))

it('hub import tells what it did, the same file again changes nothing, and --dry-run only tells', async () => {
  using place = hubPlace()
  file(place.folder, 'serials.csv', [SERIALS, 'ABC001,EV-1,,', 'ABC002,EV-1,,2026-01-01'])
  expect(await place.run(['import', 'serials', 'serials.csv', '--dry-run'])).toEqual({
    code: 0,
    stdout: 'serials: would import 2 new rows, 0 changed, 0 as before\n',
    stderr: '',
  })
  expect(await place.run(['import', 'serials', 'serials.csv'])).toMatchObject({
    code: 0,
    stdout: 'serials: 2 new rows, 0 changed, 0 as before\n',
  })
  file(place.folder, 'serials.csv', [SERIALS, 'ABC001,EV-2,,', 'ABC002,EV-1,,2026-01-01', 'ABC003,EV-1,,'])
  const { stdout } = await place.run(['import', 'serials', 'serials.csv', '--json'])
  expect(JSON.parse(stdout)).toEqual({
    kind: 'serials',
    rows: 3,
    added: 1,
    changed: 1,
    same: 1,
    dry_run: false,
  })
})

it('hub import names file, line and column of every error, imports nothing, and ends with 1', async () => {
  using place = hubPlace()
  file(place.folder, 'serials.csv', [SERIALS, 'ABC001,EV-1,,', 'abc,EV-1,,', 'ABC002,EV-1,,01/02/2026'])
  const told = await place.run(['import', 'serials', 'serials.csv'])
  expect(told).toEqual({
    code: 1,
    stdout: '',
    stderr: [
      'hub: nothing was imported, since the file is wrong:',
      'serials.csv:3: serial: expected a serial matching ^[A-Z0-9]{6,32}$, received "abc"',
      'serials.csv:4: produced_on: expected a date such as 2026-11-22, received "01/02/2026"',
      '',
    ].join('\n'),
  })
  const { code, stdout } = await place.run(['import', 'serials', 'serials.csv', '--json'])
  expect(code).toBe(1)
  expect(JSON.parse(stdout)).toMatchObject({
    errors: [
      { line: 3, column: 'serial' },
      { line: 4, column: 'produced_on' },
    ],
    errors_total: 2,
  })
})

it('hub import reads a pipe, and follows SERIAL_PATTERN', async () => {
  using place = hubPlace({ SERIAL_PATTERN: '^[a-z]+$' })
  const { code, stdout } = await place.run(['import', 'serials', '-', '--json'], `${SERIALS}\nabc,EV-1,,\n`)
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ added: 1 })
})

it('hub import of a file that is not there says so', async () => {
  using place = hubPlace()
  expect(await place.run(['import', 'prices', 'prices.csv'])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^hub: prices\.csv can't be read: ENOENT/),
  })
})

it('hub device add prints a credential once, as JSON or for people, that the device logs in with', async () => {
  using place = hubPlace()
  const add = ['device', 'add', '--dealer', 'jkt-01', '--device', 'pos-1']
  const forPeople = await place.run(add)
  expect(forPeople).toMatchObject({ code: 0, stderr: '1 new credential, shown this once\n' })
  expect(forPeople.stdout).toMatch(
    /^client_id {2}jkt-01\/pos-1\nusername {3}jkt-01\/pos-1\npassword {3}[\w-]{43}\n$/,
  )
  const again = await place.run([...add, '--json'])
  expect(again.stderr).toContain('1 device had one before, which counts no longer')
  const credential = JSON.parse(again.stdout) as Record<'client_id' | 'username' | 'password', string>
  expect(Object.keys(credential)).toEqual(['client_id', 'username', 'password'])

  await using stack = new AsyncDisposableStack()
  const store = stack.adopt(await openSqliteStore({ dataDir: place.dataDir }), (it) => it.close())
  const login = (password: string) =>
    authenticateDevice(store, {
      clientId: credential.client_id,
      username: credential.username,
      password: Buffer.from(password),
      certificateName: null,
    })
  expect(await login(credential.password)).toEqual({ dealer: 'jkt-01', device: 'pos-1' })
  expect(await login(/password +(\S+)/.exec(forPeople.stdout)?.[1] as string)).toBeNull()
})

it('hub device add --file provisions many, in the order of the file', async () => {
  using place = hubPlace()
  file(place.folder, 'devices.csv', ['note,device_id,dealer_id', 'x,pos-2,b', ',pos-1,a'])
  const { code, stdout } = await place.run(['device', 'add', '--file', 'devices.csv', '--json'])
  expect(code).toBe(0)
  expect((JSON.parse(stdout) as { client_id: string }[]).map(({ client_id }) => client_id)).toEqual([
    'b/pos-2',
    'a/pos-1',
  ])
  const csv = await place.run(['device', 'add', '--file', 'devices.csv'])
  expect(csv.stdout).toMatch(
    /^client_id,username,password\nb\/pos-2,b\/pos-2,[\w-]{43}\na\/pos-1,a\/pos-1,[\w-]{43}\n$/,
  )
})

it('hub device add --file provisions nobody when a line is wrong', async () => {
  using place = hubPlace()
  const lines = ['dealer_id,device_id', 'a,pos-1', 'live,pos-1', 'a,pos/2', 'a,pos-1', 'a']
  file(place.folder, 'devices.csv', lines)
  const { code, stdout, stderr } = await place.run(['device', 'add', '--file', 'devices.csv', '--json'])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr.split('\n')).toEqual([
    'hub: nobody was provisioned, since the file is wrong:',
    expect.stringMatching(/^devices\.csv:3: dealer_id: expected a dealer's id: .*, received "live"$/),
    expect.stringMatching(/^devices\.csv:4: device_id: expected a device's id: .*, received "pos\/2"$/),
    'devices.csv:5: expected each row once, received a/pos-1 again, as in line 2',
    'devices.csv:6: expected 2 columns, as in the header, received 1',
    '',
  ])
})

it.each<[words: string[], says: RegExp]>([
  [[], /--dealer and --device, or --file/],
  [['--dealer', 'a'], /--dealer and --device, or --file/],
  [['--dealer', 'a', '--device', 'b', '--file', 'c'], /either --file, or --dealer and --device/],
  [['--dealer', 'bridge', '--device', 'b'], /no dealer is called portal, bridge, live/],
  [['--dealer', 'a/b', '--device', 'c'], /received "a\/b" and "c"/],
])('hub device add %s is refused before anything is opened', async (words, says) => {
  using place = hubPlace()
  const { code, stderr } = await place.run(['device', 'add', ...words])
  expect(stderr).toMatch(says)
  expect(code).toBe(2)
})

it('hub token add prints a token once, which opens what its role may', async () => {
  using place = hubPlace()
  const plain = await place.run(['token', 'add', '--role', 'analyst'])
  const json = await place.run(['token', 'add', '--role', 'dealer:jkt-01', '--json'])
  const { token } = JSON.parse(json.stdout) as { token: string }
  await using stack = new AsyncDisposableStack()
  const store = stack.adopt(await openSqliteStore({ dataDir: place.dataDir }), (it) => it.close())
  expect(await findToken(store, plain.stdout.trim())).toEqual({ role: 'analyst' })
  expect(await findToken(store, token)).toEqual({ role: 'dealer:jkt-01' })
  expect(await place.run(['token', 'add', '--role', 'king'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(
      'expected one of admin, manager, analyst, dealer:{id}, bridge:{bridge}, received "king"',
    ),
  })
})

it('whoever reads a command’s data may stop reading', async () => {
  using place = hubPlace()
  const rows = Array.from({ length: 5000 }, (_, i) => `d,p${i}`)
  file(place.folder, 'devices.csv', ['dealer_id,device_id', ...rows])
  const child = place.spawn(['device', 'add', '--file', 'devices.csv'])
  child.stderr.resume()
  const closed = once(child, 'close')
  await once(child.stdout, 'data')
  child.stdout.destroy()
  expect((await closed)[0]).toBe(0)
})
