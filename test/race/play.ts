/**
 * Races, as they come: from one seed, through several intakes at once over one store, as several hubs have it. People
 * send forms and write; reps tap what they are offered, once, twice, in words, too late; providers bring a tap again;
 * buttons are forwarded; timers fire when they are due, twice, and long after.
 *
 * A race is played in steps. In each the hub's clock goes on by minutes, then all that happens is shuffled and handed in
 * at once, each thing to one of the hubs. Nothing else is waited for: what overtakes what is up to intakes and store.
 * Their clock is the store's, so margins are real.
 */
import { createPeople } from '../../gateway/customers.ts'
import { DEFAULT_RACE_RULES } from '../../gateway/deciders/decision.ts'
import { internalMessage } from '../../gateway/decode/internal.ts'
import { createDecode, type Inbound } from '../../gateway/decode.ts'
import { startMessages } from '../../gateway/effects/messages.ts'
import { type Intake, startIntake } from '../../gateway/intake.ts'
import { parseTimerMember, timersIndex } from '../../gateway/race-documents.ts'
import { importReference } from '../../gateway/reference/import.ts'
import { SHARDS } from '../../gateway/store/keys.ts'
import type { Store } from '../../gateway/store/store.ts'
import { integer, mulberry32, pick, type Random } from '../support/random.ts'
import { type Audit, auditRaces, type SentForm, type SentMessage, type SentTap } from './auditor.ts'
import { keptIn } from './evidence.ts'
import {
  createWorld,
  EVENING,
  MODEL,
  MORNING,
  type RaceWorld,
  TIMEZONE,
  type WorldOptions,
  type WorldRep,
} from './world.ts'

export interface PlayOptions extends WorldOptions {
  readonly seed: number
  /** People who want a vehicle. */
  readonly people: number
  readonly hubs: number
  /** Steps after the first. */
  readonly steps: number
  /** Of taps, 0 to 1: brought once more by the provider. */
  readonly redelivered: number
  /** Of reps, 0 to 1, in each step: they check in or out, or ask. */
  readonly shifts: number
  /** Of leads, 0 to 1: nobody taps them. */
  readonly ignored: number
}

export const DEFAULT_PLAY = {
  people: 100,
  hubs: 3,
  steps: 5,
  redelivered: 0.15,
  shifts: 0.02,
  ignored: 0.2,
  dealers: 30,
  repsPerDealerMax: 3,
  quotaShare: 0.2,
  quotaMax: 12,
  closedShare: 0.25,
} as const satisfies Omit<PlayOptions, 'seed'>

/** Of the meetings of hub and store: where a control takes something away. */
export interface Wiring {
  /** What a hub's intake works on. */
  readonly intakeStore?: (store: Store) => Store
  /** What its messages are read from. */
  readonly messagesStore?: (store: Store) => Store
}

const BRIDGES = ['race-a', 'race-b'] as const
/** More than a proposal waits here between being decided and being committed. */
const DECIDING_MS = 5000

const RULES = { ...DEFAULT_RACE_RULES, bridge: BRIDGES[0] }
const QUIET = { info() {}, warn() {} }

const decode = createDecode({
  serialPattern: /^[A-Z0-9]{6,32}$/,
  people: createPeople('a secret of the tests'),
  onUnknownFields() {},
})

/** @param stores one for each hub; they stand on the same, which is empty */
export async function playRaces(
  stores: readonly Store[],
  options: PlayOptions,
  wiring: Wiring = {},
): Promise<Audit> {
  const random = mulberry32(options.seed)
  const world = createWorld(random, options)
  const [store] = stores as [Store]
  await importWorld(store, world)
  const play = new Play(random, world, options)
  const hubs = stores.map((own) => startHub(own, play, wiring))
  for (let step = 0; step <= options.steps; step++) {
    if (step > 0) play.goOn()
    await play.handIn(hubs, play.shuffled([...play.happens(step), ...(await play.timersDue(store))]))
    // Before the clock goes on: what it made waits for nobody.
    await Promise.all(hubs.map((hub) => hub.sent()))
  }
  await Promise.all(hubs.map((hub) => hub.close()))
  const kept = await keptIn(store, world, { bridges: BRIDGES, days: ['2026-11-22'] })
  const { taps, forms, said, messages } = play
  return auditRaces({ ...kept, taps, forms, said, messages, decidingMs: DECIDING_MS })
}

export async function importWorld(store: Store, { files }: RaceWorld): Promise<void> {
  for (const kind of ['dealers', 'reps', 'prices'] as const) {
    const bytes = (async function* () {
      yield Buffer.from(files[kind])
    })()
    const result = await importReference(store, kind, bytes, { serialPattern: /^[A-Z0-9]+$/ })
    if (result.outcome !== 'imported') throw new Error(`${kind}: ${JSON.stringify(result)}`)
  }
}

interface PlayedHub {
  readonly intake: Intake
  /** Resolves when what was committed here has gone out. */
  sent(): Promise<void>
  close(): Promise<void>
}

function startHub(store: Store, play: Play, { intakeStore = same, messagesStore = same }: Wiring): PlayedHub {
  const now = () => play.nowMs
  const open = () =>
    startMessages({
      store: messagesStore(patient(store)),
      deliver: async (_topic, payload) => {
        play.heard(payload)
        return 'delivered'
      },
      accept: (message) => intake.accept(message),
      log: QUIET,
      now,
    })
  let messages = open()
  const intake = startIntake({
    store: intakeStore(store),
    decode,
    timezone: TIMEZONE,
    rules: RULES,
    now,
    onReceipt: null,
    onJobs: (jobs) => messages.send(jobs),
    onBatch() {},
  })
  return {
    intake,
    async sent() {
      await messages.stop()
      messages = open()
    },
    close: () => messages.stop(),
  }
}

const same = (store: Store): Store => store

/**
 * On a busy machine Redis may be too slow for once. A message is then handed over later, by whichever hub its bridge
 * listens to; here nobody listens, so it is tried again.
 */
function patient(store: Store): Store {
  const again = async <Answer>(ask: () => Promise<Answer>, attempts = 10): Promise<Answer> =>
    attempts === 0 ? ask() : ask().catch(() => again(ask, attempts - 1))
  return {
    ...store,
    read: (keys) => again(() => store.read(keys)),
    commit: (all) => again(() => store.commit(all)),
  }
}

/** Something that is handed in. */
interface Happening {
  readonly inbound: Inbound
  readonly taken?: (reply: object | null) => void
}

interface SeenOffer {
  readonly rep: WorldRep
  readonly lead: string
  readonly choice: string
}

class Play {
  nowMs = MORNING
  readonly taps = new Map<string, SentTap>()
  readonly forms = new Map<string, SentForm>()
  readonly said = new Map<string, { acknowledged: boolean }>()
  readonly messages = new Map<string, SentMessage>()
  readonly #random: Random
  readonly #world: RaceWorld
  readonly #options: PlayOptions
  readonly #repByPhone: ReadonlyMap<string, WorldRep>
  /** By who was heard of: what came since the last step. */
  #fresh: SeenOffer[] = []
  #old: SeenOffer[] = []
  #won: { rep: WorldRep; lead: string }[] = []
  #questions: { phone: string; choice: string }[] = []
  #firedBefore: string[] = []
  readonly #ignored = new Map<string, boolean>()
  #events = 0

  constructor(random: Random, world: RaceWorld, options: PlayOptions) {
    this.#random = random
    this.#world = world
    this.#options = options
    this.#repByPhone = new Map(world.reps.map((rep) => [rep.phone, rep]))
  }

  /** By minutes, now and then by hours: shops open and close, and it stays the same day. */
  goOn(): void {
    const minutes = this.#chance(0.2) ? integer(this.#random, 60, 240) : integer(this.#random, 1, 20)
    this.nowMs = Math.min(this.nowMs + minutes * 60_000, EVENING)
  }

  #chance(share: number): boolean {
    return this.#random() < share
  }

  /** All that is handed in is on its way at once. */
  async handIn(hubs: readonly PlayedHub[], happenings: readonly Happening[]): Promise<void> {
    await Promise.all(
      happenings.map(async ({ inbound, taken }) => {
        const { intake } = pick(this.#random, hubs)
        const reply = await intake.accept(inbound)
        taken?.(reply)
      }),
    )
  }

  shuffled<Item>(items: Item[]): Item[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = integer(this.#random, 0, i)
      ;[items[i], items[j]] = [items[j] as Item, items[i] as Item]
    }
    return items
  }

  /** A message to a person, as its bridge gets it. */
  heard(payload: string): void {
    const message = JSON.parse(payload)
    const isNew = !this.messages.has(message.job_id)
    this.messages.set(message.job_id, { kind: message.kind, body: message.body })
    if (!isNew) return
    const [choice] = (message.template?.payloads ??
      message.choices?.map(({ id }: { id: string }) => id) ??
      []) as string[]
    if (choice === undefined) return
    const { phone } = message.to
    const rep = this.#repByPhone.get(phone)
    if (rep === undefined) this.#questions.push({ phone, choice })
    else if (choice.startsWith('claim:'))
      this.#fresh.push({ rep, choice, lead: choice.split(':')[1] as string })
    else this.#won.push({ rep, lead: choice.split(':')[1] as string })
  }

  happens(step: number): Happening[] {
    const [fresh, won, questions] = [this.#fresh, this.#won, this.#questions]
    this.#fresh = []
    this.#won = []
    this.#questions = []
    const happenings = [
      ...(step === 0 ? this.#people() : []),
      ...questions.flatMap(({ phone, choice }) =>
        this.#again(this.#tells(phone, { choice: { id: choice, title: '-' } })),
      ),
      ...fresh.flatMap((offer) => this.#reactsTo(offer)),
      ...this.#old
        .filter(({ lead }) => this.#chance(0.04) && this.#ignored.get(lead) !== true)
        .flatMap((offer) => this.#taps(offer.rep, offer.lead, 'claim', offer.choice)),
      ...won.flatMap((winner) => this.#winnerDoes(winner)),
      ...this.#world.reps.filter(() => this.#chance(this.#options.shifts)).flatMap((rep) => this.#shift(rep)),
    ]
    this.#old = [...this.#old, ...fresh].slice(-2000)
    return happenings
  }

  /** Timers that are due, some on two hubs at once; and some that have fired long ago. */
  async timersDue(store: Store): Promise<Happening[]> {
    const due = await store.range(SHARDS.map(timersIndex), { max: this.nowMs, limit: 100_000 })
    const members = due.map(({ member }) => member)
    const late = this.#firedBefore.filter(() => this.#chance(0.05))
    this.#firedBefore = [...this.#firedBefore, ...members].slice(-2000)
    const twice = members.filter(() => this.#chance(0.3))
    return [...members, ...twice, ...late].map((member) => ({
      inbound: internalMessage('timer', parseTimerMember(member) as object),
    }))
  }

  // — people —

  #people(): Happening[] {
    return Array.from({ length: this.#options.people }, (_, n) => {
      const phone = `+62813${String(n).padStart(7, '0')}`
      const comesAgain = this.#chance(0.15)
      if (this.#chance(0.2)) {
        return [
          ...this.#again(this.#tells(phone, { text: `Halo, mau beli ${MODEL} bulan ini` })),
          ...this.#again(this.#tells(phone, { location: this.#world.place(this.#random) }, 1)),
          ...(comesAgain ? this.#sendsForm(phone) : []),
        ]
      }
      return [...this.#sendsForm(phone), ...(comesAgain ? this.#sendsForm(phone) : [])]
    }).flat()
  }

  #sendsForm(phone: string): Happening[] {
    const event_id = `form-${++this.#events}`
    const form: SentForm = { phone, acknowledged: false, answer: null }
    this.forms.set(event_id, form)
    const body = { event_id, phone, ...this.#world.place(this.#random), model: MODEL, channel: 'tiktok' }
    return this.#again({
      inbound: { topic: 'hub/v1/portal/hq/lead', sender: 'hub', payload: Buffer.from(JSON.stringify(body)) },
      taken: (reply) => {
        form.acknowledged = true
        form.answer = reply as SentForm['answer']
      },
    })
  }

  /** Somebody writes; `later`: so many seconds after now. */
  #says(
    phone: string,
    what: object,
    later = 0,
    eventId = `msg.${++this.#events}`,
    bridge = this.#bridgeOf(phone),
  ): Happening {
    const message = {
      event_id: eventId,
      bridge,
      account: '1',
      customer: { phone, user_id: null, name: 'Seseorang' },
      at: new Date(this.nowMs + later * 1000).toISOString(),
      kind: 'choice' in what ? 'choice' : 'location' in what ? 'location' : 'text',
      ...what,
      raw: null,
    }
    const payload = Buffer.from(JSON.stringify(message))
    return { inbound: { topic: `hub/v1/bridge/${bridge}/inbound`, sender: bridge, payload } }
  }

  /** A customer does. */
  #tells(phone: string, what: object, later = 0): Happening {
    const event = `msg.${++this.#events}`
    const said = { acknowledged: false }
    this.said.set(event, said)
    const { inbound } = this.#says(phone, what, later, event)
    const taken = () => {
      said.acknowledged = true
    }
    return { inbound, taken }
  }

  #bridgeOf = (phone: string): string => BRIDGES[Number(phone.at(-1)) % 2] as string

  /** Some of what a provider brings, it brings twice. */
  #again(happening: Happening): Happening[] {
    return this.#chance(this.#options.redelivered) ? [happening, happening] : [happening]
  }

  // — reps —

  #taps(rep: WorldRep, lead: string, action: SentTap['action'], choice: string): Happening[] {
    const tap: SentTap = { rep: rep.rep, lead, action, acknowledged: false }
    const event = `msg.tap.${++this.#events}`
    this.taps.set(event, tap)
    const what =
      action === 'claim' && this.#chance(0.1)
        ? { text: `Ambil ${lead}` }
        : { choice: { id: choice, title: '-' } }
    const { inbound } = this.#says(rep.phone, what, 0, event)
    const taken = () => {
      tap.acknowledged = true
    }
    return this.#again({ inbound, taken })
  }

  #reactsTo({ rep, lead, choice }: SeenOffer): Happening[] {
    const isIgnored = this.#ignored.get(lead) ?? this.#chance(this.#options.ignored)
    this.#ignored.set(lead, isIgnored)
    if (isIgnored) return []
    const happenings: Happening[] = []
    const count = pick(this.#random, [0, 0, 1, 1, 1, 1, 2, 3])
    for (let n = 0; n < count; n++) happenings.push(...this.#taps(rep, lead, 'claim', choice))
    if (this.#chance(0.03))
      happenings.push(...this.#taps(pick(this.#random, this.#world.reps), lead, 'claim', choice))
    if (this.#chance(0.01)) happenings.push(...this.#forwarded(lead, choice))
    if (this.#chance(0.005))
      happenings.push(
        ...this.#taps(rep, `${lead.slice(0, -4)}0000`, 'claim', `claim:${lead.slice(0, -4)}0000:1`),
      )
    return happenings
  }

  #forwarded(lead: string, choice: string): Happening[] {
    const tap: SentTap = { rep: null, lead, action: 'claim', acknowledged: false }
    const event = `msg.forwarded.${++this.#events}`
    this.taps.set(event, tap)
    const { inbound } = this.#says(
      `+62819${String(this.#events).padStart(7, '0')}`,
      { choice: { id: choice, title: '-' } },
      0,
      event,
    )
    const taken = () => {
      tap.acknowledged = true
    }
    return this.#again({ inbound, taken })
  }

  /** Half of them are in touch in time; the others lose it to the next race. */
  #winnerDoes({ rep, lead }: { rep: WorldRep; lead: string }): Happening[] {
    const actions = ['contacted', 'demo', 'won', 'lost'] as const
    const happenings: Happening[] = []
    while (this.#chance(0.4)) {
      const action = pick(this.#random, actions)
      happenings.push(...this.#taps(rep, lead, action, `${action}:${lead}`))
    }
    if (this.#chance(0.05)) {
      const other = pick(this.#random, this.#world.reps)
      happenings.push(...this.#taps(other, lead, 'contacted', `contacted:${lead}`))
    }
    if (this.#chance(0.02)) {
      const sold = {
        sale: String(++this.#events),
        serial: `SERIAL${this.#events}`,
        dealer: rep.dealer,
        lead_id: lead,
        customer: null,
      }
      happenings.push({ inbound: internalMessage('sold', sold) })
    }
    return happenings
  }

  #shift(rep: WorldRep): Happening[] {
    const tap: SentTap = { rep: rep.rep, lead: null, action: 'shift', acknowledged: false }
    const event = `msg.shift.${++this.#events}`
    this.taps.set(event, tap)
    const { inbound } = this.#says(
      rep.phone,
      { text: pick(this.#random, ['pulang', 'pulang', 'masuk', 'masuk', 'apa?']) },
      0,
      event,
    )
    const taken = () => {
      tap.acknowledged = true
    }
    return this.#again({ inbound, taken })
  }
}
