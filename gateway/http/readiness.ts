/**
 * Whether the parts of the hub that others rely on answer: what each says, and since when. Looked at in the background,
 * so that «since when» is true though nobody asked, and again when somebody asks.
 *
 * Ready means all of them. A hub whose metrics are away is not ready, and takes sales all the same: the points follow
 * from the ledger when the metrics are back. So `/readyz` is what a person or a monitor asks; a balancer that must not
 * turn sales away during an outage of the metrics looks at the MQTT port, or at `/healthz`.
 */

export const PARTS = ['store', 'broker', 'metrics'] as const
export type Part = (typeof PARTS)[number]

export interface PartState {
  readonly state: 'up' | 'down'
  /** In words: what answers, or why not. */
  readonly detail: string
  /** ISO 8601: when it came to this state, as far as this hub has seen. */
  readonly since: string
}

export interface ReadinessReport {
  readonly ready: boolean
  /** What a PUBACK is worth on this store. */
  readonly puback: string
  readonly parts: Readonly<Record<Part, PartState>>
}

export interface ReadinessServices {
  /** Resolves with what answers, in words; rejects with what is wrong. */
  readonly checks: Readonly<Record<Part, () => Promise<string>>>
  /** `store.durability.promise` */
  readonly puback: string
  readonly log: { info(details: object, message: string): void; warn(details: object, message: string): void }
}

export interface Readiness {
  /** The state now, no older than FRESH_MS. Never rejects. */
  look(): Promise<ReadinessReport>
  stop(): void
}

const INTERVAL_MS = 5000
/** However many ask, the parts are asked once in this time. */
const FRESH_MS = 500
/** A part that takes longer to answer is down for whoever waits for it. */
const CHECK_TIMEOUT_MS = 3000

export function watchReadiness({ checks, puback, log }: ReadinessServices): Readiness {
  const states = new Map<Part, PartState>()
  let lookedAtMs = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | null = null

  async function lookAt(part: Part): Promise<void> {
    const { state, detail } = await check(checks[part])
    const before = states.get(part)
    const isChange = before?.state !== state
    const since = isChange ? new Date().toISOString() : before.since
    states.set(part, { state, detail, since })
    if (state === 'down' && isChange) log.warn({ part, detail }, `${part}: down`)
    if (state === 'up' && before?.state === 'down') {
      log.info({ part, detail, downSince: before.since }, `${part}: up again`)
    }
  }

  async function lookAtAll(): Promise<void> {
    await Promise.all(PARTS.map(lookAt))
    lookedAtMs = performance.now()
    looking = null
  }

  async function look(): Promise<ReadinessReport> {
    if (performance.now() - lookedAtMs > FRESH_MS) looking ??= lookAtAll()
    await looking
    const parts = Object.fromEntries(states) as Record<Part, PartState>
    return { ready: PARTS.every((part) => parts[part].state === 'up'), puback, parts }
  }

  const timer = setInterval(look, INTERVAL_MS)
  timer.unref()
  return { look, stop: () => clearInterval(timer) }
}

async function check(ask: () => Promise<string>): Promise<Pick<PartState, 'state' | 'detail'>> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`no answer in ${CHECK_TIMEOUT_MS} ms`)),
    CHECK_TIMEOUT_MS,
  )
  try {
    return { state: 'up', detail: await Promise.race([ask(), late.promise]) }
  } catch (error) {
    return { state: 'down', detail: (error as Error).message }
  } finally {
    clearTimeout(timer)
  }
}
