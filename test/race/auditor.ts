/**
 * The judge of the race: what was sent in, against the ledger, the messages that went out, and the documents that are
 * left. It has its own idea of a lead's life, and imports nothing of the hub's.
 *
 *   winner   a round of a lead is won once, by a rep who was asked in that round and by the tap that was sent
 *   state    the entries of a lead, read in order, are a life that a lead may have; its document says what they say
 *   answer   a tap that was taken has one entry, and whoever tapped got one message for it; whoever was asked was asked once
 *   margin   a loser's entry comes after the claim, and the loser is told who won and by how much, to the tenth
 *   lost     what a customer said is in the ledger, once; a lead that was promised exists; one that nobody holds has a timer, and so has one that waits for its contact
 *   person   one lead for each person
 *   quota    wins are counted exactly; nobody is asked any more once the day's quota is won, but for what was being
 *            decided at that moment. Whoever was asked before may still win: so a dealer exceeds the quota by no
 *            more than the offers that were open when it was reached
 *   privacy  no entry has a phone number or a name
 *
 * A message counts once however often it was handed over: its `job_id` stays the same.
 */

export type Rule = 'winner' | 'state' | 'answer' | 'margin' | 'lost' | 'person' | 'quota' | 'privacy'

export interface Violation {
  readonly rule: Rule
  /** In words, with the lead, event or entry it is about. */
  readonly message: string
}

/** What a rep, or somebody else, sent in. */
export interface SentTap {
  /** Null: somebody who is no rep. */
  readonly rep: string | null
  /** Null: something about the rep's shift. */
  readonly lead: string | null
  readonly action: 'claim' | 'contacted' | 'demo' | 'won' | 'lost' | 'shift'
  acknowledged: boolean
}

export interface SentForm {
  readonly phone: string
  acknowledged: boolean
  /** What the hub answered. */
  answer: { readonly lead: string | null; readonly state: string } | null
}

export interface Evidence {
  readonly reps: ReadonlyMap<string, { readonly dealer: string; readonly name: string }>
  /** Those that have one. */
  readonly quotas: ReadonlyMap<string, number>
  /** By event id. */
  readonly taps: ReadonlyMap<string, SentTap>
  readonly forms: ReadonlyMap<string, SentForm>
  /** What customers said, by event id. */
  readonly said: ReadonlyMap<string, { readonly acknowledged: boolean }>
  /** `hub ledger export`; in order within each lane. */
  readonly entries: readonly LedgerEntry[]
  /** What went out, by `job_id`. */
  readonly messages: ReadonlyMap<string, SentMessage>
  /** What the hub keeps of each message, by `job_id`. */
  readonly jobs: ReadonlyMap<string, KeptJob>
  readonly leads: readonly KeptLead[]
  /** Members of the index of open leads. */
  readonly openLeads: ReadonlySet<string>
  /** Members of the index of timers: `claim:L07-…:2`. */
  readonly timers: ReadonlySet<string>
  /** By dealer, of all days and shards: what the hub has counted. */
  readonly won: ReadonlyMap<string, number>
  /** Longest time from reading what an offer depends on to its commit, ms. */
  readonly decidingMs: number
}

export interface LedgerEntry {
  readonly entry: string
  readonly at: string
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
}

export interface SentMessage {
  readonly kind: string
  readonly body?: string
}

export interface KeptJob {
  readonly about: { readonly lead?: string; readonly rep?: string; readonly customer?: string }
  readonly state: string
}

export interface KeptLead {
  readonly lead: string
  readonly customer: string
  readonly state: string
  readonly round: number
  readonly ring: number
  readonly offers: readonly {
    readonly rep: string
    readonly dealer: string
    readonly round: number
    readonly ring: number
  }[]
  readonly claims: readonly ({ readonly rep: string; readonly dealer: string } | null)[]
}

export interface Counts {
  readonly leads: number
  readonly races: number
  readonly claimed: number
  readonly tooSlow: number
  readonly repeated: number
  readonly refused: number
  readonly released: number
  readonly expired: number
  readonly messages: number
}

export interface Audit {
  readonly violations: readonly Violation[]
  readonly counts: Counts
}

export function auditRaces(evidence: Evidence): Audit {
  const lives = readLives(evidence)
  const answers = answered(evidence)
  const violations = [
    ...lives.violations,
    ...documents(evidence, lives.byLead),
    ...taken(evidence, answers),
    ...told(evidence, lives.byLead),
    ...heard(evidence),
    ...promises(evidence, lives.byLead),
    ...people(evidence),
    ...quotas(evidence),
    ...privacy(evidence),
  ]
  const count = (type: string) => evidence.entries.filter((entry) => entry.type === type).length
  return {
    violations,
    counts: {
      leads: count('lead.created'),
      races: [...lives.byLead.values()].reduce((sum, { rounds }) => sum + rounds.size, 0),
      claimed: count('lead.claimed'),
      tooSlow: count('lead.too_slow'),
      repeated: count('lead.claim_repeated'),
      refused: count('lead.tap_refused'),
      released: count('lead.released'),
      expired: count('lead.expired'),
      messages: evidence.messages.size,
    },
  }
}

// — a lead's life —

type State = 'UNCLAIMED' | 'WIDENED' | 'CLAIMED' | 'CONTACTED' | 'DEMO' | 'WON' | 'LOST' | 'EXPIRED'

const OPEN: readonly string[] = ['UNCLAIMED', 'WIDENED']
const HELD: readonly string[] = ['CLAIMED', 'CONTACTED', 'DEMO']
const DEALERS_IN_A_RING = 3
const RINGS = 4

interface Life {
  readonly lead: string
  readonly customer: string
  state: State
  round: number
  ring: number
  readonly offers: { rep: string; dealer: string; round: number; ring: number }[]
  /** By round: who won it, and when. */
  readonly claims: Map<number, { rep: string; dealer: string; atMs: number }>
  /** Rounds in which somebody was asked. */
  readonly rounds: Set<number>
}

function readLives({ entries, reps }: Evidence): { byLead: Map<string, Life>; violations: Violation[] } {
  const byLead = new Map<string, Life>()
  const violations: Violation[] = []
  for (const entry of entries) {
    if (!entry.type.startsWith('lead.')) continue
    const { lead: id, customer } = entry.data as { lead: string; customer: string }
    const wrong = (rule: Rule, what: string) =>
      violations.push({ rule, message: `entry ${entry.entry}, ${entry.type} of ${id}: ${what}` })
    const life = byLead.get(id)
    if (entry.type === 'lead.created') {
      if (life !== undefined) wrong('state', 'it exists already')
      else byLead.set(id, bornOf(id, customer))
    } else if (life !== undefined) {
      const fault = live(life, entry, reps)
      if (fault !== null) wrong(fault.rule, fault.message)
    } else if (entry.type !== 'lead.tap_refused' || entry.data.reason !== 'unknown_lead') {
      // A forwarded button names a lead that nobody needs to know.
      if (entry.type !== 'lead.tap_refused' || entry.data.rep !== null)
        wrong('state', 'there is no such lead')
    }
  }
  return { byLead, violations }
}

const bornOf = (lead: string, customer: string): Life => ({
  lead,
  customer,
  state: 'UNCLAIMED',
  round: 1,
  ring: 0,
  offers: [],
  claims: new Map(),
  rounds: new Set(),
})

/** One more entry of a life. @returns what is wrong with it, or null */
function live(life: Life, { type, at, data }: LedgerEntry, reps: Evidence['reps']): Violation | null {
  const rep = data.rep as string
  const holder = HELD.includes(life.state) ? life.claims.get(life.round) : undefined
  const state = (message: string): Violation => ({ rule: 'state', message: `${message} (${life.state})` })
  const needs = (ok: boolean, what: string) => (ok ? null : state(what))
  switch (type) {
    case 'lead.offered':
      return offered(life, data, reps) ?? null
    case 'lead.waiting':
      return needs(
        OPEN.includes(life.state) || life.state === 'EXPIRED',
        'a lead that is not open does not wait',
      )
    case 'lead.widened': {
      const fault = needs(OPEN.includes(life.state), 'only an open lead is widened')
      life.state = 'WIDENED'
      return fault
    }
    case 'lead.expired': {
      const fault = needs(OPEN.includes(life.state), 'only an open lead expires')
      life.state = 'EXPIRED'
      return fault
    }
    case 'lead.claimed':
      return claimed(life, at, data)
    case 'lead.too_slow':
      return tooSlow(life, at, data)
    case 'lead.claim_repeated':
      return needs(holder?.rep === rep && data.round === life.round, 'told again who does not hold it')
    case 'lead.tap_refused':
      return refused(life, data)
    case 'lead.released': {
      const fault = needs(
        life.state === 'CLAIMED' && holder?.rep === rep && data.round === life.round,
        'not held so',
      )
      life.state = 'WIDENED'
      life.round++
      return fault
    }
    case 'lead.contacted':
      return outcome(life, rep, ['CLAIMED'], 'CONTACTED')
    case 'lead.demo':
      return outcome(life, rep, ['CLAIMED', 'CONTACTED'], 'DEMO')
    case 'lead.won':
      return outcome(life, rep, HELD, 'WON')
    case 'lead.lost':
      return outcome(life, rep, HELD, 'LOST')
    default:
      return null
  }
}

function offered(life: Life, data: LedgerEntry['data'], reps: Evidence['reps']): Violation | null {
  const { round, ring } = data as { round: number; ring: number }
  const offers = data.offers as { rep: string; dealer: string }[]
  const dealers = new Set(offers.map(({ dealer }) => dealer))
  const before = new Set(life.offers.map(({ dealer }) => dealer))
  const faults = [
    [!OPEN.includes(life.state), `offered when it is ${life.state}`],
    [round !== life.round, `offered for round ${round} in round ${life.round}`],
    [ring !== life.ring + 1 || ring > RINGS, `ring ${ring} after ring ${life.ring}`],
    [dealers.size === 0 || dealers.size > DEALERS_IN_A_RING, `${dealers.size} dealers asked`],
    [[...dealers].some((dealer) => before.has(dealer)), 'a dealer is asked again'],
    [new Set(offers.map(({ rep }) => rep)).size !== offers.length, 'a rep is asked twice'],
    [offers.some(({ rep, dealer }) => reps.get(rep)?.dealer !== dealer), 'a rep of another dealer is asked'],
  ] as const
  life.ring = ring
  life.rounds.add(round)
  for (const { rep, dealer } of offers) life.offers.push({ rep, dealer, round, ring })
  const fault = faults.find(([isSo]) => isSo)
  return fault === undefined ? null : { rule: 'state', message: fault[1] }
}

const isInvited = (life: Life, rep: string, round: number): boolean =>
  life.offers.some((offer) => offer.rep === rep && offer.round === round)

function claimed(life: Life, at: string, data: LedgerEntry['data']): Violation | null {
  const { rep, dealer, round } = data as { rep: string; dealer: string; round: number }
  const winner = (message: string): Violation => ({ rule: 'winner', message })
  const first = life.claims.get(round)
  if (first !== undefined) return winner(`round ${round} was won by ${first.rep} before ${rep}`)
  const fault =
    round !== life.round
      ? winner(`won round ${round} in round ${life.round}`)
      : !isInvited(life, rep, round)
        ? winner(`${rep} was not asked in round ${round}`)
        : OPEN.includes(life.state)
          ? null
          : { rule: 'state' as const, message: `won when it is ${life.state}` }
  life.claims.set(round, { rep, dealer, atMs: Date.parse(at) })
  life.state = 'CLAIMED'
  return fault
}

function tooSlow(life: Life, at: string, data: LedgerEntry['data']): Violation | null {
  const { rep, round } = data as { rep: string; round: number }
  const margin = (message: string): Violation => ({ rule: 'margin', message })
  const claim = life.claims.get(round)
  if (claim === undefined) return margin(`${rep} is too slow before anybody has won round ${round}`)
  if (claim.rep === rep) return { rule: 'answer', message: `${rep} has lost against ${rep}` }
  if (!isInvited(life, rep, round))
    return { rule: 'answer', message: `${rep} was not asked in round ${round}` }
  return Date.parse(at) < claim.atMs
    ? margin(`${rep} has lost ${claim.atMs - Date.parse(at)} ms too early`)
    : null
}

/** Of a tap on an offer: whether what it is told is so. */
function refused(life: Life, { action, reason, rep }: LedgerEntry['data']): Violation | null {
  if (action !== 'claim' || typeof rep !== 'string') return null
  const wasAsked = life.offers.some((offer) => offer.rep === rep)
  const expected = !wasAsked
    ? 'not_invited'
    : life.state === 'EXPIRED'
      ? 'expired'
      : life.state === 'WON' || life.state === 'LOST'
        ? 'finished'
        : isInvited(life, rep, life.round)
          ? 'an answer'
          : 'withdrawn'
  if (reason === expected) return null
  return { rule: 'answer', message: `${rep} is refused with ${reason}, expected ${expected}` }
}

function outcome(life: Life, rep: string, from: readonly string[], to: State): Violation | null {
  const holder = life.claims.get(life.round)?.rep
  const isLegal = from.includes(life.state) && holder === rep
  const message = `${life.state}, held by ${holder}, made ${to} by ${rep}`
  life.state = to
  return isLegal ? null : { rule: 'state', message }
}

/** The documents say what the ledger says: so no lead is in two states. */
function documents({ leads, openLeads }: Evidence, lives: ReadonlyMap<string, Life>): Violation[] {
  const violations: Violation[] = []
  const wrong = (message: string) => violations.push({ rule: 'state', message })
  const kept = new Map(leads.map((lead) => [lead.lead, lead]))
  for (const lead of kept.keys()) if (!lives.has(lead)) wrong(`${lead} is kept, and not in the ledger`)
  for (const lead of openLeads) if (!lives.has(lead)) wrong(`${lead} is open, and not in the ledger`)
  for (const life of lives.values()) {
    const doc = kept.get(life.lead)
    if (doc === undefined) {
      wrong(`${life.lead} is in the ledger, and not kept`)
      continue
    }
    const claims = doc.claims.map((claim) => claim && `${claim.dealer}/${claim.rep}`)
    const wonBy = Array.from({ length: claims.length }, (_, i) => life.claims.get(i + 1) ?? null)
    const facts = [
      ['state', doc.state, life.state],
      ['round', doc.round, life.round],
      ['ring', doc.ring, life.ring],
      ['customer', doc.customer, life.customer],
      ['claims', claims.join(), wonBy.map((claim) => claim && `${claim.dealer}/${claim.rep}`).join()],
      ['number of claims', claims.filter((claim) => claim !== null).length, life.claims.size],
      ['offers', offersOf(doc.offers), offersOf(life.offers)],
      ['place among the open ones', openLeads.has(life.lead), OPEN.includes(life.state)],
    ] as const
    for (const [name, has, expected] of facts) {
      if (has !== expected) wrong(`${life.lead}: its ${name} is ${has}, the ledger says ${expected}`)
    }
  }
  return violations
}

const offersOf = (offers: KeptLead['offers']): string =>
  offers.map(({ rep, dealer, round, ring }) => `${dealer}/${rep} ${round} ${ring}`).join()

// — taps and their answers —

const ANSWERS: readonly string[] = [
  'lead.claimed',
  'lead.too_slow',
  'lead.claim_repeated',
  'lead.tap_refused',
  'lead.contacted',
  'lead.demo',
  'lead.won',
  'lead.lost',
  'rep.checked_in',
  'rep.checked_out',
]
const SALE = /^sale /

/** By event id, the entries that answer it. */
function answered({ entries }: Evidence): Map<string, LedgerEntry[]> {
  const byEvent = new Map<string, LedgerEntry[]>()
  for (const entry of entries) {
    const event = entry.data.event_id
    // A sale that wins a lead is no tap.
    if (!ANSWERS.includes(entry.type) || typeof event !== 'string' || SALE.test(event)) continue
    const known = byEvent.get(event)
    if (known === undefined) byEvent.set(event, [entry])
    else known.push(entry)
  }
  return byEvent
}

function taken({ taps }: Evidence, answers: ReadonlyMap<string, readonly LedgerEntry[]>): Violation[] {
  const violations: Violation[] = []
  const wrong = (message: string) => violations.push({ rule: 'answer', message })
  for (const [event, entries] of answers) {
    const tap = taps.get(event)
    const named = entries.map(({ entry, type }) => `${entry} ${type}`).join(', ')
    if (entries.length > 1) wrong(`tap ${event} is answered more than once: ${named}`)
    if (tap === undefined) wrong(`nobody has sent ${event}: ${named}`)
    else if (
      entries.some(({ data }) => data.rep !== tap.rep || (tap.lead !== null && data.lead !== tap.lead))
    ) {
      wrong(`tap ${event} of ${tap.rep} on ${tap.lead} is answered as another one: ${named}`)
    }
  }
  for (const [event, { action, rep, lead, acknowledged }] of taps) {
    // What is said again changes nothing, and has no entry: the message is counted below.
    if (acknowledged && action === 'claim' && !answers.has(event))
      wrong(`tap ${event} of ${rep} on ${lead} has no answer`)
  }
  return violations
}

type MessageClass =
  | 'offer'
  | 'verdict: won'
  | 'verdict: too slow'
  | 'word'
  | 'released'
  | 'shift'
  | 'not for you'

const TOO_SLOW = /^❌ Too slow! (.*) (?:lebih cepat|was) (\d+\.\d) (?:detik|seconds faster)\.$/s
const RELEASED = /belum dihubungi tepat waktu|was not contacted in time/

function classOf({ kind, body = '' }: SentMessage, { about }: KeptJob): MessageClass | null {
  if (about.rep === undefined)
    return about.lead !== undefined && about.customer === undefined ? 'not for you' : null
  if (about.lead === undefined) return 'shift'
  if (kind === 'buttons' || kind === 'template') return 'offer'
  if (kind === 'list') return 'verdict: won'
  if (TOO_SLOW.test(body)) return 'verdict: too slow'
  return RELEASED.test(body) ? 'released' : 'word'
}

/** Every message, against what the ledger says must have been said: by lead, rep and class; losers word by word. */
function told(evidence: Evidence, lives: ReadonlyMap<string, Life>): Violation[] {
  const { messages, jobs, reps } = evidence
  const violations: Violation[] = []
  const expected = expectedMessages(evidence, lives)
  const found = new Map<string, string[]>()
  for (const [id, job] of jobs) {
    const message = messages.get(id)
    if (message === undefined) {
      // Nobody needs an offer, or word of a release, that comes too late.
      if (job.state !== 'failed')
        violations.push({ rule: 'answer', message: `message ${id} was never handed over` })
      continue
    }
    const kind = classOf(message, job)
    if (kind === null) continue
    const what = kind === 'verdict: too slow' ? marginOf(message.body as string) : ''
    push(found, keyOf(job.about.lead, job.about.rep, kind), what)
  }
  for (const id of messages.keys()) {
    if (!jobs.has(id)) violations.push({ rule: 'answer', message: `message ${id} is none of the outbox` })
  }
  for (const key of new Set([...expected.keys(), ...found.keys()])) {
    const [lead, rep, kind] = key.split('|') as [string, string, MessageClass]
    const [must, has] = [expected.get(key) ?? [], found.get(key) ?? []]
    const name = `${kind} to ${rep} (${reps.get(rep)?.name}) about ${lead}`
    if (kind === 'released' ? has.length > must.length : kind !== 'offer' && has.length !== must.length) {
      violations.push({ rule: 'answer', message: `${has.length} of ${must.length} messages: ${name}` })
    } else if (
      kind === 'offer' &&
      has.length !== must.length &&
      !(has.length < must.length && isFailed(evidence, lead, rep))
    ) {
      violations.push({ rule: 'answer', message: `${has.length} of ${must.length} messages: ${name}` })
    } else if (kind === 'verdict: too slow' && has.sort().join() !== must.sort().join()) {
      violations.push({ rule: 'margin', message: `${name}: told ${has}, the ledger says ${must}` })
    }
  }
  return violations
}

const isFailed = ({ jobs }: Evidence, lead: string, rep: string): boolean =>
  [...jobs.values()].some(
    ({ about, state }) => about.lead === lead && about.rep === rep && state === 'failed',
  )

const keyOf = (lead: string | undefined | null, rep: string | undefined | null, kind: MessageClass): string =>
  `${lead ?? ''}|${rep ?? ''}|${kind}`

function push(map: Map<string, string[]>, key: string, what: string): void {
  const known = map.get(key)
  if (known === undefined) map.set(key, [what])
  else known.push(what)
}

function marginOf(body: string): string {
  const [, winner, seconds] = TOO_SLOW.exec(body) ?? []
  return `${winner} ${seconds}`
}

function expectedMessages(
  { entries, taps, reps }: Evidence,
  lives: ReadonlyMap<string, Life>,
): Map<string, string[]> {
  const expected = new Map<string, string[]>()
  const expect = (lead: unknown, rep: unknown, kind: MessageClass, what = '') =>
    push(expected, keyOf(lead as string, rep as string, kind), what)
  for (const { type, at, data } of entries) {
    const { lead, rep, round } = data as { lead: string; rep: string; round: number }
    switch (type) {
      case 'lead.offered':
        for (const offer of data.offers as { rep: string }[]) expect(lead, offer.rep, 'offer')
        break
      case 'lead.claimed':
      case 'lead.claim_repeated':
        expect(lead, rep, 'verdict: won')
        break
      case 'lead.too_slow': {
        const claim = lives.get(lead)?.claims.get(round)
        const seconds = ((Date.parse(at) - (claim?.atMs ?? 0)) / 1000).toFixed(1)
        expect(lead, rep, 'verdict: too slow', `${reps.get(claim?.rep ?? '')?.name} ${seconds}`)
        break
      }
      case 'lead.tap_refused':
        if (data.rep === null) expect(lead, null, 'not for you')
        else if (data.action === 'claim') expect(lead, rep, 'word')
        break
      case 'lead.released':
        expect(lead, rep, 'released')
        break
    }
  }
  for (const { lead, rep, action, acknowledged } of taps.values()) {
    if (!acknowledged || rep === null || action === 'claim') continue
    if (action === 'shift') expect(null, rep, 'shift')
    else expect(lead, rep, 'word')
  }
  return expected
}

// — what was promised —

function heard({ entries, said }: Evidence): Violation[] {
  const counts = new Map<unknown, number>()
  for (const { type, data } of entries) {
    if (type === 'customer.message') counts.set(data.event_id, (counts.get(data.event_id) ?? 0) + 1)
  }
  const violations = entries
    .filter(({ type }) => type === 'message.quarantined')
    .map(({ data }): Violation => ({ rule: 'lost', message: `in quarantine: ${JSON.stringify(data)}` }))
  for (const [event, count] of counts) {
    if (!said.has(event as string))
      violations.push({ rule: 'lost', message: `no customer has said ${event}` })
    if (count > 1) violations.push({ rule: 'lost', message: `${event} was heard ${count} times` })
  }
  for (const [event, { acknowledged }] of said) {
    if (acknowledged && !counts.has(event))
      violations.push({ rule: 'lost', message: `${event} was never heard` })
  }
  return violations
}

function promises({ forms, timers }: Evidence, lives: ReadonlyMap<string, Life>): Violation[] {
  const violations: Violation[] = []
  const wrong = (message: string) => violations.push({ rule: 'lost', message })
  for (const [event, { answer, acknowledged }] of forms) {
    if (acknowledged && answer === null) wrong(`form ${event} was taken and not answered`)
    if (answer === null || answer.lead === null) continue
    if (!lives.has(answer.lead))
      wrong(`form ${event} was promised ${answer.lead}, which is not in the ledger`)
  }
  for (const { lead, state, round, ring } of lives.values()) {
    const needed = OPEN.includes(state)
      ? [`claim:${lead}:${ring}`, `open:${lead}:${ring}`]
      : state === 'CLAIMED'
        ? [`contact:${lead}:${round}`]
        : null
    if (needed !== null && !needed.some((timer) => timers.has(timer))) {
      wrong(`${lead} is ${state} in round ${round}, ring ${ring}, and no timer will ever look at it`)
    }
  }
  return violations
}

/** All of an audit is played within the time that makes a person one lead. */
function people({ entries }: Evidence): Violation[] {
  const first = new Map<unknown, LedgerEntry>()
  return entries.flatMap((entry) => {
    if (entry.type !== 'lead.created') return []
    const before = first.get(entry.data.customer)
    if (before === undefined) first.set(entry.data.customer, entry)
    return before === undefined
      ? []
      : [
          {
            rule: 'person',
            message: `${entry.data.customer} is lead ${before.data.lead} and ${entry.data.lead}`,
          } as const,
        ]
  })
}

/** All of an audit is played on one business day. */
function quotas({ entries, quotas, won, decidingMs }: Evidence): Violation[] {
  const claimsAtMs = new Map<string, number[]>()
  for (const { type, at, data } of entries) {
    if (type !== 'lead.claimed') continue
    const dealer = data.dealer as string
    claimsAtMs.set(dealer, [...(claimsAtMs.get(dealer) ?? []), Date.parse(at)])
  }
  const violations: Violation[] = []
  const fullAtMs = new Map<string, number>()
  for (const [dealer, quota] of quotas) {
    const claims = (claimsAtMs.get(dealer) ?? []).sort((a, b) => a - b)
    const counted = won.get(dealer) ?? 0
    if (counted !== claims.length) {
      violations.push({
        rule: 'quota',
        message: `${dealer} has won ${claims.length}, and ${counted} are counted`,
      })
    }
    if (claims.length >= quota) fullAtMs.set(dealer, claims[quota - 1] as number)
  }
  for (const { type, entry, at, data } of entries) {
    if (type !== 'lead.offered') continue
    for (const { dealer } of data.offers as { dealer: string }[]) {
      const lateMs = Date.parse(at) - (fullAtMs.get(dealer) ?? Number.POSITIVE_INFINITY)
      if (lateMs > decidingMs) {
        const message = `entry ${entry}: ${dealer} is asked ${lateMs} ms after its quota was won`
        violations.push({ rule: 'quota', message })
      }
    }
  }
  return violations
}

const PHONE = /\+62\d{8,}/

function privacy({ entries, reps }: Evidence): Violation[] {
  const names = [...reps.values()].map(({ name }) => name)
  return entries.flatMap(({ entry, data }) => {
    const text = JSON.stringify(data)
    const isPersonal = PHONE.test(text) || names.some((name) => text.includes(`"${name}"`))
    return isPersonal ? [{ rule: 'privacy', message: `entry ${entry}: ${text}` } as const] : []
  })
}
