/**
 * What a figure of the unit economics asks of the metrics. Filters and dimensions are the same for all measurements, except
 * that a lead's channel is the one that the attribution says, and that sales as such have no initiative. What was asked is
 * remembered, so that a figure can be explained.
 */
import type { Asked, Explained } from '../gateway/contract/figures.ts'
import { ATTRIBUTION_RULES } from './attribution.ts'
import type { DayRange } from './business-days.ts'
import { designOf, type Measurement, type SumOf } from './measurements.ts'
import type { Metrics, Question } from './metrics.ts'

/** Entries told of each measurement with `explain`. */
const ENTRIES_TOLD = 100

export interface Row<M extends Measurement> {
  /** Of the dimensions asked for, and of the tags asked for beside them. */
  readonly by: Readonly<Record<string, string>>
  readonly sums: Readonly<Record<SumOf<M>, number>>
}

type Conditions = Readonly<Record<string, readonly string[] | undefined>>

export interface Asker {
  /** By dimensions and tags of the measurement, of what the filters let through. */
  ask<M extends Measurement>(measurement: M, by: readonly string[], range: DayRange): Promise<Row<M>[]>
  /** The same with these conditions instead of the filters. */
  askOnly<M extends Measurement>(
    measurement: M,
    by: readonly string[],
    range: DayRange,
    conditions: Conditions,
  ): Promise<Row<M>[]>
  /** What was asked, and the entries behind it. */
  explain(): Promise<Explained>
}

export function createAsker(
  metrics: Pick<Metrics, 'totals' | 'entriesBehind'>,
  { where, attribution, knownAt }: Pick<Asked, 'where' | 'attribution' | 'knownAt'>,
): Asker {
  const questions: Question<Measurement, never>[] = []

  async function askOnly<M extends Measurement>(
    measurement: M,
    by: readonly string[],
    range: DayRange,
    conditions: Conditions,
  ): Promise<Row<M>[]> {
    const { tags } = designOf(measurement)
    const { tag } = ATTRIBUTION_RULES[attribution]
    const tagOf = (name: string) => (name === 'channel' && tags.includes(tag) ? tag : name)
    const question = {
      measurement,
      by: [...new Set(by.map(tagOf))],
      where: Object.fromEntries(Object.entries(conditions).map(([name, values]) => [tagOf(name), values])),
      ...range,
      ...(knownAt !== null && { knownAt }),
    } as unknown as Question<M, 'day'>
    questions.push(question as unknown as Question<Measurement, never>)
    const totals = (await metrics.totals(question)) as unknown as Row<M>[]
    if (tag === 'channel') return totals
    return totals.map(({ by: found, sums }) => {
      const { [tag]: channel, ...others } = found
      return { by: channel === undefined ? others : { ...others, channel }, sums }
    })
  }

  return {
    ask: (measurement, by, range) => askOnly(measurement, by, range, where),
    askOnly,
    async explain() {
      const entries: Explained['entries'] = {}
      for (const question of questions) {
        if (question.measurement in entries) continue
        const behind = await metrics.entriesBehind({ ...question, by: [] }, ENTRIES_TOLD)
        entries[question.measurement] = { entries: [...behind.entries], is_complete: behind.isComplete }
      }
      return {
        questions: questions.map(({ measurement, by, where = {}, firstDay, lastDay }) => ({
          measurement,
          by: [...by],
          where: where as Record<string, string[]>,
          from: firstDay,
          to: lastDay,
        })),
        entries,
      }
    },
  }
}
