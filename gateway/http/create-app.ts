/** What every HTTP server of the house has in common: bounds, validation by zod, problem documents, safe headers, an end. */
import helmet from '@fastify/helmet'
import Fastify, { type FastifyBaseLogger } from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { endConnections } from './closing.ts'
import { LIMITS } from './limits.ts'
import { answerBrokenRequest, sendProblem } from './problem.ts'
import type { App } from './services.ts'

/** No routes yet, and not listening. */
export function createApp(log: FastifyBaseLogger): App {
  const app = Fastify({
    loggerInstance: log,
    bodyLimit: LIMITS.bodyBytes,
    requestTimeout: LIMITS.requestTimeoutMs,
    handlerTimeout: LIMITS.handlerTimeoutMs,
    // Requests that came before the server closed are answered like any other.
    return503OnClosing: false,
    http: {
      maxHeaderSize: LIMITS.headerBytes,
      headersTimeout: LIMITS.headersTimeoutMs,
      connectionsCheckingInterval: LIMITS.connectionsCheckingIntervalMs,
    },
    routerOptions: { maxParamLength: LIMITS.pathPartCharacters },
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => sendProblem(error, request, reply),
  }).withTypeProvider<ZodTypeProvider>()

  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(sendProblem)
  endConnections(app)
  app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: NOTHING_TO_LOAD },
    // It speaks plain HTTP; whoever puts TLS before it decides about this.
    hsts: false,
  })
  return app
}

const NOTHING_TO_LOAD = { defaultSrc: ["'none'"], frameAncestors: ["'none'"] }
