/**
 * The bridges in a process of their own (`hub start --role bridge`): webhooks in by HTTP, the hub by MQTT, and no store.
 * It can stand where the internet reaches it, with the hub behind; several of them may run for one number.
 */
import type { Logger } from 'pino'
import { z } from 'zod'
import { type Config, ConfigError, type SettingError } from '../config.ts'
import { dialUrl } from './bridges/bridge.ts'
import { openBridges } from './bridges/open.ts'
import { createApp } from './http/create-app.ts'
import { PROBLEM_TYPE, problemSchema, unavailable } from './http/problem.ts'
import { webhookRoutes } from './http/routes/webhooks.ts'

export interface BridgeProcess extends AsyncDisposable {
  readonly addresses: { readonly http: number }
}

/** @throws ConfigError naming what it needs and was not given; an error when the port is taken */
export async function startBridgeProcess(config: Config, log: Logger): Promise<BridgeProcess> {
  const { url, tokens } = connectionOf(config)
  await using opened = new AsyncDisposableStack()
  const bridges = opened.adopt(
    await openBridges(config, (bridge) => dialUrl(url, tokens.get(bridge) as string), log),
    (it) => it.close(),
  )
  const app = createApp(log)
  opened.defer(() => app.close())
  app.get(
    '/healthz',
    { schema: { response: { 200: z.object({ status: z.literal('alive') }) } } },
    async () => ({
      status: 'alive' as const,
    }),
  )
  app.get(
    '/readyz',
    {
      schema: {
        response: {
          200: z.object({ ready: z.literal(true) }),
          503: {
            description: 'The hub does not answer',
            content: { [PROBLEM_TYPE]: { schema: problemSchema } },
          },
        },
      },
    },
    async () => {
      if (!bridges.isConnected) throw unavailable('no connection to the hub')
      return { ready: true as const }
    },
  )
  webhookRoutes(app, bridges)
  await app.listen({ host: config.http.host, port: config.http.port })
  const address = app.server.address()
  const closing = opened.move()
  return {
    addresses: {
      http: typeof address === 'object' && address !== null ? address.port : config.http.port,
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

function connectionOf({ remoteHub, meta, qontak }: Config): { url: string; tokens: Map<string, string> } {
  const errors: SettingError[] = []
  const need = (setting: string, expected: string) =>
    errors.push({ setting, message: `expected ${expected} for --role bridge, received nothing` })
  const tokens = new Map<string, string>()
  const bridges = [
    { bridge: 'meta', isSet: meta !== null, token: remoteHub?.metaToken, setting: 'META_BRIDGE_TOKEN' },
    {
      bridge: 'qontak',
      isSet: qontak !== null,
      token: remoteHub?.qontakToken,
      setting: 'QONTAK_BRIDGE_TOKEN',
    },
  ]
  if (remoteHub === null) need('HUB_MQTT_URL', 'the MQTT address of the hub')
  if (meta === null && qontak === null) need('META_PHONE_NUMBER_ID', 'the settings of Meta or of Qontak')
  for (const { bridge, isSet, token, setting } of bridges) {
    if (isSet && token == null) need(setting, `a token (hub token add --role bridge:${bridge})`)
    if (isSet && token != null) tokens.set(bridge, token)
  }
  if (errors.length > 0) throw new ConfigError(errors)
  return { url: (remoteHub as NonNullable<typeof remoteHub>).url, tokens }
}
