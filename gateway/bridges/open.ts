/** The bridges that the settings name, each an MQTT client of its own on the hub's topics. */
import type { Logger } from 'pino'
import type { Config } from '../../config.ts'
import { type BridgeBus, connectBridge, type Dial } from './bridge.ts'
import { createMetaBridge, type MetaBridge } from './meta/meta.ts'
import type { OutboundQueueState } from './outbound-queue.ts'
import { createQontakBridge, type QontakBridge } from './qontak/qontak.ts'

export interface Bridges {
  /** null: not in the settings. */
  readonly meta: MetaBridge | null
  readonly qontak: QontakBridge | null
  /** By bridge: what it has still to send, and whether it has stopped until somebody puts it right. */
  readonly queues: ReadonlyMap<string, { readonly waiting: number; readonly isStopped: boolean }>
  /** Whether each of them reaches the hub. */
  readonly isConnected: boolean
  /** Sends nothing more, waits for what is under way. */
  close(): Promise<void>
}

/** @param dial how a bridge of this name connects to the hub */
export async function openBridges(
  { meta: metaSettings, qontak: qontakSettings }: Pick<Config, 'meta' | 'qontak'>,
  dial: (bridge: string) => Dial,
  log: Logger,
): Promise<Bridges> {
  await using opened = new AsyncDisposableStack()
  const buses: BridgeBus[] = []
  function busOf(bridge: string): BridgeBus {
    const bus = opened.adopt(connectBridge({ bridge, dial: dial(bridge), log }), (it) => it.close())
    buses.push(bus)
    return bus
  }

  const meta =
    metaSettings &&
    opened.adopt(createMetaBridge({ settings: metaSettings, bus: busOf('meta'), log }), (it) => it.close())
  const qontak =
    qontakSettings &&
    opened.adopt(createQontakBridge({ settings: qontakSettings, bus: busOf('qontak'), log }), (it) =>
      it.close(),
    )
  const closing = opened.move()
  return {
    meta,
    qontak,
    get queues() {
      const queues = new Map<string, { waiting: number; isStopped: boolean }>()
      if (meta !== null) queues.set('meta', together([meta.state.queue]))
      if (qontak !== null) {
        queues.set('qontak', together([qontak.state.rooms, qontak.state.broadcasts]))
      }
      return queues
    },
    get isConnected() {
      return buses.every((bus) => bus.isConnected)
    },
    close: () => closing.disposeAsync(),
  }
}

const together = (queues: readonly OutboundQueueState[]) => ({
  waiting: queues.reduce((sum, { waiting }) => sum + waiting, 0),
  isStopped: queues.some(({ stopped }) => stopped !== null),
})
