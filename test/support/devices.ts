/**
 * Terminals and vehicle units as tests need them: provisioned, connected, publishing, hearing their receipts.
 *
 *     const [credentials] = await provision(hub, [{ dealer: 'd1', device: 't1' }])
 *     await using terminal = await Terminal.connect(hub.mqttUrl, credentials)
 *     expect(await terminal.sell(sale)).toMatchObject({ outcome: 'registered' })
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import type { Sale } from '../../gateway/contract/events.ts'
import type { Receipt } from '../../gateway/contract/receipts.ts'
import {
  type DeviceName,
  type DeviceUplink,
  deviceTopic,
  parseDeviceId,
} from '../../gateway/contract/topics.ts'
import type { HubProcess } from './hub-process.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { until } from './until.ts'

/** As `hub device add --json` prints them. */
export interface DeviceCredentials {
  readonly client_id: string
  readonly username: string
  readonly password: string
}

/** Names for `count` devices, evenly over `dealers` dealers. */
export const deviceNames = (count: number, dealers = count): DeviceName[] =>
  Array.from({ length: count }, (_, index) => ({
    dealer: `dealer-${(index % dealers) + 1}`,
    device: `terminal-${Math.floor(index / dealers) + 1}`,
  }))

/** Through `hub device add --file`; the credentials in the order of the names. @throws what the hub complains of */
export async function provision(hub: HubProcess, names: readonly DeviceName[]): Promise<DeviceCredentials[]> {
  using folder = temporaryFolder('devices')
  const file = join(folder.path, 'devices.csv')
  const lines = names.map(({ dealer, device }) => `${dealer},${device}`)
  writeFileSync(file, ['dealer_id,device_id', ...lines, ''].join('\n'))
  const { code, stdout, stderr } = await hub.run('device', 'add', '--file', file, '--json')
  if (code !== 0) throw new Error(`hub device add ended with exit code ${code}: ${stderr}`)
  return JSON.parse(stdout) as DeviceCredentials[]
}

export class Terminal implements AsyncDisposable {
  readonly name: DeviceName
  /** The MQTT client, for what is not below. It does not reconnect: a dropped connection is an event to be seen. */
  readonly client: MqttClient
  /** In the order they came. */
  readonly receipts: Receipt[] = []

  private constructor(name: DeviceName, client: MqttClient) {
    this.name = name
    this.client = client
    client.on('message', (topic, payload) => {
      if (topic === deviceTopic(name, 'receipt')) this.receipts.push(JSON.parse(String(payload)) as Receipt)
    })
    // Every publish under way listens for its end.
    client.setMaxListeners(Number.POSITIVE_INFINITY)
    // A drop is seen by who waits for an answer; unheard, the event would end the process.
    client.on('error', () => {})
  }

  /** Connected, and subscribed to its receipts. @throws when it is refused */
  static async connect(
    mqttUrl: string,
    { client_id, username, password }: DeviceCredentials,
    options: IClientOptions = {},
  ): Promise<Terminal> {
    const name = parseDeviceId(client_id)
    if (name === null) throw new Error(`${client_id} is not a device's name`)
    const client = await connectAsync(mqttUrl, {
      clientId: client_id,
      username,
      password,
      reconnectPeriod: 0,
      ...options,
    })
    const terminal = new Terminal(name, client)
    await client.subscribeAsync(deviceTopic(name, 'receipt'), { qos: 1 })
    return terminal
  }

  /** Resolves with the PUBACK (QoS 1). @throws when the connection ends before it */
  async publish(
    kind: DeviceUplink,
    payload: object | string | Buffer,
    { qos = 1, dup = false }: { qos?: 0 | 1; dup?: boolean } = {},
  ): Promise<void> {
    const bytes = typeof payload === 'string' || Buffer.isBuffer(payload) ? payload : JSON.stringify(payload)
    const { promise, reject } = Promise.withResolvers<never>()
    const dropped = () => reject(new Error('the connection was closed before the PUBACK'))
    this.client.once('close', dropped)
    try {
      const topic = deviceTopic(this.name, kind)
      await Promise.race([this.client.publishAsync(topic, bytes, { qos, dup }), promise])
    } finally {
      this.client.off('close', dropped)
    }
  }

  /** Publishes a sale and waits for the receipt that comes after. */
  async sell(sale: Sale): Promise<Receipt> {
    const before = this.receipts.length
    await this.publish('sale', sale)
    return this.receiptFor(sale.event_id, before)
  }

  /** The first receipt for this event (null: one whose id the hub could not read), from the `begin`th on. */
  receiptFor(eventId: string | null, begin = 0): Promise<Receipt> {
    const isIt = ({ event_id }: Receipt) => event_id === eventId
    return until(`a receipt for ${eventId} has come`, () => this.receipts.slice(begin).find(isIt))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.endAsync(true)
  }
}
