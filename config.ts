/**
 * The environment → one frozen Config, or the whole list of what is wrong. The one place that knows the settings'
 * names, defaults and meanings (CONTRACT, «Settings»). A `.env` file in the working directory is read first; what the
 * environment says wins over it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { z } from 'zod'

const port = z.coerce.number().int().min(0).max(65_535)
const text = z.string().min(1)

const url = (...protocols: string[]) =>
  z.string().refine((value) => protocols.some((protocol) => value.startsWith(`${protocol}://`)), {
    error: `expected a URL beginning with ${protocols.map((protocol) => `${protocol}://`).join(' or ')}`,
  })

const pattern = z.string().refine(
  (value) => {
    try {
      new RegExp(value)
      return true
    } catch {
      return false
    }
  },
  { error: 'expected a regular expression' },
)

const timezone = z.string().refine(
  (value) => {
    try {
      new Intl.DateTimeFormat('en', { timeZone: value })
      return true
    } catch {
      return false
    }
  },
  { error: 'expected a time zone of the IANA database, such as Asia/Jakarta' },
)

const settings = z.object({
  HUB_DATA_DIR: text.default('./data').describe('Folder of the embedded store and generated secrets'),
  HUB_TIMEZONE: timezone.default('Asia/Jakarta').describe('Time zone of business days'),
  HUB_SECRET: z.string().min(16).optional().describe('Key of customer ids; generated when unset'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('How much is logged'),
  MQTT_HOST: text.default('0.0.0.0').describe('Address of the MQTT listeners'),
  MQTT_PORT: port.default(1883).describe('Plain MQTT port; 0 = off'),
  MQTT_TLS_PORT: port.optional().describe('MQTT over TLS port'),
  MQTT_TLS_CERT: text.optional().describe('PEM file: server certificate'),
  MQTT_TLS_KEY: text.optional().describe('PEM file: its private key'),
  MQTT_TLS_CA: text.optional().describe('PEM file: CA of client certificates'),
  HTTP_HOST: text.default('0.0.0.0').describe('Address of page, API and MQTT over WebSocket'),
  HTTP_PORT: port.default(8080).describe('HTTP port'),
  REDIS_URL: url('redis', 'rediss', 'redis+cluster', 'rediss+cluster', 'redis+sentinel')
    .optional()
    .describe('Store on Redis; unset: embedded'),
  INFLUX_URL: url('http', 'https').optional().describe('Metrics on InfluxDB; unset: embedded'),
  INFLUX_TOKEN: text.optional().describe('InfluxDB token, or user:password for 1.x'),
  INFLUX_ORG: text.optional().describe('InfluxDB organisation (2.x)'),
  INFLUX_BUCKET: text.default('hub').describe('InfluxDB bucket or database'),
  SERIAL_PATTERN: pattern.default('^[A-Z0-9]{6,32}$').describe('What a serial number looks like'),
  ADMIN_PASSWORD: z.string().min(8).optional().describe('First admin; generated when unset'),
})

export type Settings = z.infer<typeof settings>

export interface Config {
  readonly dataDir: string
  readonly timezone: string
  readonly secret: string | null
  readonly logLevel: Settings['LOG_LEVEL']
  readonly mqtt: {
    readonly host: string
    /** null: no plain listener. */
    readonly port: number | null
    readonly tls: {
      readonly port: number
      readonly cert: string
      readonly key: string
      readonly ca: string | null
    } | null
  }
  readonly http: { readonly host: string; readonly port: number }
  readonly redisUrl: string | null
  readonly influx: {
    readonly url: string
    readonly token: string | null
    readonly org: string | null
    readonly bucket: string
  } | null
  readonly serialPattern: RegExp
  readonly adminPassword: string | null
}

export interface SettingError {
  readonly setting: string
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

/** The process environment over a `.env` file, when there is one. */
export function environment(file = '.env'): Record<string, string | undefined> {
  const fromFile = existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {}
  return { ...fromFile, ...process.env }
}

/** @throws ConfigError naming every wrong setting. */
export function loadConfig(env: Record<string, string | undefined>): Config {
  // An empty value means unset, as in docker-compose's `NAME=`.
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  )
  const parsed = settings.safeParse(given)
  const errors: SettingError[] = []
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      errors.push({ setting: issue.path.join('.'), message: issue.message })
    }
    throw new ConfigError(errors)
  }
  const s = parsed.data
  if (s.MQTT_TLS_PORT !== undefined && s.MQTT_TLS_PORT !== 0) {
    for (const setting of ['MQTT_TLS_CERT', 'MQTT_TLS_KEY'] as const) {
      if (s[setting] === undefined) errors.push({ setting, message: 'required when MQTT_TLS_PORT is set' })
    }
  }
  for (const setting of ['MQTT_TLS_CERT', 'MQTT_TLS_KEY', 'MQTT_TLS_CA'] as const) {
    const file = s[setting]
    if (file !== undefined && !existsSync(file)) errors.push({ setting, message: `no such file: ${file}` })
  }
  if (errors.length > 0) throw new ConfigError(errors)
  const config: Config = {
    dataDir: s.HUB_DATA_DIR,
    timezone: s.HUB_TIMEZONE,
    secret: s.HUB_SECRET ?? null,
    logLevel: s.LOG_LEVEL,
    mqtt: {
      host: s.MQTT_HOST,
      port: s.MQTT_PORT === 0 ? null : s.MQTT_PORT,
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
    serialPattern: new RegExp(s.SERIAL_PATTERN),
    adminPassword: s.ADMIN_PASSWORD ?? null,
  }
  return Object.freeze(config)
}

const SECRETS = new Set(['HUB_SECRET', 'INFLUX_TOKEN', 'ADMIN_PASSWORD'])

/** The effective settings for people: every name, its value (secrets and URL passwords masked) and its meaning. */
export function describeSettings(
  env: Record<string, string | undefined>,
): { setting: string; value: string; meaning: string }[] {
  return Object.entries(settings.shape).map(([setting, schema]) => {
    const parsed = schema.safeParse(env[setting] === '' ? undefined : env[setting])
    const value = parsed.success && parsed.data !== undefined ? String(parsed.data) : ''
    return { setting, value: mask(setting, value), meaning: schema.description ?? '' }
  })
}

function mask(setting: string, value: string): string {
  if (value === '') return '(unset)'
  if (SECRETS.has(setting)) return '••••••'
  return value.replace(/(\/\/[^:@/]*:)[^@/]+@/, '$1••••••@')
}
