/** A hub that is killed in the midst of telling a CRM, again and again. SEED=… repeats a run. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openSqliteStore } from '../../../gateway/store/sqlite.ts'
import { integer, mulberry32, seedOfRun } from '../../support/random.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { until } from '../../support/until.ts'
import { append, sale } from './crm-entries.ts'
import { openReceiver, type Received, SECRET } from './crm-receiver.ts'

const KILLS = 4
const LEADS = 60
/** Longer than a lease. */
const LIFE_MS = 20_000

it('a CRM is told everything at least once, under the same id and in order per lead, though its hub is killed', async () => {
  const random = mulberry32(seedOfRun())
  const { path: dataDir } = temporaryFolder('crm-kills')
  let hub: ChildProcess
  let exited: Promise<unknown> = Promise.resolve()
  let lives = 0
  let killAfter = Number.POSITIVE_INFINITY
  await using receiver = await openReceiver(async (_, response) => {
    if (--killAfter === 0) hub.kill('SIGKILL')
    else response.writeHead(204).end()
  })

  /** Its first word is that it follows. */
  async function start(): Promise<void> {
    const program = join(import.meta.dirname, 'crm-process.ts')
    const offset = String(lives++ * LIFE_MS)
    hub = spawn(process.execPath, [program, dataDir, receiver.url, SECRET, offset], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    exited = once(hub, 'exit')
    onTestFinished(() => void hub.kill('SIGKILL'))
    await once(hub.stdout as NodeJS.ReadableStream, 'data')
  }

  await start()
  await using opened = new AsyncDisposableStack()
  const store = opened.adopt(await openSqliteStore({ dataDir }), (it) => it.close())
  killAfter = integer(random, 1, 40)
  const sent: string[] = []
  for (let i = 0; i < LEADS; i++) {
    sent.push(await append(store, 'lead.claimed', { lead: `L${i}` }))
    sent.push(await append(store, i % 2 === 0 ? 'lead.won' : 'lead.lost', { lead: `L${i}` }))
    sent.push(await append(store, 'sale.registered', { ...sale, serial: `S${i}` }))
  }
  for (let kills = 1; kills <= KILLS; kills++) {
    await exited
    killAfter = kills < KILLS ? integer(random, 1, 40) : Number.POSITIVE_INFINITY
    await start()
  }
  const first = () => new Map<string, Received>(receiver.received.toReversed().map((one) => [one.id, one]))
  await until('everything was told', () => first().size === sent.length, { timeoutMs: 40_000 })

  expect(new Set(first().keys())).toEqual(new Set(sent))
  for (const { id, body } of receiver.received) expect(body).toBe(first().get(id)?.body)
  for (let i = 0; i < LEADS; i++) {
    const types = receiver.received.flatMap(({ event }) =>
      event.type !== 'sale.registered' && event.data.lead === `L${i}` ? [event.type] : [],
    )
    expect(types.indexOf('lead.handoff')).toBeLessThan(types.indexOf('lead.outcome'))
  }
  expect(receiver.received.length).toBeGreaterThanOrEqual(sent.length + KILLS)
  expect(receiver.forged).toBe(0)
})
