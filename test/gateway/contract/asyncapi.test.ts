import { readFileSync } from 'node:fs'
import { Parser } from '@asyncapi/parser'
import { beforeAll, describe, expect, it } from 'vitest'
import { asyncApi, asyncApiYaml, EXAMPLES } from '../../../gateway/contract/asyncapi.ts'
import { deviceEvents } from '../../../gateway/contract/events.ts'
import { receipt } from '../../../gateway/contract/receipts.ts'
import { deviceTopic, liveTopic } from '../../../gateway/contract/topics.ts'

/** AsyncAPI's own: 0 is an error. */
const ERROR = 0

describe('asyncapi.yaml', () => {
  type Parsed = Awaited<ReturnType<Parser['parse']>>
  let parsed: Parsed
  beforeAll(async () => {
    parsed = await new Parser().parse(asyncApiYaml())
  })

  it('is what the schemas make of it (npm run asyncapi)', () => {
    expect(readFileSync(new URL('../../../asyncapi.yaml', import.meta.url), 'utf8')).toBe(asyncApiYaml())
  })

  it('is in order, says the AsyncAPI parser', () => {
    expect(parsed.diagnostics.filter(({ severity }) => severity === ERROR)).toEqual([])
    expect(parsed.document?.version()).toBe('3.0.0')
  })

  it('is held against the specification: a document that is wrong is noticed', async () => {
    const wrong = JSON.parse(JSON.stringify(asyncApi()))
    wrong.channels.sale.messages.sale.$ref = '#/components/messages/nothing'
    wrong.operations.receipt.action = 'shout'
    const { diagnostics } = await new Parser().parse(JSON.stringify(wrong))
    expect(diagnostics.filter(({ severity }) => severity === ERROR).length).toBeGreaterThanOrEqual(2)
  })

  it('has the topics that devices and pages use', () => {
    const device = { dealer: '{dealer}', device: '{device}' }
    const addresses =
      parsed.document
        ?.channels()
        .all()
        .map((channel) => channel.address()) ?? []
    expect(addresses.toSorted()).toEqual(
      [
        deviceTopic(device, 'sale'),
        deviceTopic(device, 'status'),
        deviceTopic(device, 'health'),
        deviceTopic(device, 'receipt'),
        liveTopic('sales'),
        liveTopic('alerts'),
        liveTopic('devices'),
      ].sort(),
    )
  })

  it.each(Object.entries({ ...deviceEvents, receipt }))(
    'has an example of a %s that the hub would take',
    (name, schema) => {
      expect(schema.strict().parse(EXAMPLES[name])).toEqual(EXAMPLES[name])
    },
  )
})
