/**
 * The people behind bridges: customers who answer what they are asked until they are a lead, and reps who tap what they
 * are offered, in random order and number, and say what came of it. What they do is drawn from a seed; when, is up to
 * how fast the hub answers. Providers bring some of it twice.
 */
import { integer, pick, type Random } from '../support/random.ts'
import type { SentMessage, SentTap } from './auditor.ts'
import type { Outbound, TestBridge } from './test-bridge.ts'
import { MODEL, type RaceWorld, type WorldRep } from './world.ts'

export interface CrowdOptions {
  readonly random: Random
  readonly world: RaceWorld
  /** By name; each person and each rep keeps to one of them. */
  readonly bridges: ReadonlyMap<string, TestBridge>
  /** Customers whose answers are awaited, at most. */
  readonly customersAtOnce: number
}

const REDELIVERED = 0.1
/** Of those who win: not in touch in time, while the crowd is not in a hurry. */
const SLOW = 0.15
/** Publications that wait: beyond that, what is to be done waits for its turn, and what comes first goes at random. */
const PENDING_MAX = 300
const DRAW_AGAIN_MS = 2

export class Crowd {
  readonly taps = new Map<string, SentTap>()
  readonly said = new Map<string, { acknowledged: boolean }>()
  readonly messages = new Map<string, SentMessage>()
  /** Handed over more than once. */
  repeats = 0
  readonly #options: CrowdOptions
  readonly #repByPhone: ReadonlyMap<string, WorldRep>
  readonly #pool: (() => void)[] = []
  readonly #screening = new Set<string>()
  /** Offers nobody has reacted to, for the end. */
  readonly #ignored: (() => void)[] = []
  #customersLeft = 0
  #customers = 0
  #events = 0
  #isInAHurry = false
  #isDrawing = false

  constructor(options: CrowdOptions) {
    this.#options = options
    this.#repByPhone = new Map(options.world.reps.map((rep) => [rep.phone, rep]))
  }

  /** Nothing is left to be done or acknowledged. */
  get isIdle(): boolean {
    return this.#pool.length + this.#pending() + this.#customersLeft + this.#screening.size === 0
  }

  /** Every rep says that they are there: so the hub knows by which bridge. */
  async checkIn(): Promise<void> {
    await Promise.all(
      this.#options.world.reps.map((rep) => this.#tap(rep, null, 'shift', { text: 'masuk' }).acknowledged),
    )
  }

  /** So many more customers write. */
  come(customers: number): void {
    this.#customersLeft += customers
    this.#more()
  }

  /** From now on all that can be tapped is tapped, and every winner is in touch: so every lead finds an end. */
  hurry(): void {
    this.#isInAHurry = true
    for (const react of this.#ignored.splice(0)) this.#do(react)
  }

  /** A message to a person, as a bridge gets it. */
  hear({ job_id, to, kind, body, choices, template }: Outbound): void {
    if (this.messages.has(job_id)) {
      this.repeats++
      return
    }
    this.messages.set(job_id, { kind, ...(body !== undefined && { body }) })
    const phone = to.phone as string
    const choice = template?.payloads?.[0] ?? choices?.[0]?.id
    const rep = this.#repByPhone.get(phone)
    if (rep === undefined) this.#customerHears(phone, choice)
    else if (choice !== undefined) this.#repHears(rep, choice)
  }

  // — customers —

  #more(): void {
    const { customersAtOnce, world, random } = this.#options
    while (this.#customersLeft > 0 && this.#screening.size < customersAtOnce) {
      this.#customersLeft--
      const phone = `+62813${String(++this.#customers).padStart(7, '0')}`
      this.#screening.add(phone)
      this.#tells(phone, { location: world.place(random) })
    }
  }

  #customerHears(phone: string, choice: string | undefined): void {
    if (!this.#screening.has(phone)) return
    if (choice === undefined) {
      this.#screening.delete(phone)
      this.#more()
    } else this.#do(() => this.#tells(phone, { choice: { id: choice, title: MODEL } }))
  }

  #tells(phone: string, what: object): void {
    const { event, acknowledged } = this.#say(phone, what)
    const said = { acknowledged: false }
    this.said.set(event, said)
    void acknowledged.then(() => {
      said.acknowledged = true
    })
  }

  // — reps —

  #repHears(rep: WorldRep, choice: string): void {
    const { random, world } = this.#options
    const [verb, lead] = choice.split(':') as [string, string]
    if (verb !== 'claim') {
      const isSlow = random() < SLOW && !this.#isInAHurry
      const contact = () => this.#act(rep, lead, 'contacted')
      if (isSlow) this.#ignored.push(contact)
      else this.#do(contact)
      if (random() < 0.1) this.#do(() => this.#act(rep, lead, pick(random, ['won', 'lost', 'demo'])))
      return
    }
    const claim = (by: WorldRep) => () =>
      this.#tap(by, lead, 'claim', { choice: { id: choice, title: 'Ambil' } })
    const taps = this.#isInAHurry ? 1 : pick(random, [0, 0, 1, 1, 1, 1, 1, 2, 3])
    if (taps === 0) this.#ignored.push(claim(rep))
    for (let n = 0; n < taps; n++) this.#do(claim(rep))
    if (random() < 0.02) this.#do(claim(pick(random, world.reps)))
    if (random() < 0.01) this.#do(() => this.#forward(lead, choice))
  }

  #act(rep: WorldRep, lead: string, action: 'contacted' | 'won' | 'lost' | 'demo'): void {
    this.#tap(rep, lead, action, { choice: { id: `${action}:${lead}`, title: action } })
  }

  #forward(lead: string, choice: string): void {
    const phone = `+62819${String(++this.#events).padStart(7, '0')}`
    const tap: SentTap = { rep: null, lead, action: 'claim', acknowledged: false }
    const sent = this.#say(phone, { choice: { id: choice, title: 'Ambil' } })
    this.#journal(sent, tap)
  }

  #tap(rep: WorldRep, lead: string | null, action: SentTap['action'], what: object) {
    return this.#journal(this.#say(rep.phone, what), { rep: rep.rep, lead, action, acknowledged: false })
  }

  #journal(sent: { event: string; acknowledged: Promise<void> }, tap: SentTap) {
    this.taps.set(sent.event, tap)
    void sent.acknowledged.then(() => {
      tap.acknowledged = true
    })
    return sent
  }

  // — saying —

  #say(phone: string, what: object): { event: string; acknowledged: Promise<void> } {
    const { random, bridges } = this.#options
    const [name, bridge] = [...bridges][Number(phone.at(-1)) % bridges.size] as [string, TestBridge]
    const event = `msg.${name}.${++this.#events}`
    const message = {
      event_id: event,
      bridge: name,
      account: '1',
      customer: { phone, user_id: null, name: 'Seseorang' },
      at: new Date().toISOString(),
      kind: Object.keys(what)[0],
      ...what,
      raw: null,
    }
    const acknowledged = bridge.publish('inbound', message)
    if (random() < REDELIVERED) this.#do(() => void bridge.publish('inbound', message))
    return { event, acknowledged }
  }

  #do(action: () => void): void {
    this.#pool.push(action)
    if (this.#isDrawing) return
    this.#isDrawing = true
    setImmediate(() => this.#draw())
  }

  /** One at random after the other, as long as the bridges have room. */
  #draw(): void {
    const { random } = this.#options
    while (this.#pool.length > 0 && this.#pending() < PENDING_MAX) {
      const at = integer(random, 0, this.#pool.length - 1)
      const [action] = this.#pool.splice(at, 1)
      action?.()
    }
    this.#isDrawing = this.#pool.length > 0
    if (this.#isDrawing) setTimeout(() => this.#draw(), DRAW_AGAIN_MS)
  }

  #pending(): number {
    return [...this.#options.bridges.values()].reduce((sum, bridge) => sum + bridge.pending, 0)
  }
}
