import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ConfigError, describeSettings, environmentFile, loadConfig, type SettingError } from '../config.ts'
import { temporaryFolder } from './support/temporary-folder.ts'

function errorsOf(env: Record<string, string>): readonly SettingError[] {
  try {
    loadConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.errors
    throw error
  }
}

it('without any settings is an embedded hub on the usual ports', () => {
  const config = loadConfig({})
  expect(config).toMatchObject({
    dataDir: resolve('data'),
    timezone: 'Asia/Jakarta',
    mqtt: { host: '0.0.0.0', port: 1883, tls: null },
    http: { host: '0.0.0.0', port: 8080 },
    redisUrl: null,
    influx: null,
  })
  expect(config.serialPattern.test('AB12CD')).toBe(true)
  expect(config.serialPattern.test('ab')).toBe(false)
})

it('is frozen, to its depths', () => {
  const { mqtt } = loadConfig({}) as { mqtt: { port: number } }
  expect(() => {
    mqtt.port = 1
  }).toThrow(TypeError)
})

it('takes an empty value as unset, as docker-compose writes it', () => {
  expect(loadConfig({ MQTT_PORT: '', REDIS_URL: '' })).toEqual(loadConfig({}))
})

it('turns the plain listener off with port 0', () => {
  expect(loadConfig({ MQTT_PORT: '0' }).mqtt.port).toBeNull()
})

it.each([
  { setting: 'MQTT_PORT', value: '70000', says: 'expected a port from 0 to 65535, received "70000"' },
  { setting: 'HTTP_PORT', value: '80a', says: 'expected a port from 0 to 65535, received "80a"' },
  {
    setting: 'HTTP_PORT',
    value: '1883',
    says: 'expected a port of its own, received 1883, as MQTT_PORT has',
  },
  { setting: 'HUB_TIMEZONE', value: 'Jakarta', says: 'expected a time zone' },
  { setting: 'LOG_LEVEL', value: 'loud', says: 'expected one of trace, debug' },
  { setting: 'SERIAL_PATTERN', value: '(', says: 'expected a regular expression, received "("' },
  { setting: 'REDIS_URL', value: 'localhost:6379', says: 'expected a URL such as redis://host:6379' },
  { setting: 'REDIS_URL', value: 'redis://a:b:c', says: 'expected a URL such as redis://host:6379' },
  { setting: 'INFLUX_URL', value: 'influx.example:8086', says: 'expected a URL beginning with http://' },
  { setting: 'META_API_VERSION', value: '25', says: 'expected a version such as v25.0, received "25"' },
  { setting: 'META_PHONE_NUMBER_ID', value: '+62 812', says: 'expected digits' },
  { setting: 'MQTT_TLS_CA', value: '/no/such.pem', says: 'expected the path of a file that exists' },
])('$setting=$value is refused: $says', ({ setting, value, says }) => {
  expect(errorsOf({ [setting]: value })).toEqual([{ setting, message: expect.stringContaining(says) }])
})

it.each([
  'redis://127.0.0.1:6379',
  'rediss://user:secret@cache.example/0',
  'redis+cluster://a:1,b:2,c:3',
  'redis+sentinel://:secret@a:1,b:2/group',
])('REDIS_URL=%s is taken', (REDIS_URL) => {
  expect(loadConfig({ REDIS_URL }).redisUrl).toBe(REDIS_URL)
})

it('names every wrong setting at once', () => {
  const errors = errorsOf({ MQTT_PORT: 'x', HTTP_PORT: 'y', HUB_TIMEZONE: 'z' })
  expect(errors.map(({ setting }) => setting).sort()).toEqual(['HTTP_PORT', 'HUB_TIMEZONE', 'MQTT_PORT'])
})

it('asks for certificate and key when there is a TLS port', () => {
  const errors = errorsOf({ MQTT_TLS_PORT: '8883' })
  expect(errors.map(({ setting }) => setting)).toEqual(['MQTT_TLS_CERT', 'MQTT_TLS_KEY'])
  const pem = import.meta.filename
  const { tls } = loadConfig({ MQTT_TLS_PORT: '8883', MQTT_TLS_CERT: pem, MQTT_TLS_KEY: pem }).mqtt
  expect(tls).toEqual({ port: 8883, cert: pem, key: pem, ca: null })
})

const META = {
  META_APP_SECRET: 'app-secret',
  META_VERIFY_TOKEN: 'verify-token',
  META_ACCESS_TOKEN: 'access-token',
  META_PHONE_NUMBER_ID: '100200300400500',
}

it('has a bridge to the WhatsApp Cloud API when all it needs is set', () => {
  expect(loadConfig({}).meta).toBeNull()
  expect(loadConfig({ ...META, META_API_URL: 'http://127.0.0.1:9000/' }).meta).toEqual({
    appSecret: 'app-secret',
    verifyToken: 'verify-token',
    accessToken: 'access-token',
    phoneNumberId: '100200300400500',
    apiUrl: 'http://127.0.0.1:9000',
    apiVersion: 'v25.0',
  })
})

it.each(Object.keys(META))('names what is missing beside %s', (setting) => {
  const errors = errorsOf({ [setting]: META[setting as keyof typeof META] })
  expect(errors.map((error) => error.setting)).toEqual(Object.keys(META).filter((name) => name !== setting))
  for (const { message } of errors) {
    expect(message).toBe(`expected a value, since ${setting} is set, received nothing`)
  }
})

it('never shows a secret of the WhatsApp Cloud API', () => {
  const shown = JSON.stringify(describeSettings(META))
  for (const secret of ['app-secret', 'verify-token', 'access-token']) expect(shown).not.toContain(secret)
  expect(shown).toContain('100200300400500')
})

it.each([
  ['HUB_SECRET', 'tooshort'],
  ['ADMIN_PASSWORD', 'secret'],
  ['REDIS_URL', 'http://me:hunter2@host'],
  ['QONTAK_WEBHOOK_SECRET', 'hunter2'],
  ['CRM_WEBHOOK_SECRET', 'hunter2!'],
])('never repeats the secret of %s', (setting, value) => {
  const env = { [setting]: value }
  const told = JSON.stringify([errorsOf(env), describeSettings(env)])
  expect(errorsOf(env)).toHaveLength(1)
  for (const secret of ['tooshort', '"secret"', 'hunter2']) expect(told).not.toContain(secret)
})

it('describes every setting: its effective value, whether it is the default, what it means', () => {
  const described = describeSettings({ MQTT_PORT: '1999', REDIS_URL: 'redis://me:hunter2@host:1/0' })
  const of = (name: string) => described.find(({ setting }) => setting === name)
  expect(of('MQTT_PORT')).toMatchObject({ value: '1999', isDefault: false })
  expect(of('HTTP_PORT')).toMatchObject({ value: '8080', isDefault: true })
  expect(of('INFLUX_URL')).toMatchObject({ value: null, isDefault: true })
  expect(of('REDIS_URL')).toMatchObject({ value: 'redis://me:••••••@host:1/0' })
  for (const { meaning } of described) expect(meaning).not.toBe('')
})

const FEISHU = { FEISHU_APP_ID: 'cli_1', FEISHU_APP_SECRET: 'feishu-secret', FEISHU_BASE_TOKEN: 'bascn1' }

it('exports to a Feishu Base when app and Base are set', () => {
  expect(loadConfig({}).feishu).toBeNull()
  expect(loadConfig(FEISHU).feishu).toEqual({
    appId: 'cli_1',
    appSecret: 'feishu-secret',
    baseToken: 'bascn1',
    apiUrl: 'https://open.feishu.cn',
  })
  const apiUrl = loadConfig({ ...FEISHU, FEISHU_API_URL: 'https://open.larksuite.com/' }).feishu?.apiUrl
  expect(apiUrl).toBe('https://open.larksuite.com')
  expect(JSON.stringify(describeSettings(FEISHU))).not.toContain('feishu-secret')
})

it.each(Object.keys(FEISHU))('names what is missing beside %s', (setting) => {
  const errors = errorsOf({ [setting]: FEISHU[setting as keyof typeof FEISHU] })
  expect(errors.map((error) => error.setting)).toEqual(Object.keys(FEISHU).filter((name) => name !== setting))
})

const QONTAK = {
  QONTAK_CLIENT_ID: 'client',
  QONTAK_CLIENT_SECRET: 'client-secret',
  QONTAK_WEBHOOK_SECRET: 'a-path-nobody-guesses',
}

describe('Qontak', () => {
  it('is off until it is named', () => {
    expect(loadConfig({}).qontak).toBeNull()
    expect(loadConfig({ QONTAK_API_URL: 'http://127.0.0.1:1' }).qontak).toBeNull()
  })

  it('signs its calls until there is a token, and finds the gateway beside a chat API of its own', () => {
    expect(loadConfig(QONTAK).qontak).toEqual({
      apiUrl: 'https://service-chat.qontak.com/api/open/v1',
      gatewayUrl: 'https://api.mekari.com',
      clientId: 'client',
      clientSecret: 'client-secret',
      login: null,
      webhookSecret: 'a-path-nobody-guesses',
      channelId: null,
      organizationId: null,
    })
    const own = { ...QONTAK, QONTAK_API_URL: 'http://127.0.0.1:9/api/open/v1/' }
    expect(loadConfig(own).qontak).toMatchObject({
      apiUrl: 'http://127.0.0.1:9/api/open/v1',
      gatewayUrl: 'http://127.0.0.1:9',
    })
  })

  it.each([
    [{ QONTAK_TOKEN: 'bot' }, { token: 'bot' }],
    [
      { QONTAK_USERNAME: 'me@dealer.example', QONTAK_PASSWORD: 'pass' },
      { username: 'me@dealer.example', password: 'pass' },
    ],
  ])('logs in with what it was given: %o', (settings, login) => {
    expect(loadConfig({ ...QONTAK, ...settings }).qontak?.login).toEqual(login)
  })

  it.each([
    [{ QONTAK_TOKEN: 'bot' }, ['QONTAK_CLIENT_ID', 'QONTAK_CLIENT_SECRET', 'QONTAK_WEBHOOK_SECRET']],
    [{ ...QONTAK, QONTAK_CLIENT_SECRET: '' }, ['QONTAK_CLIENT_SECRET']],
    [{ ...QONTAK, QONTAK_USERNAME: 'me' }, ['QONTAK_PASSWORD']],
    [{ ...QONTAK, QONTAK_PASSWORD: 'pass' }, ['QONTAK_USERNAME']],
    [{ ...QONTAK, QONTAK_WEBHOOK_SECRET: 'with/a/slash/in/it' }, ['QONTAK_WEBHOOK_SECRET']],
    [{ ...QONTAK, QONTAK_GATEWAY_URL: 'api.mekari.com' }, ['QONTAK_GATEWAY_URL']],
  ])('half set, is named: %o lacks %o', (env, wrong) => {
    expect(errorsOf(env).map(({ setting }) => setting)).toEqual(wrong)
  })
})

describe('the CRM webhook', () => {
  const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`

  it('has an address and a secret', () => {
    const env = { CRM_WEBHOOK_URL: 'https://crm.example/hook', CRM_WEBHOOK_SECRET: secret }
    expect(loadConfig(env).crmWebhook).toEqual({ url: 'https://crm.example/hook', secret })
    expect(loadConfig({}).crmWebhook).toBeNull()
  })

  it.each([
    [{ CRM_WEBHOOK_URL: 'https://crm.example/hook' }, ['CRM_WEBHOOK_SECRET']],
    [{ CRM_WEBHOOK_SECRET: secret }, ['CRM_WEBHOOK_URL']],
    [
      { CRM_WEBHOOK_URL: 'crm.example', CRM_WEBHOOK_SECRET: 'whsec_no-base64' },
      ['CRM_WEBHOOK_URL', 'CRM_WEBHOOK_SECRET'],
    ],
  ])('half set, or wrong, is named: %o', (env, wrong) => {
    expect(errorsOf(env).map(({ setting }) => setting)).toEqual(wrong)
  })
})

it('reads a .env file, and says when it cannot', () => {
  using folder = temporaryFolder('env')
  const file = join(folder.path, '.env')
  expect(environmentFile(file)).toEqual({})
  writeFileSync(file, 'MQTT_PORT=1999 # of the second hub\nHUB_SECRET="a b"\n')
  expect(environmentFile(file)).toEqual({ MQTT_PORT: '1999', HUB_SECRET: 'a b' })
  expect(() => environmentFile(folder.path)).toThrow(ConfigError)
})

it('.env.example names every setting with its meaning and default, and nothing else', () => {
  const lines = readFileSync(join(import.meta.dirname, '../.env.example'), 'utf8').split('\n')
  const named = lines.filter((line) => /^#[A-Z_]+=/.test(line))
  expect(named).toEqual(describeSettings({}).map(({ setting, value }) => `#${setting}=${value ?? ''}`))
  for (const { setting, meaning } of describeSettings({})) {
    const at = lines.findIndex((line) => line.startsWith(`#${setting}=`))
    expect(lines[at - 1]).toBe(`# ${meaning}`)
  }
})
