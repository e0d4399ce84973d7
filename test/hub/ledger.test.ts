import { once } from 'node:events'
import { copyFileSync, existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { SECRET_FILE } from '../../gateway/secrets.ts'
import { keyIn, SHARDS } from '../../gateway/store/keys.ts'
import { STORE_FILE } from '../../gateway/store/sqlite.ts'
import { type DeviceCredentials, provision, Terminal } from '../support/devices.ts'
import { type HubProcess, startHub } from '../support/hub-process.ts'
import { saleSource } from '../support/sales.ts'
import { startRedis } from '../support/services.ts'
import { until } from '../support/until.ts'
import { type HubPlace, hubPlace } from './run-hub.ts'

type Line = { entry: string; at: string; type: string; data: Record<string, unknown> }
const linesOf = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)

/** What `hub ledger export` prints. */
async function exported(from: Pick<HubPlace, 'run'>, ...words: string[]): Promise<Line[]> {
  const { code, stdout, stderr } = await from.run(['ledger', 'export', ...words])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return linesOf(stdout)
}

async function terminalAt(hub: HubProcess): Promise<Terminal> {
  const [credentials] = await provision(hub, [{ dealer: 'd1', device: 't1' }])
  return Terminal.connect(hub.mqttUrl, credentials as DeviceCredentials)
}

it('hub ledger export prints every entry as a line, or those that are asked for', async () => {
  await using hub = await startHub()
  await using terminal = await terminalAt(hub)
  using place = hubPlace({ HUB_DATA_DIR: hub.dataDir })
  const sale = saleSource(7)
  const [first, second] = [sale(), sale()]
  await terminal.sell(first)
  await terminal.sell(second)
  await terminal.sell({ ...sale(), serial: first.serial })

  const all = await exported(place)
  expect(all.map(({ type }) => type)).toEqual([
    'sale.registered',
    'sale.registered',
    'sale.rejected',
    'alert.raised',
  ])
  expect(Object.keys(all[0] as Line)).toEqual(['entry', 'at', 'type', 'data'])
  expect(all[0]).toMatchObject({ data: { event_id: first.event_id, dealer: 'd1', device: 't1' } })

  const [, secondAt] = all.map(({ at }) => at)
  const types = ['--type', 'sale.registered,sale.rejected']
  const since = await exported(place, ...types, '--from', secondAt as string)
  expect(since.map(({ type }) => type)).toEqual(['sale.registered', 'sale.rejected'])
  const before = await exported(place, '--to', secondAt as string)
  expect(before.map(({ data }) => data.event_id)).toEqual([first.event_id])
  expect(await hub.run('ledger', 'export', '--from', 'yesterday')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('expected an instant such as'),
  })
})

it('hub ledger tail prints the newest entries and then what comes, until Ctrl-C', async () => {
  await using hub = await startHub()
  await using terminal = await terminalAt(hub)
  const sale = saleSource(8)
  const sold = [sale(), sale(), sale()] as const
  await terminal.sell(sold[0])
  await terminal.sell(sold[1])
  using place = hubPlace({ HUB_DATA_DIR: hub.dataDir })
  const child = place.spawn(['ledger', 'tail', '--newest', '1'])
  const closed = once(child, 'close')
  const lines: Line[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line) as Line))
  await until('the newest entry is printed', () => lines.length === 1)
  await terminal.sell(sold[2])
  await until('the next one follows', () => lines.length === 2)
  expect(lines.map(({ data }) => data.event_id)).toEqual([sold[1].event_id, sold[2].event_id])
  child.kill('SIGINT')
  expect((await closed)[0]).toBe(0)
})

describe('hub ledger verify', () => {
  it('on the embedded store: all is well, and an entry edited behind its back is named', async () => {
    await using hub = await startHub()
    await using terminal = await terminalAt(hub)
    const sale = saleSource(9)
    for (let i = 0; i < 20; i++) await terminal.sell(sale())
    const sound = await hub.run('ledger', 'verify')
    expect(sound.stdout).toMatch(
      /^Checked 20 entries in \d+ lanes, from .*\n✔ None is missing, none was altered\.\n$/,
    )
    expect(sound.code).toBe(0)

    const database = new DatabaseSync(join(hub.dataDir, STORE_FILE), { timeout: 5000 })
    database.exec(`UPDATE entries SET body = replace(body, '"price":', '"price":9') WHERE stream = 'ledger' AND lane =
      (SELECT min(lane) FROM entries WHERE stream = 'ledger') AND number = 1`)
    database.close()
    const { code, stdout } = await hub.run('ledger', 'verify')
    expect(stdout).toMatch(/\n✖ entry \d+ \(number 1 of lane \d+\) was altered: .*\n$/)
    expect(code).toBe(1)
    const json = await hub.run('ledger', 'verify', '--json')
    expect(JSON.parse(json.stdout)).toMatchObject({
      entries: 20,
      violations_total: 1,
      violations: [expect.any(String)],
    })
    expect(json.code).toBe(1)
  })

  it('on Redis: all is well, and an entry that was deleted is missed', async () => {
    await using redis = await startRedis()
    await using hub = await startHub({ settings: { REDIS_URL: redis.url } })
    await using terminal = await terminalAt(hub)
    const sale = saleSource(10)
    for (let i = 0; i < 20; i++) await terminal.sell(sale())
    expect(await hub.run('ledger', 'verify')).toMatchObject({ code: 0 })

    const client = new Redis(redis.url)
    const lengths = await Promise.all(SHARDS.map((shard) => client.xlen(keyIn(shard, 'ledger'))))
    const lane = lengths.findIndex((length) => length > 0)
    await client.xdel(keyIn(lane, 'ledger'), `${lengths[lane]}-0`)
    client.disconnect()
    const { code, stdout } = await hub.run('ledger', 'verify')
    expect(stdout).toContain(`(number ${lengths[lane]} of lane ${lane}) is missing`)
    expect(code).toBe(1)
  })
})

describe('hub backup and hub restore', () => {
  it('a backup made while sales come in holds every sale that was acknowledged before it', async () => {
    await using hub = await startHub()
    await using terminal = await terminalAt(hub)
    using place = hubPlace({ HUB_DATA_DIR: hub.dataDir })
    const sale = saleSource(11)
    const acknowledged: string[] = []
    let isOver = false
    const selling = (async () => {
      while (!isOver) {
        const next = sale()
        await terminal.sell(next)
        acknowledged.push(next.event_id)
      }
    })()
    await until('sales come in', () => acknowledged.length > 10)
    const before = acknowledged.length
    expect(await place.run(['backup', 'copy.db'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^copy\.db: \d/),
    })
    isOver = true
    await selling
    expect(statSync(join(place.folder, 'copy.db')).mode & 0o777).toBe(0o600)

    // On a new machine, with the secret that was kept apart.
    using elsewhere = hubPlace()
    copyFileSync(join(place.folder, 'copy.db'), join(elsewhere.folder, 'copy.db'))
    const restored = await elsewhere.run(['restore', 'copy.db'])
    expect(restored.stdout).toMatch(/^Restored \d+ entries, the newest of /)
    expect(restored.stderr).toContain('hub metrics rebuild')
    expect(restored.stderr).toContain(`put ${SECRET_FILE} into ${elsewhere.dataDir}`)
    expect(await elsewhere.run(['ledger', 'verify'])).toMatchObject({ code: 0 })
    const ids = (await exported(elsewhere)).map(({ data }) => data.event_id)
    expect(ids).toEqual(expect.arrayContaining(acknowledged.slice(0, before)))
    expect(acknowledged).toEqual(expect.arrayContaining(ids))
  })

  it('a restore is refused while a hub runs, and where a store is, unless that may be put aside', async () => {
    await using hub = await startHub()
    await using terminal = await terminalAt(hub)
    const sale = saleSource(12)
    await terminal.sell(sale())
    using place = hubPlace({ HUB_DATA_DIR: hub.dataDir })
    await place.run(['backup', 'copy.db'])
    expect(await place.run(['backup', 'copy.db'])).toMatchObject({
      code: 1,
      stderr: 'hub: copy.db is there already; --force replaces it\n',
    })
    await terminal.sell(sale())
    expect(await place.run(['restore', 'copy.db', '--force'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`another hub runs on ${hub.dataDir}`),
    })
    await hub.stop()
    expect(await place.run(['restore', 'copy.db'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is a store'),
    })
    expect(await exported(place)).toHaveLength(2)
    const forced = await place.run(['restore', 'copy.db', '--force'])
    expect(forced).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Restored 1 entry/) })
    expect(await exported(place)).toHaveLength(1)
    const aside = /The store that was there is now (.*)\n/.exec(forced.stderr)?.[1] as string
    const old = new DatabaseSync(aside, { readOnly: true })
    expect(old.prepare("SELECT count(*) AS n FROM entries WHERE stream = 'ledger'").get()).toEqual({ n: 2 })
    old.close()
    // And a hub goes on from there.
    await hub.restart()
    await using again = await terminalAt(hub)
    expect(await again.sell(sale())).toMatchObject({ outcome: 'registered' })
  })

  it.each<[what: string, write: (path: string) => void]>([
    ['no database', (path) => writeFileSync(path, 'serial,model\n'.repeat(1000))],
    [
      'a database of something else',
      (path) => {
        const database = new DatabaseSync(path)
        database.exec('CREATE TABLE notes (text TEXT)')
        database.close()
      },
    ],
  ])('what is %s is not restored', async (_, write) => {
    using place = hubPlace()
    write(join(place.folder, 'copy.db'))
    const { code, stderr } = await place.run(['restore', 'copy.db'])
    expect(stderr).toMatch(/^hub: copy\.db is not the store of a hub, or damaged: /)
    expect(code).toBe(1)
    expect(existsSync(join(place.dataDir, STORE_FILE))).toBe(false)
  })

  it('a backup whose ledger was altered is not restored', async () => {
    await using hub = await startHub()
    await using terminal = await terminalAt(hub)
    await terminal.sell(saleSource(13)())
    using place = hubPlace({ HUB_DATA_DIR: hub.dataDir })
    await place.run(['backup', 'copy.db'])
    const database = new DatabaseSync(join(place.folder, 'copy.db'))
    database.exec("DELETE FROM entries WHERE stream = 'ledger'")
    database.close()
    using elsewhere = hubPlace()
    const { code, stderr } = await elsewhere.run(['restore', join(place.folder, 'copy.db')])
    expect(stderr).toMatch(/its ledger is not sound; nothing was replaced:\nentry \d+ .* is missing\n/)
    expect(code).toBe(1)
    expect(existsSync(join(elsewhere.dataDir, STORE_FILE))).toBe(false)
  })

  it.each(['backup', 'restore'])(
    'hub %s says what to do instead when the store is on Redis',
    async (command) => {
      using place = hubPlace({ REDIS_URL: 'redis://127.0.0.1:1' })
      const { code, stderr } = await place.run([command, 'copy.db'])
      expect(stderr).toMatch(/^hub: with REDIS_URL the store is on that server: .* Redis instead, by /)
      expect(code).toBe(1)
    },
  )
})
