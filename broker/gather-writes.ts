/**
 * What is written to a socket within one turn leaves as one buffer. mqtt-packet writes each part of a packet by itself,
 * three for a PUBACK; each would cost a place in a `writev`, and over WebSocket a frame of its own.
 */
import type { Duplex } from 'node:stream'

/** Above this it leaves at once, so that a full socket is noticed. */
const GATHERED_BYTES_MAX = 64 * 1024

export function gatherWrites(stream: Duplex): void {
  const write: (bytes: Buffer) => boolean = stream.write.bind(stream)
  const end = stream.end
  let chunks: Buffer[] = []
  let bytes = 0

  const flush = () => {
    const [first] = chunks
    if (first === undefined) return
    const whole = chunks.length === 1 ? first : Buffer.concat(chunks, bytes)
    chunks = []
    bytes = 0
    write(whole)
  }

  stream.write = (chunk: Buffer | string): boolean => {
    const buffer = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    // Now, while who writes it can be told; a stream would say so too.
    if (!Buffer.isBuffer(buffer)) throw new TypeError('only bytes and text can be written')
    if (chunks.length === 0) process.nextTick(flush)
    chunks.push(buffer)
    bytes += buffer.length
    if (bytes > GATHERED_BYTES_MAX) flush()
    return !stream.writableNeedDrain
  }
  stream.end = (...args: unknown[]) => {
    flush()
    return Reflect.apply(end, stream, args)
  }
  // Gathering does what they are for.
  stream.cork = () => {}
  stream.uncork = () => {}
}
