/** What portals report: spend and activities; and that a sale is void, which the API says within the hub. */
import type { z } from 'zod'
import {
  type ActivityReport,
  activityReport,
  activityVoid,
  type SpendReport,
  spendReport,
  spendVoid,
} from '../contract/economics.ts'
import { DEVICE_PAYLOAD_BYTES_MAX } from '../contract/events.ts'
import { HEAD_OFFICE, NAME_PATTERN, ROOT } from '../contract/topics.ts'
import { type Decoded, type DecodeRules, type Inbound, undecodable } from '../decode.ts'
import { countUnknown, explain, fieldError, parseJson } from './fields.ts'

export interface DecodedReport {
  readonly kind: 'report'
  readonly about: 'spend' | 'activity'
  readonly id: string
  /** null: it is taken back. */
  readonly report: SpendReport | ActivityReport | null
  /** Whose portal it came from; null: the head office. */
  readonly portalDealer: string | null
}

const TOPIC = new RegExp(`^${ROOT}/portal/([^/]+)/(spend|activity)$`)

/** @returns null when the topic is none of these */
export function decodeReport(inbound: Inbound, { onUnknownFields }: DecodeRules): Decoded | null {
  const [, portal, kind] = TOPIC.exec(inbound.topic) ?? []
  if (portal === undefined || !NAME_PATTERN.test(portal)) return null
  const about = kind as DecodedReport['about']
  const parsed = parseJson(inbound.payload, DEVICE_PAYLOAD_BYTES_MAX)
  if (parsed.error !== null) return undecodable(inbound, [parsed.error])

  const isVoid = (parsed.value as { void?: unknown }).void === true
  const schema: z.ZodObject = schemaOf(about, isVoid)
  const result = schema.safeParse(parsed.value)
  if (!result.success) {
    return undecodable(
      inbound,
      result.error.issues.map((issue) => explain(issue, parsed.value)),
    )
  }
  const unknown = countUnknown(parsed.value as object, { ...schema.shape, void: null })
  if (unknown > 0) onUnknownFields(unknown)

  const said = result.data as { entry_id: string; activity_id: string; dealer_id?: string | null }
  const portalDealer = portal === HEAD_OFFICE ? null : portal
  if (portalDealer !== null && said.dealer_id != null && said.dealer_id !== portalDealer) {
    const expected = `${portalDealer}, whose portal this is, or nothing`
    return undecodable(inbound, [fieldError('dealer_id', expected, said.dealer_id)])
  }
  return {
    kind: 'report',
    about,
    id: about === 'spend' ? said.entry_id : said.activity_id,
    report: isVoid ? null : (result.data as SpendReport | ActivityReport),
    portalDealer,
  }
}

function schemaOf(about: DecodedReport['about'], isVoid: boolean): z.ZodObject {
  if (about === 'spend') return isVoid ? spendVoid : spendReport
  return isVoid ? activityVoid : activityReport
}
