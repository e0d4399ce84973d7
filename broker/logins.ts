/** Who a client is, and that there is one of each: a second login with a client id takes the first one's place. */
import { checkLogin, rightsOf } from './access.ts'
import type { BrokerHandlers, Credentials, Principal } from './broker.ts'
import type { Connection, Login } from './connection.ts'
import type { Limits } from './limits.ts'
import { MailboxWindow } from './mailboxes.ts'
import { ConnectRefusal, type RefusalReason } from './refusal.ts'
import type { Sessions } from './sessions.ts'
import { type OfflineBudget, Subscriber } from './subscriber.ts'

export class Logins {
  readonly #authenticate: BrokerHandlers['authenticate']
  readonly #sessions: Sessions
  readonly #limits: Limits
  readonly #count: (reason: RefusalReason) => void
  readonly #budget: OfflineBudget
  /** By client id. */
  readonly #connections = new Map<string, Connection>()

  constructor(options: {
    authenticate: BrokerHandlers['authenticate']
    sessions: Sessions
    limits: Limits
    count: (reason: RefusalReason) => void
  }) {
    this.#authenticate = options.authenticate
    this.#sessions = options.sessions
    this.#limits = options.limits
    this.#count = options.count
    this.#budget = { bytesLeft: options.limits.offlineBytes }
  }

  has(clientId: string): boolean {
    return this.#connections.has(clientId)
  }

  /** @throws ConnectRefusal when it is known to be refused; anything else when that cannot be known now */
  async logIn(connection: Connection, username: string | null, password: Uint8Array | null): Promise<void> {
    const { client, entrance, connect } = connection
    const principal = await this.#identify({
      clientId: connect?.clientId ?? '',
      username,
      password,
      certificateName: entrance.certificateName,
    })
    const rights = rightsOf(principal, this.#limits)
    if (rights === null) throw new ConnectRefusal('not_authorized', 'no rights on MQTT')
    const will = connect?.will
    if (will && !(rights.may('will', will.topic) && (rights.retain || !will.retain))) {
      throw new ConnectRefusal('not_authorized', `a will on ${will.topic} is not allowed`)
    }

    const owner = ownerOf(principal)
    await this.#takeOver(client.id, owner)
    if (client.closed) throw new ConnectRefusal('unavailable', 'connection closed')
    const { limits, count, budget } = { limits: this.#limits, count: this.#count, budget: this.#budget }
    const session = this.#sessions.open({
      clientId: client.id,
      owner,
      clean: connect?.clean !== false,
      subscriber: () => (rights.hearsOthers ? new Subscriber({ limits, count, budget }) : null),
    })
    const window = rights.mailboxes.length > 0 ? new MailboxWindow(client, limits) : null
    connection.login = { principal, rights, session, window }
    this.#connections.set(client.id, connection)
    entrance.loggedIn()
  }

  /** The connection is closed. */
  left(connection: Connection, { session }: Login): void {
    this.#connections.delete(session.clientId)
    this.#sessions.leave(session, connection.connect?.clean === false)
  }

  async #identify(credentials: Credentials): Promise<Principal> {
    const refusal = checkLogin(credentials)
    if (refusal !== null) throw refusal
    const principal = await withinMs(this.#limits.authenticateTimeoutMs, this.#authenticate(credentials))
    if (principal === null) throw new ConnectRefusal('credentials', 'credentials not known')
    if (principal.kind === 'device' && principal.id !== credentials.clientId) {
      throw new ConnectRefusal('identifier', `client id is not ${principal.id}`)
    }
    return principal
  }

  /** [MQTT-3.1.4-2], for who is the same principal; the client id of somebody else is not free. */
  async #takeOver(clientId: string, owner: string): Promise<void> {
    for (;;) {
      const other = this.#connections.get(clientId)
      if (other === undefined) return
      if (other.login?.session.owner !== owner) {
        throw new ConnectRefusal('identifier', 'client id is in use by somebody else')
      }
      other.client.conn.destroy()
      // Aedes loses track of who is who when one is still leaving while the next one comes.
      await other.closed
    }
  }
}

/** Tells a principal from others, also from itself with another role. */
const ownerOf = (principal: Principal): string =>
  principal.kind === 'device' ? principal.id : `${principal.role} ${principal.id}`

function withinMs<Value>(timeoutMs: number, promise: Promise<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timeout = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    promise.then(resolve, reject).finally(() => clearTimeout(timeout))
  })
}
