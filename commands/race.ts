/** `hub race LEAD`: a race as it was run, for whoever disputes it. */
import { Command } from 'commander'
import type { LeadEntry, LeadEntryType } from '../gateway/contract/leads.ts'
import type { Directory } from '../gateway/directory.ts'
import { type Race, readRace, type Step } from '../gateway/race-timeline.ts'
import { createDirectoryReader } from '../gateway/reference/load-directory.ts'
import { count, jsonLine, print, table } from './output.ts'
import { withExistingStore } from './with-store.ts'

export const raceCommand = (): Command =>
  new Command('race')
    .summary('a lead’s race, step by step')
    .description('Every step of a lead: who was asked, who tapped when, who won, and what became of it.')
    .argument('<lead>', 'its id, such as L07-3f2a5b7c9d1e')
    .option('--json', 'one object: the lead, and its steps')
    .addHelpText('after', EXAMPLES)
    .action(race)

const EXAMPLES = `
Times are the store's: one clock for all hubs, and the order of the lines is the order of the ledger. «after» is since
the newest offer, «tap» the place among all taps of that round, «behind» the distance to the tap that won it.

Examples:
  $ hub race L07-3f2a5b7c9d1e
  $ hub race L07-3f2a5b7c9d1e --json | jq '.steps[] | select(.tap) | [.tap.order, .rep, .tap.margin_ms]'
  $ hub ledger export --type lead.created | jq -r .data.lead        the ids of all leads`

async function race(id: string, { json }: { json?: true }): Promise<void> {
  await withExistingStore(async (store, { timezone }) => {
    const directory = await createDirectoryReader(store)()
    const found = await readRace(store, directory, id, Number.POSITIVE_INFINITY)
    if (found === null) throw new Error(`no lead is called ${id}`)
    await print(json ? jsonLine(asJson(found)) : printable(asText(found, directory, timezone)))
  })
}

/** No personal data: the customer is a pseudonym, the place an area. */
function asJson({ lead, outcome, steps }: Race): object {
  const { place, origin, offers, claims: _, offered_at: __, ...facts } = lead
  const { channel, campaign } = origin
  return { ...facts, area: place.area, channel, campaign, ...outcome, offers, steps }
}

function asText({ lead, outcome, steps }: Race, directory: Directory, timezone: string): string {
  const { place, origin, model, intent, when, serial } = lead
  const holder = steps.find(({ type, rep }) => type === 'lead.claimed' && rep === outcome.rep)
  const won = holder && `${who(holder)}, ${outcome.time_to_claim_s} s after the offer`
  const facts = [place.area, model, intent, when, origin.channel, origin.campaign, lead.customer]
  const rows = steps.map((step) => [
    localTime(step.at, timezone),
    step.since_offer_ms === null ? '' : `${step.since_offer_ms} ms`,
    step.tap === null ? '' : `#${step.tap.order}`,
    behind(step),
    describe(step, directory),
  ])
  return [
    `${lead.lead}: ${lead.state}${won === undefined ? '' : `, held by ${won}`}\n`,
    `${facts.filter((fact) => fact !== null).join(' · ')}\n`,
    serial === null ? '' : `vehicle ${serial}\n`,
    '\n',
    table([[`store time (${timezone})`, 'after', 'tap', 'behind', ''], ...rows]),
  ].join('')
}

const behind = ({ tap, type }: Step): string =>
  tap === null || tap.margin_ms === null || type === 'lead.claimed' ? '' : `${tap.margin_ms} ms`

const who = ({ rep, rep_name, dealer, dealer_name }: Step): string =>
  rep === null ? 'somebody who is no rep' : `${rep_name ?? rep} (${dealer_name ?? dealer})`

function describe(step: Step, directory: Directory): string {
  const { type } = step
  const of = <Type extends LeadEntryType>(_: Type) => step.data as unknown as LeadEntry<Type>
  switch (type) {
    case 'lead.created':
      return `created, by ${of('lead.created').source === 'form' ? 'a form' : 'WhatsApp'}`
    case 'lead.offered': {
      const { round, ring, offers, skipped } = of('lead.offered')
      const asked = offers.map(
        ({ rep, distance_km, dealer }) =>
          `${directory.rep(rep)?.name ?? rep} (${nameOf(dealer, directory)}, ${distance_km} km)`,
      )
      return `race ${round}, ring ${ring}: offered to ${asked.join(', ')}${passedOver(skipped, directory)}`
    }
    case 'lead.waiting': {
      const { skipped, until } = of('lead.waiting')
      return `nobody can be asked until ${until}${passedOver(skipped, directory)}`
    }
    case 'lead.claimed':
      return `✔ ${who(step)} won it, ${of('lead.claimed').distance_km} km away`
    case 'lead.too_slow':
      return `✖ ${who(step)} was too slow`
    case 'lead.claim_repeated':
      return `${who(step)} tapped again, and was told again`
    case 'lead.tap_refused': {
      const { action, reason } = of('lead.tap_refused')
      return `${who(step)} tapped ${action}: refused, ${reason}`
    }
    case 'lead.widened':
      return 'nobody claimed it in time: widened'
    case 'lead.released':
      return `${who(step)} was not in touch in time: released`
    case 'lead.expired':
      return `expired after ${count(of('lead.expired').rings, 'ring')}${passedOver(of('lead.expired').skipped, directory)}`
    case 'lead.sold': {
      const { serial, sale } = of('lead.sold')
      return `vehicle ${serial} sold by ${step.dealer_name ?? step.dealer}, entry ${sale}`
    }
    case 'lead.unsold':
      return `that sale is void: entry ${of('lead.unsold').sale}`
    case 'alert.raised':
      return `alert ${step.data.tier} ${step.data.cause}`
    default:
      return `${type.replace('lead.', '')}: ${who(step)}`
  }
}

const nameOf = (dealer: string, directory: Directory): string => directory.dealer(dealer)?.name ?? dealer

function passedOver(skipped: LeadEntry<'lead.offered'>['skipped'], directory: Directory): string {
  if (skipped.length === 0) return ''
  const each = skipped.map(
    ({ dealer, distance_km, reason }) => `${nameOf(dealer, directory)} (${distance_km} km: ${reason})`,
  )
  return `; passed over ${each.join(', ')}`
}

const localTime = (at: string, timezone: string): string =>
  Temporal.Instant.from(at)
    .toZonedDateTimeISO(timezone)
    .toPlainDateTime()
    .toString({ smallestUnit: 'millisecond' })
    .replace('T', ' ')

/** What people typed into forms is among it, and control characters could do anything to a terminal. */
const printable = (text: string): string => text.replace(/(?!\n)\p{Cc}/gu, '\uFFFD')
