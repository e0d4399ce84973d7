/** The Dockerfile and the compose file, read as the machine would read them: no engine is needed to see them lie. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { describeSettings, loadConfig } from '../config.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

interface Service {
  readonly image?: string
  readonly build?: string
  readonly environment?: Record<string, string>
  readonly command?: string
  readonly ports?: string[]
  readonly volumes?: string[]
  readonly depends_on?: Record<string, { condition: string }>
  readonly healthcheck?: { test: string[] }
}
const { services, volumes } = parse(read('docker-compose.yml')) as {
  services: Record<string, Service>
  volumes: Record<string, unknown>
}
const hub = services.hub as Service

describe('the compose file', () => {
  it('gives the hub settings that it knows, and that are right', () => {
    const known = describeSettings({}).map(({ setting }) => setting)
    for (const setting of Object.keys(hub.environment ?? {})) expect(known).toContain(setting)
    expect(loadConfig(hub.environment ?? {})).toMatchObject({
      redisUrl: 'redis://redis:6379',
      influx: { bucket: 'hub' },
    })
  })

  it('names services and volumes that there are, and waits until those it depends on are healthy', () => {
    for (const [name, { condition }] of Object.entries(hub.depends_on ?? {})) {
      expect(condition).toBe('service_healthy')
      expect(services[name]?.healthcheck?.test, name).toBeDefined()
    }
    const mounted = Object.values(services).flatMap((service) => service.volumes ?? [])
    for (const mount of mounted) {
      const [source = ''] = mount.split(':')
      if (source.startsWith('.')) expect(existsSync(join(root, source)), source).toBe(true)
      else expect(Object.keys(volumes)).toContain(source)
    }
    for (const setting of ['REDIS_URL', 'INFLUX_URL'] as const) {
      const { hostname } = new URL(hub.environment?.[setting] as string)
      expect(Object.keys(services)).toContain(hostname)
    }
  })

  it('runs a Redis that keeps what it acknowledges and evicts nothing', () => {
    expect(services.redis?.command).toContain('--appendonly yes')
    expect(services.redis?.command).toContain('--appendfsync always')
    expect(services.redis?.command).toContain('--maxmemory-policy noeviction')
  })

  it('lets the hub into the InfluxDB that it sets up', () => {
    const influx = services.influxdb?.environment ?? {}
    expect(hub.environment).toMatchObject({
      INFLUX_TOKEN: influx.DOCKER_INFLUXDB_INIT_ADMIN_TOKEN,
      INFLUX_ORG: influx.DOCKER_INFLUXDB_INIT_ORG,
      INFLUX_BUCKET: influx.DOCKER_INFLUXDB_INIT_BUCKET,
    })
  })
})

describe('the Dockerfile', () => {
  const lines = read('Dockerfile')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  const copied = lines
    .filter((line) => line.startsWith('COPY '))
    .flatMap((line) => line.split(' ').slice(1, -1))

  it('has the Node that the project pins', () => {
    const { devDependencies } = JSON.parse(read('package.json'))
    const [, major] = /(\d+)\./.exec(devDependencies.node) ?? []
    expect(lines[0]).toBe(`FROM node:${major}-slim`)
  })

  it('copies what the hub is made of, and .dockerignore lets it through', () => {
    const ignore = read('.dockerignore').split('\n')
    expect(ignore[0]).toBe('*')
    for (const path of copied) {
      expect(existsSync(join(root, path)), path).toBe(true)
      expect(ignore).toContain(`!${path}`)
    }
    const sources = ['hub.ts', 'config.ts', 'commands', 'broker', 'gateway', 'analytics', 'simulator']
    for (const path of sources) expect(copied).toContain(path)
  })

  it('does not run as root, keeps its state on a volume, and opens the ports that the compose file maps', () => {
    expect(lines).toContain('USER node')
    expect(lines).toContain('VOLUME /data')
    expect(hub.volumes).toContain('hub:/data')
    const exposed = lines
      .find((line) => line.startsWith('EXPOSE '))
      ?.split(' ')
      .slice(1)
    expect(hub.ports?.map((port) => port.split(':').at(-1))).toEqual(exposed)
  })

  it('installs all that the sources import: nothing is a development dependency', () => {
    const { dependencies } = JSON.parse(read('package.json'))
    const sources = globSync('{hub,config}.ts', { cwd: root }).concat(
      globSync('{commands,broker,gateway,analytics,simulator}/**/*.ts', { cwd: root }),
    )
    expect(sources.length).toBeGreaterThan(100)
    const imported = sources.flatMap((file) =>
      [...read(file).matchAll(/^(?:import|export)\b(?! type)[^;'"]*? from '([^.'][^']*)'/gm)].map(
        ([, specifier = '']) => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/'),
      ),
    )
    const packages = new Set(imported.filter((name) => !name.startsWith('node:')))
    expect(packages.size).toBeGreaterThan(10)
    for (const name of packages) expect(Object.keys(dependencies), name).toContain(name)
  })
})
