/** The files of spend and activities (CONTRACT, «Files»): rows become the reports that portals send. */
import { z } from 'zod'
import { AMOUNT_MINOR_MAX, MINOR_UNITS, SPEND_KINDS } from '../contract/economics.ts'
import { CHANNELS } from '../contract/events.ts'
import { activityKey, spendKey } from '../documents.ts'
import { date, dealerId, optional, text, words } from '../reference/columns.ts'
import { rowForm } from '../reference/files.ts'
import type { SheetForm } from '../reference/read.ts'
import type { Json } from '../store/store.ts'

export const REPORT_KINDS = ['spend', 'activities'] as const
export type ReportKind = (typeof REPORT_KINDS)[number]

const reportId = text('an id: letters, digits and . _ : / -, at most 64', (value) =>
  /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$/.test(value),
)
const initiative = text('a name of at most 64 characters', (value) => /\S/.test(value) && value.length <= 64)
const channel = z.enum(CHANNELS, { error: `one of ${CHANNELS.join(', ')}` })
const kind = z.enum(SPEND_KINDS, { error: `one of ${SPEND_KINDS.join(', ')}` })
const currency = text('an ISO 4217 code such as IDR', (value) => /^[A-Z]{3}$/.test(value))
const amount = text(
  'an amount in whole units, such as 1500000 or 99.50, without separators',
  (value) => /^\d{1,13}(\.\d{1,2})?$/.test(value) && Number(value) <= AMOUNT_MINOR_MAX / MINOR_UNITS,
).transform(Number)

/** How rows of such a file are read; a row's value is the report, as a portal would publish it. */
export function reportForm(about: ReportKind): SheetForm {
  return about === 'spend' ? spendForm() : activitiesForm()
}

function spendForm(): SheetForm {
  const columns = z.object({
    entry_id: reportId,
    date,
    initiative,
    dealer_id: optional(dealerId),
    region: optional(words),
    channel,
    kind,
    amount,
    currency,
  })
  return {
    ...rowForm(columns, (fields) => ({
      aggregate: fields.entry_id,
      identity: fields.entry_id,
      value: fields as unknown as Json,
    })),
    key: spendKey,
  }
}

function activitiesForm(): SheetForm {
  const columns = z
    .object({
      activity_id: reportId,
      initiative,
      dealer_id: optional(dealerId),
      region: optional(words),
      channel,
      name: words,
      start_date: date,
      end_date: date,
    })
    .refine(({ start_date, end_date }) => start_date <= end_date, {
      path: ['end_date'],
      error: 'a day not before start_date',
    })
  return {
    ...rowForm(columns, (fields) => ({
      aggregate: fields.activity_id,
      identity: fields.activity_id,
      value: fields as unknown as Json,
    })),
    key: activityKey,
  }
}
