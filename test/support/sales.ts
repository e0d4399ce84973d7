/** Valid sales without end, the same from the same seed. */
import { CHANNELS, type Sale } from '../../gateway/contract/events.ts'
import { integer, mulberry32, pick } from './random.ts'

/** Models and what they cost, in rupiah. */
const PRICES = { 'EV-1': 18_500_000, 'EV-1 Max': 23_900_000, 'EV-2': 28_500_000, 'EV-2 Max': 34_900_000 }

const FIRST_SOLD_AT = Date.parse('2026-11-22T01:00:00.000Z')

/**
 * The next sale at each call: a new event id, a new serial, a later `sold_at`; what is given overrides it.
 * Neither ids nor serials of two seeds below 2³² are ever the same.
 */
export function saleSource(seed: number): (given?: Partial<Sale>) => Sale {
  const random = mulberry32(seed)
  const tag = seed.toString(36)
  let count = 0
  let soldAt = FIRST_SOLD_AT
  return (given = {}) => {
    count++
    soldAt += integer(random, 1, 60_000)
    const model = pick(random, Object.keys(PRICES) as (keyof typeof PRICES)[])
    return {
      event_id: `${tag}-${count}`,
      serial: `S${tag}N${String(count).padStart(6, '0')}`.toUpperCase(),
      model,
      price: PRICES[model] - 50_000 * integer(random, 0, 20),
      currency: 'IDR',
      sold_at: new Date(soldAt).toISOString(),
      // Not every terminal knows where its customer came from, or who it was.
      ...(random() < 0.9 ? { channel: pick(random, CHANNELS) } : {}),
      ...(random() < 0.5 ? { customer_phone: `+62812${integer(random, 10_000_000, 99_999_999)}` } : {}),
      ...given,
    }
  }
}
