/** The profiles that `node --cpu-prof` leaves behind, one a thread, and what they say of functions. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** As V8 writes it; times in microseconds of the system's monotonic clock. */
export interface CpuProfile {
  readonly startTime: number
  readonly nodes: readonly Node[]
  /** Node ids. */
  readonly samples: readonly number[]
  /** Before each sample. */
  readonly timeDeltas: readonly number[]
}

/** A function as it was called by these callers. */
interface Node {
  readonly id: number
  readonly callFrame: CallFrame
  readonly children?: readonly number[]
}

interface CallFrame {
  readonly functionName: string
  readonly url: string
  /** From 0. */
  readonly lineNumber: number
}

/** Of the time in which the thread was not waiting, from 0 to 1. */
export interface FunctionShare {
  readonly name: string
  /** `gateway/intake.ts:120`, `node:net`, or empty for what is not JavaScript. */
  readonly place: string
  readonly self: number
  /** With all that it calls. */
  readonly total: number
}

/** Microseconds of the monotonic clock. */
export interface Span {
  readonly beginUs: number
  readonly endUs: number
}

/** Of one process, by thread. The files are named `CPU.{date}.{time}.{pid}.{thread}.{n}.cpuprofile`. */
export function readCpuProfiles(folder: string, pid: number): CpuProfile[] {
  return readdirSync(folder)
    .map((file) => ({ file, parts: file.split('.') }))
    .filter(({ parts }) => parts[3] === String(pid))
    .sort((a, b) => Number(a.parts[4]) - Number(b.parts[4]))
    .map(({ file }) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile)
}

/** Where a thread that has nothing to do is; the second one is Piscina's. */
const WAITING: ReadonlySet<string> = new Set(['(idle)', 'atomicsWaitLoop'])

/** Each function once, whoever called it; in the order of their own time. */
export function functionShares(
  { startTime, nodes, samples, timeDeltas }: CpuProfile,
  span: Span,
): FunctionShare[] {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])))

  const selfUs = new Map<number, number>()
  let atUs = startTime
  let allUs = 0
  for (const [i, deltaUs] of timeDeltas.entries()) {
    atUs += deltaUs
    const node = samples[i] as number
    if (atUs < span.beginUs || atUs > span.endUs || WAITING.has(frames.get(node)?.functionName ?? ''))
      continue
    selfUs.set(node, (selfUs.get(node) ?? 0) + deltaUs)
    allUs += deltaUs
  }

  const shares = new Map<string, { -readonly [Field in keyof FunctionShare]: FunctionShare[Field] }>()
  for (const [node, us] of selfUs) {
    // A function that calls itself is on the way up more than once.
    const seen = new Set<string>()
    for (let at: number | undefined = node; at !== undefined; at = callers.get(at)) {
      const { functionName, url, lineNumber } = frames.get(at) as CallFrame
      const key = `${functionName} ${url} ${lineNumber}`
      if (seen.has(key)) continue
      seen.add(key)
      let share = shares.get(key)
      if (share === undefined) {
        share = { name: functionName || '(anonymous)', place: placeOf(url, lineNumber), self: 0, total: 0 }
        shares.set(key, share)
      }
      if (at === node) share.self += us / allUs
      share.total += us / allUs
    }
  }
  return [...shares.values()].sort((a, b) => b.self - a.self)
}

const ROOT = join(import.meta.dirname, '..')

function placeOf(url: string, lineNumber: number): string {
  const path = url.startsWith('file:') ? fileURLToPath(url) : url
  if (!path.startsWith('/')) return path
  return `${relative(ROOT, path).replace(/^.*node_modules\//, '')}:${lineNumber + 1}`
}
