/** The bridges that the settings name, each an MQTT client of its own on the hub's topics. */
import type { Logger } from 'pino'
import type { Config } from '../../config.ts'
import { type BridgeBus, connectBridge, type Dial } from './bridge.ts'
import { createMetaBridge, type MetaBridge } from './meta/meta.ts'
import { createQontakBridge, type QontakBridge } from './qontak/qontak.ts'

export interface Bridges {
  /** null: not in the settings. */
  readonly meta: MetaBridge | null
  readonly qontak: QontakBridge | null
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
    get isConnected() {
      return buses.every((bus) => bus.isConnected)
    },
    close: () => closing.disposeAsync(),
  }
}
