/**
 * Who may log in, publish and subscribe where (CONTRACT, «Topics»), as a table. Pure: no broker in here.
 *
 * What no row allows is refused. A subscription is allowed when everything its filter can match is: a device's `#` is
 * refused though its own topics are among what it matches.
 */
import {
  DEVICE_DOWNLINKS,
  NAME_PATTERN,
  PORTAL_KINDS,
  parseDeviceId,
  ROOT,
} from '../gateway/contract/topics.ts'
import type { Credentials, Principal } from './broker.ts'
import type { Limits } from './limits.ts'
import { ConnectRefusal } from './refusal.ts'
import { covers, isText } from './topic-filters.ts'

export type Action = 'publish' | 'subscribe' | 'will'

interface Row {
  /** `device`, or the first part of an API token's role. */
  readonly who: string
  readonly may: readonly Action[]
  /** Filters; {self} stands for the device's `{dealer}/{device}`, or for what follows the colon in a role. */
  readonly topics: readonly string[] | 'every'
  /** Refused all the same, when it lies within one of these. */
  readonly except?: readonly string[]
}

export const ACCESS: readonly Row[] = [
  {
    who: 'device',
    may: ['publish'],
    topics: [`${ROOT}/{self}/sale`, `${ROOT}/{self}/status`, `${ROOT}/{self}/health`],
  },
  { who: 'device', may: ['will'], topics: [`${ROOT}/{self}/health`] },
  { who: 'device', may: ['subscribe'], topics: [`${ROOT}/{self}/#`] },

  {
    who: 'bridge',
    may: ['publish'],
    topics: [`${ROOT}/bridge/{self}/inbound`, `${ROOT}/bridge/{self}/status`],
  },
  { who: 'bridge', may: ['subscribe'], topics: [`${ROOT}/bridge/{self}/outbound`] },

  {
    who: 'dealer',
    may: ['publish'],
    topics: PORTAL_KINDS.map((kind) => `${ROOT}/portal/{self}/${kind}`),
  },

  { who: 'analyst', may: ['subscribe'], topics: [`${ROOT}/live/#`] },
  { who: 'manager', may: ['subscribe'], topics: [`${ROOT}/live/#`] },

  // The Eclipse Paho interoperability suite needs one filter that is refused; it is this one, and only by itself.
  { who: 'admin', may: ['subscribe'], topics: 'every', except: ['test/nosubscribe'] },
  // `hub/+/#` is all below `hub/`, but not the topic `hub`.
  { who: 'admin', may: ['publish', 'will'], topics: 'every', except: ['hub/+/#', '$SYS/+/#'] },
]

/** What one principal may do; made once, when it logs in. */
export interface Rights {
  may(action: Action, topicOrFilter: string): boolean
  readonly retain: boolean
  readonly payloadBytesMax: number
  /** Where the hub leaves messages for this principal alone. */
  readonly mailboxes: readonly string[]
  /** Whether it hears what is published, or only what the hub leaves in its mailboxes. */
  readonly hearsOthers: boolean
}

/** The rights of a principal, or null when the table has no row for it. */
export function rightsOf(principal: Principal, limits: Limits): Rights | null {
  const { who, self } = nameOf(principal)
  const rows = ACCESS.filter((row) => row.who === who)
  if (rows.length === 0 || rows.some(isNamed) !== (self !== '')) return null
  const grants = rows.map((row) => new Grant(row, self))
  return {
    may: (action, topicOrFilter) => grants.some((grant) => grant.allows(action, topicOrFilter)),
    retain: who === 'admin',
    payloadBytesMax: who === 'device' ? limits.devicePayloadBytes : limits.apiPayloadBytes,
    mailboxes: mailboxesOf(who, self),
    hearsOthers: who !== 'device' && who !== 'bridge',
  }
}

const isNamed = ({ topics }: Row): boolean =>
  topics !== 'every' && topics.some((topic) => topic.includes('{self}'))

/** A name becomes part of a filter, so it must not bring separators or wildcards along. */
function nameOf(principal: Principal): { who: string; self: string } {
  if (principal.kind === 'device') return { who: 'device', self: principal.id }
  const [who = '', ...rest] = principal.role.split(':')
  const self = rest.join(':')
  const known = who !== 'device' && (self === '' || NAME_PATTERN.test(self))
  return known ? { who, self } : { who: '', self: '' }
}

function mailboxesOf(who: string, self: string): string[] {
  if (who === 'device') return DEVICE_DOWNLINKS.map((kind) => `${ROOT}/${self}/${kind}`)
  if (who === 'bridge') return [`${ROOT}/bridge/${self}/outbound`]
  return []
}

/** One row for one principal. */
class Grant {
  readonly #row: Row
  readonly #filters: readonly string[]
  /** Each message is looked up here; a walk through the filters would cost ten times as much. */
  readonly #exact: ReadonlySet<string>

  constructor(row: Row, self: string) {
    this.#row = row
    this.#filters = row.topics === 'every' ? [] : row.topics.map((topic) => topic.replace('{self}', self))
    this.#exact = new Set(this.#filters)
  }

  allows(action: Action, topicOrFilter: string): boolean {
    if (!this.#row.may.includes(action)) return false
    if (this.#row.topics !== 'every') {
      return this.#exact.has(topicOrFilter) || this.#filters.some((filter) => covers(filter, topicOrFilter))
    }
    return !this.#row.except?.some((filter) => covers(filter, topicOrFilter))
  }
}

/** The username of people and programs; their password is the token. */
export const API_USERNAME = 'api'

/**
 * What can be told from a login's form alone: a device's client id, and username unless a certificate speaks for it,
 * are `{dealer}/{device}`; an API client's id does not look like one.
 *
 * @returns what to refuse it with, or null when its credentials may be looked at
 */
export function checkLogin({
  clientId,
  username,
  password,
  certificateName,
}: Credentials): ConnectRefusal | null {
  if (!isText(clientId)) return new ConnectRefusal('identifier', 'client id has control characters')
  const name = username ?? certificateName
  if (name === null) return new ConnectRefusal('not_authorized', 'neither username nor client certificate')
  if (name === API_USERNAME) {
    if (password === null) return new ConnectRefusal('credentials', 'no token given as password')
    return clientId.includes('/')
      ? new ConnectRefusal('identifier', `client ids with a slash are for devices: ${clientId}`)
      : null
  }
  if (parseDeviceId(name) === null) {
    return new ConnectRefusal('credentials', 'username is neither api nor {dealer}/{device}')
  }
  if (clientId !== name) {
    return new ConnectRefusal('identifier', `client id ${clientId} is not the username ${name}`)
  }
  if (password === null && certificateName !== name) {
    return new ConnectRefusal('credentials', 'no password, and no client certificate of that name')
  }
  return null
}
