/** Facts of channels, and how sales found their leads: a few questions to the metrics, joined. */
import { CHANNELS } from '../gateway/contract/events.ts'
import type { Filters } from '../gateway/contract/figures.ts'
import type { Asker } from './ask.ts'
import { WALK_IN } from './attribution.ts'
import type { DayRange } from './business-days.ts'
import { type ChannelFacts, NO_CHANNEL_FACTS } from './channels.ts'
import { NONE } from './measurements.ts'
import { exactSum } from './variables.ts'

export const CHANNEL_ROWS = [...CHANNELS, NONE] as const

export interface ChannelTable {
  readonly channels: ReadonlyMap<string, ChannelFacts>
  readonly total: ChannelFacts
  /** Verified sales by how they found their lead. */
  readonly matched: Readonly<Record<string, number>>
  readonly otherCurrencies: readonly string[]
}

export async function readChannels(
  asker: Asker,
  range: DayRange,
  currency: string,
  where: Filters,
): Promise<ChannelTable> {
  const [spend, leads, claims, conversions, walkIns] = await Promise.all([
    asker.ask('spend', ['channel', 'currency'], range),
    asker.ask('leads', ['channel'], range),
    asker.ask('claims', ['channel'], range),
    asker.ask('conversions', ['channel', 'matched_by'], range),
    readWalkIns(asker, range, where),
  ])
  const channels = new Map(CHANNEL_ROWS.map((channel) => [channel as string, { ...NO_CHANNEL_FACTS }]))
  const add = (values: Readonly<Record<string, string>>, added: Partial<ChannelFacts>) => {
    const facts = channels.get(values.channel as string) as ChannelFacts
    channels.set(values.channel as string, plus(facts, { ...NO_CHANNEL_FACTS, ...added }))
  }
  for (const { by, sums } of spend) if (by.currency === currency) add(by, { burn: sums.amount_minor })
  for (const { by, sums } of leads) {
    const { raw, unique, claimed, sold_verified } = sums
    add(by, { inquiries: raw, leads: unique, leadsClaimed: claimed, leadsSold: sold_verified })
  }
  for (const { by, sums } of claims) add(by, { claims: sums.count, timeToClaimMs: sums.time_to_claim_ms })
  const matched: Record<string, number> = {}
  for (const { by, sums } of conversions) {
    add(by, { conversionsVerified: sums.verified })
    matched[by.matched_by as string] = (matched[by.matched_by as string] ?? 0) + sums.verified
  }
  add({ channel: WALK_IN }, { walkIns })

  const currencies = new Set(spend.map(({ by }) => by.currency as string))
  currencies.delete(currency)
  return {
    channels,
    total: [...channels.values()].reduce(plus, NO_CHANNEL_FACTS),
    matched: { ...matched, none: walkIns },
    otherCurrencies: [...currencies].sort(),
  }
}

/**
 * Verified sales that no lead has, of the same dealers, regions and days. They are of no initiative, and of no channel but
 * walk-ins: who asks for another one gets none.
 */
async function readWalkIns(asker: Asker, range: DayRange, { dealer, region, channel, initiative }: Filters) {
  const isAsked = (initiative?.includes(NONE) ?? true) && (channel?.includes(WALK_IN) ?? true)
  if (!isAsked) return 0
  // As if asked without a channel and an initiative, which sales do not have.
  const of = { ...(dealer && { dealer }), ...(region && { region }) }
  const [sales, conversions] = await Promise.all([
    asker.askOnly('sales', [], range, { ...of, outcome: ['registered'] }),
    asker.askOnly('conversions', [], range, of),
  ])
  return (sales[0]?.sums.verified ?? 0) - (conversions[0]?.sums.verified ?? 0)
}

const plus = (a: ChannelFacts, b: ChannelFacts): ChannelFacts => ({
  burn: exactSum(a.burn, b.burn),
  inquiries: a.inquiries + b.inquiries,
  leads: a.leads + b.leads,
  leadsClaimed: a.leadsClaimed + b.leadsClaimed,
  leadsSold: a.leadsSold + b.leadsSold,
  claims: a.claims + b.claims,
  timeToClaimMs: exactSum(a.timeToClaimMs, b.timeToClaimMs),
  conversionsVerified: a.conversionsVerified + b.conversionsVerified,
  walkIns: a.walkIns + b.walkIns,
})
