/** A hub that waits two seconds for what became of a message, not a minute and a half, before it hands it over again. */
export * from '../../../gateway/contract/bridge.ts'

export const RECONCILE_MS = 2000
