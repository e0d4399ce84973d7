/**
 * Errors as RFC 9457 problem documents, `application/problem+json`: whatever goes wrong, its body has this form.
 *
 *   400  a parameter is not as it should be; `errors` names each         401  no token, or one that nobody holds
 *   403  the token's role may not do this                                404  no such thing, for this token
 *   405  another method is meant; `allow` says which                     409  it has changed meanwhile
 *   413  the body is too large
 *   422  what was posted cannot be done; `errors` names each field       429  too many requests; `retry-after`, seconds
 *   503  the store is away; `retry-after`, seconds
 */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { type FieldError, fieldError } from '../contract/receipts.ts'
import { explain } from '../decode/fields.ts'

export const PROBLEM_TYPE = 'application/problem+json'

export const problemSchema = z
  .object({
    type: z.literal('about:blank'),
    title: z.string().describe('The status in words'),
    status: z.number().int(),
    detail: z.string().describe('What went wrong this time'),
    errors: z.array(fieldError).optional().describe('What was expected, and what came, field by field'),
  })
  .describe('RFC 9457 problem document')

type ProblemDocument = z.infer<typeof problemSchema>

const MEANINGS = {
  400: 'A parameter is not as it should be',
  401: 'No token, or one that nobody holds',
  403: 'The token’s role may not do this',
  404: 'No such thing, for this token',
  409: 'It has changed meanwhile',
  422: 'Understood, but it cannot be done',
  429: 'Too many requests',
  503: 'The store is away, or does not answer in time',
} as const

/** The error responses of a route, for its schema: these, and those that every route has. */
export function problems(...statuses: (keyof typeof MEANINGS)[]) {
  const all = [...statuses, 429, 503] as const
  return Object.fromEntries(
    all.map((status) => [
      status,
      { description: MEANINGS[status], content: { [PROBLEM_TYPE]: { schema: problemSchema } } },
    ]),
  )
}

/** Thrown anywhere in a request: what the client is told. */
export class Problem extends Error {
  readonly status: number
  readonly errors: FieldError[] | undefined
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: number,
    detail: string,
    {
      errors,
      headers = {},
      cause,
    }: { errors?: FieldError[]; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(detail, { cause })
    this.name = 'Problem'
    this.status = status
    this.errors = errors
    this.headers = headers
  }
}

/** Seconds after which it is worth asking again: a store that restarts is back by then. */
const RETRY_AFTER_SECONDS = 5

export const unavailable = (detail: string, cause?: unknown): Problem =>
  new Problem(503, detail, { headers: { 'retry-after': String(RETRY_AFTER_SECONDS) }, cause })

/** A parameter that its schema could not judge. */
export const invalidParameter = (field: string, expected: string, received: string): Problem =>
  new Problem(400, `${field} is not as it should be`, { errors: [{ field, expected, received }] })

export function problemDocument(status: number, detail: string, errors?: FieldError[]): ProblemDocument {
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    ...(errors && { errors }),
  }
}

/** For `setErrorHandler`: anything thrown → a problem document. */
export function sendProblem(
  error: FastifyError | Problem,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const problem = problemOf(error, request)
  if (problem.status >= 500) {
    const { cause } = problem
    request.log.error({ err: cause ?? error }, problem.message)
  }
  void reply
    .code(problem.status)
    .headers(problem.headers)
    .type(PROBLEM_TYPE)
    .send(problemDocument(problem.status, problem.message, problem.errors))
}

function problemOf(error: FastifyError | Problem, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error
  if (hasZodFastifySchemaValidationErrors(error)) return invalidRequest(error, request)
  if (error.code === 'FST_ERR_HANDLER_TIMEOUT') {
    return unavailable('This took longer than it may; try again', error)
  }
  const { statusCode } = error
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem(statusCode, error.message)
  }
  // What broke is for the log, not for whoever asked.
  return new Problem(500, `The hub could not do this; its log has more under request ${request.id}`, {
    cause: error,
  })
}

const CONTEXTS = { querystring: 'query', params: 'params', body: 'body', headers: 'headers' } as const

interface ValidationError {
  readonly validation: readonly {
    readonly keyword: string
    readonly instancePath: string
    readonly message: string
    readonly params: Record<string, unknown>
  }[]
  readonly validationContext: keyof typeof CONTEXTS
}

function invalidRequest(error: unknown, request: FastifyRequest): Problem {
  const { validation, validationContext } = error as ValidationError
  const body = request[CONTEXTS[validationContext]] ?? undefined
  const errors = validation.flatMap(({ keyword, instancePath, message, params }): FieldError[] => {
    if (keyword === 'unrecognized_keys') {
      const keys = params.keys as string[]
      return keys.map((field) => ({ field, expected: 'no such parameter', received: field }))
    }
    const path = instancePath.split('/').filter((part) => part !== '')
    return [explain({ ...params, code: keyword, path, message } as unknown as z.core.$ZodIssue, body)]
  })
  const fields = errors.map(({ field }) => field).join(', ')
  return new Problem(validationContext === 'body' ? 422 : 400, `Not as it should be: ${fields}`, { errors })
}

/**
 * For `clientErrorHandler`: bytes that are no HTTP request, or come too slowly, or too many headers. There is no
 * request to answer, only a socket.
 */
export function answerBrokenRequest(error: { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, detail] = BROKEN_REQUESTS[error.code ?? ''] ?? [400, 'This is no HTTP request']
  const body = JSON.stringify(problemDocument(status, detail))
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      `content-type: ${PROBLEM_TYPE}`,
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}

const BROKEN_REQUESTS: Readonly<Record<string, [status: number, detail: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not arrive in time'],
  HPE_HEADER_OVERFLOW: [431, 'The headers are too large'],
}
