/**
 * Loaded before a hub that is started with `replace` (`hub-process.ts`), in each of its threads: whoever imports one of
 * these modules of the tree gets the other instead. The replacement itself, importing it, gets the real one.
 */
import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'

/** The environment variable that has the table, as JSON: path in the tree → path of the file to take instead. */
export const REPLACED_MODULES = 'DEALER_HUB_TEST_REPLACED_MODULES'

const table = JSON.parse(process.env[REPLACED_MODULES] ?? '{}') as Record<string, string>
const replacements = new Map(
  Object.entries(table).map(([path, file]) => [
    new URL(`../../${path}`, import.meta.url).href,
    pathToFileURL(file).href,
  ]),
)

if (replacements.size > 0) {
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const resolved = nextResolve(specifier, context)
      const replacement = replacements.get(resolved.url)
      return replacement === undefined || replacement === context.parentURL
        ? resolved
        : { ...resolved, url: replacement, format: 'module-typescript' }
    },
  })
}
