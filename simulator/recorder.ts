/**
 * What the world did and what it was told, as it happens: devices report here, journals and statistics listen.
 */
import type { Receipt } from '../gateway/contract/receipts.ts'
import type { Letter } from './plan.ts'

export interface Recorder {
  /** The letter is about to be handed to the network, for the first time (attempt 1) or again. */
  sent(letter: Letter, attempt: number): void
  /** Its PUBACK has come, `latencyMs` after it was sent (the last time). */
  acknowledged(letter: Letter, latencyMs: number): void
  /** A receipt has come. `latencyMs` after its sale was first sent; null when no sale waited for it. */
  told(device: string, receipt: Receipt, latencyMs: number | null): void
  /** Something has come to the receipt topic that is no receipt. */
  toldNonsense(device: string, payload: Buffer): void
  connected(device: string): void
  /** A connection is lost, or was closed. `reason`: what the network said, when it said anything. */
  disconnected(device: string, reason: string | null): void
  /** An attempt to connect failed. */
  refused(device: string, reason: string | null): void
}

/** One recorder that tells all of them, in this order. */
export function recordTo(...recorders: readonly Recorder[]): Recorder {
  return {
    sent: (letter, attempt) => {
      for (const recorder of recorders) recorder.sent(letter, attempt)
    },
    acknowledged: (letter, latencyMs) => {
      for (const recorder of recorders) recorder.acknowledged(letter, latencyMs)
    },
    told: (device, receipt, latencyMs) => {
      for (const recorder of recorders) recorder.told(device, receipt, latencyMs)
    },
    toldNonsense: (device, payload) => {
      for (const recorder of recorders) recorder.toldNonsense(device, payload)
    },
    connected: (device) => {
      for (const recorder of recorders) recorder.connected(device)
    },
    disconnected: (device, reason) => {
      for (const recorder of recorders) recorder.disconnected(device, reason)
    },
    refused: (device, reason) => {
      for (const recorder of recorders) recorder.refused(device, reason)
    },
  }
}
