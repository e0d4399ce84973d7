/** Who may log in to the brokers of these tests. */
import type { Credentials, Principal } from '../../broker/broker.ts'
import { parseDeviceId } from '../../gateway/contract/topics.ts'

export const PASSWORD = 'secret'

/** Every device exists and has the same password; a token is its own role. */
export async function authenticate({
  username,
  password,
  certificateName,
}: Credentials): Promise<Principal | null> {
  const secret = password === null ? null : Buffer.from(password).toString()
  if (username === 'api') {
    return secret === null || secret === 'wrong' ? null : { kind: 'api', id: `token-${secret}`, role: secret }
  }
  const name = parseDeviceId(username ?? certificateName ?? '')
  if (name === null) return null
  const id = `${name.dealer}/${name.device}`
  return secret === PASSWORD || certificateName === id ? { kind: 'device', id, ...name } : null
}
