/** What a connected device that says nothing costs: each subscribes to its receipts, as every terminal does. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { deviceNames, provision } from '../test/support/devices.ts'
import { connectPacket, subscribePacket, type Terminal } from './generator.ts'
import { short, table, whole } from './markdown.ts'
import { memoryOf } from './process-usage.ts'
import { type StartOptions, startTarget, TARGETS, type TargetName } from './targets.ts'

export interface IdleOptions {
  readonly targets: readonly TargetName[]
  readonly devices: number
  readonly appendfsync: StartOptions['appendfsync']
  readonly progress: (what: string) => void
}

export interface IdleRun {
  readonly target: TargetName
  readonly devices: number
  /** Of the hub, before the first device came, and when all were there and it had come to rest. */
  readonly rssBeforeMiB: number
  readonly rssAfterMiB: number
  readonly kibibytesPerConnection: number
  /** How quickly they came, with a window of `CONNECTING_MAX`. */
  readonly connectionsPerSecond: number
}

export async function measureIdle(options: IdleOptions): Promise<IdleRun[]> {
  const runs: IdleRun[] = []
  for (const target of options.targets) {
    options.progress(`idle, ${options.devices} devices: ${TARGETS[target]}`)
    runs.push(await measureOnce(target, options))
  }
  return runs
}

async function measureOnce(name: TargetName, { devices, appendfsync }: IdleOptions): Promise<IdleRun> {
  await using target = await startTarget(name, { loads: [], appendfsync })
  const { hub, mqttPort } = target
  if (hub === null) throw new Error(`${name} is not a hub`)
  const credentials = await provision(hub, deviceNames(devices))
  const terminals = credentials.map(({ client_id, password }) => ({ clientId: client_id, password }))

  const rssBeforeMiB = await settledRssMiB(hub.pid)
  const startedMs = performance.now()
  const sockets = await connectAll(terminals, mqttPort)
  const connectedMs = performance.now() - startedMs
  const rssAfterMiB = await settledRssMiB(hub.pid)

  const lost = sockets.filter(({ closed }) => closed).length
  for (const socket of sockets) socket.destroy()
  if (lost > 0) throw new Error(`${lost} of ${devices} idle devices were dropped`)
  return {
    target: name,
    devices,
    rssBeforeMiB,
    rssAfterMiB,
    kibibytesPerConnection: ((rssAfterMiB - rssBeforeMiB) * 1024) / devices,
    connectionsPerSecond: (devices * 1000) / connectedMs,
  }
}

/** Handshakes at a time. */
const CONNECTING_MAX = 200

async function connectAll(terminals: readonly Terminal[], port: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  const waiting = terminals.values()
  await Promise.all(
    Array.from({ length: CONNECTING_MAX }, async () => {
      for (const terminal of waiting) sockets.push(await connectIdle(terminal, port))
    }),
  )
  return sockets
}

/** Longer than the measurement, so that nobody need ping. */
const KEEP_ALIVE_SECONDS = 1200

/** Connected and subscribed. @throws when it is refused */
async function connectIdle(terminal: Terminal, port: number): Promise<Socket> {
  const { clientId } = terminal
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  socket.on('error', () => {})
  socket.write(connectPacket(terminal, KEEP_ALIVE_SECONDS))
  socket.write(subscribePacket(`hub/v1/${clientId}/receipt`))
  let answer = Buffer.alloc(0)
  while (answer.length < ANSWER.length) {
    const [bytes] = await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [null])])
    if (bytes === null) throw new Error(`${clientId} was turned away`)
    answer = Buffer.concat([answer, bytes])
  }
  if (!answer.equals(ANSWER)) throw new Error(`${clientId} was answered ${answer.toString('hex')}`)
  return socket
}

/** CONNACK accepted, SUBACK for packet 1 granting QoS 1. */
const ANSWER = Buffer.from([0x20, 2, 0, 0, 0x90, 3, 0, 1, 1])

const REST_MS = 15_000

/** After a while without work: garbage is collected by and by. */
async function settledRssMiB(pid: number): Promise<number> {
  await delay(REST_MS)
  return memoryOf(pid).rssMiB
}

export function idleMarkdown(runs: readonly IdleRun[]): string {
  const rows = runs.map((run) => [
    `${whole(run.devices)} idle devices: ${TARGETS[run.target]}`,
    whole(run.rssBeforeMiB),
    whole(run.rssAfterMiB),
    `**${short(run.kibibytesPerConnection)}**`,
    whole(run.connectionsPerSecond),
  ])
  return `## Idle devices

Each has logged in and subscribed to its receipts. Resident memory of the hub; what the kernel keeps for each socket comes
on top.

${table(['', 'RSS MiB before', 'after', 'KiB a connection', 'connections/s'], rows)}`
}
