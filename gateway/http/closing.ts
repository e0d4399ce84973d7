/**
 * The end of connections. Node closes those that are idle when the server closes; one that is being answered just then
 * would be kept alive afterwards, and hold up the end for as long as clients keep connections (over a minute).
 */
import type { App } from './services.ts'

/** From when the app closes, every answer is the last on its connection. */
export function endConnections(app: App): void {
  let isClosing = false
  app.addHook('preClose', async () => {
    isClosing = true
  })
  app.addHook('onSend', async (_request, reply) => {
    if (isClosing) reply.header('connection', 'close')
  })
}
