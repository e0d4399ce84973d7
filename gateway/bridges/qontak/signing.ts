/**
 * How a call to the Mekari gateway is signed: HMAC-SHA256 over the date and the request line, and the body's digest.
 * The clock may be 300 s off; a signature is made for each call.
 */
import { createHash, createHmac } from 'node:crypto'

export interface SigningClient {
  readonly clientId: string
  readonly clientSecret: string
}

export interface SignedRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly body: string | null
  /** Milliseconds since 1970. */
  readonly atMs: number
}

export function signedHeaders(
  { clientId, clientSecret }: SigningClient,
  { method, path, body, atMs }: SignedRequest,
): Record<string, string> {
  const date = new Date(atMs).toUTCString()
  const signature = createHmac('sha256', clientSecret)
    .update(`date: ${date}\n${method} ${path} HTTP/1.1`)
    .digest('base64')
  return {
    date,
    authorization: `hmac username="${clientId}", algorithm="hmac-sha256", headers="date request-line", signature="${signature}"`,
    ...(body !== null && { digest: `SHA-256=${createHash('sha256').update(body).digest('base64')}` }),
  }
}
