/**
 * The MQTT side as an AsyncAPI 3.0 document, made of the schemas and topics in this folder: what the hub checks and what
 * its documentation says cannot differ. Pure; `npm run asyncapi` writes it to `asyncapi.yaml`.
 *
 * `receive` and `send` are the hub's: it receives what devices and bridges publish.
 */
import { stringify } from 'yaml'
import { z } from 'zod'
import { inbound, jobStatus, outbound, RECONCILE_MS } from './bridge.ts'
import { activityReport, activityVoid, spendReport, spendVoid } from './economics.ts'
import { BRIDGE_PAYLOAD_BYTES_MAX, DEVICE_PAYLOAD_BYTES_MAX, health, sale, status } from './events.ts'
import { liveAlert, liveHealth, liveLead, liveSale, liveStatus } from './live.ts'
import { receipt } from './receipts.ts'
import { submission } from './submission.ts'
import { HEAD_OFFICE, NAME_PATTERN, RESERVED_DEALERS, ROOT } from './topics.ts'

interface Channel {
  readonly name: string
  readonly address: string
  readonly description: string
  readonly action: 'send' | 'receive'
  readonly qos: number
  readonly messages: Readonly<Record<string, z.ZodType>>
}

const RECONCILE_SECONDS = RECONCILE_MS / 1000

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
    name: 'bridgeInbound',
    address: `${ROOT}/bridge/{bridge}/inbound`,
    description:
      'A bridge tells what a person wrote, tapped or shared, in a form that is no provider’s. The PUBACK means that it ' +
      'is in the ledger: only then answer the provider’s webhook. At least once: a message is known by bridge and ' +
      'event_id, the provider’s id of it, and what is known already changes nothing, days later too. What cannot be ' +
      'decoded is kept in quarantine, and acknowledged.',
    action: 'receive',
    qos: 1,
    messages: { inbound },
  },
  {
    name: 'bridgeOutbound',
    address: `${ROOT}/bridge/{bridge}/outbound`,
    description:
      'The hub hands a message over to be sent. It waits in the outbox until the bridge is connected and subscribed; ' +
      'nothing needs to be kept in the session. The bridge’s PUBACK means that it has taken the job, its status ' +
      'sent or failed that the job is done. At least once: the same job has the same job_id however often it comes. ' +
      'Do not send a job_id that is on its way or was sent. A bridge that does not know whether a message went out ' +
      `says nothing: ${RECONCILE_SECONDS} seconds after a job was handed over without a sent or failed it is handed ` +
      'over again, so hold it back that long for the provider’s own report, and put the job_id into what the ' +
      'provider returns with its reports where it lets you.',
    action: 'send',
    qos: 1,
    messages: { outbound },
  },
  {
    name: 'bridgeStatus',
    address: `${ROOT}/bridge/{bridge}/status`,
    description:
      'A bridge tells what became of a job: sent, delivered, read, failed. In any order and as often as the provider ' +
      'tells it: states only move forward, by job_id, and failed is the end. sent and failed take the job out of the ' +
      'outbox. A failure that may pass (the provider is away, a rate limit) is no failed: try again until expires_at.',
    action: 'receive',
    qos: 1,
    messages: { jobStatus },
  },
  {
    name: 'portalLead',
    address: `${ROOT}/portal/{portal}/lead`,
    description:
      'A lead from a form or an advertisement. POST /api/v1/lead publishes here, for the dealer whose token it has, ' +
      `else for ${HEAD_OFFICE}, and gives an answer; a dealer’s token may publish on its own portal, and has the ` +
      'PUBACK alone. Known by event_id and person: the same again changes nothing.',
    action: 'receive',
    qos: 1,
    messages: { portalLead: submission },
  },
  {
    name: 'portalSpend',
    address: `${ROOT}/portal/{portal}/spend`,
    description:
      'Money was spent; see POST /api/v1/spend. Known by entry_id: the same again changes nothing, other content ' +
      'corrects, void takes back.',
    action: 'receive',
    qos: 1,
    messages: { spendReport, spendVoid: spendVoid.describe('That report is taken back') },
  },
  {
    name: 'portalActivity',
    address: `${ROOT}/portal/{portal}/activity`,
    description:
      'An event or promotion; see POST /api/v1/activities. Known by activity_id, as spend by entry_id.',
    action: 'receive',
    qos: 1,
    messages: { activityReport, activityVoid: activityVoid.describe('That report is taken back') },
  },
  {
    name: 'liveLeads',
    address: `${ROOT}/live/leads`,
    description:
      'Each step of each lead’s race as it is committed, without personal data. Who was not listening reads ' +
      '/api/v1/leads or /api/v1/ledger.',
    action: 'send',
    qos: 0,
    messages: { liveLead },
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

/** One of each message that makers of devices and bridges write or read. */
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
  inbound: {
    event_id: 'line-508271',
    bridge: 'line',
    account: '@dealerhub',
    customer: { phone: null, user_id: 'U4af4980629', name: 'Rina' },
    at: '2026-11-22T08:15:30.123Z',
    kind: 'choice',
    choice: { id: 'claim:L07-3f2a5b7c9d1e', title: 'Ambil' },
    reply_to: 'line-508270',
    raw: { type: 'postback', data: 'claim:L07-3f2a5b7c9d1e' },
  },
  outbound: {
    job_id: 'J07-9b1c2d3e4f50',
    to: { user_id: 'U4af4980629' },
    kind: 'buttons',
    body: 'Mau cari motor apa?',
    choices: [
      { id: 'model:EV-1', title: 'EV-1' },
      { id: 'model:EV-2', title: 'EV-2' },
    ],
    expires_at: '2026-11-22T09:15:30.123Z',
  },
  jobStatus: {
    job_id: 'J07-9b1c2d3e4f50',
    provider_id: 'line-508272',
    state: 'sent',
    error: null,
    at: '2026-11-22T08:15:31.000Z',
  },
  portalLead: {
    event_id: 'web-20261122-0001',
    name: 'Rina',
    phone: '0812 0000 0001',
    place: 'Bandung',
    model: 'EV-1',
    channel: 'tiktok',
    campaign: 'november',
  },
}

const PARAMETERS = {
  dealer: {
    description: `${NAME_PATTERN.source}, and none of ${RESERVED_DEALERS.join(', ')}`,
    examples: ['D001'],
  },
  device: { description: NAME_PATTERN.source, examples: ['till-1'] },
  bridge: {
    description: `${NAME_PATTERN.source}; the name in the token’s role`,
    examples: ['meta', 'qontak', 'line'],
  },
  portal: { description: `A dealer, or ${HEAD_OFFICE}`, examples: [HEAD_OFFICE] },
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
        'nowhere else. People and programs log in with username `api` and an API token as password: a token of role ' +
        '`bridge:{bridge}` serves that bridge’s three topics, `dealer:{id}` publishes on its own portal, `analyst` and ' +
        '`manager` read the live feeds. ' +
        `Payloads are UTF-8 JSON of at most ${DEVICE_PAYLOAD_BYTES_MAX / 1024} KiB from devices and ` +
        `${BRIDGE_PAYLOAD_BYTES_MAX / 1024} KiB from bridges; unknown fields are ignored. How to write a bridge is in ` +
        'docs/bridges.md.',
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
