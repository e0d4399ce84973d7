/**
 * What the hub must make of one sale, from the bytes that were sent and the world's own registration ledger and price
 * list. Written from CONTRACT «Payloads», not from the hub's code: it is the second opinion.
 */
import { type Sale, sale as saleSchema } from '../gateway/contract/events.ts'
import { priceOf, type World } from './world.ts'

export type Expectation =
  /** Bytes that are no sale: rejected as invalid, and kept in quarantine. */
  | { readonly outcome: 'invalid' }
  /** A sale of a serial that the registration ledger does not have. */
  | { readonly outcome: 'unknown_serial'; readonly sale: Sale }
  /** Whichever sale of this serial comes first is registered, with these marks; the others are duplicates. */
  | { readonly outcome: 'registered_or_duplicate'; readonly sale: Sale; readonly marks: Marks }

/** What a registered sale's entry must carry beside what was sent. */
export interface Marks {
  readonly reason: 'wrong_dealer' | null
  /** In alphabetical order. */
  readonly flags: readonly string[]
  readonly allotted_dealer: string | null
  readonly allotted_model: string | null
  readonly map: number | null
}

export function expectationOf(world: World, dealer: string, payload: Buffer): Expectation {
  const parsed = saleSchema.safeParse(parseJson(payload))
  if (!parsed.success) return { outcome: 'invalid' }
  const sale = parsed.data
  const vehicle = world.vehicle(sale.serial)
  if (vehicle === null) return { outcome: 'unknown_serial', sale }

  const region = world.dealer(dealer)?.region ?? ''
  const price = priceOf(sale.model, region, sale.sold_at.slice(0, 10))
  const isDiverted = vehicle.allottedDealer !== null && vehicle.allottedDealer !== dealer
  const isOtherModel = vehicle.model !== sale.model
  const isBelowMap = price !== null && sale.price < price.map
  const marks: Marks = {
    reason: isDiverted ? 'wrong_dealer' : null,
    flags: [
      ...(isBelowMap ? ['below_map'] : []),
      ...(isDiverted ? ['diversion'] : []),
      ...(isOtherModel ? ['model_mismatch'] : []),
    ],
    allotted_dealer: isDiverted ? vehicle.allottedDealer : null,
    allotted_model: isOtherModel ? vehicle.model : null,
    map: isBelowMap ? price.map : null,
  }
  return { outcome: 'registered_or_duplicate', sale, marks }
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch {
    return undefined
  }
}
