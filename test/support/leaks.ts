/** A test file stops every server it starts: what still runs after its last test is killed, and fails the file. */
import { afterAll } from 'vitest'
import { runningServers } from './server-process.ts'

afterAll(async () => {
  const leaked = runningServers()
  await Promise.all(leaked.map((server) => server.kill()))
  if (leaked.length > 0) {
    const names = leaked.map(({ name }) => name).join(', ')
    throw new Error(
      `left running: ${names}. Say \`await using server = await start…()\`, or stop it in afterAll`,
    )
  }
})
