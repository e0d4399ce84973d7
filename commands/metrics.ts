/** `hub metrics rebuild`: the figures again, from the ledger. */
import { Command } from 'commander'
import { startProjector } from '../analytics/projector.ts'
import { openMetrics } from '../gateway/gateway.ts'
import { count, ProgressBar, print } from './output.ts'
import { withExistingStore } from './with-store.ts'

const PROGRESS_MS = 200

export const metricsCommand = (): Command =>
  new Command('metrics')
    .description('The metrics database.')
    .addCommand(
      new Command('rebuild')
        .description('Forget what came from the ledger and make it again. May be done while the hub runs.')
        .addHelpText('after', EXAMPLES)
        .action(rebuild),
    )

const EXAMPLES = `
What came from telemetry stays: that stream is trimmed, and could not give it again.

Examples:
  $ hub metrics rebuild`

function rebuild(): Promise<void> {
  return withExistingStore(async (store, config) => {
    await using stack = new AsyncDisposableStack()
    const metrics = stack.adopt(await openMetrics(config), (it) => it.close())
    await metrics.ping()
    const heads = (await Promise.all([store.heads('ledger'), store.heads('telemetry')])).flat()
    const total = heads.reduce((sum, { number }) => sum + number, 0)
    // A hub that runs beside this one does the same work for a while; the points are the same.
    const lease = { hold: async () => true }
    const log = { info: () => {}, warn: (_: object, message: string) => console.error(`hub: ${message}`) }
    const projector = stack.adopt(startProjector({ source: store, metrics, lease, log }), (it) => it.stop())
    const bar = stack.use(new ProgressBar())
    const timer = setInterval(() => {
      const { entries } = projector.state
      bar.update('rebuilding', Math.min(1, entries / total), count(entries, 'entry', 'entries'))
    }, PROGRESS_MS)
    stack.defer(() => clearInterval(timer))
    await projector.rebuild()
    const { entries, points } = projector.state
    bar[Symbol.dispose]()
    await print(`${count(points, 'point')} from ${count(entries, 'entry', 'entries')}\n`)
  })
}
