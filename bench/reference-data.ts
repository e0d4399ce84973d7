/**
 * Reference data for the sales that the generator will make: every serial allotted to the dealer that sells it, so that
 * all are registered without a flag. A sale then reads a dealer, a registration and a price list that are there.
 */
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { HubProcess } from '../test/support/hub-process.ts'
import { temporaryFolder } from '../test/support/temporary-folder.ts'
import { PRICE, serialOf } from './generator.ts'
import { type Load, MODEL, salesMaxOf } from './workload.ts'

const REGIONS = ['Jabodetabek', 'Jawa Barat', 'Jawa Tengah', 'Jawa Timur', 'Bali', 'Sumatera Utara']

/** Through `hub import`. @throws what it complains of */
export async function importReferenceData(
  hub: HubProcess,
  dealers: readonly string[],
  loads: readonly Load[],
): Promise<void> {
  using folder = temporaryFolder('reference')
  for (const [kind, lines] of Object.entries({
    dealers: dealerLines(dealers),
    prices: priceLines(),
    serials: serialLines(dealers, loads),
  })) {
    const file = join(folder.path, `${kind}.csv`)
    await pipeline(Readable.from(lines), createWriteStream(file))
    const { code, stderr } = await hub.run('import', kind, file)
    if (code !== 0) throw new Error(`hub import ${kind} ended with exit code ${code}: ${stderr}`)
  }
}

const regionOf = (dealer: number): string => REGIONS[dealer % REGIONS.length] as string

function* dealerLines(dealers: readonly string[]): Generator<string> {
  yield 'dealer_id,name,region,lat,lon,opens,closes,daily_quota,phone\n'
  for (const [i, dealer] of dealers.entries()) {
    yield `${dealer},Dealer ${i},${regionOf(i)},${-6 - i / 100},${106 + i / 100},08:00,20:00,,\n`
  }
}

/** Two price lists a year for each region, and one for all. */
function* priceLines(): Generator<string> {
  yield 'model,region,msrp,map,valid_from\n'
  for (const region of ['', ...REGIONS]) {
    for (const day of ['2025-01-01', '2025-07-01', '2026-01-01']) {
      yield `${MODEL},${region},${PRICE},${PRICE - 1_000_000},${day}\n`
    }
  }
}

/** One terminal a dealer. Terminals do not get on equally fast, hence more serials than an equal share. */
function* serialLines(dealers: readonly string[], loads: readonly Load[]): Generator<string> {
  yield 'serial,model,dealer_id,produced_on\n'
  for (const load of loads) {
    const each = Math.ceil((salesMaxOf(load) / dealers.length) * 1.25)
    for (const [terminal, dealer] of dealers.entries()) {
      for (let sale = 0; sale < each; sale++)
        yield `${serialOf(load.run, terminal, sale)},${MODEL},${dealer},2026-01-15\n`
    }
  }
}
