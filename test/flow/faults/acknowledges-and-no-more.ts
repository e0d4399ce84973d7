/** A hub that comes as far as the PUBACK: nothing that follows a commit is done, neither receipts nor figures. */
import { type ProjectorOptions, startProjector as startRealProjector } from '../../../analytics/projector.ts'
import { type IntakeServices, startIntake as startRealIntake } from '../../../gateway/intake.ts'

export * from '../../../gateway/intake.ts'

export const startIntake = (services: IntakeServices): ReturnType<typeof startRealIntake> =>
  startRealIntake({ ...services, onReceipt: () => {}, onBatch: () => {} })

export const startProjector = (options: ProjectorOptions): ReturnType<typeof startRealProjector> =>
  startRealProjector({
    ...options,
    source: { ...options.source, entriesAfter: async (_, position) => ({ entries: [], position }) },
  })
