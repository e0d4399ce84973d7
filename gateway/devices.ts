/**
 * Devices and how they prove who they are. A credential is 256 random bits, handed out once and kept as its plain
 * SHA-256: bits of that many cannot be guessed, and a slow hash would turn a reconnect storm of the fleet into an outage.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { type DeviceName, deviceId, parseDeviceId } from './contract/topics.ts'
import { type DeviceDoc, deviceKey, devicesIndex } from './documents.ts'
import { commitUntilAnswered } from './store/commit-until-answered.ts'
import { shardOf } from './store/keys.ts'
import type { Json, Proposal, Store } from './store/store.ts'

export interface DeviceCredential {
  /** `{dealer}/{device}` */
  readonly client_id: string
  /** The same as `client_id`. */
  readonly username: string
  /** base64url, 43 characters. */
  readonly password: string
}

export interface AddedDevice {
  readonly credential: DeviceCredential
  /** It was there before: its old credential counts for nothing any more. */
  readonly isRotated: boolean
}

/** What a client says of itself when it connects. */
export interface DeviceLogin {
  readonly clientId: string
  readonly username: string | null
  readonly password: Uint8Array | null
  /** Common name of a verified TLS client certificate. */
  readonly certificateName: string | null
}

/** Devices in one round trip. */
const BATCH_DEVICES = 1000

/**
 * Provisions devices, each with a new credential; one that exists already gets a new one too.
 * @param names as `parseDeviceId` takes them; the same one twice is provisioned twice, and the last credential counts
 * @returns one answer per name, in this order; no password can be read again
 * @throws when the store is away: some devices may have a credential then that nobody knows; add them again
 */
export async function addDevices(
  store: Pick<Store, 'read' | 'commit'>,
  names: readonly DeviceName[],
): Promise<AddedDevice[]> {
  const added: AddedDevice[] = []
  for (let at = 0; at < names.length; at += BATCH_DEVICES) {
    added.push(...(await addBatch(store, names.slice(at, at + BATCH_DEVICES))))
  }
  return added
}

async function addBatch(
  store: Pick<Store, 'read' | 'commit'>,
  names: readonly DeviceName[],
): Promise<AddedDevice[]> {
  const known = await store.read(names.map((name) => deviceKey(deviceId(name))))
  const created_at = new Date().toISOString()
  const added: AddedDevice[] = []
  const proposals = names.map((name, i): Proposal => {
    const id = deviceId(name)
    const password = randomBytes(32).toString('base64url')
    const before = known[i]?.value as DeviceDoc | undefined
    added.push({
      credential: { client_id: id, username: id, password },
      isRotated: before !== undefined,
    })
    const doc: DeviceDoc = {
      ...name,
      credential_sha256: sha256(password).toString('hex'),
      created_at: before?.created_at ?? created_at,
    }
    const shard = shardOf(id)
    return {
      shard,
      token: sha256(password).toString('base64url'),
      set: [{ key: deviceKey(id), value: doc as unknown as Json }],
      index: [{ name: devicesIndex(shard), member: id, score: 0 }],
    }
  })
  await commitUntilAnswered(store, proposals)
  return added
}

/**
 * Which device this is, or null: none. Its client id and username are its name (a client with a certificate need not
 * give a username), and it holds either the credential or a verified certificate made out to that name.
 * Rejects when the store can't tell now.
 */
export async function authenticateDevice(
  store: Pick<Store, 'read'>,
  { clientId, username, password, certificateName }: DeviceLogin,
): Promise<DeviceName | null> {
  const name = parseDeviceId(clientId)
  if (name === null) return null
  if (certificateName !== null && certificateName === clientId && (username ?? clientId) === clientId) {
    return name
  }
  if (username !== clientId || password === null) return null
  const [doc] = await store.read([deviceKey(clientId)])
  if (!doc) return null
  const expected = Buffer.from((doc.value as DeviceDoc).credential_sha256, 'hex')
  return timingSafeEqual(sha256(password), expected) ? name : null
}

const sha256 = (value: string | Uint8Array): Buffer => createHash('sha256').update(value).digest()
