/**
 * The world's facts as the files of CONTRACT «Files», for `hub import` and `hub device add --file`.
 */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { type Dealer, PRICES, type World } from './world.ts'

/** Paths of what was written. */
export interface WorldFiles {
  readonly dealers: string
  readonly serials: string
  readonly prices: string
  /** `dealer_id,device_id` */
  readonly devices: string
}

/** Writes the four files into a folder, which is made when missing. @throws when the file system refuses. */
export async function writeWorldFiles(world: World, folder: string): Promise<WorldFiles> {
  await mkdir(folder, { recursive: true })
  const files = {
    dealers: join(folder, 'dealers.csv'),
    serials: join(folder, 'serials.csv'),
    prices: join(folder, 'prices.csv'),
    devices: join(folder, 'devices.csv'),
  }
  await writeLines(files.dealers, dealerLines(world))
  await writeLines(files.serials, serialLines(world))
  await writeLines(files.prices, priceLines())
  await writeLines(files.devices, deviceLines(world))
  return files
}

// No value in the world holds a comma, a quote or a line break, so none needs quoting.

function* dealerLines({ dealers }: World): Generator<string> {
  yield 'dealer_id,name,region,lat,lon,opens,closes,daily_quota,phone'
  for (const dealer of dealers) {
    const { id, name, region, lat, lon, dailyQuota, phone } = dealer
    yield [id, name, region, lat, lon, ...hoursOf(dealer), dailyQuota ?? '', phone].join(',')
  }
}

function* serialLines(world: World): Generator<string> {
  yield 'serial,model,dealer_id,produced_on'
  for (const { serial, model, allottedDealer, producedOn } of world.vehicles()) {
    yield [serial, model, allottedDealer ?? '', producedOn].join(',')
  }
}

function* priceLines(): Generator<string> {
  yield 'model,region,msrp,map,valid_from'
  for (const { model, region, msrp, map, validFrom } of PRICES) {
    yield [model, region ?? '', msrp, map, validFrom].join(',')
  }
}

function* deviceLines(world: World): Generator<string> {
  yield 'dealer_id,device_id'
  for (const { dealer, device } of world.devices) yield `${dealer},${device}`
}

function hoursOf({ opensHour, closesHour }: Dealer): string[] {
  return [opensHour, closesHour].map((hour) => {
    const minutes = Math.round((hour % 1) * 60)
    return `${String(Math.floor(hour)).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`
  })
}

async function writeLines(path: string, lines: Iterable<string>): Promise<void> {
  const file = createWriteStream(path)
  for (const line of lines) {
    if (!file.write(`${line}\n`)) await once(file, 'drain')
  }
  file.end()
  await finished(file)
}
