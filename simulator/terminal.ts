/**
 * A point-of-sale terminal: sales go into its outbox and stay there until the hub's receipt has come. A receipt that
 * is late is asked for by sending the sale again: the same bytes, the same event_id.
 */
import { receipt as receiptSchema } from '../gateway/contract/receipts.ts'
import { deviceTopic } from '../gateway/contract/topics.ts'
import { type DeviceOptions, SimulatedDevice } from './device.ts'

/** From the PUBACK: a receipt leaves with the commit, so this is a delivery gone wrong. */
const RECEIPT_TIMEOUT_MS = 5000

export interface TerminalOptions extends DeviceOptions {
  /** Default RECEIPT_TIMEOUT_MS. */
  readonly receiptTimeoutMs?: number
}

export class SimulatedTerminal extends SimulatedDevice {
  readonly #patience: NodeJS.Timeout

  constructor(options: TerminalOptions) {
    const { name, credential, recorder, receiptTimeoutMs = RECEIPT_TIMEOUT_MS } = options
    super(options, {
      firmware: 'pos-2.4.1',
      uplink: 'sale',
      subscriptions: [deviceTopic(name, 'receipt'), deviceTopic(name, 'command')],
      onMessage: (topic, payload) => {
        if (topic !== deviceTopic(name, 'receipt')) return
        const receipt = receiptSchema.safeParse(parseJson(payload))
        if (!receipt.success) {
          recorder.toldNonsense(credential.client_id, payload)
          return
        }
        const nowMs = performance.now()
        const answered = this.outbox.receive(receipt.data)
        const latencyMs = answered === null ? null : nowMs - answered.firstSentAtMs
        recorder.told(credential.client_id, receipt.data, latencyMs)
        this.send()
      },
    })
    this.#patience = setInterval(() => {
      this.outbox.askAgain(performance.now() - receiptTimeoutMs)
      this.send()
    }, receiptTimeoutMs / 4)
    this.#patience.unref()
  }

  override close(): Promise<void> {
    clearInterval(this.#patience)
    return super.close()
  }
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'))
  } catch {
    return undefined
  }
}
