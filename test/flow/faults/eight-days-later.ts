/** A hub whose clocks, in all its threads, are eight days ahead. */
const AHEAD_MS = 8 * 86_400_000

const now = Date.now
Date.now = () => now() + AHEAD_MS
globalThis.Date = new Proxy(Date, {
  construct: (RealDate, given) =>
    given.length === 0 ? new RealDate(RealDate.now()) : Reflect.construct(RealDate, given),
})
