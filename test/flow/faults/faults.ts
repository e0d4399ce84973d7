/**
 * Faults that are built into the real hub, one at a time: what is replaced in it, and by what. Each file says what the
 * hub does then. Most make of it a control that must fail: the test that passes with the real hub sees the difference.
 *
 *     await using hub = await startHub({ ...fault('acknowledges-first'), settings })
 */
import { join } from 'node:path'
import type { HubOptions } from '../../support/hub-process.ts'

const file = (name: string): string => join(import.meta.dirname, `${name}.ts`)

const PISCINA = 'node_modules/piscina/dist/esm-wrapper.mjs'

const FAULTS = {
  'acknowledges-first': { replace: { 'gateway/intake.ts': file('acknowledges-first') } },
  'acknowledges-and-no-more': {
    replace: {
      'gateway/effects/receipts.ts': file('acknowledges-and-no-more'),
      'analytics/projector.ts': file('acknowledges-and-no-more'),
    },
  },
  'commits-on-the-event-loop': { replace: { [PISCINA]: file('commits-on-the-event-loop') } },
  'dies-after-commit': { replace: { 'gateway/store/open.ts': file('dies-after-commit') } },
  'dies-after-commit-and-forgets': {
    replace: {
      'gateway/store/open.ts': file('dies-after-commit'),
      'gateway/documents.ts': file('forgets-sales'),
    },
  },
  'does-not-sync': { preload: file('does-not-sync') },
  'eight-days-later': { preload: file('eight-days-later') },
  'forgets-sales': { replace: { 'gateway/documents.ts': file('forgets-sales') } },
  'lets-everybody': { replace: { 'broker/access.ts': file('lets-everybody') } },
  'projects-what-passes': { replace: { 'analytics/projector.ts': file('projects-what-passes') } },
  'reconciles-soon': { replace: { 'gateway/contract/bridge.ts': file('reconciles-soon') } },
  'refuses-what-it-cannot-read': { replace: { 'gateway/intake.ts': file('refuses-what-it-cannot-read') } },
  'skips-what-fails': { replace: { 'analytics/projector.ts': file('skips-what-fails') } },
} as const satisfies Record<string, Pick<HubOptions, 'replace' | 'preload'>>

export type FaultName = keyof typeof FAULTS

export const fault = (name: FaultName): Pick<HubOptions, 'replace' | 'preload'> => FAULTS[name]
