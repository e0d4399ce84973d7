/** How much of everything HTTP may take; what is more is refused before it costs anything. */
export const LIMITS = {
  /** No request needs more: the API takes parameters, not documents. Beyond it: 413. */
  bodyBytes: 64 * 1024,
  /** Request line and headers together. Beyond it: 431. */
  headerBytes: 16 * 1024,
  /** One part of a path, such as a serial. Beyond it: 404. */
  pathPartCharacters: 200,
  /** A connection that sends its headers, or its request, more slowly than this: 408. */
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  /** How often connections are looked at for that. */
  connectionsCheckingIntervalMs: 5_000,
  /** What takes longer is given up: 503. The store's own commands fail long before. */
  handlerTimeoutMs: 20_000,
  /** Requests of one address in a window. Beyond it: 429. Reading a ledger of millions stays under it. */
  requestsPerWindow: 1000,
  windowMs: 10_000,
  /** Addresses whose requests are counted; the one not seen for longest is forgotten. */
  addressesCounted: 10_000,
} as const
