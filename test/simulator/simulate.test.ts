import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type PrepareLocalHub, simulateCommand } from '../../simulator/command.ts'
import { readLedger } from '../../simulator/ledger-reader.ts'
import { type Progress, runSimulation, type SimulationOptions } from '../../simulator/simulate.ts'
import { createView } from '../../simulator/terminal-view.ts'
import { World } from '../../simulator/world.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { MONDAY_MS, SMALL_PLAN } from './play.ts'
import { TinyBroker, type TinyBrokerOptions, TOKEN } from './tiny-broker.ts'
import type { Draft } from './tiny-hub.ts'

const world = new World({ seed: 1, dealers: 12, unitsPerDealer: 1, stockPerTerminal: 200 })

async function startBroker(options: Omit<TinyBrokerOptions, 'world'> = {}): Promise<TinyBroker> {
  const broker = await TinyBroker.start({ world, ...options })
  onTestFinished(() => broker[Symbol.asyncDispose]())
  return broker
}

const optionsFor = (broker: TinyBroker): SimulationOptions => ({
  world,
  plan: { ...SMALL_PLAN, salesMax: 300 },
  speed: 'max',
  target: broker.target,
  verify: true,
  journalPath: null,
  settleMs: 20_000,
})

describe('a run', () => {
  test('ends with every letter acknowledged and a verdict that holds', async () => {
    const broker = await startBroker()
    const result = await runSimulation(optionsFor(broker))
    expect(result.verdict?.findings).toEqual([])
    expect(result).toMatchObject({ seed: 1, pending: 0, verdict: { holds: true } })
    expect(result.figures.sales).toBeGreaterThanOrEqual(300)
    expect(result.figures.receipts).toMatchObject({
      registered: expect.any(Number),
      duplicate_serial: expect.any(Number),
      replayed: expect.any(Number),
    })
    expect(result.figures.receipt?.p99).toBeGreaterThan(0)
  })

  test('holds over a network that cuts connections and loses receipts', async () => {
    const broker = await startBroker({
      mishap: (n) => (n % 40 === 7 ? 'cut_before_commit' : n % 40 === 23 ? 'cut_after_commit' : 'none'),
    })
    const result = await runSimulation(optionsFor(broker))
    expect(result.verdict?.findings).toEqual([])
    expect(result.figures.reconnects).toBeGreaterThan(5)
  })

  test('finds out a hub that loses one acknowledged sale', async () => {
    let decisions = 0
    const write = (drafts: readonly Draft[]) =>
      drafts[0]?.type === 'sale.registered' && ++decisions === 100 ? [] : drafts
    const broker = await startBroker({ defect: { write } })
    const { verdict } = await runSimulation(optionsFor(broker))
    expect(verdict?.holds).toBe(false)
    expect(verdict?.findings.map(({ check }) => check)).toContain('kept')
  })

  test('goes by the clock when it is given a speed', async () => {
    const broker = await startBroker()
    const plan = { startAtMs: MONDAY_MS, spanMs: 3_600_000, salesMax: null, salesPerDealerHour: 12 }
    const { figures, elapsedMs } = await runSimulation({ ...optionsFor(broker), plan, speed: 3600 })
    // Timers are never early, so this says nothing about the machine.
    expect(elapsedMs).toBeGreaterThan(900)
    expect(figures.sales).toBeGreaterThan(50)
  })

  test('that is interrupted settles and judges what it has sent', async () => {
    const broker = await startBroker()
    const interrupted = new AbortController()
    const onProgress = ({ phase, figures }: Progress) => {
      if (phase === 'trading' && figures.sales > 0) interrupted.abort()
    }
    const { verdict, figures } = await runSimulation({
      ...optionsFor(broker),
      plan: { ...SMALL_PLAN, salesMax: null },
      speed: 60,
      signal: interrupted.signal,
      onProgress,
    })
    expect(verdict?.holds).toBe(true)
    // Of some eight hundred.
    expect(figures.sales).toBeLessThan(400)
  })

  test('does not hold when the hub is gone before everything is answered', async () => {
    const broker = await startBroker({ mishap: (n) => (n > 50 ? 'receipt_lost' : 'none') })
    const result = await runSimulation({ ...optionsFor(broker), settleMs: 500 })
    expect(result.pending).toBeGreaterThan(0)
    expect(result.verdict?.findings.map(({ check }) => check)).toContain('settled')
  })

  test('with a seed the hub has had before is refused, as all of it would be replays', async () => {
    const broker = await startBroker()
    await runSimulation(optionsFor(broker))
    await expect(runSimulation(optionsFor(broker))).rejects.toThrow('already has sales of seed 1')
  })

  test('with another seed on the same hub is judged by itself', async () => {
    const broker = await startBroker()
    await runSimulation({ ...optionsFor(broker), verify: false })
    const other = new World({ ...world.options, seed: 2 })
    const { verdict } = await runSimulation({ ...optionsFor(broker), world: other })
    // The tiny hub has the registration ledger of seed 1 alone: it knows none of these serials.
    expect(verdict?.checks.find(({ check }) => check === 'invented')?.failed).toBe(0)
    expect(verdict?.checks.find(({ check }) => check === 'kept')?.failed).toBe(0)
  })

  test('needs a credential for every device, and says how to get it', async () => {
    const broker = await startBroker()
    const target = { ...broker.target, credentials: broker.target.credentials.slice(1) }
    await expect(runSimulation({ ...optionsFor(broker), target })).rejects.toThrow(
      /^no credential for semarang\/pos-1: .*hub device add --file/,
    )
  })
})

describe('the ledger over HTTP', () => {
  async function serve(listener: RequestListener): Promise<{ httpUrl: string; token: string }> {
    const server = createServer(listener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    return { httpUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: TOKEN }
  }

  test('is read page by page, from where it was left', async () => {
    const broker = await startBroker()
    for (let i = 0; i < 2200; i++) broker.hub.append({ type: 'sale.registered', data: { serial: `S${i}` } })
    const source = broker.target.ledger as NonNullable<typeof broker.target.ledger>
    const pages = await Array.fromAsync(readLedger(source, null))
    expect(pages.map(({ entries }) => entries.length)).toEqual([1000, 1000, 200])
    expect(pages.flatMap(({ entries }) => entries)).toEqual(broker.hub.ledger)
    const rest = await Array.fromAsync(readLedger(source, pages.at(-1)?.cursor ?? null))
    expect(rest.flatMap(({ entries }) => entries)).toEqual(broker.hub.ledger.slice(2000))
  })

  test('is asked for again when the hub is not ready or limits its callers', async () => {
    const statuses = [503, 429, 200]
    const source = await serve((_request, response) => {
      response.writeHead(statuses.shift() ?? 500, { 'retry-after': '0' })
      response.end('{"items":[],"next":null}')
    })
    expect(await Array.fromAsync(readLedger(source, null))).toEqual([{ entries: [], cursor: null }])
  })

  test.each([
    [401, '{"title":"Unauthorized"}', 'answered 401: {"title":"Unauthorized"}'],
    [200, '{"entries":[]}', 'items'],
    [
      200,
      '{"items":[{"entry":"x","at":"","type":"","data":{}}],"next":null}',
      'expected the id of a ledger entry',
    ],
  ])('that answers %i %s is an error that says so', async (status, body, message) => {
    const source = await serve((_request, response) => void response.writeHead(status).end(body))
    await expect(Array.fromAsync(readLedger(source, null))).rejects.toThrow(message)
  })
})

describe('hub simulate', () => {
  /** @returns what it printed */
  async function run(words: string[], prepare: PrepareLocalHub = () => expect.fail()): Promise<string> {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {})
    const progress = vi.spyOn(process.stderr, 'write').mockImplementation(() => true)
    onTestFinished(() => {
      process.exitCode = undefined
    })
    try {
      await simulateCommand(prepare).exitOverride().parseAsync(words, { from: 'user' })
      return log.mock.calls.flat().join('\n')
    } finally {
      log.mockRestore()
      progress.mockRestore()
    }
  }

  const small = [
    '--seed',
    '1',
    '--dealers',
    '12',
    '--units',
    '1',
    '--stock',
    '200',
    '--speed',
    'max',
    '--sales',
    '100',
  ]

  test('has the hub of this machine made ready, runs and judges', async () => {
    const broker = await startBroker()
    const printed = await run([...small, '--verify', '--json'], async (files) => {
      expect(readFileSync(files.devices, 'utf8')).toContain('medan,pos-1')
      return broker.target
    })
    expect(JSON.parse(printed)).toMatchObject({ seed: 1, pending: 0, verdict: { holds: true, findings: [] } })
    expect(process.exitCode).toBeUndefined()
  })

  test('runs against any hub with a file of credentials, and ends with 1 when the verdict does not hold', async () => {
    using folder = temporaryFolder('simulate')
    const broker = await startBroker({ defect: { answer: () => [] } })
    const { mqttUrl, credentials, ledger } = broker.target
    const file = join(folder.path, 'credentials.json')
    writeFileSync(file, JSON.stringify(credentials))
    const hub = [
      '--mqtt',
      mqttUrl,
      '--http',
      String(ledger?.httpUrl),
      '--token',
      TOKEN,
      '--credentials',
      file,
    ]
    const printed = stripVTControlCharacters(await run([...small, ...hub, '--verify', '--settle', '0.2']))
    expect(printed).toMatch(/The hub does not hold what was sent\. \(seed 1\)/)
    expect(printed).toMatch(/✘ receipts/)
    expect(process.exitCode).toBe(1)
  })

  test('judges a journal by a ledger export without sending anything', async () => {
    using folder = temporaryFolder('simulate')
    const broker = await startBroker()
    const [journal, ledger] = [join(folder.path, 'run.jsonl'), join(folder.path, 'ledger.jsonl')]
    await run([...small, '--journal', journal], async () => broker.target)
    const lines = broker.hub.ledger.map((entry) => `${JSON.stringify(entry)}\n`)
    writeFileSync(ledger, lines.join(''))
    const arrivals = broker.arrivals.length
    expect(await run(['--journal', journal, '--ledger', ledger])).toContain(
      'holds what was sent, entry by entry',
    )
    expect(process.exitCode).toBeUndefined()
    writeFileSync(ledger, lines.slice(1).join(''))
    expect(await run(['--journal', journal, '--ledger', ledger])).toContain('does not hold what was sent')
    expect(process.exitCode).toBe(1)
    expect(broker.arrivals.length).toBe(arrivals)
  })

  test('writes the files of a world', async () => {
    using folder = temporaryFolder('simulate')
    await run(['--dealers', '3', '--stock', '5', '--files', folder.path])
    expect(readFileSync(join(folder.path, 'dealers.csv'), 'utf8').trimEnd().split('\n')).toHaveLength(4)
  })

  test.each([
    [['--seed', '1.5'], 'expected a whole number from 0 to 4294967295'],
    [['--speed', 'fast'], 'expected a number above 0'],
    [['--start', 'tomorrow'], 'expected now, or an instant such as'],
    [['--ledger', 'x.jsonl'], '--ledger needs --journal'],
    [['--credentials', 'none.json', '--verify'], '--verify needs --http and --token'],
  ])('%j is refused in plain words', async (words, message) => {
    const written = vi.spyOn(process.stderr, 'write').mockImplementation(() => true)
    onTestFinished(() => written.mockRestore())
    await expect(
      simulateCommand(() => expect.fail())
        .exitOverride()
        .parseAsync(words, { from: 'user' }),
    ).rejects.toThrow(message)
  })
})

describe('the view', () => {
  const progress = (elapsedMs: number, published: number): Progress => ({
    phase: 'trading',
    seed: 1,
    dealers: 110,
    devices: 390,
    speed: 60,
    elapsedMs,
    worldAtMs: MONDAY_MS + 60 * elapsedMs,
    pending: 3,
    figures: {
      sales: 1204,
      statuses: 30,
      published,
      republished: 2,
      acknowledged: published - 3,
      receipts: { registered: 1120, duplicate_serial: 18 },
      acknowledgement: { p50: 1.2, p95: 3.4, p99: 9.94, max: 120 },
      receipt: null,
      connected: 390,
      reconnects: 1,
      lastTrouble: null,
    },
  })

  function watch(isTTY: boolean): { stream: NodeJS.WriteStream; written: string[] } {
    const written: string[] = []
    const stream = { isTTY, columns: 100, write: (text: string) => written.push(text) }
    return { stream: stream as unknown as NodeJS.WriteStream, written }
  }

  test('on a terminal is drawn in place, with names and units', () => {
    const { stream, written } = watch(true)
    const view = createView(stream)
    view(progress(1000, 1000))
    view(progress(2000, 1500))
    const [first = '', second = ''] = written
    const lines = stripVTControlCharacters(first).trimEnd().split('\n')
    expect(lines).toMatchInlineSnapshot(`
      [
        "Dealer Hub simulator   seed 1 · 110 dealers · 390 devices",
        "trading      Mon 23 Nov, 10:01 WIB   60 s of the world a second   0:01 min",
        "",
        "connected    390 of 390 devices   1 reconnects",
        "events       1,000 sent   1,000/s   █",
        "sales        1,204 sent   3 letters in outboxes   2 sent again",
        "receipts     registered 1,120   duplicate serial 18",
        "",
        "latency            p50         p95         p99         max",
        "PUBACK          1.2 ms      3.4 ms      9.9 ms      120 ms",
        "receipt              –           –           –           –",
      ]
    `)
    // Up over all lines of the first picture, and clear.
    expect(second.startsWith(`\u001b[${lines.length}A\u001b[0J`)).toBe(true)
    expect(stripVTControlCharacters(second)).toContain('1,500 sent   500/s')
    for (const line of lines) expect(line.length).toBeLessThan(100)
  })

  test('elsewhere is a JSON line a second', () => {
    const { stream, written } = watch(false)
    const view = createView(stream)
    for (const elapsedMs of [500, 1000, 1500, 2000, 2500]) view(progress(elapsedMs, elapsedMs))
    const lines = written.map((line) => JSON.parse(line))
    expect(lines.map(({ elapsed_s }) => elapsed_s)).toEqual([1, 2, 3])
    expect(lines[1]).toMatchObject({
      phase: 'trading',
      events_per_s: 1000,
      sales: 1204,
      puback_ms: { p99: 9.94 },
    })
  })
})
