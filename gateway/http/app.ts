/**
 * The HTTP side: the API, its documentation, and what monitors ask. Built here and listening elsewhere (`gateway.ts`), so
 * that tests ask it without a port. MQTT over WebSocket, at `/mqtt`, is the broker's: it takes the server's `upgrade`.
 *
 *   routes/        mirror the URLs; each states its request and every answer as zod schemas
 *   access.ts      who may ask
 *   problem.ts     what goes wrong, as RFC 9457 problem documents
 *   paging.ts      lists, by cursor, with a bound on what one request may look at
 *   readiness.ts   what answers, and since when; monitoring.ts, what is counted
 *   limits.ts      how much of everything
 */
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import packageJson from '../../package.json' with { type: 'json' }
import { createDirectoryReader } from '../reference/load-directory.ts'
import { CALLER } from './access.ts'
import { createApp } from './create-app.ts'
import { LIMITS } from './limits.ts'
import { rememberRoutes } from './not-found.ts'
import { Problem } from './problem.ts'
import { type Readiness, watchReadiness } from './readiness.ts'
import { analyticsRoutes } from './routes/analytics.ts'
import { claimsRoutes } from './routes/claims.ts'
import { dealersRoutes } from './routes/dealers.ts'
import { devicesRoutes } from './routes/devices.ts'
import { exportsRoutes } from './routes/exports.ts'
import { leadRoutes } from './routes/lead.ts'
import { leadsRoutes } from './routes/leads.ts'
import { ledgerRoutes } from './routes/ledger.ts'
import { MONITORS, monitoringRoutes } from './routes/monitoring.ts'
import { quarantineRoutes } from './routes/quarantine.ts'
import { reportsRoutes } from './routes/reports.ts'
import { repsRoutes } from './routes/reps.ts'
import { salesRoutes } from './routes/sales.ts'
import { serialsRoutes } from './routes/serials.ts'
import { voidSaleRoutes } from './routes/void-sale.ts'
import { WEBHOOKS, webhookRoutes } from './routes/webhooks.ts'
import type { App, HttpServices, ReadStore } from './services.ts'
import { guardStore } from './store-guard.ts'

const { version } = packageJson

/** Not listening yet; `close` it in any case. */
export function buildApp(services: HttpServices): App {
  const app = createApp(services.log)
  app.decorateRequest(CALLER, null)
  const notFound = rememberRoutes(app)

  const readiness = watch(services)
  app.addHook('onClose', async () => readiness.stop())

  app.register(rateLimit, {
    global: false,
    max: LIMITS.requestsPerWindow,
    timeWindow: LIMITS.windowMs,
    cache: LIMITS.addressesCounted,
    // Asked often, by machines that must not be kept waiting by who else sits behind their address.
    allowList: (request) => UNCOUNTED.has(request.routeOptions.url ?? ''),
    errorResponseBuilder: (_request, { max, after }) =>
      new Problem(429, `More than ${max} requests; try again in ${after}`),
  })
  // One count for everything, before a token is looked at: guessing tokens is a request like any other.
  app.after(() => app.addHook('onRequest', app.rateLimit()))
  app.register(swagger, { openapi: OPENAPI, transform: jsonSchemaTransform })
  app.register(swaggerUi, { routePrefix: '/docs', staticCSP: DOCS_CSP })
  app.after(() => {
    const store = guardStore(services.store)
    app.setNotFoundHandler((request) => {
      throw notFound(request)
    })
    monitoringRoutes(app, { ...services, readiness, version })
    if (services.isWeb) apiRoutes(app, store, services)
    webhookRoutes(app, services.bridges)
  })
  return app
}

function apiRoutes(app: App, store: ReadStore, services: HttpServices): void {
  salesRoutes(app, store)
  voidSaleRoutes(app, store, services)
  reportsRoutes(app, store, services)
  analyticsRoutes(app, store, services.economics)
  exportsRoutes(app, store, services.exports)
  serialsRoutes(app, store)
  ledgerRoutes(app, store)
  devicesRoutes(app, store, services)
  quarantineRoutes(app, store, services)
  const readDirectory = createDirectoryReader(store)
  leadRoutes(app, store, services)
  leadsRoutes(app, store, readDirectory)
  claimsRoutes(app, store, readDirectory)
  repsRoutes(app, store, readDirectory)
  dealersRoutes(app, store, readDirectory, services)
}

/** A provider posts as often as customers write. */
const UNCOUNTED: ReadonlySet<string> = new Set([...MONITORS, ...WEBHOOKS])

function watch({ store, broker, metrics, projector, log }: HttpServices): Readiness {
  return watchReadiness({
    puback: store.durability.promise,
    log,
    checks: {
      async store() {
        await store.ping()
        return 'answers'
      },
      async broker() {
        const { plainPort, tlsPort } = broker.addresses
        const ports = [plainPort && `port ${plainPort}`, tlsPort && `port ${tlsPort} (TLS)`].filter(Boolean)
        return `accepts connections on ${[...ports, 'WebSocket at /mqtt'].join(', ')}`
      },
      async metrics() {
        await metrics.ping()
        // The database may answer and refuse what is written.
        const { ok, lastError } = projector.state
        if (!ok) throw new Error(lastError?.message ?? 'not written')
        return 'answer'
      },
    },
  })
}

/** Swagger UI sets styles on elements; scripts are files of its own. */
const DOCS_CSP = {
  'default-src': ["'self'"],
  'style-src': ["'self'", "'unsafe-inline'"],
  'img-src': ["'self'", 'data:'],
  'object-src': ["'none'"],
  'base-uri': ["'self'"],
  'frame-ancestors': ["'none'"],
}

const OPENAPI = {
  openapi: '3.1.0',
  info: {
    title: 'Dealer Hub',
    version,
    description:
      'What the hub knows, for programs. Make a token with `hub token add --role analyst` and send it as ' +
      '`Authorization: Bearer <token>`. Errors are RFC 9457 problem documents. Lists page by cursor: hand in `next` ' +
      'as `after` until it is null. What devices send and receive over MQTT is in `asyncapi.yaml`.',
  },
  components: {
    securitySchemes: { bearer: { type: 'http' as const, scheme: 'bearer', description: 'An API token' } },
  },
  tags: [
    { name: 'sales', description: 'Sales as they were decided' },
    { name: 'economics', description: 'What was spent and done' },
    { name: 'serials', description: 'One vehicle' },
    { name: 'leads', description: 'The race: leads, who won them, and who is asked' },
    { name: 'ledger', description: 'Everything that happened' },
    { name: 'devices', description: 'Terminals and vehicle units' },
    { name: 'quarantine', description: 'What could not be decoded' },
    { name: 'monitoring', description: 'Whether the hub lives and what it counts' },
  ],
}
