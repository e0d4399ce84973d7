/**
 * The programs the tests run against, where they are found, and which Debian package brings them.
 * One table: to test against another program, add its line.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export const BINARIES = {
  'redis-server': { variable: 'REDIS_SERVER', package: 'redis-server' },
  influxd: { variable: 'INFLUXD', package: 'influxdb' },
  mosquitto: { variable: 'MOSQUITTO', package: 'mosquitto' },
  mosquitto_pub: { variable: 'MOSQUITTO_PUB', package: 'mosquitto-clients' },
  mosquitto_sub: { variable: 'MOSQUITTO_SUB', package: 'mosquitto-clients' },
  mosquitto_rr: { variable: 'MOSQUITTO_RR', package: 'mosquitto-clients' },
  strace: { variable: 'STRACE', package: 'strace' },
} as const

export type BinaryName = keyof typeof BINARIES

/** Where Debian puts servers; not on the PATH of ordinary users. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/sbin']

/** The path its variable names, else the first one on the PATH; null when there is no such executable. */
export function findBinary(name: BinaryName): string | null {
  const given = process.env[BINARIES[name].variable]
  if (given) return isExecutable(given) ? given : null
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_FOLDERS]
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null
}

/** @throws when it is missing; `global-setup.ts` has installed it before any test. */
export function binary(name: BinaryName): string {
  const path = findBinary(name)
  if (path === null) throw new Error(missingBinaries([name]))
  return path
}

/** What a person must provide, one line a program. */
export function missingBinaries(names: readonly BinaryName[]): string {
  const lines = names.map((name) => {
    const { variable, package: debianPackage } = BINARIES[name]
    const given = process.env[variable]
    const wrong = given ? ` (${variable}=${given} is not an executable file)` : ''
    return `  ${name}: put it on the PATH or set ${variable} to its path; Debian package ${debianPackage}${wrong}`
  })
  return ['The tests run against real servers, and these programs are missing:', ...lines].join('\n')
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
