/** A control that must fail: a hub whose figures are made of what it sees passing, and not of the whole ledger. */
import { type ProjectorOptions, startProjector as startRealProjector } from '../../../analytics/projector.ts'
import type { Store } from '../../../gateway/store/store.ts'

export const startProjector = (options: ProjectorOptions): ReturnType<typeof startRealProjector> => {
  const source = options.source as Store
  const ends = { ledger: source.end('ledger'), telemetry: source.end('telemetry') }
  return startRealProjector({
    ...options,
    source: {
      entry: (stream, id) => source.entry(stream, id),
      entriesAfter: async (stream, position, limit) =>
        source.entriesAfter(stream, position === '' ? await ends[stream] : position, limit),
    },
  })
}
