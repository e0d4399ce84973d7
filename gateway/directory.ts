/**
 * The directory: dealers, their reps, the regions' managers and the prices, as the last imports left them. It is small
 * and changes by imports only, so each hub holds it in memory (`reference/load-directory.ts`) and deciders get it as an
 * argument. A serial's registration is not in it: there are millions of them.
 */
import { around, distance } from 'geokdbush'
import KDBush from 'kdbush'
import type { DealerRow, ManagerRow, PriceRow, ReferenceDoc, RepRow } from './documents.ts'

export interface DirectoryRows {
  readonly dealers: readonly DealerRow[]
  readonly reps: readonly RepRow[]
  readonly managers: readonly ManagerRow[]
  /** By model. */
  readonly prices: ReadonlyMap<string, readonly PriceRow[]>
  /** Which imports of serials count; null before the first. */
  readonly serials: ReferenceDoc | null
}

export interface Directory {
  readonly serials: ReferenceDoc | null
  dealer(id: string): DealerRow | null
  /** Of every dealer, by id. */
  readonly dealers: readonly DealerRow[]
  rep(id: string): RepRow | null
  repsOf(dealer: string): readonly RepRow[]
  /** By E.164. */
  repByPhone(phone: string): RepRow | null
  managersOf(region: string): readonly ManagerRow[]
  /** Of all regions; null: the model has none. */
  pricesOf(model: string): readonly PriceRow[] | null
  /** Names of the models that have a price, in order. */
  readonly models: readonly string[]
  /** Dealers by great-circle distance from a place. */
  nearest(lat: number, lon: number, limit: number): { dealer: DealerRow; distanceKm: number }[]
}

const byId = <Row>(rows: readonly Row[], id: (row: Row) => string): Map<string, Row> =>
  new Map(rows.map((row) => [id(row), row]))

export function createDirectory(rows: DirectoryRows): Directory {
  const { prices, serials } = rows
  const dealers = rows.dealers.toSorted((a, b) => (a.dealer_id < b.dealer_id ? -1 : 1))
  const dealerById = byId(dealers, (dealer) => dealer.dealer_id)
  const repById = byId(rows.reps, (rep) => rep.rep_id)
  const repByPhone = byId(rows.reps, (rep) => rep.phone)
  const repsByDealer = Map.groupBy(rows.reps, (rep) => rep.dealer_id)
  const managersByRegion = Map.groupBy(rows.managers, (manager) => manager.region)
  const places = new KDBush(dealers.length)
  for (const { lon, lat } of dealers) places.add(lon, lat)
  places.finish()
  return {
    serials,
    dealers,
    models: [...prices.keys()].sort(),
    dealer: (id) => dealerById.get(id) ?? null,
    rep: (id) => repById.get(id) ?? null,
    repsOf: (dealer) => repsByDealer.get(dealer) ?? [],
    repByPhone: (phone) => repByPhone.get(phone) ?? null,
    managersOf: (region) => managersByRegion.get(region) ?? [],
    pricesOf: (model) => prices.get(model) ?? null,
    nearest: (lat, lon, limit) =>
      around(places, lon, lat, limit).map((id) => {
        const dealer = dealers[id] as DealerRow
        return { dealer, distanceKm: distance(lon, lat, dealer.lon, dealer.lat) }
      }),
  }
}

export const EMPTY_DIRECTORY: Directory = createDirectory({
  dealers: [],
  reps: [],
  managers: [],
  prices: new Map(),
  serials: null,
})
