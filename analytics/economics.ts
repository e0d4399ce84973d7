/** The unit economics: questions to the metrics, joined and handed to the pure functions that say what figures mean. */
import type {
  Asked,
  AskedVariables,
  ChannelsAnswer,
  CostPerLeadAnswer,
  Dimension,
  Economics,
  FlowAnswer,
  RestatedAnswer,
  VariablesAnswer,
} from '../gateway/contract/figures.ts'
import { type Asker, createAsker } from './ask.ts'
import { ATTRIBUTION_RULES, MATCHING_RULES } from './attribution.ts'
import { type DayRange, monthsOf } from './business-days.ts'
import { CHANNEL_ROWS, readChannels } from './channel-facts.ts'
import { type ChannelFacts, figuresOfChannel } from './channels.ts'
import { type FactsRow, type FactsTable, inOrder, keyOf, readFacts } from './facts.ts'
import { flowOf } from './flow.ts'
import { NONE } from './measurements.ts'
import type { Metrics } from './metrics.ts'
import { counterpartOf, daysOf, periodBefore } from './periods.ts'
import { CLOSES_AFTER_HOURS, restatedSince } from './restated.ts'
import { burnOf, costPerLead, NO_FACTS, variablesOf } from './variables.ts'

export interface EconomicsOptions {
  readonly metrics: Pick<Metrics, 'totals' | 'entriesBehind'>
  /** Of business days. */
  readonly timezone: string
}

/** Every method throws RangeError for what is no range of days, and MetricsError while the metrics are away. */
export function createEconomics({ metrics, timezone }: EconomicsOptions): Economics {
  return {
    async variables(asked): Promise<VariablesAnswer> {
      const { by, compare, currency } = asked
      const asker = createAsker(metrics, asked)
      const range = rangeOf(asked)
      const rangeBefore = compare ? periodBefore(range) : null
      const [table, before] = await Promise.all([
        readFacts(asker, by, range, currency),
        rangeBefore && readFacts(asker, by, rangeBefore, currency),
      ])
      const rows =
        rangeBefore && before
          ? beside(table, before, { by, range, rangeBefore })
          : [...table.rows.values()].map(({ by: values, facts }) => ({
              by: { ...values },
              variables: variablesOf(facts),
            }))
      return {
        ...headOf(asked, table.otherCurrencies),
        by: [...by],
        before: rangeBefore && { from: rangeBefore.firstDay, to: rangeBefore.lastDay },
        rows,
        ...(await explained(asked, asker)),
      }
    },

    async costPerLead(asked): Promise<CostPerLeadAnswer> {
      const asker = createAsker(metrics, asked)
      const range = rangeOf(asked)
      const [byMonth, byDay] = await Promise.all([
        readFacts(asker, ['month'], range, asked.currency),
        readFacts(asker, ['day'], range, asked.currency),
      ])
      const figuresOf = (table: FactsTable, dimension: 'month' | 'day', label: string) => {
        const facts = table.rows.get(keyOf([dimension], { [dimension]: label }))?.facts ?? NO_FACTS
        return { burn: burnOf(facts), leads: facts.leads, cost_per_lead: costPerLead(facts) }
      }
      return {
        ...headOf(asked, byMonth.otherCurrencies),
        months: monthsOf(range).map(({ month }) => ({ month, ...figuresOf(byMonth, 'month', month) })),
        days: daysOf(range).map((day) => ({ day, ...figuresOf(byDay, 'day', day) })),
        ...(await explained(asked, asker)),
      }
    },

    async channels(asked): Promise<ChannelsAnswer> {
      const asker = createAsker(metrics, asked)
      const table = await readChannels(asker, rangeOf(asked), asked.currency, asked.where)
      return {
        ...headOf(asked, table.otherCurrencies),
        matching: Object.entries(MATCHING_RULES).map(([name, rule]) => ({
          name,
          rule,
          sales: table.matched[name] ?? 0,
        })),
        channels: CHANNEL_ROWS.map((channel) => ({
          channel,
          figures: figuresOfChannel(table.channels.get(channel) as ChannelFacts),
        })),
        total: figuresOfChannel(table.total),
        ...(await explained(asked, asker)),
      }
    },

    async flow(asked): Promise<FlowAnswer> {
      const asker = createAsker(metrics, asked)
      const range = rangeOf(asked)
      const [table, leads] = await Promise.all([
        readChannels(asker, range, asked.currency, asked.where),
        asker.ask('leads', ['dealer'], range),
      ])
      const of = (isHeld: boolean) =>
        leads
          .filter(({ by }) => (by.dealer !== NONE) === isHeld)
          .reduce(
            (all, { sums }) => ({ leads: all.leads + sums.unique, sold: all.sold + sums.sold_verified }),
            {
              leads: 0,
              sold: 0,
            },
          )
      return {
        ...headOf(asked, table.otherCurrencies),
        ...flowOf({ channels: table.channels, held: of(true), open: of(false) }),
        ...(await explained(asked, asker)),
      }
    },

    async restated(asked): Promise<RestatedAnswer> {
      return {
        from: asked.from,
        to: asked.to,
        since: new Date(asked.since).toISOString(),
        closed: `A business day is closed ${CLOSES_AFTER_HOURS} hours after its end`,
        changes: await restatedSince(metrics, asked, timezone),
      }
    },
  }
}

const rangeOf = ({ from, to }: Pick<Asked, 'from' | 'to'>): DayRange => ({ firstDay: from, lastDay: to })

const headOf = (
  { from, to, where, currency, attribution, knownAt }: Asked,
  otherCurrencies: readonly string[],
) => ({
  from,
  to,
  where: Object.fromEntries(Object.entries(where).map(([name, values]) => [name, [...values]])),
  currency,
  other_currencies: [...otherCurrencies],
  attribution: { name: attribution, rule: ATTRIBUTION_RULES[attribution].rule },
  known_at: knownAt === null ? null : new Date(knownAt).toISOString(),
})

const explained = async ({ explain }: Asked, asker: Asker) =>
  explain ? { explain: await asker.explain() } : {}

/**
 * Rows with those of the period before beside them, of the same group; by day and month, as far from the beginning. A group
 * that was there before and is no more has a row, too.
 */
function beside(
  table: FactsTable,
  before: FactsTable,
  { by, range, rangeBefore }: Comparison,
): VariablesAnswer['rows'] {
  const shifted = new Map<string, FactsRow>()
  for (const { by: values, facts } of before.rows.values()) {
    const labels = by.map((name) => [
      name,
      isTime(name) ? counterpartOf(values[name] as string, rangeBefore, range) : (values[name] as string),
    ])
    if (labels.some(([, label]) => label === null)) continue
    const moved = Object.fromEntries(labels) as FactsRow['by']
    shifted.set(keyOf(by, moved), { by: moved, facts })
  }
  return [...inOrder(new Map([...shifted, ...table.rows]), by)].map(([key, row]) => {
    const stood = shifted.get(key)
    return {
      by: { ...row.by },
      variables: variablesOf(table.rows.get(key)?.facts ?? NO_FACTS),
      before: stood === undefined ? null : variablesOf(stood.facts),
    }
  })
}

interface Comparison {
  readonly by: AskedVariables['by']
  readonly range: DayRange
  readonly rangeBefore: DayRange
}

const isTime = (name: Dimension): boolean => name === 'day' || name === 'month'
