#!/usr/bin/env node
/** The front door: the commands, and nothing else. Each is a file of `commands/`. */
import module from 'node:module'

/** The Node that this is written for: TypeScript as it is, `node:sqlite`, `await using`. */
const NODE_MAJOR = 26

if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR) {
  console.error(
    `hub needs Node ${NODE_MAJOR}, and this is Node ${process.versions.node}. It brings its own: ` +
      'npm ci, then npx hub … or npm run hub -- …',
  )
  process.exit(2)
}
// A command starts twice as fast the second time.
module.enableCompileCache()
// Only now: an older Node could not even read it.
const { runProgram } = await import('./commands/program.ts')
await runProgram(process.argv)
