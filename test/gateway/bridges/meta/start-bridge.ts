/** The bridge with its webhook over HTTP, as the hub wires it; used in the tests' process and in one of its own. */
import { pino } from 'pino'
import { connectBridge, dialUrl } from '../../../../gateway/bridges/bridge.ts'
import type { Clock } from '../../../../gateway/bridges/clock.ts'
import { createMetaBridge, type MetaBridge } from '../../../../gateway/bridges/meta/meta.ts'
import { createApp } from '../../../../gateway/http/create-app.ts'
import { metaWebhookRoutes } from '../../../../gateway/http/routes/webhooks-meta.ts'
import type { App } from '../../../../gateway/http/services.ts'
import { until } from '../../../support/until.ts'

export const SETTINGS = {
  appSecret: 'app-secret',
  verifyToken: 'verify-token',
  accessToken: 'token',
  phoneNumberId: '100200300400500',
  apiVersion: 'v25.0',
}

const SILENT = { info() {}, warn() {}, error() {} }

/** `httpPort` 0: any free one. */
export async function startBridge(
  mqttPort: number,
  apiUrl: string,
  { clock, timeoutMs, httpPort = 0 }: { clock?: Clock; timeoutMs?: number; httpPort?: number } = {},
): Promise<{ bridge: MetaBridge; app: App; url: string; close(): Promise<void> }> {
  const bus = connectBridge({
    bridge: 'meta',
    dial: dialUrl(`mqtt://127.0.0.1:${mqttPort}`, 'bridge:meta'),
    log: SILENT,
  })
  const bridge = createMetaBridge({
    settings: { ...SETTINGS, apiUrl },
    bus,
    log: SILENT,
    random: () => 0,
    ...(clock && { clock }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  })
  const app = createApp(pino({}, { write() {} }))
  metaWebhookRoutes(app, bridge)
  const url = await app.listen({ host: '127.0.0.1', port: httpPort })
  await until('the bridge is connected', () => bus.isConnected)
  return {
    bridge,
    app,
    url: `${url}/webhooks/meta`,
    async close() {
      await app.close()
      await bridge.close()
      await bus.close()
    },
  }
}
