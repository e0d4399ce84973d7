import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import Fastify from 'fastify'
import { expect, it, onTestFinished } from 'vitest'
import { endConnections } from '../../../gateway/http/closing.ts'
import type { App } from '../../../gateway/http/services.ts'
import { until } from '../../support/until.ts'

it('a request under way when the server closes is answered, and its connection ends with it', async () => {
  const agent = new Agent({ keepAlive: true })
  onTestFinished(() => agent.destroy())
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<string>()
  const app = Fastify() as unknown as App
  endConnections(app)
  app.get('/', () => {
    asked.resolve()
    return answer.promise
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const request = get(url, { agent })
  await asked.promise
  const closed = app.close()
  await until('it takes no new connections', () => !app.server.listening)
  answer.resolve('taken')
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  expect(response.headers.connection).toBe('close')
  response.resume()
  await closed
})
