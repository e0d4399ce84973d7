/**
 * Templates and channels as Qontak knows them: the hub names a template as it was registered, Qontak wants its id and a
 * channel's. Asked for when first needed, and again when a name is not found or the list has grown old.
 */
import type { Template } from '../../contract/bridge.ts'
import type { Clock } from '../clock.ts'
import type { SendResult } from '../outbound-queue.ts'
import { fieldsOf, listOf, textOf } from '../reading.ts'
import type { QontakClient } from './client.ts'
import { sendResultOf } from './errors.ts'

export interface CatalogueTemplate {
  readonly templateId: string
  readonly channelId: string
  /** Labels of its quick-reply buttons, in order: what a tap will say. */
  readonly labels: readonly string[]
}

export interface Catalogue {
  /** What to broadcast, or what to answer instead. */
  find(template: Template): Promise<CatalogueTemplate | SendResult>
}

const FRESH_MS = 30 * 60_000
/** A name that is not there is not asked for at every message. */
const ASK_AGAIN_MS = 60_000
const PAGE = 100
const PAGES_MAX = 20

interface Listed {
  readonly id: string
  readonly name: string
  readonly language: string | null
  readonly labels: readonly string[]
}

export function createCatalogue({
  client,
  clock,
  channelId,
}: {
  readonly client: Pick<QontakClient, 'chat'>
  readonly clock: Pick<Clock, 'now'>
  /** null: the only one there is. */
  readonly channelId: string | null
}): Catalogue {
  let templates: readonly Listed[] = []
  let askedAtMs = Number.NEGATIVE_INFINITY
  let channel = channelId

  return { find }

  async function find({ name, language }: Template): Promise<CatalogueTemplate | SendResult> {
    const lookUp = () =>
      templates.find((one) => one.id === name) ??
      templates.find((one) => one.name === name && (one.language === null || one.language === language))
    const age = clock.now() - askedAtMs
    if (age > FRESH_MS || (lookUp() === undefined && age > ASK_AGAIN_MS)) {
      const failed = await load()
      if (failed !== null) return failed
    }
    const found = lookUp()
    if (found === undefined) {
      return refused('no_template', `Qontak has no approved template ${name} in ${language}`)
    }
    if (channel === null) {
      const failed = await findChannel()
      if (failed !== null) return failed
    }
    return { templateId: found.id, channelId: channel as string, labels: found.labels }
  }

  async function load(): Promise<SendResult | null> {
    const listed: Listed[] = []
    for (let page = 1; page <= PAGES_MAX; page++) {
      const answer = await client.chat({
        method: 'GET',
        path: `/templates/whatsapp?limit=${PAGE}&offset=${(page - 1) * PAGE}`,
      })
      if (answer.is === 'failure' || answer.status >= 300) return withoutId(sendResultOf(answer, true))
      const known = new Set(listed.map(({ id }) => id))
      const found = listOf(answer.body.data)
        .flatMap(templateOf)
        .filter(({ id }) => !known.has(id))
      listed.push(...found)
      // The last page; or the first one again, from a server that does not page.
      if (found.length === 0 || listOf(answer.body.data).length < PAGE) break
    }
    templates = listed
    askedAtMs = clock.now()
    return null
  }

  async function findChannel(): Promise<SendResult | null> {
    const answer = await client.chat({ method: 'GET', path: '/integrations?target_channel=wa_cloud' })
    if (answer.is === 'failure' || answer.status >= 300) return withoutId(sendResultOf(answer, true))
    const ids = listOf(answer.body.data).flatMap((one) => textOf(fieldsOf(one).id) ?? [])
    if (ids.length !== 1) {
      return refused(
        'no_channel',
        `expected one WhatsApp channel, or QONTAK_CHANNEL_ID; Qontak has ${ids.length}`,
      )
    }
    channel = ids[0] as string
    return null
  }
}

function templateOf(value: unknown): Listed[] {
  const { id, name, language, status, buttons } = fieldsOf(value)
  const [templateId, templateName, state] = [id, name, status].map(textOf)
  if (!templateId || !templateName || (state && state.toUpperCase() !== 'APPROVED')) return []
  const labels = listOf(buttons)
    .map(fieldsOf)
    .flatMap((button) => {
      const isReply = /quick/i.test(textOf(button.type) ?? '')
      return isReply ? (textOf(button.text) ?? textOf(button.title) ?? []) : []
    })
  return [
    {
      id: templateId,
      name: templateName,
      language: textOf(language) ?? textOf(fieldsOf(language).code),
      labels,
    },
  ]
}

/** Looking something up sends nothing: it is never unknown. */
const withoutId = (result: SendResult): SendResult =>
  result.outcome === 'sent' ? refused('no_template', 'Qontak answered without a list') : result

const refused = (code: string, message: string): SendResult => ({
  outcome: 'failed',
  error: { code, message, retryable: false },
})
