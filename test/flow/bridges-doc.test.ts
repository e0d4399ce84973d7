/** `docs/bridges.md` says what is so: its worked example, run as it stands, against a real hub. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { inbound, jobStatus, outbound, RECONCILE_MS } from '../../gateway/contract/bridge.ts'
import { binary } from '../support/binaries.ts'
import { startHub } from '../support/hub-process.ts'

const HUB = join(import.meta.dirname, '../../hub.ts')
const document = readFileSync(join(import.meta.dirname, '../../docs/bridges.md'), 'utf8')
const example = document.slice(document.indexOf('## A bridge by hand'))

it('the worked example of a third bridge works as it is printed', async () => {
  await using hub = await startHub()
  const script = [...example.matchAll(/```sh\n(.*?)```/gs)]
    .map(([, block]) => block as string)
    .join('')
    .replaceAll('npm run -s hub --', `"${process.execPath}" "${HUB}"`)
    .replaceAll('-p 1883', `-p ${hub.mqttPort}`)
    .replaceAll('localhost', '127.0.0.1')
  const child = spawn('bash', ['-e', '-u', '-c', script], {
    env: {
      PATH: `${dirname(binary('mosquitto_pub'))}:${process.env.PATH}`,
      HUB_DATA_DIR: hub.dataDir,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  expect({ code: (await closed)[0], stderr }).toEqual({ code: 0, stderr: '' })

  const [first, second, ...entries] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(outbound.parse(first)).toMatchObject({ to: { user_id: 'U4af4980629' }, kind: 'buttons' })
  expect(first.choices[0]).toEqual({ id: 'screen:consent:yes', title: 'Setuju' })
  expect(outbound.parse(second).job_id).not.toBe(first.job_id)
  const printed = [...example.matchAll(/^# (\{"entry".*\})$/gm)].map(([, line]) => JSON.parse(line as string))
  expect(printed).toHaveLength(3)
  const blurred = entries.map(({ type, data }) => ({
    type,
    data: { ...data, ...(data.customer && { customer: 'cus_…' }), ...(data.job && { job: 'J…' }) },
  }))
  expect(blurred).toEqual(printed.map(({ type, data }) => ({ type, data })))
})

it('its tables name every field of the three payloads', () => {
  const [, people, said, became] = document.split(/^## (?:What people|What the hub|What became|When the)/m)
  const named = (section: string | undefined) =>
    [...(section ?? '').matchAll(/`"?(\w+)"?/g)].map(([, name]) => name)
  expect(named(people)).toEqual(expect.arrayContaining(Object.keys(inbound.shape)))
  expect(named(said)).toEqual(expect.arrayContaining(Object.keys(outbound.shape)))
  for (const field of Object.keys(jobStatus.shape)) expect(became).toContain(`"${field}"`)
  expect(document).toContain(`${RECONCILE_MS / 1000} s after`)
})
