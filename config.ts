/**
 * The environment → one frozen Config, or the whole list of what is wrong. The one place that knows the settings'
 * names, defaults and meanings (CONTRACT, «Settings»). A `.env` file in the working directory is read first; what the
 * environment says wins over it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { z } from 'zod'

/** A setting as it is written: text that passes a test. The error says what was expected. */
const text = (expected: string, accepts: (value: string) => boolean) =>
  z.string().refine(accepts, { error: `expected ${expected}` })

const port = text(
  'a port from 0 to 65535',
  (value) => /^\d{1,5}$/.test(value) && Number(value) <= 65_535,
).transform(Number)

const httpUrl = text(
  'a URL beginning with http:// or https://',
  (value) => /^https?:\/\//.test(value) && URL.canParse(value),
)

/** Several hosts (cluster, Sentinel) are no valid URL: there only the beginning is checked. */
const redisUrl = text(
  'a URL such as redis://host:6379, rediss://…, redis+cluster://host:6379,host:6379 or redis+sentinel://host:26379,host:26379/group',
  (value) =>
    /^rediss?:\/\//.test(value) ? URL.canParse(value) : /^rediss?\+(cluster|sentinel):\/\/./.test(value),
)

const seconds = text(
  'a number of seconds from 1 to 604800',
  (value) => /^\d{1,6}$/.test(value) && Number(value) >= 1 && Number(value) <= 604_800,
).transform(Number)

const isPattern = (value: string): boolean => {
  try {
    new RegExp(value)
    return true
  } catch {
    return false
  }
}

const isTimezone = (value: string): boolean => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: value })
    return true
  } catch {
    return false
  }
}

/** As the Standard Webhooks libraries take it: Base64, with or without the prefix. */
const webhookSecret = text('whsec_ and Base64, as Standard Webhooks says', (value) =>
  /^(whsec_)?(?=.)([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value),
)

const file = text('the path of a file that exists', existsSync).transform((path) => resolve(path))

const settings = z.object({
  HUB_DATA_DIR: z
    .string()
    .default('./data')
    .describe('Folder of the embedded store and the generated secret'),
  HUB_TIMEZONE: text('a time zone of the IANA database, such as Asia/Jakarta', isTimezone)
    .default('Asia/Jakarta')
    .describe('Time zone of business days'),
  HUB_SECRET: text('at least 16 characters', (value) => value.length >= 16)
    .optional()
    .describe('Key of customer ids; generated when unset; the same for all hubs on one store'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      error: 'expected one of trace, debug, info, warn, error, fatal, silent',
    })
    .default('info')
    .describe('How much is logged'),
  MQTT_HOST: z.string().default('0.0.0.0').describe('Address of the MQTT listeners'),
  MQTT_PORT: port.default(1883).describe('Plain MQTT port; 0 = off'),
  MQTT_TLS_PORT: port.optional().describe('MQTT over TLS port; 0 = off'),
  MQTT_TLS_CERT: file.optional().describe('PEM file: server certificate'),
  MQTT_TLS_KEY: file.optional().describe('PEM file: its private key'),
  MQTT_TLS_CA: file.optional().describe('PEM file: CA of client certificates; unset: none are asked for'),
  HTTP_HOST: z.string().default('0.0.0.0').describe('Address of page, API and MQTT over WebSocket'),
  HTTP_PORT: port.default(8080).describe('HTTP port; 0 = any free one'),
  REDIS_URL: redisUrl.optional().describe('Store on Redis; unset: embedded'),
  INFLUX_URL: httpUrl.optional().describe('Metrics on InfluxDB 1.x, 2.x or 3; unset: embedded'),
  INFLUX_TOKEN: z.string().optional().describe('InfluxDB token, or user:password for 1.x'),
  INFLUX_ORG: z.string().optional().describe('InfluxDB organisation (2.x)'),
  INFLUX_BUCKET: z.string().default('hub').describe('InfluxDB bucket or database'),
  META_APP_SECRET: z.string().optional().describe('WhatsApp Cloud API: app secret, which signs webhooks'),
  META_VERIFY_TOKEN: z.string().optional().describe('WhatsApp Cloud API: verify token of the webhook'),
  META_ACCESS_TOKEN: z
    .string()
    .optional()
    .describe('WhatsApp Cloud API: token of a system user, for sending'),
  META_PHONE_NUMBER_ID: text('digits: the id of the number, not the number', (value) =>
    /^\d{1,32}$/.test(value),
  )
    .optional()
    .describe('WhatsApp Cloud API: id of the number that sends; unset: no such bridge'),
  META_API_URL: httpUrl.default('https://graph.facebook.com').describe('WhatsApp Cloud API: where it is'),
  META_API_VERSION: text('a version such as v25.0', (value) => /^v\d+\.\d+$/.test(value))
    .default('v25.0')
    .describe('WhatsApp Cloud API: version that is spoken'),
  QONTAK_API_URL: httpUrl
    .default('https://service-chat.qontak.com/api/open/v1')
    .describe('Mekari Qontak: the chat API'),
  QONTAK_CLIENT_ID: z.string().optional().describe('Mekari client: signs calls to the gateway (CRM)'),
  QONTAK_CLIENT_SECRET: z.string().optional().describe('Its secret'),
  QONTAK_WEBHOOK_SECRET: text(
    '8 to 128 characters that a path may hold: A-Z a-z 0-9 . _ ~ -',
    (value) => value.length >= 8 && value.length <= 128 && /^[\w.~-]+$/.test(value),
  )
    .optional()
    .describe('Last part of the webhook address: /webhooks/qontak/{secret}'),
  QONTAK_TOKEN: z.string().optional().describe('Bot token of the chat API; unset: its calls are signed too'),
  QONTAK_USERNAME: z
    .string()
    .optional()
    .describe('Instead of a token: the bridge logs in with this and the client'),
  QONTAK_PASSWORD: z.string().optional().describe('Its password'),
  QONTAK_CHANNEL_ID: z
    .string()
    .optional()
    .describe('Channel that templates leave by; unset: the only WhatsApp channel there is'),
  QONTAK_ORGANIZATION_ID: z
    .string()
    .optional()
    .describe('Webhooks of another organisation are refused; unset: any'),
  QONTAK_GATEWAY_URL: httpUrl
    .optional()
    .describe('Mekari gateway (CRM); unset: https://api.mekari.com, or where a chat API of your own is'),
  CRM_WEBHOOK_URL: httpUrl.optional().describe('CRM that hears of handoffs, outcomes and registrations'),
  CRM_WEBHOOK_SECRET: webhookSecret
    .optional()
    .describe('Its signing secret: whsec_ and at least 24 bytes in Base64'),
  FEISHU_APP_ID: z.string().optional().describe('Feishu or Lark: id of the app (cli_…) that edits the Base'),
  FEISHU_APP_SECRET: z.string().optional().describe('Its secret'),
  FEISHU_BASE_TOKEN: text('the token of a Base: letters and digits', (value) => /^\w{1,64}$/.test(value))
    .optional()
    .describe('The Base that is exported to: what follows /base/ in its address'),
  FEISHU_API_URL: httpUrl
    .default('https://open.feishu.cn')
    .describe('Feishu; of Lark https://open.larksuite.com'),
  SERIAL_PATTERN: text('a regular expression', isPattern)
    .default('^[A-Z0-9]{6,32}$')
    .describe('What a serial number looks like'),
  HUB_MQTT_URL: text(
    'a URL beginning with mqtt://, mqtts://, ws:// or wss://',
    (value) => /^(mqtt|ws)s?:\/\//.test(value) && URL.canParse(value),
  )
    .optional()
    .describe('For bridges in a process of their own: where the hub is'),
  META_BRIDGE_TOKEN: z.string().min(1).optional().describe('Their token of role bridge:meta'),
  QONTAK_BRIDGE_TOKEN: z.string().min(1).optional().describe('Their token of role bridge:qontak'),
  CLAIM_SLA_SECONDS: seconds.default(300).describe('Unclaimed for so long: the next three dealers, and P0'),
  CONTACT_SLA_SECONDS: seconds
    .default(900)
    .describe('Claimed, but not contacted for so long: released to the next three dealers, and P0'),
  LEAD_WINDOW_DAYS: text(
    'a number of days from 1 to 365',
    (value) => /^\d{1,3}$/.test(value) && +value >= 1 && +value <= 365,
  )
    .transform(Number)
    .default(7)
    .describe('A customer who comes again within so many days is the same lead'),
  ADMIN_PASSWORD: text('at least 8 characters', (value) => value.length >= 8)
    .optional()
    .describe('Password of the first admin; generated when unset'),
})

type SettingName = keyof typeof settings.shape
const settingNames = Object.keys(settings.shape) as SettingName[]
const SECRETS: ReadonlySet<string> = new Set<SettingName>([
  'HUB_SECRET',
  'INFLUX_TOKEN',
  'META_APP_SECRET',
  'META_VERIFY_TOKEN',
  'META_ACCESS_TOKEN',
  'QONTAK_CLIENT_SECRET',
  'QONTAK_WEBHOOK_SECRET',
  'QONTAK_TOKEN',
  'QONTAK_PASSWORD',
  'CRM_WEBHOOK_SECRET',
  'FEISHU_APP_SECRET',
  'META_BRIDGE_TOKEN',
  'QONTAK_BRIDGE_TOKEN',
  'ADMIN_PASSWORD',
])

/** What the bridge to the WhatsApp Cloud API can't do without: all of them, or none. */
const META_SETTINGS = [
  'META_APP_SECRET',
  'META_VERIFY_TOKEN',
  'META_ACCESS_TOKEN',
  'META_PHONE_NUMBER_ID',
] as const satisfies SettingName[]

export type LogLevel = z.infer<typeof settings>['LOG_LEVEL']

export interface Config {
  /** Absolute. */
  readonly dataDir: string
  readonly timezone: string
  readonly secret: string | null
  readonly logLevel: LogLevel
  readonly mqtt: {
    readonly host: string
    /** null: no plain listener. */
    readonly port: number | null
    /** Paths of PEM files. */
    readonly tls: {
      readonly port: number
      readonly cert: string
      readonly key: string
      readonly ca: string | null
    } | null
  }
  readonly http: { readonly host: string; readonly port: number }
  /** null: the embedded store. */
  readonly redisUrl: string | null
  /** null: embedded metrics. */
  readonly influx: {
    readonly url: string
    readonly token: string | null
    readonly org: string | null
    readonly bucket: string
  } | null
  /** null: no bridge to the WhatsApp Cloud API. */
  readonly meta: {
    readonly appSecret: string
    readonly verifyToken: string
    readonly accessToken: string
    readonly phoneNumberId: string
    readonly apiUrl: string
    readonly apiVersion: string
  } | null
  /** null: no Qontak. */
  readonly qontak: QontakConfig | null
  /** null: no CRM hears of anything by webhook. */
  readonly crmWebhook: { readonly url: string; readonly secret: string } | null
  /** The Base that the unit economics are exported to; null: none. */
  readonly feishu: {
    readonly appId: string
    readonly appSecret: string
    readonly baseToken: string
    readonly apiUrl: string
  } | null
  /** For bridges in a process of their own; null: not set. */
  readonly remoteHub: {
    readonly url: string
    readonly metaToken: string | null
    readonly qontakToken: string | null
  } | null
  readonly serialPattern: RegExp
  readonly race: {
    readonly claimSlaSeconds: number
    readonly contactSlaSeconds: number
    readonly leadWindowDays: number
  }
  readonly adminPassword: string | null
}

/** Mekari Qontak: the chat API, by bearer token or signed, and the gateway of its CRM, always signed. */
export interface QontakConfig {
  readonly apiUrl: string
  readonly gatewayUrl: string
  readonly clientId: string
  readonly clientSecret: string
  /** The chat API's; null: its calls are signed like the gateway's. */
  readonly login: { readonly token: string } | { readonly username: string; readonly password: string } | null
  readonly webhookSecret: string
  /** null: the only WhatsApp channel there is. */
  readonly channelId: string | null
  /** null: any. */
  readonly organizationId: string | null
}

export type Environment = Readonly<Record<string, string | undefined>>

export interface SettingError {
  readonly setting: string
  /** What was expected, and what came (never a secret). */
  readonly message: string
}

/** Everything wrong with the settings, at once. */
export class ConfigError extends Error {
  readonly errors: readonly SettingError[]
  constructor(errors: readonly SettingError[]) {
    super(errors.map(({ setting, message }) => `${setting}: ${message}`).join('\n'))
    this.name = 'ConfigError'
    this.errors = errors
  }
}

/** The process environment over a `.env` file, when there is one. @throws ConfigError when that can't be read. */
export function environment(file = '.env'): Environment {
  return { ...environmentFile(file), ...process.env }
}

/** What the `.env` file says; empty when there is none. @throws ConfigError when it can't be read. */
export function environmentFile(file = '.env'): Environment {
  if (!existsSync(file)) return {}
  try {
    return parseEnv(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new ConfigError([{ setting: file, message: `can't be read: ${(cause as Error).message}` }])
  }
}

/** @throws ConfigError naming every wrong setting. */
export function loadConfig(env: Environment): Config {
  const parsed = settings.safeParse(given(env))
  if (!parsed.success) {
    throw new ConfigError(
      parsed.error.issues.map((issue) => {
        const setting = issue.path.join('.')
        return { setting, message: `${issue.message}, received ${received(setting, env)}` }
      }),
    )
  }
  const s = parsed.data
  const errors: SettingError[] = []
  if (s.MQTT_TLS_PORT) {
    for (const setting of ['MQTT_TLS_CERT', 'MQTT_TLS_KEY'] as const) {
      if (s[setting] === undefined) {
        errors.push({
          setting,
          message: 'expected the path of a PEM file, since MQTT_TLS_PORT is set, received nothing',
        })
      }
    }
  }
  errors.push(...missingOf(s))
  const listeners = { MQTT_PORT: s.MQTT_PORT, MQTT_TLS_PORT: s.MQTT_TLS_PORT, HTTP_PORT: s.HTTP_PORT }
  const owners = new Map<number, string>()
  for (const [setting, number] of Object.entries(listeners)) {
    const owner = number ? owners.get(number) : undefined
    if (owner !== undefined)
      errors.push({ setting, message: `expected a port of its own, received ${number}, as ${owner} has` })
    if (number) owners.set(number, setting)
  }
  const metaMissing = META_SETTINGS.filter((setting) => s[setting] === undefined)
  const metaGiven = META_SETTINGS.find((setting) => s[setting] !== undefined)
  if (metaGiven !== undefined) {
    for (const setting of metaMissing) {
      errors.push({ setting, message: `expected a value, since ${metaGiven} is set, received nothing` })
    }
  }
  if (errors.length > 0) throw new ConfigError(errors)
  return deepFreeze({
    dataDir: resolve(s.HUB_DATA_DIR),
    timezone: s.HUB_TIMEZONE,
    secret: s.HUB_SECRET ?? null,
    logLevel: s.LOG_LEVEL,
    mqtt: {
      host: s.MQTT_HOST,
      port: s.MQTT_PORT || null,
      tls: s.MQTT_TLS_PORT
        ? {
            port: s.MQTT_TLS_PORT,
            cert: s.MQTT_TLS_CERT as string,
            key: s.MQTT_TLS_KEY as string,
            ca: s.MQTT_TLS_CA ?? null,
          }
        : null,
    },
    http: { host: s.HTTP_HOST, port: s.HTTP_PORT },
    redisUrl: s.REDIS_URL ?? null,
    influx:
      s.INFLUX_URL === undefined
        ? null
        : {
            url: s.INFLUX_URL,
            token: s.INFLUX_TOKEN ?? null,
            org: s.INFLUX_ORG ?? null,
            bucket: s.INFLUX_BUCKET,
          },
    meta:
      metaGiven === undefined
        ? null
        : {
            appSecret: s.META_APP_SECRET as string,
            verifyToken: s.META_VERIFY_TOKEN as string,
            accessToken: s.META_ACCESS_TOKEN as string,
            phoneNumberId: s.META_PHONE_NUMBER_ID as string,
            apiUrl: s.META_API_URL.replace(/\/+$/, ''),
            apiVersion: s.META_API_VERSION,
          },
    qontak: qontakOf(s),
    crmWebhook:
      s.CRM_WEBHOOK_URL === undefined || s.CRM_WEBHOOK_SECRET === undefined
        ? null
        : { url: s.CRM_WEBHOOK_URL, secret: s.CRM_WEBHOOK_SECRET },
    feishu:
      s.FEISHU_APP_ID === undefined
        ? null
        : {
            appId: s.FEISHU_APP_ID,
            appSecret: s.FEISHU_APP_SECRET as string,
            baseToken: s.FEISHU_BASE_TOKEN as string,
            apiUrl: withoutSlash(s.FEISHU_API_URL),
          },
    remoteHub:
      s.HUB_MQTT_URL === undefined
        ? null
        : {
            url: s.HUB_MQTT_URL,
            metaToken: s.META_BRIDGE_TOKEN ?? null,
            qontakToken: s.QONTAK_BRIDGE_TOKEN ?? null,
          },
    serialPattern: new RegExp(s.SERIAL_PATTERN),
    race: {
      claimSlaSeconds: s.CLAIM_SLA_SECONDS,
      contactSlaSeconds: s.CONTACT_SLA_SECONDS,
      leadWindowDays: s.LEAD_WINDOW_DAYS,
    },
    adminPassword: s.ADMIN_PASSWORD ?? null,
  } satisfies Config)
}

type Settings = z.infer<typeof settings>

/** Of settings that only make sense together: what is missing since one of them is set. */
const TOGETHER: readonly {
  readonly since: readonly SettingName[]
  readonly needs: readonly SettingName[]
}[] = [
  {
    since: [
      'QONTAK_CLIENT_ID',
      'QONTAK_CLIENT_SECRET',
      'QONTAK_WEBHOOK_SECRET',
      'QONTAK_TOKEN',
      'QONTAK_USERNAME',
      'QONTAK_PASSWORD',
      'QONTAK_CHANNEL_ID',
      'QONTAK_ORGANIZATION_ID',
      'QONTAK_GATEWAY_URL',
    ],
    needs: ['QONTAK_CLIENT_ID', 'QONTAK_CLIENT_SECRET', 'QONTAK_WEBHOOK_SECRET'],
  },
  { since: ['QONTAK_USERNAME'], needs: ['QONTAK_PASSWORD'] },
  { since: ['QONTAK_PASSWORD'], needs: ['QONTAK_USERNAME'] },
  {
    since: ['FEISHU_APP_ID', 'FEISHU_APP_SECRET', 'FEISHU_BASE_TOKEN'],
    needs: ['FEISHU_APP_ID', 'FEISHU_APP_SECRET', 'FEISHU_BASE_TOKEN'],
  },
  { since: ['CRM_WEBHOOK_URL'], needs: ['CRM_WEBHOOK_SECRET'] },
  { since: ['CRM_WEBHOOK_SECRET'], needs: ['CRM_WEBHOOK_URL'] },
]

const missingOf = (s: Settings): SettingError[] =>
  TOGETHER.flatMap(({ since, needs }) => {
    const set = since.find((setting) => s[setting] !== undefined)
    if (set === undefined) return []
    const missing = needs.filter((setting) => s[setting] === undefined)
    return missing.map((setting) => ({
      setting,
      message: `expected a value, since ${set} is set, received nothing`,
    }))
  })

function qontakOf(s: Settings): QontakConfig | null {
  const { QONTAK_CLIENT_ID: clientId, QONTAK_CLIENT_SECRET: clientSecret } = s
  const { QONTAK_WEBHOOK_SECRET: webhookSecret, QONTAK_USERNAME: username, QONTAK_PASSWORD: password } = s
  if (clientId === undefined || clientSecret === undefined || webhookSecret === undefined) return null
  const { hostname, origin } = new URL(s.QONTAK_API_URL)
  const isQontaks = hostname === 'qontak.com' || hostname.endsWith('.qontak.com')
  return {
    apiUrl: withoutSlash(s.QONTAK_API_URL),
    gatewayUrl: withoutSlash(s.QONTAK_GATEWAY_URL ?? (isQontaks ? 'https://api.mekari.com' : origin)),
    clientId,
    clientSecret,
    login:
      s.QONTAK_TOKEN !== undefined
        ? { token: s.QONTAK_TOKEN }
        : username !== undefined && password !== undefined
          ? { username, password }
          : null,
    webhookSecret,
    channelId: s.QONTAK_CHANNEL_ID ?? null,
    organizationId: s.QONTAK_ORGANIZATION_ID ?? null,
  }
}

const withoutSlash = (url: string): string => url.replace(/\/+$/, '')

export interface SettingDescription {
  readonly setting: string
  /** As it counts; secrets and passwords in URLs masked; null when unset. */
  readonly value: string | null
  /** Whether the value is the default. */
  readonly isDefault: boolean
  readonly meaning: string
}

/** The effective settings for people. */
export function describeSettings(env: Environment): SettingDescription[] {
  const set = given(env)
  return settingNames.map((setting) => {
    const schema = settings.shape[setting]
    const fallback = schema.parse(undefined)
    const value = set[setting] ?? (fallback === undefined ? null : String(fallback))
    return {
      setting,
      value: value === null ? null : mask(setting, value),
      isDefault: set[setting] === undefined,
      meaning: schema.description ?? '',
    }
  })
}

export const isSetting = (name: string): boolean => name in settings.shape

/** A URL without the password in it. */
export const maskUrl = (url: string): string => url.replace(/(\/\/[^:@/]*:)[^@/]+@/, '$1••••••@')

/** An empty value means unset, as in docker-compose's `NAME=`. */
const given = (env: Environment): Environment =>
  Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))

const mask = (setting: string, value: string): string => (SECRETS.has(setting) ? '••••••' : maskUrl(value))

const received = (setting: string, env: Environment): string => {
  const value = env[setting] ?? ''
  return SECRETS.has(setting) ? `${value.length}` : `"${maskUrl(value)}"`
}

function deepFreeze<Value extends object>(value: Value): Value {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part)
  return Object.freeze(value)
}
