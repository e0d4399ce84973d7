/** `X-Hub-Signature-256`: HMAC-SHA256 of the raw body, keyed with the app secret, as `sha256=` and 64 lower-case hex digits. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

export const SIGNATURE_HEADER = 'x-hub-signature-256'

const FORM = /^sha256=[0-9a-f]{64}$/

/** Whether it could be one at all; told before a body is read. */
export const isSignatureForm = (header: unknown): header is string =>
  typeof header === 'string' && FORM.test(header)

/** Whether Meta signed these bytes. They must be the ones that came: JSON that was parsed and written again differs. */
export function isSigned(body: Uint8Array, header: unknown, appSecret: string): boolean {
  if (!isSignatureForm(header)) return false
  const expected = createHmac('sha256', appSecret).update(body).digest()
  return timingSafeEqual(expected, Buffer.from(header.slice('sha256='.length), 'hex'))
}

/** Compares secrets of any length in constant time. */
export function isSameSecret(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
