/** SIGINT and SIGTERM: the first one asks, the second one means it. */

/** One Ctrl-C may arrive twice within moments: from the terminal, and from npm, which passes it on. */
const SAME_KEY_MS = 500

/** Resolves with the first signal. From then on a second one ends the process at once, with exit code 1. */
export async function untilStopped(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>()
  let interruptedAtMs = Number.NEGATIVE_INFINITY
  let isStopping = false
  const onSignal = (signal: NodeJS.Signals): void => {
    const isSameKey = signal === 'SIGINT' && performance.now() - interruptedAtMs < SAME_KEY_MS
    if (isStopping && !isSameKey) process.exit(1)
    if (signal === 'SIGINT') interruptedAtMs = performance.now()
    isStopping = true
    resolve(signal)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return promise
}
