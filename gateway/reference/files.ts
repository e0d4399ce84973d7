/**
 * The reference files (CONTRACT, «Files»): their columns, and where a row is kept. To add a kind of file, add its
 * function here.
 *
 *   identity   what names a row: a file that has it twice contradicts itself, a later file replaces the row
 *   aggregate  whose document the row stands in; a price stands beside the model's other prices
 */
import { parsePhoneNumberFromString } from 'libphonenumber-js/min'
import { z } from 'zod'
import { NAME_PATTERN, RESERVED_DEALERS } from '../contract/topics.ts'
import {
  type DealerRow,
  dealerKey,
  dealersIndex,
  type PriceRow,
  type PricesRow,
  pricesKey,
  type ReferenceKind,
  type RegistrationRow,
  registrationKey,
} from '../documents.ts'
import type { Key, Shard } from '../store/keys.ts'
import type { Json } from '../store/store.ts'

/** A row as it will be kept. */
export interface ReferenceRow {
  readonly aggregate: string
  readonly identity: string
  readonly value: Json
}

export interface ReferenceFile {
  /** All must be there; what else there is, is kept as attributes. */
  readonly columns: readonly string[]
  /** Text by column → the row, or which columns are wrong and what was expected of them. */
  parse(fields: Fields, attributes: Attributes): ParsedRow
  key(aggregate: string): Key
  /** Where the aggregates of a shard are listed; null: nowhere. */
  readonly index: ((shard: Shard) => Key) | null
  /** The row of this identity in a document; null when there is none. */
  find(document: Json | null, row: ReferenceRow): Json | null
  /** The document with the row in it. */
  put(document: Json | null, row: ReferenceRow): Json
}

export type Fields = Readonly<Record<string, string>>
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
  return {
    ...oneRowADocument(columns, (fields, attributes) => {
      const value: DealerRow = { ...fields, ...attributes }
      return { aggregate: fields.dealer_id, identity: fields.dealer_id, value: value as unknown as Json }
    }),
    key: dealerKey,
    index: dealersIndex,
  }
}

function serialsFile({ serialPattern }: ReferenceRules): ReferenceFile {
  const serial = text(
    `a serial matching ${serialPattern.source}`,
    (value) => value.length <= 64 && serialPattern.test(value),
  )
  const columns = z.object({ serial, model, dealer_id: optional(dealerId), produced_on: optional(date) })
  return {
    ...oneRowADocument(columns, ({ serial, ...fields }, attributes) => {
      const value: RegistrationRow = { ...fields, ...attributes }
      return { aggregate: serial, identity: serial, value: value as unknown as Json }
    }),
    key: registrationKey,
    index: null,
  }
}

function pricesFile(): ReferenceFile {
  const columns = z.object({ model, region: optional(words), msrp: units, map: units, valid_from: date })
  const isSame = (a: PriceRow, b: PriceRow) => a.region === b.region && a.valid_from === b.valid_from
  const pricesOf = (document: Json | null) => (document as unknown as PricesRow | null)?.prices ?? []
  return {
    columns: Object.keys(columns.shape),
    parse: parser(columns, ({ model, ...fields }, attributes) => {
      const value: PriceRow = { ...fields, ...attributes }
      const identity = [model, fields.region ?? '(all)', fields.valid_from].join(' ')
      return { aggregate: model, identity, value: value as unknown as Json }
    }),
    key: pricesKey,
    index: null,
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

type RowOf<Columns extends z.ZodObject> = (
  fields: z.infer<Columns>,
  attributes: { attributes?: Attributes },
) => ReferenceRow

/** A file whose every row is a document of its own. */
const oneRowADocument = <Columns extends z.ZodObject>(columns: Columns, rowOf: RowOf<Columns>) => ({
  columns: Object.keys(columns.shape),
  parse: parser(columns, rowOf),
  find: (document: Json | null) => document,
  put: (_: Json | null, { value }: ReferenceRow) => value,
})

const parser =
  <Columns extends z.ZodObject>(columns: Columns, rowOf: RowOf<Columns>): ReferenceFile['parse'] =>
  (fields, attributes) => {
    const parsed = columns.safeParse(fields)
    if (parsed.success) {
      return { row: rowOf(parsed.data, Object.keys(attributes).length === 0 ? {} : { attributes }) }
    }
    return {
      wrong: parsed.error.issues.map(({ path, message }) => ({ column: String(path[0]), expected: message })),
    }
  }

// — columns: text → value; the error says what was expected —

const TEXT_LENGTH_MAX = 200
/** As in the events (`contract/events.ts`). */
const NAME_LENGTH_MAX = 64
const UNITS_MAX = 1_000_000_000_000

const text = (expected: string, accepts: (value: string) => boolean) => z.string().refine(accepts, expected)
const optional = <Value>(column: z.ZodType<Value, string>) =>
  z.preprocess((value) => (value === '' ? null : value), column.nullable())

const words = text(
  `a text of at most ${TEXT_LENGTH_MAX} characters`,
  (value) => value !== '' && value.length <= TEXT_LENGTH_MAX,
)
const model = text(
  `a model of at most ${NAME_LENGTH_MAX} characters`,
  (value) => value !== '' && value.length <= NAME_LENGTH_MAX,
)
const dealerId = text(
  `a dealer's id: letters, digits, dots, dashes and underscores, not ${RESERVED_DEALERS.join(', ')}`,
  (value) => NAME_PATTERN.test(value) && !(RESERVED_DEALERS as readonly string[]).includes(value),
)
const decimal = (min: number, max: number) =>
  text(
    `a number from ${min} to ${max}, with a decimal point`,
    (value) => /^-?\d{1,3}(\.\d+)?$/.test(value) && Number(value) >= min && Number(value) <= max,
  ).transform(Number)
const units = text(
  'a whole number without separators, such as 28500000',
  (value) => /^\d{1,13}$/.test(value) && Number(value) <= UNITS_MAX,
).transform(Number)
const time = text('a time of day such as 09:00', (value) => /^(([01]\d|2[0-3]):[0-5]\d|24:00)$/.test(value))
const date = z.iso.date('a date such as 2026-11-22')
const phoneNumberOf = (value: string) => parsePhoneNumberFromString(value, 'ID')
const phone = text(
  'a phone number such as +62 21 5550 1234',
  (value) => phoneNumberOf(value)?.isPossible() ?? false,
).transform((value) => phoneNumberOf(value)?.number as string)
