import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import type { CrmEvent } from '../../../gateway/contract/crm.ts'
import type { CrmResult } from '../../../gateway/effects/crm.ts'
import { createCrmWebhook, retryAfterMs } from '../../../gateway/effects/crm-webhook.ts'
import { details } from './crm-entries.ts'
import { openReceiver, SECRET } from './crm-receiver.ts'

const NOW_MS = Date.parse('2026-11-22T08:15:31.000Z')
const event: CrmEvent = {
  type: 'lead.handoff',
  timestamp: '2026-11-22T08:15:31.000Z',
  data: { entry: '17', ...details, lead: 'L1' },
}
const later = (reason: string, quietMs: number | null = null): CrmResult => ({
  result: 'retry',
  reason,
  quietMs,
})

async function answerTo(answer: (response: ServerResponse) => void, timeoutMs = 5000) {
  await using receiver = await openReceiver((_, response) => answer(response))
  const webhook = createCrmWebhook({ url: receiver.url, secret: SECRET, timeoutMs })
  const result = await webhook.deliver('17', event, new AbortController().signal)
  return { result, receiver }
}

const status =
  (code: number, headers = {}) =>
  (response: ServerResponse) => {
    response.writeHead(code, headers).end('{"error":"Rina is unknown"}')
  }

describe('the CRM webhook', () => {
  it('is signed as Standard Webhooks says, under the entry’s id, with the event as its body', async () => {
    const { result, receiver } = await answerTo(status(204))
    expect(result).toEqual({ result: 'delivered' })
    expect(receiver.forged).toBe(0)
    expect(receiver.received).toMatchObject([
      { id: '17', event, headers: { 'content-type': 'application/json' } },
    ])
  })

  it('tried again, has the same id and body', async () => {
    await using receiver = await openReceiver((_, response) => void response.writeHead(500).end())
    const webhook = createCrmWebhook({ url: receiver.url, secret: SECRET })
    for (const _ of [1, 2]) await webhook.deliver('17', event, new AbortController().signal)
    const [first, second] = receiver.received
    expect(first?.id).toBe('17')
    expect([second?.id, second?.body]).toEqual([first?.id, first?.body])
  })

  it('signed with another secret, is not taken', async () => {
    await using receiver = await openReceiver((_, response) => void response.end())
    const webhook = createCrmWebhook({
      url: receiver.url,
      secret: `whsec_${Buffer.alloc(32).toString('base64')}`,
    })
    expect(await webhook.deliver('17', event, new AbortController().signal)).toEqual(
      later('http_401', 300_000),
    )
    expect(receiver.received).toEqual([])
  })

  it.each<[code: number, headers: object, result: CrmResult]>([
    [200, {}, { result: 'delivered' }],
    [299, {}, { result: 'delivered' }],
    [301, { location: 'http://127.0.0.1:1/' }, { result: 'refused', reason: 'http_301' }],
    [307, { location: 'http://127.0.0.1:1/' }, { result: 'refused', reason: 'http_307' }],
    [400, {}, { result: 'refused', reason: 'http_400' }],
    [401, {}, later('http_401', 300_000)],
    [403, {}, later('http_403', 300_000)],
    [404, {}, { result: 'refused', reason: 'http_404' }],
    [408, {}, later('http_408')],
    [410, {}, { result: 'stopped', reason: 'http_410' }],
    [422, {}, { result: 'refused', reason: 'http_422' }],
    [429, { 'retry-after': '7' }, later('http_429', 7000)],
    [429, {}, later('http_429', 30_000)],
    [500, {}, later('http_500')],
    [502, { 'retry-after': '7' }, later('http_502')],
    [503, { 'retry-after': '120' }, later('http_503', 120_000)],
  ])('answered %i %o', async (code, headers, result) => {
    expect((await answerTo(status(code, headers))).result).toEqual(result)
  })

  it('that is not answered in time, is tried later', async () => {
    expect((await answerTo(() => {}, 100)).result).toEqual(later('timeout'))
  })

  it('that is answered with a body without end, is delivered all the same', async () => {
    let isOver = false
    const { result } = await answerTo((response) => {
      response.writeHead(200)
      const pour = () => {
        while (!isOver && response.write(Buffer.alloc(64 * 1024)));
      }
      response.on('drain', pour)
      response.on('close', () => {
        isOver = true
      })
      pour()
    })
    expect(result).toEqual({ result: 'delivered' })
  })

  it('whose receiver hangs up, or is not there, is tried later', async () => {
    expect((await answerTo((response) => void response.destroy())).result).toEqual(later('no_answer'))
    const nobody = createCrmWebhook({ url: 'http://127.0.0.1:1/hook', secret: SECRET })
    expect(await nobody.deliver('17', event, new AbortController().signal)).toEqual(later('no_answer'))
  })

  it('is let go of when the hub stops', async () => {
    const abort = new AbortController()
    await using receiver = await openReceiver(() => abort.abort())
    const webhook = createCrmWebhook({ url: receiver.url, secret: SECRET, timeoutMs: 60_000 })
    expect(await webhook.deliver(randomUUID(), event, abort.signal)).toEqual(later('no_answer'))
  })

  it.each<[value: string | null, ms: number | null]>([
    ['0', 0],
    ['120', 120_000],
    ['Sun, 22 Nov 2026 08:15:41 GMT', 10_000],
    ['Sun, 22 Nov 2026 08:00:00 GMT', 0],
    ['soon', null],
    [null, null],
  ])('Retry-After %s is %s ms', (value, ms) => {
    expect(retryAfterMs(value, NOW_MS)).toBe(ms)
  })
})
