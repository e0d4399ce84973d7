/** The columns of CSV files: text → value. The error says what was expected, in plain words. */
import { z } from 'zod'
import { NAME_PATTERN, RESERVED_DEALERS } from '../contract/topics.ts'
import { parsePhone } from '../customers.ts'
import { LANGUAGES } from '../documents.ts'

const TEXT_LENGTH_MAX = 200
/** As in the events (`contract/events.ts`). */
const NAME_LENGTH_MAX = 64
const UNITS_MAX = 1_000_000_000_000

export const text = (expected: string, accepts: (value: string) => boolean) =>
  z.string().refine(accepts, expected)
export const optional = <Value>(column: z.ZodType<Value, string>) =>
  z.preprocess((value) => (value === '' ? null : value), column.nullable())

export const words = text(
  `a text of at most ${TEXT_LENGTH_MAX} characters`,
  (value) => value !== '' && value.length <= TEXT_LENGTH_MAX,
)
export const model = text(
  `a model of at most ${NAME_LENGTH_MAX} characters`,
  (value) => value !== '' && value.length <= NAME_LENGTH_MAX,
)
export const dealerId = text(
  `a dealer's id: letters, digits, dots, dashes and underscores, at most 64, and not ${RESERVED_DEALERS.join(', ')}`,
  (value) => NAME_PATTERN.test(value) && !(RESERVED_DEALERS as readonly string[]).includes(value),
)
export const deviceId = text(
  "a device's id: letters, digits, dots, dashes and underscores, at most 64",
  (value) => NAME_PATTERN.test(value),
)
export const personId = text('an id: letters, digits, dots, dashes and underscores, at most 64', (value) =>
  NAME_PATTERN.test(value),
)
export const language = z.enum(LANGUAGES, { error: `one of ${LANGUAGES.join(', ')}` })
export const decimal = (min: number, max: number) =>
  text(
    `a number from ${min} to ${max}, with a decimal point`,
    (value) => /^-?\d{1,3}(\.\d+)?$/.test(value) && Number(value) >= min && Number(value) <= max,
  ).transform(Number)
export const units = text(
  'a whole number without separators, such as 28500000',
  (value) => /^\d{1,13}$/.test(value) && Number(value) <= UNITS_MAX,
).transform(Number)
export const time = text('a time of day such as 09:00', (value) =>
  /^(([01]\d|2[0-3]):[0-5]\d|24:00)$/.test(value),
)
export const date = z.iso.date('a date such as 2026-11-22')
export const phone = text(
  'a phone number such as +62 21 5550 1234',
  (value) => parsePhone(value) !== null,
).transform((value) => parsePhone(value) as string)

/** Of a dealer: weekdays and dates on which it is closed all day, as `deciders/routing.ts` reads them. */
export const isClosedOn = (value: string): boolean =>
  value
    .toLowerCase()
    .split(/[;,\s]+/)
    .filter(Boolean)
    .every((day) => /^(sun|mon|tue|wed|thu|fri|sat)$/.test(day) || z.iso.date().safeParse(day).success)
