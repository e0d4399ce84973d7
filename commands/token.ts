/** `hub token add`: API tokens of people and programs. */
import { Command } from 'commander'
import { addToken, parseRole, ROLES } from '../gateway/tokens.ts'
import { jsonLine, print } from './output.ts'
import { withStore } from './with-store.ts'

export const tokenCommand = (): Command =>
  new Command('token').description('API tokens of people and programs.').addCommand(
    new Command('add')
      .description('Make an API token and print it. It is shown this once.')
      .requiredOption('--role <role>', `what it may do: ${ROLES.join(', ')}`)
      .option('--json', '{"token"}')
      .addHelpText('after', EXAMPLES)
      .action(add),
  )

const EXAMPLES = `
Over HTTP it is the bearer token; over MQTT the password, with username api.

Examples:
  $ hub token add --role analyst
  $ hub token add --role dealer:jkt-01 --json
  $ curl -H "Authorization: Bearer $(hub token add --role admin)" http://127.0.0.1:8080/api/v1/sales`

async function add({ role, json }: { role: string; json?: true }, command: Command): Promise<void> {
  if (parseRole(role) === null) {
    command.error(`error: --role: expected one of ${ROLES.join(', ')}, received ${JSON.stringify(role)}`)
  }
  const token = await withStore((store) => addToken(store, role))
  await print(json ? jsonLine({ token }) : `${token}\n`)
}
