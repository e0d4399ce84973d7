import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadSecret, SECRET_FILE } from '../../gateway/secrets.ts'
import { openStore } from '../../gateway/store/open.ts'
import { startRedis } from '../support/services.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

async function start(config: { secret?: string; redisUrl?: string; dataDir: string }): Promise<string> {
  const full = { secret: null, redisUrl: null, ...config }
  const store = await openStore(full)
  try {
    return await loadSecret(full, store)
  } finally {
    await store.close()
  }
}

describe('the secret of an embedded hub', () => {
  it('is generated at the first start into a file that only its owner can read, and stays', async () => {
    using folder = temporaryFolder('secret')
    const dataDir = join(folder.path, 'data')
    const secret = await start({ dataDir })
    expect(secret).toMatch(/^[A-Za-z0-9_-]{43}$/)
    const file = join(dataDir, SECRET_FILE)
    expect(readFileSync(file, 'utf8').trim()).toBe(secret)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(await start({ dataDir })).toBe(secret)
  })

  it('is not in the store: a stolen copy of it alone tells nobody’s number', async () => {
    using folder = temporaryFolder('secret')
    const secret = await start({ dataDir: folder.path })
    expect(readFileSync(join(folder.path, 'hub.db')).includes(secret)).toBe(false)
  })

  it('that is lost stops the next start, since every customer would become another', async () => {
    using folder = temporaryFolder('secret')
    const secret = await start({ dataDir: folder.path })
    rmSync(join(folder.path, SECRET_FILE))
    await expect(start({ dataDir: folder.path })).rejects.toThrow(/hub\.secret is missing/)
    writeFileSync(join(folder.path, SECRET_FILE), 'some other secret')
    await expect(start({ dataDir: folder.path })).rejects.toThrow(/hub\.secret is not the secret/)
    rmSync(join(folder.path, SECRET_FILE))
    expect(await start({ dataDir: folder.path, secret })).toBe(secret)
  })

  it('is HUB_SECRET when that is set, and nothing is written', async () => {
    using folder = temporaryFolder('secret')
    const dataDir = folder.path
    const secret = 'chosen by the operator'
    expect(await start({ dataDir, secret })).toBe(secret)
    expect(() => readFileSync(join(dataDir, SECRET_FILE))).toThrow(/ENOENT/)
    await expect(start({ dataDir, secret: 'another of the operator' })).rejects.toThrow(/HUB_SECRET is not/)
  })

  it('that can’t be written is an error, not a secret of one run', async () => {
    using folder = temporaryFolder('secret')
    mkdirSync(join(folder.path, `${SECRET_FILE}.draft`))
    writeFileSync(join(folder.path, `${SECRET_FILE}.draft`, 'x'), '')
    await expect(start({ dataDir: folder.path })).rejects.toThrow(/EISDIR/)
  })
})

describe('the secret of hubs on one Redis', () => {
  it('is the same for all of them, whoever starts first, and stays', async () => {
    await using redis = await startRedis()
    using first = temporaryFolder('secret')
    using second = temporaryFolder('secret')
    const secrets = await Promise.all(
      [first.path, second.path].map((dataDir) => start({ dataDir, redisUrl: redis.url })),
    )
    expect(secrets[0]).toBe(secrets[1])
    expect(await start({ dataDir: first.path, redisUrl: redis.url })).toBe(secrets[0])
    const other = 'a secret of this hub only'
    await expect(start({ dataDir: first.path, redisUrl: redis.url, secret: other })).rejects.toThrow(
      /HUB_SECRET is not/,
    )
  })
})
