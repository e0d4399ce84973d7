/** `hub quarantine list|show|replay`: what could not be decoded, and once more through the door. */
import { Command } from 'commander'
import {
  listQuarantine,
  type QuarantineItem,
  type ReplayResult,
  readQuarantine,
  replayQuarantine,
} from '../gateway/quarantine.ts'
import type { Store } from '../gateway/store/store.ts'
import { openIntake } from './intake.ts'
import { count, jsonLine, print, table } from './output.ts'
import { withExistingStore } from './with-store.ts'

const PAGE_ITEMS = 500

export const quarantineCommand = (): Command =>
  new Command('quarantine')
    .summary('what could not be decoded: list, show, replay')
    .description('Messages that could not be decoded: kept as they came, until somebody replays them.')
    .addCommand(
      new Command('list')
        .description('All of them, oldest first.')
        .option('--waiting', 'only those that were not replayed')
        .option('--json', 'JSON lines')
        .addHelpText('after', LIST_EXAMPLES)
        .action(list),
    )
    .addCommand(
      new Command('show')
        .description('One of them, with what was wrong and its bytes.')
        .argument('<id>')
        .option('--json', 'as JSON')
        .option('--raw', 'the bytes alone, as they came')
        .addHelpText('after', SHOW_EXAMPLES)
        .action(show),
    )
    .addCommand(
      new Command('replay')
        .description(
          'Once more through the door, as if the sender had sent it again. Exit code 1 when one is not taken in.',
        )
        .argument('[ids...]')
        .option('--all', 'all that wait')
        .option('--json', 'JSON lines: {"id","result","errors"}')
        .addHelpText('after', REPLAY_EXAMPLES)
        .action(replay),
    )

const LIST_EXAMPLES = `
Examples:
  $ hub quarantine list
  $ hub quarantine list --waiting --json | jq -r .topic | sort | uniq -c`

const SHOW_EXAMPLES = `
Examples:
  $ hub quarantine show q0123456789abcdef01234567
  $ hub quarantine show q0123456789abcdef01234567 --raw > payload.bin`

const REPLAY_EXAMPLES = `
For after a fix: a newer hub, another SERIAL_PATTERN. What still can't be decoded stays. A receipt waits for the
device until it subscribes again.

Examples:
  $ hub quarantine replay q0123456789abcdef01234567
  $ hub quarantine replay --all`

function list({ waiting, json }: { waiting?: true; json?: true }): Promise<void> {
  return withExistingStore(async (store) => {
    let listed = 0
    for await (const items of pages(store, waiting)) {
      listed += items.length
      await print(json ? items.map(jsonLine).join('') : table(items.map(rowOf)))
    }
    if (!json) console.error(listed === 0 ? 'Nothing is in quarantine.' : count(listed, 'item'))
  })
}

const rowOf = ({ id, received_at, state, topic, errors }: QuarantineItem): string[] => {
  const [first] = errors
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  const wrong =
    first === undefined ? '' : `${first.field}: expected ${first.expected}, received ${first.received}${more}`
  return [id, received_at, state, topic, wrong]
}

async function* pages(store: Store, onlyWaiting = false): AsyncGenerator<QuarantineItem[]> {
  let after: { score: number; member: string } | null = null
  do {
    const page = await listQuarantine(store, { limit: PAGE_ITEMS, ...(after && { after }) })
    const items = onlyWaiting ? page.items.filter(({ state }) => state === 'waiting') : page.items
    if (items.length > 0) yield items
    after = page.next
  } while (after !== null)
}

function show(id: string, { json, raw }: { json?: true; raw?: true }): Promise<void> {
  return withExistingStore(async (store) => {
    const item = await readQuarantine(store, id)
    if (item === null) throw new Error(`nothing in quarantine is called ${id}`)
    if (json) return print(jsonLine(item))
    const bytes = Buffer.from(item.payload_base64, 'base64')
    if (raw) {
      process.stdout.write(bytes)
      return
    }
    const { topic, sender, received_at, state, errors } = item
    await print(table(Object.entries({ id, state, topic, sender, received_at })))
    for (const { field, expected, received } of errors) {
      await print(`✖ ${field}: expected ${expected}, received ${received}\n`)
    }
    await print(`\n${readable(bytes)}\n`)
  })
}

/** As text where it is text, else in hexadecimal. */
function readable(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  // Control characters could do anything to a terminal.
  return /^[^\p{Cc}\uFFFD]*$/u.test(text.replace(/[\n\r\t]/g, '')) ? text : bytes.toString('hex')
}

async function replay(
  ids: readonly string[],
  { all, json }: { all?: true; json?: true },
  command: Command,
): Promise<void> {
  if ((ids.length === 0) === (all === undefined)) command.error('error: ids, or --all')
  await withExistingStore(async (store, config) => {
    const { decode, accept } = await openIntake(store, config)
    for (const id of all ? await waitingIds(store) : ids) {
      const result = await replayQuarantine({ store, decode, accept }, id)
      if (result.result !== 'taken_in') process.exitCode = 1
      await print(json ? jsonLine({ id, ...result }) : `${describe(id, result)}\n`)
    }
  })
}

const waitingIds = async (store: Store): Promise<string[]> =>
  (await Array.fromAsync(pages(store, true))).flat().map(({ id }) => id)

function describe(id: string, result: ReplayResult): string {
  switch (result.result) {
    case 'taken_in':
      return `✔ ${id} was taken in`
    case 'unknown':
      return `✖ nothing in quarantine is called ${id}`
    case 'still_undecodable': {
      const wrong = result.errors.map(
        ({ field, expected, received }) => `${field}: expected ${expected}, received ${received}`,
      )
      return `✖ ${id} still can't be decoded: ${wrong.join('; ')}`
    }
  }
}
