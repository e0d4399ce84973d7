/** A control that must fail: a hub that goes on in the ledger when its figures could not be written. */
import { type ProjectorOptions, startProjector as startRealProjector } from '../../../analytics/projector.ts'

export function startProjector(options: ProjectorOptions): ReturnType<typeof startRealProjector> {
  const { metrics } = options
  return startRealProjector({
    ...options,
    metrics: { ...metrics, write: (points, checkpoint) => metrics.write(points, checkpoint).catch(() => {}) },
  })
}
