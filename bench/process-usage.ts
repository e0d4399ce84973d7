/** What Linux says a process has used. */
import { readdirSync, readFileSync } from 'node:fs'

/** Of the processor, since the process began: in user mode and in the kernel. */
export function cpuSecondsOf(pid: number): number {
  return cpuSecondsIn(`/proc/${pid}/stat`)
}

export interface Memory {
  /** Resident: what of it is in memory now, and was at most. */
  readonly rssMiB: number
  readonly peakRssMiB: number
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mebibytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024
  return { rssMiB: mebibytes('VmRSS'), peakRssMiB: mebibytes('VmHWM') }
}

export interface Thread {
  readonly id: number
  /** As its program named it; `node` for most of Node's. */
  readonly name: string
  readonly cpuSeconds: number
}

export function threadsOf(pid: number): Thread[] {
  return readdirSync(`/proc/${pid}/task`).map((id) => ({
    id: Number(id),
    name: readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim(),
    cpuSeconds: cpuSecondsIn(`/proc/${pid}/task/${id}/stat`),
  }))
}

/** The unit of these files, whatever the kernel counts in. */
const TICKS_PER_SECOND = 100

/** Fields 14 and 15; the second one, a name in parentheses, may hold spaces. */
function cpuSecondsIn(file: string): number {
  const stat = readFileSync(file, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}
