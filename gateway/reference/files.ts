/**
 * The reference files (CONTRACT, «Files»): their columns, and where a row is kept. To add a kind of file, add its
 * function here.
 *
 *   identity   what names a row: a file that has it twice contradicts itself, a later file replaces the row
 *   aggregate  whose document the row stands in; a price stands beside the model's other prices
 */
import { z } from 'zod'
import {
  type DealerRow,
  dealerKey,
  dealersIndex,
  type ManagerRow,
  managerKey,
  managersIndex,
  type PriceRow,
  type PricesRow,
  pricesIndex,
  pricesKey,
  type ReferenceKind,
  type RegistrationRow,
  type RepRow,
  registrationKey,
  repKey,
  repsIndex,
} from '../documents.ts'
import type { Key, Shard } from '../store/keys.ts'
import type { Json } from '../store/store.ts'
import {
  date,
  dealerId,
  decimal,
  isClosedOn,
  language,
  model,
  optional,
  personId,
  phone,
  text,
  time,
  units,
  words,
} from './columns.ts'

/** A row as it will be kept. */
export interface ReferenceRow {
  readonly aggregate: string
  readonly identity: string
  readonly value: Json
}

/** How the rows of a file are read. */
export interface RowForm {
  /** All must be there. */
  readonly columns: readonly string[]
  /** Text by column → the row, or which columns are wrong and what was expected of them. */
  parse(fields: Fields, attributes: Attributes): ParsedRow
}

export interface ReferenceFile extends RowForm {
  key(aggregate: string): Key
  /** Where the aggregates of a shard are listed; null: nowhere. */
  readonly index: ((shard: Shard) => Key) | null
  /** The row of this identity in a document; null when there is none. */
  find(document: Json | null, row: ReferenceRow): Json | null
  /** The document with the row in it. */
  put(document: Json | null, row: ReferenceRow): Json
}

export type Fields = Readonly<Record<string, string>>
/** The other columns, where they are not empty. */
export type Attributes = Readonly<Record<string, string>>
export type ParsedRow =
  | { readonly row: ReferenceRow }
  | { readonly wrong: readonly { readonly column: string; readonly expected: string }[] }

export interface ReferenceRules {
  readonly serialPattern: RegExp
}

export function referenceFile(kind: ReferenceKind, rules: ReferenceRules): ReferenceFile {
  switch (kind) {
    case 'dealers':
      return dealersFile()
    case 'serials':
      return serialsFile(rules)
    case 'prices':
      return pricesFile()
    case 'reps':
      return repsFile()
    case 'managers':
      return managersFile()
  }
}

// — the files —

function dealersFile(): ReferenceFile {
  const columns = z.object({
    dealer_id: dealerId,
    name: words,
    region: words,
    lat: decimal(-90, 90),
    lon: decimal(-180, 180),
    opens: time,
    closes: time,
    daily_quota: optional(units),
    phone: optional(phone),
  })
  const form = rowForm(columns, (fields, extra) => {
    const value: DealerRow = { ...fields, ...extra }
    return { aggregate: fields.dealer_id, identity: fields.dealer_id, value: value as unknown as Json }
  })
  return {
    ...form,
    parse(fields, attributes) {
      const parsed = form.parse(fields, attributes)
      if (isClosedOn(attributes.closed_on ?? '')) return parsed
      const wrong = { column: 'closed_on', expected: 'weekdays and dates, such as sun;2026-12-25' }
      return { wrong: [...('wrong' in parsed ? parsed.wrong : []), wrong] }
    },
    ...ROW_IS_DOCUMENT,
    key: dealerKey,
    index: dealersIndex,
  }
}

function repsFile(): ReferenceFile {
  const columns = z.object({ rep_id: personId, dealer_id: dealerId, name: words, phone, language })
  const form = rowForm(columns, (fields, extra) => {
    const value: RepRow = { ...fields, ...extra }
    return { aggregate: fields.rep_id, identity: fields.rep_id, value: value as unknown as Json }
  })
  const phones = new Set<string>()
  return {
    ...form,
    // A tap says who it is by the number alone.
    parse(fields, attributes) {
      const parsed = form.parse(fields, attributes)
      if ('wrong' in parsed) return parsed
      const { phone } = parsed.row.value as unknown as RepRow
      if (phones.has(phone)) {
        return { wrong: [{ column: 'phone', expected: 'a number that no other rep of this file has' }] }
      }
      phones.add(phone)
      return parsed
    },
    ...ROW_IS_DOCUMENT,
    key: repKey,
    index: repsIndex,
  }
}

function managersFile(): ReferenceFile {
  const columns = z.object({ manager_id: personId, region: words, name: words, phone, language })
  return {
    ...rowForm(columns, (fields, extra) => {
      const value: ManagerRow = { ...fields, ...extra }
      return { aggregate: fields.manager_id, identity: fields.manager_id, value: value as unknown as Json }
    }),
    ...ROW_IS_DOCUMENT,
    key: managerKey,
    index: managersIndex,
  }
}

function serialsFile({ serialPattern }: ReferenceRules): ReferenceFile {
  const serial = text(
    `a serial matching ${serialPattern.source}`,
    (value) => value.length <= 64 && serialPattern.test(value),
  )
  const columns = z.object({ serial, model, dealer_id: optional(dealerId), produced_on: optional(date) })
  return {
    ...rowForm(columns, ({ serial, ...fields }, extra) => {
      const value: RegistrationRow = { ...fields, ...extra }
      return { aggregate: serial, identity: serial, value: value as unknown as Json }
    }),
    ...ROW_IS_DOCUMENT,
    key: registrationKey,
    index: null,
  }
}

function pricesFile(): ReferenceFile {
  const columns = z.object({ model, region: optional(words), msrp: units, map: units, valid_from: date })
  const isSame = (a: PriceRow, b: PriceRow) => a.region === b.region && a.valid_from === b.valid_from
  const pricesOf = (document: Json | null) => (document as unknown as PricesRow | null)?.prices ?? []
  return {
    ...rowForm(columns, ({ model, ...fields }, extra) => {
      const value: PriceRow = { ...fields, ...extra }
      const identity = JSON.stringify([model, fields.region, fields.valid_from])
      return { aggregate: model, identity, value: value as unknown as Json }
    }),
    key: pricesKey,
    index: pricesIndex,
    find(document, { value }) {
      const price = value as unknown as PriceRow
      return (pricesOf(document).find((other) => isSame(other, price)) ?? null) as Json | null
    },
    put(document, { value }) {
      const price = value as unknown as PriceRow
      const others = pricesOf(document).filter((other) => !isSame(other, price))
      const prices = [...others, price].sort(byDayAndRegion)
      return { prices } satisfies PricesRow as unknown as Json
    },
  }
}

/** In an order of their own, so that the same prices make the same document whatever file they came in. */
const byDayAndRegion = (a: PriceRow, b: PriceRow): number => {
  const [first, second] = [a, b].map(({ valid_from, region }) => `${valid_from} ${region ?? ''}`) as [
    string,
    string,
  ]
  return first < second ? -1 : first > second ? 1 : 0
}

const ROW_IS_DOCUMENT: Pick<ReferenceFile, 'find' | 'put'> = {
  find: (document) => document,
  put: (_, { value }) => value,
}

/** @param rowOf makes the row of its fields; `extra` holds the attributes, if there are any */
export function rowForm<Columns extends z.ZodObject>(
  columns: Columns,
  rowOf: (fields: z.infer<Columns>, extra: { attributes?: Attributes }) => ReferenceRow,
): RowForm {
  return {
    columns: Object.keys(columns.shape),
    parse(fields, attributes) {
      const parsed = columns.safeParse(fields)
      if (parsed.success) {
        return { row: rowOf(parsed.data, Object.keys(attributes).length === 0 ? {} : { attributes }) }
      }
      const { issues } = parsed.error
      return { wrong: issues.map(({ path, message }) => ({ column: String(path[0]), expected: message })) }
    },
  }
}
