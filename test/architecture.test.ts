/** Imports point one way: who decides what must have one answer. */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')

/** By folder: what its files may import of the house, as path prefixes. */
const ALLOWED: readonly (readonly [folder: string, allowed: readonly string[]])[] = [
  ['gateway/contract', ['gateway/contract/']],
  ['broker', ['broker/', 'gateway/contract/']],
  ['analytics', ['analytics/', 'gateway/contract/']],
  ['simulator', ['simulator/', 'gateway/contract/']],
  ['gateway/store', ['gateway/store/', 'gateway/contract/', 'config.ts']],
  [
    'gateway/deciders',
    [
      'gateway/deciders/',
      'gateway/contract/',
      'gateway/store/store.ts',
      'gateway/store/keys.ts',
      'gateway/decode.ts',
      'gateway/decode/',
      'gateway/directory.ts',
      'gateway/documents.ts',
      'gateway/race-documents.ts',
      'gateway/screening/',
    ],
  ],
  ['gateway/screening', ['gateway/screening/', 'gateway/contract/']],
  ['gateway', ['gateway/', 'config.ts', 'package.json']],
]

/** What may be used of Node and of libraries where nothing may touch the world. */
const PURE = ['node:crypto', 'zod', 'yaml']
const PURE_FOLDERS = ['gateway/contract', 'gateway/deciders', 'gateway/screening']
/** The one file of the gateway that sees everything. */
const COMPOSITION_ROOT = 'gateway/gateway.ts'

const sources = globSync('{broker,gateway,analytics,simulator}/**/*.ts', { cwd: root }).map(normalize)

interface Import {
  readonly file: string
  readonly target: string
  readonly isOurs: boolean
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8')
  const specifiers = [
    ...text.matchAll(/^(?:import|export)\b[^;'"]*?from '([^']+)'|^import '([^']+)'|import\('([^']+)'\)/gm),
  ]
  return specifiers.map(([, from, bare, dynamic]) => {
    const specifier = (from ?? bare ?? dynamic) as string
    const isOurs = specifier.startsWith('.')
    return { file, target: isOurs ? normalize(join(dirname(file), specifier)) : specifier, isOurs }
  })
}

const all = sources.filter((file) => file !== COMPOSITION_ROOT).flatMap(importsOf)

describe('imports point one way', () => {
  it('and the test sees them', () => {
    expect(all.length).toBeGreaterThan(300)
    expect(importsOf('gateway/deciding.ts').map(({ target }) => target)).toContain(
      'gateway/deciders/deciders.ts',
    )
  })

  it.each(ALLOWED)('out of %s', (folder, allowed) => {
    const wrong = all
      .filter(({ file, isOurs }) => file.startsWith(`${folder}/`) && isOurs)
      .filter(({ target }) => !allowed.some((prefix) => target.startsWith(prefix)))
      .map(({ file, target }) => `${file} → ${target}`)
    expect(wrong).toEqual([])
  })

  it.each(PURE_FOLDERS)('and %s touches nothing', (folder) => {
    const wrong = all
      .filter(({ file, isOurs }) => file.startsWith(`${folder}/`) && !isOurs)
      .filter(({ target }) => !PURE.includes(target))
      .map(({ file, target }) => `${file} → ${target}`)
    expect(wrong).toEqual([])
  })
})
