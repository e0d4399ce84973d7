/** A control that must fail: a hub that takes every sale for a new one, since it keeps its locks under other names each time. */
import { eventKey as realEventKey, serialKey as realSerialKey } from '../../../gateway/documents.ts'

export * from '../../../gateway/documents.ts'

let count = 0

export const serialKey: typeof realSerialKey = (...names) =>
  `${realSerialKey(...names)}:${process.pid}:${++count}`
export const eventKey: typeof realEventKey = (...names) =>
  `${realEventKey(...names)}:${process.pid}:${++count}`
