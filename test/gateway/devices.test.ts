import { expect, it } from 'vitest'
import type { DeviceName } from '../../gateway/contract/topics.ts'
import { addDevices, authenticateDevice, type DeviceLogin } from '../../gateway/devices.ts'
import { deviceKey, devicesIndex } from '../../gateway/documents.ts'
import { SHARDS } from '../../gateway/store/keys.ts'
import { describeOnBothStores } from '../support/stores.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describeOnBothStores('devices', (store) => {
  async function add(name: DeviceName) {
    const [added] = await addDevices(store(), [name])
    if (added === undefined) throw new Error('nothing was added')
    return added
  }
  const login = ({ clientId, ...rest }: Partial<DeviceLogin> & { clientId: string }) =>
    authenticateDevice(store(), {
      clientId,
      username: clientId,
      password: null,
      certificateName: null,
      ...rest,
    })

  it('a device gets a credential of 256 bits, of which the store keeps only the SHA-256', async () => {
    const { credential, isRotated } = await add({ dealer: 'jkt-01', device: 'pos-1' })
    expect(credential).toEqual({
      client_id: 'jkt-01/pos-1',
      username: 'jkt-01/pos-1',
      password: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
    })
    expect(isRotated).toBe(false)
    const [doc] = await store().read([deviceKey('jkt-01/pos-1')])
    expect(doc?.value).toMatchObject({ dealer: 'jkt-01', device: 'pos-1' })
    expect(JSON.stringify(doc)).not.toContain(credential.password)
  })

  it('a device that is added again gets a new credential, and the old one counts for nothing', async () => {
    const name = { dealer: 'jkt-02', device: 'pos-1' }
    const first = await add(name)
    const second = await add(name)
    expect(second.isRotated).toBe(true)
    const clientId = 'jkt-02/pos-1'
    expect(await login({ clientId, password: bytes(first.credential.password) })).toBeNull()
    expect(await login({ clientId, password: bytes(second.credential.password) })).toEqual(name)
  })

  it('ten thousand are added in one call, each with a credential of its own, and are all listed', async () => {
    const names = Array.from({ length: 10_000 }, (_, i) => ({
      dealer: `many-${i % 110}`,
      device: `unit-${i}`,
    }))
    const added = await addDevices(store(), names)
    expect(added.map(({ credential }) => credential.client_id)).toEqual(
      names.map(({ dealer, device }) => `${dealer}/${device}`),
    )
    expect(new Set(added.map(({ credential }) => credential.password)).size).toBe(names.length)
    const listed = await store().range(SHARDS.map(devicesIndex), { limit: 20_000 })
    const members = new Set(listed.map(({ member }) => member))
    expect(names.every(({ dealer, device }) => members.has(`${dealer}/${device}`))).toBe(true)
  })

  it('who logs in is known by the credential or by a certificate, and by nothing else', async () => {
    const clientId = 'jkt-03/pos-1'
    const { credential } = await add({ dealer: 'jkt-03', device: 'pos-1' })
    const other = await add({ dealer: 'jkt-03', device: 'pos-2' })
    const password = bytes(credential.password)
    const name = { dealer: 'jkt-03', device: 'pos-1' }
    const table: [
      rule: string,
      login: Partial<DeviceLogin> & { clientId: string },
      name: DeviceName | null,
    ][] = [
      ['its credential', { clientId, password }, name],
      ['no password', { clientId }, null],
      ['another password', { clientId, password: bytes('guess') }, null],
      ['an empty password', { clientId, password: bytes('') }, null],
      ['the credential of another device', { clientId, password: bytes(other.credential.password) }, null],
      ['the username of another device', { clientId, username: 'jkt-03/pos-2', password }, null],
      ['no username', { clientId, username: null, password }, null],
      ['a certificate made out to it', { clientId, certificateName: clientId }, name],
      ['a certificate and no username', { clientId, username: null, certificateName: clientId }, name],
      ['a certificate of another device', { clientId, certificateName: 'jkt-03/pos-2' }, null],
      ['a certificate, but another username', { clientId, username: 'x/y', certificateName: clientId }, null],
      ['a device nobody added', { clientId: 'jkt-03/pos-9', password }, null],
      ['a client id that is no device', { clientId: 'portal/pos-1', password }, null],
    ]
    for (const [rule, credentials, expected] of table) {
      expect(await login(credentials), rule).toEqual(expected)
    }
  })
})
