/**
 * One run: the world is built, its devices connect, the plan happens, the outboxes drain, and the verdict is spoken.
 *
 *   connecting   devices log in, a bounded number at a time
 *   trading      the plan, at its own pace
 *   settling     nothing new happens; what was said is waited for
 *   verifying    the hub's ledger is read and judged
 */
import { setTimeout as wait, setImmediate as yieldTurn } from 'node:timers/promises'
import { parseEntryId } from '../gateway/contract/ledger.ts'
import type { Credential } from './connection.ts'
import type { DeviceOptions, SimulatedDevice } from './device.ts'
import { Journal } from './journal.ts'
import { type LedgerEntry, type LedgerSource, readLedger } from './ledger-reader.ts'
import { type Action, type PlanOptions, planTraffic } from './plan.ts'
import { stream } from './random.ts'
import { type Recorder, recordTo } from './recorder.ts'
import { type Figures, Statistics } from './statistics.ts'
import { SimulatedTerminal } from './terminal.ts'
import { SimulatedVehicle } from './vehicle.ts'
import { judge, type Verdict } from './verdict.ts'
import type { Device, World } from './world.ts'

/** A hub, as an outsider reaches it. */
export interface SimulationTarget {
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://` */
  readonly mqttUrl: string
  /** One for each device of the world; others are passed over. */
  readonly credentials: readonly Credential[]
  /** Where the ledger can be read; null: a run without a verdict. */
  readonly ledger: LedgerSource | null
}

export interface SimulationOptions {
  readonly world: World
  readonly plan: PlanOptions
  /** Seconds of the world in one of ours; `max`: as fast as the hub acknowledges. */
  readonly speed: number | 'max'
  readonly target: SimulationTarget
  /** Judges the hub at the end; needs `target.ledger`. */
  readonly verify: boolean
  /** Where to keep the journal; null: in memory alone. */
  readonly journalPath: string | null
  /** How long to wait, after the last action, for what is under way. */
  readonly settleMs: number
  /** Called now and then, for people to watch. */
  readonly onProgress?: (progress: Progress) => void
  /** Ends the trading early; what was said is still settled and judged. */
  readonly signal?: AbortSignal
}

export interface Progress {
  readonly phase: 'connecting' | 'trading' | 'settling' | 'verifying'
  readonly seed: number
  readonly dealers: number
  readonly devices: number
  readonly speed: number | 'max'
  /** Since the run began. */
  readonly elapsedMs: number
  /** The world's clock, milliseconds since 1970. */
  readonly worldAtMs: number
  /** Letters in the outboxes. */
  readonly pending: number
  readonly figures: Figures
}

export interface SimulationResult {
  readonly seed: number
  readonly elapsedMs: number
  /** Letters still in outboxes at the end. */
  readonly pending: number
  readonly figures: Figures
  /** Null when none was asked for. */
  readonly verdict: Verdict | null
}

export const PROGRESS_EVERY_MS = 500
/** Logins under way at a time: a fleet that comes up is not an attack. */
const LOGINS_AT_ONCE = 100
/** Actions between two turns of the event loop. */
const ACTIONS_PER_TURN = 64
/** At full speed: letters in outboxes, for each device, before the plan waits for the hub. */
const PENDING_PER_DEVICE = 16
const POLL_MS = 10

/**
 * @throws when a device has no credential, when the ledger cannot be read, or when the hub already has sales of this
 * seed: they would all be replays
 */
export async function runSimulation(options: SimulationOptions): Promise<SimulationResult> {
  const { world, plan, speed, target, verify, settleMs, onProgress } = options
  const startedAtMs = performance.now()
  const credentials = credentialsOf(world, target)
  const source = verify ? ledgerOf(target) : null
  const before = source === null ? null : await readBefore(world, source)
  const journal = await Journal.open(options.journalPath, world.options, before?.numbers ?? {})
  const statistics = new Statistics()
  const clock = new WorldClock(plan.startAtMs, speed)
  const devices = buildDevices(options, credentials, recordTo(journal, statistics), () => clock.nowMs)
  const pending = () => [...devices.values()].reduce((sum, { outbox }) => sum + outbox.pending, 0)

  let phase: Progress['phase'] = 'connecting'
  const report = () =>
    onProgress?.({
      phase,
      seed: world.options.seed,
      dealers: world.dealers.length,
      devices: devices.size,
      speed,
      elapsedMs: performance.now() - startedAtMs,
      worldAtMs: clock.nowMs,
      pending: pending(),
      figures: statistics.figures,
    })
  const reports = setInterval(report, PROGRESS_EVERY_MS)
  try {
    await connectAll([...devices.values()])
    phase = 'trading'
    clock.start()
    await trade(options, devices, clock, pending)
    phase = 'settling'
    await settle(settleMs, () => pending() === 0 && journal.books.garbageUnanswered <= 0)
    const left = [...devices].map(([id, { outbox }]) => [id, outbox.pending] as const)
    journal.ended(Object.fromEntries(left.filter(([, count]) => count > 0)))
    phase = 'verifying'
    report()
    const verdict =
      source === null ? null : judge(world, journal.books, await readAll(source, before?.cursor ?? null))
    return {
      seed: world.options.seed,
      elapsedMs: performance.now() - startedAtMs,
      pending: left.reduce((sum, [, count]) => sum + count, 0),
      figures: statistics.figures,
      verdict,
    }
  } finally {
    clearInterval(reports)
    await Promise.all([...devices.values()].map((device) => device.close()))
    await journal.close()
  }
}

/** What the world's clocks show; it stands still until it is started. */
class WorldClock {
  readonly #startAtMs: number
  readonly #speed: number | 'max'
  #startedAtMs: number | null = null
  #reachedMs: number

  constructor(startAtMs: number, speed: number | 'max') {
    this.#startAtMs = startAtMs
    this.#speed = speed
    this.#reachedMs = startAtMs
  }

  get nowMs(): number {
    if (this.#speed === 'max' || this.#startedAtMs === null) return this.#reachedMs
    return this.#startAtMs + (performance.now() - this.#startedAtMs) * this.#speed
  }

  start(): void {
    this.#startedAtMs = performance.now()
  }

  /** How long, by our clock, until the world reaches this moment; 0 when it has. */
  reach(atMs: number): number {
    this.#reachedMs = atMs
    return this.#speed === 'max' ? 0 : Math.max(0, (atMs - this.nowMs) / this.#speed)
  }
}

/** By client id, one for each device. @throws when one is missing */
function credentialsOf(world: World, { credentials }: SimulationTarget): Map<string, Credential> {
  const byId = new Map(credentials.map((credential) => [credential.client_id, credential]))
  const missing = world.devices.find(({ id }) => !byId.has(id))
  if (missing === undefined) return byId
  throw new Error(
    `no credential for ${missing.id}: write the world's devices with «hub simulate --files DIR», ` +
      'then «hub device add --file DIR/devices.csv --json > credentials.json»',
  )
}

function buildDevices(
  { world, target }: SimulationOptions,
  credentials: ReadonlyMap<string, Credential>,
  recorder: Recorder,
  worldNow: () => number,
): Map<string, SimulatedDevice> {
  const optionsOf = (name: Device): DeviceOptions => ({
    name,
    url: target.mqttUrl,
    credential: credentials.get(name.id) as Credential,
    recorder,
    random: stream(world.options.seed, 'connection', name.id),
    worldNow,
  })
  return new Map([
    ...world.terminals.map((terminal) => [terminal.id, new SimulatedTerminal(optionsOf(terminal))] as const),
    ...world.units.map((unit) => [unit.id, new SimulatedVehicle(optionsOf(unit))] as const),
  ])
}

async function connectAll(devices: readonly SimulatedDevice[]): Promise<void> {
  const queue = devices.values()
  const connectNext = async () => {
    for (const device of queue) await device.start()
  }
  await Promise.all(Array.from({ length: LOGINS_AT_ONCE }, connectNext))
}

async function trade(
  { world, plan, speed, signal }: SimulationOptions,
  devices: ReadonlyMap<string, SimulatedDevice>,
  clock: WorldClock,
  pending: () => number,
): Promise<void> {
  let actions = 0
  for (const action of planTraffic(world, plan)) {
    const waitMs = clock.reach(action.atMs)
    // It rejects when it is interrupted, which the next line asks for itself.
    if (waitMs > 0) await wait(waitMs, undefined, { signal }).catch(() => {})
    if (signal?.aborted) return
    perform(devices.get(action.device) as SimulatedDevice, action)
    if (++actions % ACTIONS_PER_TURN !== 0) continue
    await yieldTurn()
    while (speed === 'max' && pending() > PENDING_PER_DEVICE * devices.size && !signal?.aborted) {
      await wait(POLL_MS)
    }
  }
}

async function settle(settleMs: number, isSettled: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + settleMs
  while (!isSettled() && performance.now() < deadlineMs) await wait(POLL_MS)
}

function perform(device: SimulatedDevice, action: Action): void {
  if (action.kind === 'health') device.feel(action.rssiDbm)
  else device.post(action)
}

function ledgerOf({ ledger }: SimulationTarget): LedgerSource {
  if (ledger !== null) return ledger
  throw new Error('a verdict needs the URL of the hub’s HTTP API and a token to read its ledger')
}

interface Before {
  /** By lane: the last entry number. */
  readonly numbers: Readonly<Record<string, number>>
  /** Of a page near the end: where to begin to read afterwards. */
  readonly cursor: string | null
}

/** What the ledger has before the run. */
async function readBefore(world: World, source: LedgerSource): Promise<Before> {
  const devices = new Set(world.devices.map(({ id }) => id))
  const numbers: Record<string, number> = {}
  let cursor: string | null = null
  for await (const page of readLedger(source, null)) {
    for (const { entry, data } of page.entries) {
      const { dealer, device, event_id: eventId } = data
      if (String(eventId).startsWith(`${world.options.seed}-`) && devices.has(`${dealer}/${device}`)) {
        throw new Error(
          `the hub's ledger already has sales of seed ${world.options.seed}, such as ${eventId}: ` +
            'they would all be replays. Choose another seed, or a fresh hub',
        )
      }
      const place = parseEntryId(entry)
      if (place !== null) numbers[place.lane] = Math.max(numbers[place.lane] ?? 0, place.number)
    }
    cursor = page.cursor
  }
  return { numbers, cursor }
}

async function readAll(source: LedgerSource, after: string | null): Promise<LedgerEntry[]> {
  const entries: LedgerEntry[] = []
  for await (const page of readLedger(source, after)) entries.push(...page.entries)
  return entries
}
