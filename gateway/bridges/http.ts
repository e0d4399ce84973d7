/** What every bridge asks of an HTTP call to its provider: a bounded answer, and whether a failed one may have arrived. */

const ANSWER_BYTES_MAX = 64 * 1024

/** The answer's body; null when it is not JSON, or too much of it. Rejects when it breaks off. */
export async function readJson(response: Response, bytesMax = ANSWER_BYTES_MAX): Promise<unknown> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > bytesMax) return null
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    return null
  }
}

/** Failures before a byte of the request was sent. */
const NEVER_SENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT|CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/

export interface Failure {
  /** The other side has surely heard nothing. */
  readonly isNeverSent: boolean
  readonly message: string
}

/** What `fetch` rejected with. */
export function explainFailure(error: Error): Failure {
  const cause = (error.cause ?? error) as { code?: unknown; message?: string }
  const code = typeof cause.code === 'string' ? cause.code : error.name
  const message = `${code}: ${cause.message || error.message}`.slice(0, 1000)
  return { isNeverSent: NEVER_SENT.test(code), message }
}
