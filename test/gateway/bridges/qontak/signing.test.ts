import { createHash, createHmac } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { createQontakClient } from '../../../../gateway/bridges/qontak/client.ts'
import { signedHeaders } from '../../../../gateway/bridges/qontak/signing.ts'

const CLIENT = { clientId: 'client', clientSecret: 'secret' }
const AT_MS = Date.parse('2026-11-22T08:15:30.999Z')

it('a call to the gateway is signed over its date and request line, and says the digest of its body', () => {
  const signed = signedHeaders(CLIENT, {
    method: 'POST',
    path: '/qontak/crm/notes?a=1',
    body: '{"a":1}',
    atMs: AT_MS,
  })
  // Made once with: printf 'date: Sun, 22 Nov 2026 08:15:30 GMT\nPOST /qontak/crm/notes?a=1 HTTP/1.1' |
  //   openssl dgst -sha256 -hmac secret -binary | base64
  expect(signed).toEqual({
    date: 'Sun, 22 Nov 2026 08:15:30 GMT',
    authorization:
      'hmac username="client", algorithm="hmac-sha256", headers="date request-line", signature="StN0APUBbA/7wXl+8QiVezX2qiGt+qdaOJs6MI8D4A0="',
    digest: 'SHA-256=AVq9f1zFei3ZS3WQ8ErYCEJzkF7jPsXOvq5iJ2qX+GI=',
  })
})

it('a call without a body has no digest', () => {
  expect(signedHeaders(CLIENT, { method: 'GET', path: '/x', body: null, atMs: AT_MS })).not.toHaveProperty(
    'digest',
  )
})

it('what is signed is what is sent: its date, its path and its query', async () => {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    response.end('{}')
  })
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = createQontakClient({
    access: { apiUrl: origin, gatewayUrl: `${origin}/base`, ...CLIENT, login: null },
    clock: { now: () => AT_MS },
  })
  await client.gateway({ method: 'GET', path: '/qontak/crm/contacts?created_after=21-11-2026&page=1' })
  const [{ headers, method, url }] = requests as [IncomingMessage]
  const line = `date: ${headers.date}\n${method} ${url} HTTP/1.1`
  const signature = createHmac('sha256', 'secret').update(line).digest('base64')
  expect(url).toBe('/base/qontak/crm/contacts?created_after=21-11-2026&page=1')
  expect(headers.date).toBe('Sun, 22 Nov 2026 08:15:30 GMT')
  expect(headers.authorization).toContain(`signature="${signature}"`)
  expect(headers.digest).toBeUndefined()
  await client.chat({ method: 'POST', path: '/x', body: { a: 1 } })
  expect(requests[1]?.headers.digest).toBe(
    `SHA-256=${createHash('sha256').update('{"a":1}').digest('base64')}`,
  )
})
