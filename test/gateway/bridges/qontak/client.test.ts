import { describe, expect, it } from 'vitest'
import { createQontakClient } from '../../../../gateway/bridges/qontak/client.ts'
import type { QontakCloud } from '../../../../simulator/whatsapp/qontak-cloud.ts'
import { openCloud, settingsOf } from './open-bridge.ts'

const LIST = { method: 'GET', path: '/templates/whatsapp' } as const

function openClient(cloud: QontakCloud) {
  const clock = { nowMs: Date.now() }
  const { username, password } = cloud.account
  const client = createQontakClient({
    access: { ...settingsOf(cloud), login: { username, password } },
    clock: { now: () => clock.nowMs },
    timeoutMs: 500,
  })
  const ask = async (times: number) => {
    const answers = await Promise.all(Array.from({ length: times }, () => client.chat(LIST)))
    return new Set(answers.map((answer) => (answer.is === 'answer' ? answer.status : answer)))
  }
  return { clock, client, ask }
}

describe('a token', () => {
  it('is asked for once, however many calls wait for it', async () => {
    const cloud = await openCloud()
    expect(await openClient(cloud).ask(10)).toEqual(new Set([200]))
    expect([...cloud.tokens.grants]).toEqual([['password', 1]])
  })

  it('that is refused is renewed once, however many calls were refused', async () => {
    const cloud = await openCloud()
    const { ask } = openClient(cloud)
    await ask(1)
    cloud.tokens.revoke()
    expect(await ask(10)).toEqual(new Set([200]))
    expect(cloud.tokens.grants.get('refresh_token')).toBe(1)
  })

  it('that another call renewed meanwhile is taken as it is', async () => {
    const cloud = await openCloud()
    const { ask, client } = openClient(cloud)
    await ask(1)
    // Its first answer is late: by then the token is another one.
    cloud.fault({ on: /templates/, answer: { status: 401 }, times: 1 })
    const early = client.chat(LIST)
    cloud.tokens.revoke()
    expect(await ask(3)).toEqual(new Set([200]))
    expect(await early).toMatchObject({ status: 200 })
    expect(cloud.tokens.grants.get('refresh_token')).toBe(1)
  })

  it('is renewed before it runs out', async () => {
    const cloud = await openCloud()
    const { clock, ask } = openClient(cloud)
    await ask(1)
    clock.nowMs += 345 * 86_400_000 - 60_000
    expect(await ask(1)).toEqual(new Set([200]))
    expect(cloud.asked.filter(({ status }) => status === 401)).toEqual([])
    expect(cloud.tokens.grants.get('refresh_token')).toBe(1)
  })

  it('that is not to be had since Qontak is busy leaves the call unsent', async () => {
    const cloud = await openCloud()
    const { client } = openClient(cloud)
    cloud.fault({ on: /oauth/, answer: { status: 502 }, times: 1 })
    expect(await client.chat(LIST)).toMatchObject({ is: 'failure', isNeverSent: true })
    cloud.fault({ on: /oauth/, answer: 'never', times: 1 })
    expect(await client.chat(LIST)).toMatchObject({ is: 'failure', isNeverSent: true })
    expect(await client.chat(LIST)).toMatchObject({ is: 'answer', status: 200 })
  })
})

describe('an answer', () => {
  it('that is no JSON, or too long, says nothing but its status', async () => {
    const cloud = await openCloud()
    const { client } = openClient(cloud)
    cloud.fault({
      on: /templates/,
      answer: { status: 200, body: { much: 'x'.repeat(3 * 1024 * 1024) } },
      times: 1,
    })
    expect(await client.chat(LIST)).toMatchObject({ status: 200, body: {} })
  })

  it('that redirects is not followed: the token is for this address', async () => {
    const cloud = await openCloud()
    const { client } = openClient(cloud)
    cloud.fault({
      on: /templates/,
      answer: { status: 302, headers: { location: `${cloud.origin}/elsewhere` } },
      times: 1,
    })
    expect(await client.chat(LIST)).toMatchObject({ status: 302 })
    expect(cloud.asked.map(({ path }) => path)).not.toContain('/elsewhere')
  })
})
