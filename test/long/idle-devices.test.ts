/** The whole fleet, connected and idle, as `npm run bench` measures it, held to a bound. */
import { expect, it } from 'vitest'
import { measureIdle } from '../../bench/idle.ts'

const DEVICES = 10_000
/** Twice what one is known to cost, so that only a real growth fails. */
const KIBIBYTES_PER_CONNECTION_MAX = 64

it('ten thousand idle devices stay connected, and cost a bounded amount of memory each', async () => {
  const [run] = await measureIdle({
    targets: ['hub-sqlite'],
    devices: DEVICES,
    appendfsync: 'always',
    progress: () => {},
  })
  console.info(run)
  expect(run?.kibibytesPerConnection).toBeLessThan(KIBIBYTES_PER_CONNECTION_MAX)
})
