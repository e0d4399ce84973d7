/**
 * The store on Redis: one server, a Sentinel group, or a Redis Cluster. A batch of proposals is one call of
 * `redis.lua` (on a cluster: one per shard).
 *
 * ioredis' defaults resend commands and queue them behind the caller's back; a claim that is sent again after a lost
 * reply would look lost to its owner, and a queued one would run long after everybody gave up. Both are turned off: a
 * command is answered, or fails and its outcome is unknown, and the caller repeats the same proposal.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { parseEntryId, type Stream } from '../contract/ledger.ts'
import { decodeOutcome, decodeRecord, encodeBatch, headKey, mergeMembers, PING, streamKey } from './batch.ts'
import { type Key, SHARDS, type Shard, shardOfKey } from './keys.ts'
import { endOf, entryOfRow, type LaneRow, pageOf, type Walk, walkFrom } from './lanes.ts'
import type { Durability, Head, IndexQuery, Member, Outcome, Position, Proposal, Store } from './store.ts'

const script = readFileSync(new URL('./redis.lua', import.meta.url), 'utf8')
const scriptSha = createHash('sha1').update(script).digest('hex')

/** Longer than any healthy server takes, shorter than the intake holds an acknowledgement (5 s). */
const COMMAND_TIMEOUT_MS = 2000
const CONNECT_TIMEOUT_MS = 5000
/** How long a start waits for a server that does not answer yet. */
const OPEN_TIMEOUT_MS = 10_000

export interface RedisStoreOptions {
  /**
   * `redis://…`, `rediss://…`; `redis+cluster://host:port,host:port`; `redis+sentinel://host:port,host:port/group`
   * (`rediss+…` over TLS). A server that says it is part of a cluster is taken as one.
   */
  readonly url: string
  /** Told when the connection breaks and comes back. */
  readonly onState?: (state: 'ready' | 'lost', reason: string | null) => void
}

/**
 * Opens the store.
 * @throws when the server does not answer in time, or may evict keys (`maxmemory-policy` other than `noeviction`): a
 * lock that vanishes has two winners.
 */
export async function openRedisStore({ url, onState = () => {} }: RedisStoreOptions): Promise<Store> {
  const client = await connect(url, onState)
  let durability: Durability
  try {
    durability = await inspect(client)
  } catch (error) {
    client.disconnect()
    throw error
  }
  const isCluster = client instanceof Cluster

  async function run(proposals: readonly Proposal[]): Promise<Outcome[]> {
    const batch = encodeBatch(proposals)
    const args = [batch.keys.length, ...batch.keys, encodeNumbers(batch.control), ...batch.texts]
    let answers: unknown
    try {
      answers = await client.evalsha(scriptSha, ...(args as [number, ...(string | Buffer)[]]))
    } catch (error) {
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw failed('commit', error)
      answers = await client
        .eval(script, ...(args as [number, ...(string | Buffer)[]]))
        .catch((cause: unknown) => {
          throw failed('commit', cause)
        })
    }
    if (proposals.length === 0) return []
    // JSON has no line ends but escaped ones.
    return (answers as string).split('\n').map((answer) => decodeOutcome(answer, batch.keys))
  }

  const commit = (proposals: readonly Proposal[]): Promise<Outcome[]> =>
    isCluster ? commitByShard(proposals, run) : run(proposals)

  async function readRecords(keys: readonly Key[]): Promise<(string | null)[]> {
    if (keys.length === 0) return []
    return client.mget([...keys]).catch((cause: unknown) => {
      throw failed('read', cause)
    })
  }

  /** Redis pages by score only: members of the cursor's own score that were seen are passed over here. */
  async function members(name: Key, { min, max, after, limit }: IndexQuery): Promise<Member[]> {
    const found: Member[] = []
    for (let offset = 0; found.length < limit; offset += limit) {
      const bounds = [after?.score ?? min ?? '-inf', max ?? '+inf'] as const
      const flat = await client.zrangebyscore(name, ...bounds, 'WITHSCORES', 'LIMIT', offset, limit)
      for (let i = 0; i < flat.length; i += 2) {
        const [member, score] = [flat[i] as string, Number(flat[i + 1])]
        const seen = after !== undefined && score === after.score && member <= after.member
        if (!seen) found.push({ name, member, score })
      }
      if (flat.length < limit * 2) break
    }
    return found
  }

  /** Of each lane, the rows that a walk reads next. */
  async function lanes(stream: Stream, { numbers, perLane, newestFirst }: Walk): Promise<LaneRow[][]> {
    const read = async (shard: Shard): Promise<LaneRow[]> => {
      const [key, number] = [streamKey(stream, shard), numbers[shard] as number]
      const from = number === Number.POSITIVE_INFINITY ? '+' : `(${number}-0`
      const rows = newestFirst
        ? await client.xrevrange(key, from, '-', 'COUNT', perLane)
        : await client.xrange(key, from, '+', 'COUNT', perLane)
      return rows.map(([id, fields]) => laneRow(shard, id, fields))
    }
    return Promise.all(SHARDS.map(read)).catch((cause: unknown) => {
      throw failed('read the ledger', cause)
    })
  }

  async function page(stream: Stream, position: Position, limit: number, newestFirst: boolean) {
    const walk = walkFrom(position, limit, newestFirst)
    return pageOf(await lanes(stream, walk), walk, position, limit)
  }

  async function heads(stream: Stream): Promise<Head[]> {
    const found = await Promise.all(
      SHARDS.map((shard) => client.hmget(headKey(stream, shard), 'number', 'chain')),
    ).catch((cause: unknown) => {
      throw failed('read the ledger', cause)
    })
    return found.flatMap(([number, chain], lane) =>
      number && chain ? [{ lane, number: Number(number), chain }] : [],
    )
  }

  return {
    async read(keys) {
      const records = isCluster ? await readByShard(keys, readRecords) : await readRecords(keys)
      return records.map((record) => (record === null ? null : decodeRecord(record)))
    },
    commit,
    async range(names, query) {
      const found = await Promise.all(names.map((name) => members(name, query))).catch((cause: unknown) => {
        throw failed('read an index', cause)
      })
      return mergeMembers(found.flat(), query.limit)
    },
    entriesAfter: (stream, position, limit) => page(stream, position, limit, false),
    entriesBefore: (stream, position, limit) => page(stream, position, limit, true),
    async entry(stream, id) {
      const place = parseEntryId(id)
      if (place === null) return null
      const exact = `${place.number}-0`
      const rows = await client
        .xrange(streamKey(stream, place.lane), exact, exact)
        .catch((cause: unknown) => {
          throw failed('read the ledger', cause)
        })
      const row = rows[0]
      return row === undefined ? null : entryOfRow(laneRow(place.lane, row[0], row[1]))
    },
    end: async (stream) => endOf(await heads(stream)),
    heads,
    async ping() {
      await commit(PING)
    },
    durability,
    async close() {
      client.disconnect()
    },
  }
}

const failed = (action: string, cause: unknown): Error =>
  new Error(`Redis could not ${action}: ${(cause as Error).message}`, { cause })

/** On a cluster a command's keys must share a slot: one read per shard. */
async function readByShard(
  keys: readonly Key[],
  read: (keys: readonly Key[]) => Promise<(string | null)[]>,
): Promise<(string | null)[]> {
  const records: (string | null)[] = new Array(keys.length).fill(null)
  await Promise.all(
    [
      ...groupBy(
        keys.map((key, at) => ({ key, at })),
        ({ key }) => shardOfKey(key),
      ).values(),
    ].map(async (group) => {
      const found = await read(group.map(({ key }) => key))
      group.forEach(({ at }, i) => {
        records[at] = found[i] ?? null
      })
    }),
  )
  return records
}

/**
 * On a cluster: first the locks that live in another shard than their proposal (they stay taken, by an equal value,
 * whatever becomes of the rest), then one call per shard.
 */
async function commitByShard(
  proposals: readonly Proposal[],
  run: (proposals: readonly Proposal[]) => Promise<Outcome[]>,
): Promise<Outcome[]> {
  const outcomes: (Outcome | undefined)[] = new Array(proposals.length)

  async function runGrouped(items: readonly { at: number; proposal: Proposal }[], keep: 'held' | 'all') {
    const groups = groupBy(items, ({ proposal }) => proposal.shard)
    await Promise.all(
      [...groups.values()].map(async (group) => {
        const answers = await run(group.map(({ proposal }) => proposal))
        group.forEach(({ at }, i) => {
          const answer = answers[i] as Outcome
          if (keep === 'all' || answer.outcome === 'held') outcomes[at] ??= answer
        })
      }),
    )
  }

  const foreign = proposals.flatMap((proposal, at) =>
    (proposal.once ?? [])
      .filter(({ key }) => shardOfKey(key) !== proposal.shard)
      .map((lock) => ({
        at,
        proposal: { shard: shardOfKey(lock.key), token: proposal.token, once: [lock] } satisfies Proposal,
      })),
  )
  await runGrouped(foreign, 'held')
  const rest = proposals.flatMap((proposal, at) => {
    if (outcomes[at] !== undefined) return []
    const once = proposal.once?.filter(({ key }) => shardOfKey(key) === proposal.shard)
    return [{ at, proposal: { ...proposal, once } }]
  })
  await runGrouped(rest, 'all')
  return outcomes as Outcome[]
}

function groupBy<Item, Group>(items: readonly Item[], groupOf: (item: Item) => Group): Map<Group, Item[]> {
  const groups = new Map<Group, Item[]>()
  for (const item of items) {
    const group = groupOf(item)
    const found = groups.get(group)
    if (found === undefined) groups.set(group, [item])
    else found.push(item)
  }
  return groups
}

/** One field, `at chain body`: the client takes a reply apart piece by piece. Older entries have a field for each. */
function laneRow(lane: number, id: string, fields: string[]): LaneRow {
  const number = Number.parseInt(id, 10)
  if (fields.length > 2) {
    const [, at, , body, , chain] = fields as [string, string, string, string, string, string]
    return { lane, number, atMs: Number(at), body, chain }
  }
  const text = fields[1] as string
  const afterAt = text.indexOf(' ')
  const afterChain = text.indexOf(' ', afterAt + 1)
  return {
    lane,
    number,
    atMs: Number(text.slice(0, afterAt)),
    chain: text.slice(afterAt + 1, afterChain),
    body: text.slice(afterChain + 1),
  }
}

async function connect(
  url: string,
  onState: NonNullable<RedisStoreOptions['onState']>,
): Promise<Redis | Cluster> {
  const client = build(url)
  await ready(client, url)
  if (client instanceof Redis && (await client.info('cluster')).includes('cluster_enabled:1')) {
    client.disconnect()
    const { protocol } = new URL(url)
    return connect(
      url.replace(`${protocol}//`, `${protocol.slice(0, -1)}+cluster://`).replace(/\/\d+$/, ''),
      onState,
    ).catch((cause: unknown) => {
      throw new Error(`Redis Cluster at ${hostsOf(url)} could not be joined: ${(cause as Error).message}`, {
        cause,
      })
    })
  }
  client.on('ready', () => onState('ready', null))
  client.on('error', (error: Error) => onState('lost', error.message))
  return client
}

function build(url: string): Redis | Cluster {
  const options: RedisOptions = {
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 10), 1000),
    lazyConnect: true,
  }
  const [, tls, mode] = /^redis(s?)(?:\+(cluster|sentinel))?:/.exec(url) ?? []
  if (mode === undefined) return new Redis(url, options)

  // Several hosts are no valid URL: split them off by hand.
  const [, credentials = '', hosts = '', path = ''] = /:\/\/(?:([^@/]*)@)?([^/]*)\/?(.*)$/.exec(url) ?? []
  const [username, password] = credentials.split(':').map(decodeURIComponent)
  const login = {
    ...options,
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
    ...(tls === 's' ? { tls: {} } : {}),
  }
  const nodes = hosts.split(',').map((host) => {
    const [name = '', port] = host.split(':')
    return { host: name, port: Number(port ?? (mode === 'sentinel' ? 26_379 : 6379)) }
  })
  if (mode === 'sentinel') {
    return new Redis({ ...login, sentinels: nodes, name: path || 'mymaster' })
  }
  return new Cluster(nodes, {
    redisOptions: login,
    enableOfflineQueue: false,
    lazyConnect: true,
    clusterRetryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 10), 1000),
  })
}

/** Whole numbers up to 32 bits as a MessagePack array: Redis takes it apart several times faster than JSON. */
function encodeNumbers(numbers: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(5 + numbers.length * 5)
  bytes[0] = 0xdd
  bytes.writeUInt32BE(numbers.length, 1)
  let at = 5
  for (const number of numbers) {
    if (number < 0x80) {
      bytes[at++] = number
    } else if (number < 0x1_0000) {
      bytes[at] = 0xcd
      bytes[at + 1] = number >> 8
      bytes[at + 2] = number & 0xff
      at += 3
    } else {
      bytes[at] = 0xce
      bytes.writeUInt32BE(number, at + 1)
      at += 5
    }
  }
  return bytes.subarray(0, at)
}

/** Without credentials; several hosts are no valid URL. */
const hostsOf = (url: string): string => /:\/\/(?:[^@/]*@)?([^/]*)/.exec(url)?.[1] ?? url

/** Resolves when the first connection is ready; a server that does not answer in time is an error, not a hang. */
async function ready(client: Redis | Cluster, url: string): Promise<void> {
  let last: Error | null = null
  const remember = (error: Error) => {
    last = error
  }
  client.on('error', remember)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => {
    client.disconnect()
    const reason = last === null ? 'no answer' : (last as Error).message
    reject(new Error(`Redis at ${hostsOf(url)} did not answer within ${OPEN_TIMEOUT_MS} ms: ${reason}`))
  }, OPEN_TIMEOUT_MS)
  client.once('ready', resolve)
  // Its rejection is the first failed attempt; the client itself goes on trying until the timer ends it.
  client.connect().catch(remember)
  try {
    await promise
  } finally {
    clearTimeout(timer)
    client.off('error', remember)
  }
}

/** Refuses a server that may evict, and says what an acknowledgement is worth on this one. */
async function inspect(client: Redis | Cluster): Promise<Durability> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client]
  const found = await Promise.all(
    nodes.map(async (node) => {
      const info = await node.info()
      const setting = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]
      return {
        evicts: setting('maxmemory_policy') ?? 'unknown',
        appendOnly: setting('aof_enabled') === '1',
        // Managed servers often refuse CONFIG; then the answer is «unknown», and the promise says so.
        fsync: await node.config('GET', 'appendfsync').then(
          (answer) => (answer as string[])[1] ?? 'unknown',
          () => 'unknown',
        ),
      }
    }),
  )
  const evicting = found.find(({ evicts }) => evicts !== 'noeviction')
  if (evicting !== undefined) {
    throw new Error(
      `this Redis may evict keys (maxmemory-policy ${evicting.evicts}), and with them claims and serials: ` +
        'set maxmemory-policy to noeviction',
    )
  }
  if (!found.every(({ appendOnly }) => appendOnly)) {
    return {
      promise:
        'Redis without appendonly: an acknowledged event survives a crash of the hub, not a restart of Redis ' +
        '(set appendonly yes)',
      powerCut: false,
    }
  }
  const fsyncs = new Set(found.map(({ fsync }) => fsync))
  if (fsyncs.size === 1 && fsyncs.has('always')) {
    return {
      promise:
        'Redis, appendonly with appendfsync always: an acknowledged event is on disk and survives a power cut',
      powerCut: true,
    }
  }
  const worst = ['no', 'unknown', 'everysec'].find((fsync) => fsyncs.has(fsync)) ?? 'unknown'
  return {
    promise:
      `Redis, appendonly with appendfsync ${worst}: an acknowledged event survives a crash of the hub or of Redis; ` +
      `a power cut may take ${worst === 'everysec' ? 'the last two seconds' : 'the last seconds'}`,
    powerCut: false,
  }
}
