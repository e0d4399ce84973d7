import { PassThrough, Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { gatherWrites } from '../../broker/gather-writes.ts'

function gathered() {
  const stream = new PassThrough()
  const chunks: string[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()))
  gatherWrites(stream)
  return { stream, chunks }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('what is written within one turn leaves as one piece, in order', async () => {
  const { stream, chunks } = gathered()
  stream.cork()
  stream.write(Buffer.from('a'))
  stream.write('b')
  stream.uncork()
  stream.write(Buffer.from('c'))
  await turn()
  stream.write('d')
  await turn()
  expect(chunks).toEqual(['abc', 'd'])
})

test('what is much leaves at once, and a full stream is told', async () => {
  let release: (() => void) | null = null
  const slow = new Writable({
    highWaterMark: 100,
    write(_chunk, _encoding, done) {
      release = done
    },
  })
  gatherWrites(slow as PassThrough)
  expect(slow.write(Buffer.alloc(50_000))).toBe(true)
  expect(slow.write(Buffer.alloc(50_000))).toBe(false)
  expect(slow.writableLength).toBe(100_000)
  const drained = new Promise((resolve) => slow.once('drain', resolve))
  ;(release as (() => void) | null)?.()
  await drained
  expect(slow.write('x')).toBe(true)
})

test('what was written before the end leaves before the end', async () => {
  const { stream, chunks } = gathered()
  const ended = new Promise((resolve) => stream.once('end', resolve))
  stream.write('a')
  stream.end(Buffer.from('z'))
  await ended
  expect(chunks.join('')).toBe('az')
})

test('what is neither bytes nor text is refused to who writes it, and spoils nothing', async () => {
  const { stream, chunks } = gathered()
  stream.write('a')
  expect(() => stream.write(undefined as never)).toThrow(TypeError)
  await turn()
  expect(chunks).toEqual(['a'])
})

test('a stream that was destroyed meanwhile is no mistake', async () => {
  const { stream, chunks } = gathered()
  stream.write('a')
  stream.destroy()
  await turn()
  expect(chunks).toEqual([])
})
