/** A CRM behind Standard Webhooks: checks every signature, and answers as it is told to. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { Webhook } from 'standardwebhooks'
import { type CrmEvent, crmEvent } from '../../../gateway/contract/crm.ts'

export const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

export interface Received {
  readonly id: string
  readonly body: string
  readonly event: CrmEvent
  readonly headers: IncomingMessage['headers']
}

export interface Receiver extends AsyncDisposable {
  readonly url: string
  /** Everything that came with a good signature, in order. */
  readonly received: readonly Received[]
  /** What was not signed as it should be. */
  readonly forged: number
}

export async function openReceiver(
  answer: (received: Received, response: ServerResponse) => void | Promise<void>,
): Promise<Receiver> {
  const webhook = new Webhook(SECRET)
  const received: Received[] = []
  let forged = 0
  const server = createServer(async (request, response) => {
    const body = await text(request)
    try {
      const headers = request.headers as Record<string, string>
      const event = crmEvent.parse(webhook.verify(body, headers))
      const one = { id: headers['webhook-id'] as string, body, event, headers }
      received.push(one)
      await answer(one, response)
    } catch {
      forged++
      response.writeHead(401).end()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    get forged() {
      return forged
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
