/**
 * Who a person is: the ledger knows people as `cus_<HMAC>` only, so that erasing the document beside it leaves the ledger
 * whole. One customer, one number, however it was typed.
 *
 * A phone number is the strongest handle: whoever has one is the customer made from it. Who has none (a username-only
 * WhatsApp person, a form with an e-mail address) is the customer made from that handle, until a phone comes with it.
 */
import { createHmac } from 'node:crypto'
import { parsePhoneNumberFromString } from 'libphonenumber-js/min'

export interface Customer {
  /** `cus_` and 128 bits of the HMAC. */
  readonly id: string
  /** E.164: `+6281234567890`. */
  readonly phone: string
}

/** By what a person is known besides a phone number: an id at WhatsApp, an e-mail address. */
export type HandleKind = 'user' | 'mail'

export interface People {
  /** A phone number, as people write it → the customer; null when it can't be one. */
  byPhone(text: string): Customer | null
  /** 128 bits of the HMAC of a handle: its key, and, after `cus_`, the customer who is known by nothing else. */
  handle(kind: HandleKind, text: string): string
}

export function createPeople(secret: string): People {
  const hmac = (text: string) => createHmac('sha256', secret).update(text).digest('base64url').slice(0, 22)
  return {
    byPhone(text) {
      const phone = parsePhone(text)
      return phone === null ? null : { id: `cus_${hmac(phone)}`, phone }
    },
    handle: (kind, text) => hmac(`${kind}:${kind === 'mail' ? text.trim().toLowerCase() : text}`),
  }
}

/** A phone number as people in Indonesia write it → E.164; null when it can't be a number. */
export function parsePhone(text: string): string | null {
  const parsed = parsePhoneNumberFromString(text, 'ID')
  return parsed?.isPossible() ? parsed.number : null
}
