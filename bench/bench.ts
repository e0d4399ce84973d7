/**
 * `npm run bench`: how fast the hub is, against bare Aedes and a naive hub on the same machine in the same minutes.
 * Markdown on standard output, progress on standard error. What is measured is one file each:
 *
 *   targets.ts      what is measured, and how it is started; bare.ts and naive.ts are the baselines
 *   workload.ts     what each of them is given to do; generator.ts does it
 *   verify.ts       whether a hub holds what it acknowledged: if not, there is no figure
 *   throughput.ts   as fast as it goes       paced.ts     how long a terminal waits
 *   soak.ts         memory over time         idle.ts      memory per connection
 *   taps.ts         from a tap to its verdict  webhooks.ts  from a webhook to its 200
 *   variables.ts    how long the tables of the unit economics take
 *   micro.ts        parts by themselves      profile.ts   where the time goes
 */
import { writeFileSync } from 'node:fs'
import { idleMarkdown, measureIdle } from './idle.ts'
import { describeMachine, machineMarkdown } from './machine.ts'
import { measureMicro, microMarkdown } from './micro.ts'
import { parseOptions } from './options.ts'
import { measurePaced, pacedMarkdown } from './paced.ts'
import { measureProfile, profileMarkdown } from './profile.ts'
import { measureSoak, soakMarkdown } from './soak.ts'
import { measureTaps, tapsMarkdown } from './taps.ts'
import { isHub, TARGET_NAMES } from './targets.ts'
import { measureThroughput, throughputMarkdown } from './throughput.ts'
import { measureVariables, VARIABLES_ENTRIES, variablesMarkdown } from './variables.ts'
import { measureWebhooks, webhooksMarkdown } from './webhooks.ts'

// So that what was started is stopped and its folders are removed, as on every exit.
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))

const options = parseOptions()
const { quick, soak, idle, cpuProf, appendfsync } = options
const { taps, variables } = options
const isAnyNamed = [
  options.throughput,
  options.paced,
  options.micro,
  taps,
  soak,
  idle,
  cpuProf,
  variables,
].some(Boolean)
const { throughput, paced, micro } = isAnyNamed ? options : { throughput: true, paced: true, micro: true }

const isWanted = (name: string) => options.reference === true || !name.endsWith('-reference')
const targets = options.targets ?? TARGET_NAMES.filter(isWanted)
const hubs = targets.filter(isHub)
/** Memory is a matter of the store alone. */
const plainHubs = options.targets === undefined ? hubs.filter((name) => !name.endsWith('-reference')) : hubs
const progress = (what: string): void => console.error(`${new Date().toISOString().slice(11, 19)} ${what}`)
const common = {
  targets,
  window: options.window,
  appendfsync,
  progress,
  repetitions: quick ? 1 : options.repetitions,
  durationMs: quick ? 3000 : options.seconds * 1000,
}

const machine = describeMachine()
const results: Record<string, unknown> = { machine }
console.log(machineMarkdown(machine))

/** Each as soon as it is there: hours later another one may fail. */
function report<Result>(name: string, result: Result, markdown: (result: Result) => string): void {
  results[name] = result
  console.log(`\n${markdown(result)}`)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`)
}

/** By then the code that matters is compiled. */
const warmUpMs = quick ? 2000 : 5000
if (throughput) report('throughput', await measureThroughput({ ...common, warmUpMs }), throughputMarkdown)
if (paced) {
  const load = { heatMs: warmUpMs, paces: options.paces }
  report('paced', await measurePaced({ ...common, ...load }), pacedMarkdown)
}
if (micro) report('micro', await measureMicro(common), microMarkdown)
if (taps) {
  report('taps', await measureTaps(common), tapsMarkdown)
  report('webhooks', await measureWebhooks(common), webhooksMarkdown)
}
if (variables) {
  const entries = variables === true ? VARIABLES_ENTRIES : variables
  report('variables', await measureVariables({ entries, progress }), variablesMarkdown)
}
if (soak) {
  const load = { durationMs: soak * 1000, ratePerSecond: options.soakRate, targets: plainHubs }
  report('soak', await measureSoak({ ...common, ...load }), soakMarkdown)
}
if (idle) {
  report('idle', await measureIdle({ ...common, targets: plainHubs, devices: idle }), idleMarkdown)
}
if (cpuProf) {
  const load = { heatMs: warmUpMs, targets: hubs }
  report('profile', await measureProfile({ ...common, ...load }), profileMarkdown)
}
