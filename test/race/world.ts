/**
 * A world to race in, from a seed: dealers over Java with quotas and trading hours, their reps, and people who want a
 * vehicle. All of it is played on one business day, Sunday 22 November 2026 in Jakarta.
 */
import { integer, pick, type Random } from '../support/random.ts'

/** 09:30 in Jakarta. */
export const MORNING = Date.parse('2026-11-22T02:30:00.000Z')
/** 23:45: what is decided by then belongs to this day. */
export const EVENING = MORNING + 14.25 * 3_600_000
export const TIMEZONE = 'Asia/Jakarta'

export interface WorldRep {
  readonly rep: string
  readonly dealer: string
  readonly name: string
  readonly phone: string
}

export interface RaceWorld {
  readonly reps: readonly WorldRep[]
  readonly dealers: readonly { readonly id: string; readonly quota: number | null }[]
  /** Files for `hub import`, by kind. */
  readonly files: Readonly<Record<'dealers' | 'reps' | 'prices', string>>
  /** Somewhere among the dealers. */
  place(random: Random): { readonly lat: number; readonly lon: number }
}

export interface WorldOptions {
  readonly dealers: number
  readonly repsPerDealerMax: number
  /** Of dealers, 0 to 1: those with a daily quota; those that are closed for some time of the day, or all of it. */
  readonly quotaShare: number
  readonly closedShare: number
  readonly quotaMax: number
}

export const MODEL = 'Volt One'

/** Kilometres in a degree, nearly: dealers are a few of them apart. */
const AREA_DEGREES = 0.6
const HOURS = [
  ['09:00', '17:00', ''],
  ['10:00', '21:00', ''],
  ['18:00', '02:00', ''],
  ['00:00', '24:00', 'sun'],
] as const

export function createWorld(random: Random, options: WorldOptions): RaceWorld {
  const place = () => ({ lat: -7 - random() * AREA_DEGREES, lon: 107 + random() * AREA_DEGREES })
  const dealerLines = ['dealer_id,name,region,lat,lon,opens,closes,daily_quota,phone,closed_on']
  const repLines = ['rep_id,dealer_id,name,phone,language']
  const dealers: RaceWorld['dealers'][number][] = []
  const reps: WorldRep[] = []
  for (let n = 1; n <= options.dealers; n++) {
    const id = `d${n}`
    const { lat, lon } = place()
    const [opens, closes, closedOn] =
      random() < options.closedShare ? pick(random, HOURS) : (['00:00', '24:00', ''] as const)
    const quota = random() < options.quotaShare ? integer(random, 1, options.quotaMax) : null
    dealers.push({ id, quota })
    dealerLines.push(
      `${id},Dealer ${n},Jawa Barat,${lat},${lon},${opens},${closes},${quota ?? ''},,${closedOn}`,
    )
    for (let count = integer(random, 1, options.repsPerDealerMax); count > 0; count--) {
      const number = reps.length + 1
      const phone = `+62811${String(number).padStart(7, '0')}`
      reps.push({ rep: `r${number}`, dealer: id, name: `Rep Nomor ${number}`, phone })
      repLines.push(`r${number},${id},Rep Nomor ${number},${phone},${number % 3 === 0 ? 'en' : 'id'}`)
    }
  }
  const file = (lines: readonly string[]) => `${lines.join('\n')}\n`
  return {
    reps,
    dealers,
    files: {
      dealers: file(dealerLines),
      reps: file(repLines),
      prices: file(['model,region,msrp,map,valid_from', `${MODEL},,28500000,27000000,2026-01-01`]),
    },
    place: (chance) => ({ lat: -7 - chance() * AREA_DEGREES, lon: 107 + chance() * AREA_DEGREES }),
  }
}
