/** One client, from its socket to its end, and who it is from logging in on. */
import type { Client, ConnectPacket } from 'aedes'
import type { Rights } from './access.ts'
import type { SenderQueue } from './acknowledge.ts'
import type { Principal } from './broker.ts'
import type { Entrance } from './listeners.ts'
import type { MailboxWindow } from './mailboxes.ts'
import type { Session } from './sessions.ts'
import type { ShortWay } from './short-way.ts'

export interface Connection {
  readonly client: Client
  readonly entrance: Entrance
  /** Resolves when its socket is closed. */
  readonly closed: Promise<void>
  /** Its unacknowledged messages. */
  readonly queue: SenderQueue
  /** Its CONNECT, once that came. */
  connect: ConnectPacket | null
  /** Null until it has logged in. */
  login: Login | null
  /** A device's, from its CONNACK on. */
  shortWay: ShortWay | null
}

export interface Login {
  readonly principal: Principal
  readonly rights: Rights
  readonly session: Session
  /** Null for who has no mailbox. */
  readonly window: MailboxWindow | null
}

/** For what a client is still to be sent before its socket is torn down. */
const FLUSH_MS = 1_000

/** Closes a connection behind what was written to it. */
export async function closeFlushed({ client, closed }: Connection): Promise<void> {
  const { conn } = client
  const timeout = setTimeout(() => conn.destroy(), FLUSH_MS)
  conn.end(() => conn.destroy())
  await closed
  clearTimeout(timeout)
}
