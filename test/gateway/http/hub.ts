/** The HTTP side over a real store and a real intake, without a port: what is said is committed, then asked for. */
import type { LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import { createVariablesTable } from '../../../analytics/exports/variables-table.ts'
import { createPeople } from '../../../gateway/customers.ts'
import { DEFAULT_RACE_RULES } from '../../../gateway/deciders/decision.ts'
import { createDecode } from '../../../gateway/decode.ts'
import { buildApp } from '../../../gateway/http/app.ts'
import { createMonitoring } from '../../../gateway/http/monitoring.ts'
import type { HttpServices } from '../../../gateway/http/services.ts'
import { startIntake } from '../../../gateway/intake.ts'
import { replayQuarantine } from '../../../gateway/quarantine.ts'
import type { Store } from '../../../gateway/store/store.ts'
import { addToken, type Role } from '../../../gateway/tokens.ts'

export interface HttpHub extends AsyncDisposable {
  readonly app: ReturnType<typeof buildApp>
  /** As a device says it, on `hub/v1/{device}/{kind}`; a string is sent as it is. Resolves after the commit. */
  say(device: string, kind: string, payload: object | string): Promise<void>
  token(role: Role): Promise<string>
  /** GET, with a token of this role (null: with none). */
  get(url: string, role?: Role | null): Promise<LightMyRequestResponse>
  post(url: string, role: Role, payload?: object): Promise<LightMyRequestResponse>
  readonly connected: Set<string>
}

export function openHttpHub(store: Store, overrides: Partial<HttpServices> = {}): HttpHub {
  const connected = new Set<string>()
  const log = pino({ level: 'silent' })
  const decode = createDecode({
    serialPattern: /^[A-Z0-9]{6,32}$/,
    people: createPeople('a secret of the tests'),
    onUnknownFields: () => {},
  })
  const intake = startIntake({
    store,
    decode,
    timezone: 'Asia/Jakarta',
    rules: DEFAULT_RACE_RULES,
    onJobs: () => {},
    now: Date.now,
    onReceipt: null,
    onBatch: (batch) => monitoring.observeBatch(batch),
  })
  const projector = {
    state: { ok: true, holdsLease: true, caughtUpAtMs: Date.now(), entries: 0, lastError: null },
  }
  const broker = {
    isConnected: (id: string) => connected.has(id),
    addresses: { plainPort: 1883, tlsPort: null },
    stats: { connections: 0, received: 0, acknowledged: 0, refused: new Map<string, number>() },
  }
  const monitoring = createMonitoring({
    broker,
    intake,
    receipts: { stats: { delivered: 0, inFlight: 0, sweepsWaiting: 0 } },
    projector,
    messages: { stats: { handedOver: 0 } },
    bridges: { queues: new Map() },
    crm: { state: new Map() },
  })
  const app = buildApp({
    store,
    broker,
    metrics: { ping: async () => {} },
    projector,
    monitoring,
    bridges: { meta: null, qontak: null },
    isWeb: true,
    economics: NO_ECONOMICS,
    exports: createVariablesTable(NO_ECONOMICS, { currency: 'IDR', attribution: 'first_touch' }),
    accept: intake.accept,
    decode,
    replay: (id) => replayQuarantine({ store, decode, accept: intake.accept }, id),
    timezone: 'Asia/Jakarta',
    log,
    ...overrides,
  })

  const tokens = new Map<Role, Promise<string>>()
  function token(role: Role): Promise<string> {
    const found = tokens.get(role) ?? addToken(store, role)
    tokens.set(role, found)
    return found
  }
  const headersOf = async (role: Role | null): Promise<Record<string, string>> =>
    role === null ? {} : { authorization: `Bearer ${await token(role)}` }

  return {
    app,
    connected,
    token,
    async say(device, kind, payload) {
      await intake.accept({
        topic: `hub/v1/${device}/${kind}`,
        sender: device,
        payload: Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)),
      })
    },
    get: async (url, role = 'admin') => app.inject({ method: 'GET', url, headers: await headersOf(role) }),
    post: async (url, role, payload) =>
      app.inject({
        method: 'POST',
        url,
        headers: await headersOf(role),
        ...(payload !== undefined && { payload }),
      }),
    [Symbol.asyncDispose]: async () => {
      await app.close()
    },
  }
}

const away = async () => {
  throw new Error('these tests have no metrics')
}
/** Figures are asked for where a test brings their metrics. */
const NO_ECONOMICS = { variables: away, costPerLead: away, channels: away, flow: away, restated: away }

let serials = 0
/** A serial that no other sale of this file has. */
export const newSerial = (): string => `HTTP${String(++serials).padStart(8, '0')}`

export const sale = (changes: Record<string, unknown> = {}) => {
  const serial = newSerial()
  return {
    event_id: `e-${serial}`,
    serial,
    model: 'EV-1',
    price: 28_500_000,
    currency: 'IDR',
    sold_at: '2026-11-22T08:15:30.123Z',
    ...changes,
  }
}

/** Every page of a list, from its beginning to where nothing is left. */
export async function allPages(
  hub: HttpHub,
  url: string,
  role: Role = 'admin',
): Promise<Record<string, unknown>[]> {
  const items: Record<string, unknown>[] = []
  const next = new URL(url, 'http://hub')
  for (;;) {
    const response = await hub.get(`${next.pathname}${next.search}`, role)
    if (response.statusCode !== 200) throw new Error(response.body)
    const page = response.json()
    items.push(...page.items)
    if (page.next === null) return items
    next.searchParams.set('after', page.next)
  }
}
