import { dirname } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { binary, findBinary, missingBinaries } from './binaries.ts'
import { TEMPORARY_ROOT, temporaryFolder } from './temporary-folder.ts'

test('tests run on the pinned Node, whatever the system has', () => {
  expect(process.version).toMatch(/^v26\./)
})

test('folders lie below the root of this run, which is removed at its end', () => {
  using folder = temporaryFolder('some')
  expect(dirname(folder.path)).toBe(process.env[TEMPORARY_ROOT])
})

describe('a program to test against', () => {
  test('is the one its variable names, before any on the PATH', () => {
    vi.stubEnv('REDIS_SERVER', process.execPath)
    expect(findBinary('redis-server')).toBe(process.execPath)
  })

  test('is found where Debian puts servers, though it is not on the PATH', () => {
    vi.stubEnv('PATH', '')
    expect(findBinary('mosquitto')).not.toBeNull()
  })

  test('is missing when its variable names none, and the message tells what to provide', () => {
    vi.stubEnv('REDIS_SERVER', '/no/such/redis')
    expect(findBinary('redis-server')).toBeNull()
    expect(() => binary('redis-server')).toThrow('REDIS_SERVER=/no/such/redis is not an executable file')
    vi.stubEnv('INFLUXD', '')
    vi.stubEnv('MOSQUITTO_PUB', '')
    expect(missingBinaries(['influxd', 'mosquitto_pub'])).toMatchInlineSnapshot(`
      "The tests run against real servers, and these programs are missing:
        influxd: put it on the PATH or set INFLUXD to its path; Debian package influxdb
        mosquitto_pub: put it on the PATH or set MOSQUITTO_PUB to its path; Debian package mosquitto-clients"
    `)
  })
})
