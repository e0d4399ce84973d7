/**
 * The MQTT side as an AsyncAPI 3.0 document, made of the schemas and topics in this folder: what the hub checks and what
 * its documentation says cannot differ. Pure; `npm run asyncapi` writes it to `asyncapi.yaml`.
 *
 * `receive` and `send` are the hub's: it receives what devices publish.
 */
import { stringify } from 'yaml'
import { z } from 'zod'
import { DEVICE_PAYLOAD_BYTES_MAX, health, sale, status } from './events.ts'
import { liveAlert, liveHealth, liveSale, liveStatus } from './live.ts'
import { receipt } from './receipts.ts'
import { NAME_PATTERN, RESERVED_DEALERS, ROOT } from './topics.ts'

interface Channel {
  readonly name: string
  readonly address: string
  readonly description: string
  readonly action: 'send' | 'receive'
  readonly qos: number
  readonly messages: Readonly<Record<string, z.ZodType>>
}

const CHANNELS: readonly Channel[] = [
  {
    name: 'sale',
    address: `${ROOT}/{dealer}/{device}/sale`,
    description:
      'A terminal reports a sale. The PUBACK means that it is in the ledger, for good and once. It is answered on ' +
      'the receipt topic. Make event_id once, keep it, and send the same message again until a receipt arrives.',
    action: 'receive',
    qos: 1,
    messages: { sale },
  },
  {
    name: 'status',
    address: `${ROOT}/{dealer}/{device}/status`,
    description: 'A vehicle unit reports where its vehicle is and how it is, at QoS 0 or 1.',
    action: 'receive',
    qos: 1,
    messages: { status },
  },
  {
    name: 'health',
    address: `${ROOT}/{dealer}/{device}/health`,
    description: 'A device reports how it is, at QoS 0 or 1. Also its will message, with online false.',
    action: 'receive',
    qos: 1,
    messages: { health },
  },
  {
    name: 'receipt',
    address: `${ROOT}/{dealer}/{device}/receipt`,
    description:
      'The hub answers a sale. A receipt waits until its device subscribes and acknowledges it, across restarts.',
    action: 'send',
    qos: 1,
    messages: { receipt },
  },
  {
    name: 'liveSales',
    address: `${ROOT}/live/sales`,
    description: 'Sales of all dealers as they are decided, without personal data.',
    action: 'send',
    qos: 0,
    messages: { liveSale },
  },
  {
    name: 'liveAlerts',
    address: `${ROOT}/live/alerts`,
    description: 'What people should look at, as it comes up.',
    action: 'send',
    qos: 0,
    messages: { liveAlert },
  },
  {
    name: 'liveDevices',
    address: `${ROOT}/live/devices`,
    description: 'Reports of devices and vehicles as they come, without places.',
    action: 'send',
    qos: 0,
    messages: { liveHealth, liveStatus },
  },
]

/** One of each message that device makers write or read. */
export const EXAMPLES: Readonly<Record<string, object>> = {
  sale: {
    event_id: '01JDA2V6ZK3W8Q',
    serial: 'MH1KF4118RK000123',
    model: 'EV-1',
    price: 28_500_000,
    currency: 'IDR',
    sold_at: '2026-11-22T08:15:30.123Z',
    channel: 'tiktok',
    seq: 17,
  },
  status: {
    event_id: '01JDA2V70M5T2C',
    serial: 'MH1KF4118RK000123',
    at: '2026-11-22T09:00:00.000Z',
    odometer_km: 12.5,
    battery_pct: 80,
    lat: -6.2,
    lon: 106.8,
    state: 'parked',
  },
  health: { online: true, uptime_s: 86_400, firmware: '1.4.2', queue_depth: 0, rssi_dbm: -67 },
  receipt: {
    event_id: '01JDA2V6ZK3W8Q',
    outcome: 'registered',
    reason: null,
    errors: [],
    first: null,
    entry: '4711',
    committed_at: '2026-11-22T08:15:30.456Z',
  },
}

const PARAMETERS = {
  dealer: {
    description: `${NAME_PATTERN.source}, and none of ${RESERVED_DEALERS.join(', ')}`,
    examples: ['D001'],
  },
  device: { description: NAME_PATTERN.source, examples: ['till-1'] },
}

const reference = (path: string) => ({ $ref: `#/${path}` })

/** The document, ready to be written as YAML or JSON. */
export function asyncApi(): object {
  const messages = Object.assign({}, ...CHANNELS.map((channel) => channel.messages)) as Record<
    string,
    z.ZodType
  >
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Dealer Hub over MQTT',
      version: '1',
      description:
        'MQTT 3.1.1. A device logs in with client id = username = `{dealer}/{device}` and its credential as password ' +
        '(or a client certificate whose common name that is), publishes and subscribes below its own prefix, and ' +
        'nowhere else. People and programs log in with username `api` and an API token as password. ' +
        `Payloads are UTF-8 JSON of at most ${DEVICE_PAYLOAD_BYTES_MAX / 1024} KiB; unknown fields are ignored.`,
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    servers: {
      plain: serverOf('mqtt', '{host}:1883', 'MQTT_PORT'),
      tls: serverOf('mqtts', '{host}:8883', 'MQTT_TLS_PORT; client certificates with MQTT_TLS_CA'),
      webSocket: { ...serverOf('ws', '{host}:8080', 'HTTP_PORT; MQTT over WebSocket'), pathname: '/mqtt' },
    },
    channels: Object.fromEntries(CHANNELS.map((channel) => [channel.name, describeChannel(channel)])),
    operations: Object.fromEntries(CHANNELS.map((channel) => [channel.name, describeOperation(channel)])),
    components: {
      messages: Object.fromEntries(
        Object.entries(messages).map(([name, schema]) => [
          name,
          {
            name,
            summary: schema.description,
            payload: reference(`components/schemas/${name}`),
            ...(EXAMPLES[name] && { examples: [{ payload: EXAMPLES[name] }] }),
          },
        ]),
      ),
      schemas: Object.fromEntries(
        Object.entries(messages).map(([name, schema]) => [name, jsonSchema(schema)]),
      ),
      securitySchemes: {
        login: { type: 'userPassword', description: 'Device credential or API token' },
      },
    },
  }
}

/** The file `asyncapi.yaml`. */
export const asyncApiYaml = (): string =>
  `# Made from the schemas in gateway/contract by \`npm run asyncapi\`; not edited by hand.\n${stringify(
    asyncApi(),
    {
      lineWidth: 110,
      aliasDuplicateObjects: false,
    },
  )}`

const serverOf = (protocol: string, host: string, description: string) => ({
  host,
  protocol,
  ...(protocol.startsWith('mqtt') && { protocolVersion: '3.1.1' }),
  description,
  variables: { host: { default: 'localhost' } },
  security: [reference('components/securitySchemes/login')],
})

function describeChannel({ address, description, messages }: Channel): object {
  const names = [...address.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as keyof typeof PARAMETERS)
  return {
    address,
    description,
    ...(names.length > 0 && {
      parameters: Object.fromEntries(names.map((name) => [name, PARAMETERS[name]])),
    }),
    messages: Object.fromEntries(
      Object.keys(messages).map((name) => [name, reference(`components/messages/${name}`)]),
    ),
  }
}

function describeOperation({ name, action, qos, messages }: Channel): object {
  return {
    action,
    channel: reference(`channels/${name}`),
    messages: Object.keys(messages).map((message) => reference(`channels/${name}/messages/${message}`)),
    bindings: { mqtt: { qos, retain: false, bindingVersion: '0.2.0' } },
  }
}

/** JSON Schema draft 7 is what AsyncAPI 3.0 takes without being told. As senders write it: defaults not filled in. */
function jsonSchema(schema: z.ZodType): object {
  const { $schema, ...rest } = z.toJSONSchema(schema, { target: 'draft-7', io: 'input' })
  return rest
}

if (import.meta.main) process.stdout.write(asyncApiYaml())
