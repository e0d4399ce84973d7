/** A hub that comes as far as the PUBACK: nothing that follows a commit is done, neither receipts nor figures. */
import { type ProjectorOptions, startProjector as startRealProjector } from '../../../analytics/projector.ts'
import {
  type ReceiptServices,
  startReceipts as startRealReceipts,
} from '../../../gateway/effects/receipts.ts'

const never = (): Promise<never> => new Promise(() => {})

export const startReceipts = (services: ReceiptServices): ReturnType<typeof startRealReceipts> =>
  startRealReceipts({ ...services, deliver: never, store: { ...services.store, commit: never } })

export const startProjector = (options: ProjectorOptions): ReturnType<typeof startRealProjector> =>
  startRealProjector({
    ...options,
    source: { ...options.source, entriesAfter: async (_, position) => ({ entries: [], position }) },
  })
