/** What the HTTP side uses of the house: of each part, what is used of it. `gateway.ts` hands it over. */
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Bridges } from '../bridges/open.ts'
import type { ExportSource } from '../contract/export-table.ts'
import type { Economics } from '../contract/figures.ts'
import type { Decode, Inbound } from '../decode.ts'
import type { ReplayResult } from '../quarantine.ts'
import type { Store } from '../store/store.ts'
import type { Monitoring } from './monitoring.ts'

export type ReadStore = Pick<Store, 'read' | 'range' | 'entriesAfter' | 'entriesBefore' | 'entry' | 'end'>

export interface HttpServices {
  readonly store: ReadStore & Pick<Store, 'ping' | 'durability'>
  readonly broker: {
    /** Whether this client id is connected to this hub. */
    isConnected(clientId: string): boolean
    readonly addresses: { readonly plainPort: number | null; readonly tlsPort: number | null }
  }
  /** The metrics database. */
  readonly metrics: { ping(): Promise<void> }
  readonly projector: {
    readonly state: { readonly ok: boolean; readonly lastError: { readonly message: string } | null }
  }
  readonly monitoring: Pick<Monitoring, 'figures' | 'text' | 'contentType'>
  /** Whose webhooks come in by HTTP; null: not in the settings. */
  readonly bridges: Pick<Bridges, 'meta' | 'qontak'>
  /** The one way in, for what comes by HTTP: resolves after the commit, with the decider's reply. */
  readonly accept: (message: Inbound) => Promise<object | null>
  /** How the intake will read a message: what it can't read is refused while somebody waits. */
  readonly decode: Decode
  /** Takes a quarantined message once more through the intake. Rejects when that could not be done now. */
  readonly replay: (id: string) => Promise<ReplayResult>
  /** Whether the API and its documentation are served; webhooks and what monitors ask always are. */
  readonly isWeb: boolean
  /** The unit economics. */
  readonly economics: Economics
  /** Tables of the unit economics. */
  readonly exports: ExportSource
  /** In which people read instants. */
  readonly timezone: string
  readonly log: FastifyBaseLogger
}

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>
