/**
 * Who a phone number is: the ledger knows people as `cus_<HMAC of the phone>` only, so that erasing the document
 * beside it leaves the ledger whole. One customer, one number, however it was typed.
 */
import { createHmac } from 'node:crypto'
import { parsePhoneNumberFromString } from 'libphonenumber-js/min'

export interface Customer {
  /** `cus_` and 128 bits of the HMAC. */
  readonly id: string
  /** E.164: `+6281234567890`. */
  readonly phone: string
}

/** @returns a function from a phone number, as people write it, to the customer; null when it can't be a number. */
export function createIdentify(secret: string): (phone: string) => Customer | null {
  return (text) => {
    const phone = parsePhone(text)
    if (phone === null) return null
    const hmac = createHmac('sha256', secret).update(phone).digest('base64url')
    return { id: `cus_${hmac.slice(0, 22)}`, phone }
  }
}

/** A phone number as people in Indonesia write it → E.164; null when it can't be a number. */
export function parsePhone(text: string): string | null {
  const parsed = parsePhoneNumberFromString(text, 'ID')
  return parsed?.isPossible() ? parsed.number : null
}
