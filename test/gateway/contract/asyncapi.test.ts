import { readFileSync } from 'node:fs'
import { Parser } from '@asyncapi/parser'
import { beforeAll, describe, expect, it } from 'vitest'
import { asyncApi, asyncApiYaml, EXAMPLES } from '../../../gateway/contract/asyncapi.ts'
import { bridgeTopic, inbound, jobStatus, outbound } from '../../../gateway/contract/bridge.ts'
import { deviceEvents } from '../../../gateway/contract/events.ts'
import { receipt } from '../../../gateway/contract/receipts.ts'
import { submission } from '../../../gateway/contract/submission.ts'
import { deviceTopic, liveTopic, portalTopic } from '../../../gateway/contract/topics.ts'

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

  it('has the topics that devices, bridges and pages use', () => {
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
        bridgeTopic('{bridge}', 'inbound'),
        bridgeTopic('{bridge}', 'outbound'),
        bridgeTopic('{bridge}', 'status'),
        portalTopic('{portal}', 'lead'),
        portalTopic('{portal}', 'spend'),
        portalTopic('{portal}', 'activity'),
        liveTopic('leads'),
        liveTopic('sales'),
        liveTopic('alerts'),
        liveTopic('devices'),
      ].sort(),
    )
  })

  it.each(Object.entries({ ...deviceEvents, receipt, inbound, outbound, jobStatus, portalLead: submission }))(
    'has an example of a %s that the hub would take',
    (name, schema) => {
      expect(schema.strict().parse(EXAMPLES[name])).toEqual(EXAMPLES[name])
    },
  )

  it('leaves open what a provider sent, and says which live lead has which fields', () => {
    const { schemas } = JSON.parse(JSON.stringify(asyncApi())).components
    const steps: { properties: { type: { enum: string[] }; data: { properties: object } } }[] =
      schemas.liveLead.oneOf
    expect(schemas.inbound.properties.raw).toEqual({ description: expect.any(String) })
    expect(schemas.inbound.required).not.toContain('raw')
    expect(steps.flatMap(({ properties }) => properties.type.enum)).toContain('lead.claimed')
    for (const step of steps) {
      const fields = Object.keys(step.properties.data.properties)
      expect(fields).toContain('lead')
      for (const personal of ['customer', 'event_id', 'click']) expect(fields).not.toContain(personal)
    }
  })
})
