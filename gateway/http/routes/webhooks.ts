/** The doors of the bridges that the settings name. */
import type { Bridges } from '../../bridges/open.ts'
import type { App } from '../services.ts'
import { META_WEBHOOK, metaWebhookRoutes } from './webhooks-meta.ts'
import { QONTAK_WEBHOOK, qontakWebhookRoutes } from './webhooks-qontak.ts'

export const WEBHOOKS = [META_WEBHOOK, QONTAK_WEBHOOK] as const

export function webhookRoutes(app: App, { meta, qontak }: Pick<Bridges, 'meta' | 'qontak'>): void {
  if (meta !== null) metaWebhookRoutes(app, meta)
  if (qontak !== null) qontakWebhookRoutes(app, qontak)
}
