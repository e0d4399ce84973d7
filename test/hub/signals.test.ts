import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { untilStopped } from '../../commands/signals.ts'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
const before = new Map<string, ReturnType<typeof process.listeners>>()

beforeEach(() => {
  for (const signal of SIGNALS) before.set(signal, process.listeners(signal))
  vi.useFakeTimers({ toFake: ['performance'] })
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
  for (const signal of SIGNALS) {
    for (const listener of process.listeners(signal)) {
      if (!before.get(signal)?.includes(listener)) process.off(signal, listener)
    }
  }
})

it.each<[rule: string, signals: [signal: NodeJS.Signals, afterMs: number][], exits: boolean]>([
  ['one SIGINT asks', [['SIGINT', 0]], false],
  ['one SIGTERM asks', [['SIGTERM', 0]], false],
  [
    'one Ctrl-C that arrives twice, from the terminal and from npm, is one',
    [
      ['SIGINT', 0],
      ['SIGINT', 5],
    ],
    false,
  ],
  [
    'a second Ctrl-C means it',
    [
      ['SIGINT', 0],
      ['SIGINT', 800],
    ],
    true,
  ],
  [
    'a second SIGTERM means it, however soon',
    [
      ['SIGTERM', 0],
      ['SIGTERM', 1],
    ],
    true,
  ],
  [
    'a SIGTERM after Ctrl-C means it',
    [
      ['SIGINT', 0],
      ['SIGTERM', 1],
    ],
    true,
  ],
  [
    'a Ctrl-C after SIGTERM means it',
    [
      ['SIGTERM', 0],
      ['SIGINT', 1],
    ],
    true,
  ],
])('%s', async (_, signals, exits) => {
  const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never)
  const stopped = untilStopped()
  for (const [signal, afterMs] of signals) {
    vi.advanceTimersByTime(afterMs)
    process.emit(signal, signal)
  }
  expect(await stopped).toBe(signals[0]?.[0])
  if (exits) expect(exit).toHaveBeenCalledExactlyOnceWith(1)
  else expect(exit).not.toHaveBeenCalled()
})
