/** Spend → leads → claims → sales, as nodes and links for a Sankey chart. Pure. */
import type { FlowAnswer } from '../gateway/contract/figures.ts'
import { WALK_IN } from './attribution.ts'
import type { ChannelFacts } from './channels.ts'

export interface FlowFacts {
  readonly channels: ReadonlyMap<string, ChannelFacts>
  /** Leads of the period, and those of them that led to a purchase: held by a dealer, or by nobody. */
  readonly held: { readonly leads: number; readonly sold: number }
  readonly open: { readonly leads: number; readonly sold: number }
}

/**
 * A channel's node has its spend; what flows are leads: from their channel, to whether a dealer holds them, to a verified
 * sale. What does not flow on has not been sold (yet). Walk-ins come from their channel to a sale without a lead.
 */
export function flowOf({ channels, held, open }: FlowFacts): Pick<FlowAnswer, 'nodes' | 'links'> {
  const touched = [...channels].filter(
    ([, { burn, leads, walkIns }]) => burn !== 0 || leads !== 0 || walkIns !== 0,
  )
  const walkIns = channels.get(WALK_IN)?.walkIns ?? 0
  const spent = touched.map(([channel, { burn, leads }]) => ({
    id: `spend:${channel}`,
    stage: 'spend' as const,
    name: channel,
    spend: burn,
    count: leads,
  }))
  return {
    nodes: [
      ...spent,
      { id: 'lead', stage: 'lead', name: 'leads', count: held.leads + open.leads },
      { id: 'claimed', stage: 'claim', name: 'held by a dealer', count: held.leads },
      { id: 'open', stage: 'claim', name: 'held by nobody', count: open.leads },
      { id: 'sale', stage: 'sale', name: 'verified sales', count: held.sold + open.sold + walkIns },
    ],
    links: [
      ...touched.map(([channel, { leads }]) => ({
        source: `spend:${channel}`,
        target: 'lead',
        value: leads,
      })),
      { source: `spend:${WALK_IN}`, target: 'sale', value: walkIns },
      { source: 'lead', target: 'claimed', value: held.leads },
      { source: 'lead', target: 'open', value: open.leads },
      { source: 'claimed', target: 'sale', value: held.sold },
      { source: 'open', target: 'sale', value: open.sold },
    ].filter(({ value }) => value > 0),
  }
}
