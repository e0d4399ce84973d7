/** Who decides what: one decider per kind of event. */
import type { Decoded } from '../decode.ts'
import type { Decider } from './decision.ts'
import { saleDecider } from './sale.ts'
import { healthDecider, statusDecider } from './telemetry.ts'
import { undecodableDecider } from './undecodable.ts'

const deciders: { [Kind in Decoded['kind']]: Decider<Extract<Decoded, { kind: Kind }>> } = {
  sale: saleDecider,
  status: statusDecider,
  health: healthDecider,
  undecodable: undecodableDecider,
}

export const deciderOf = (message: Decoded): Decider<Decoded> => deciders[message.kind] as Decider<Decoded>
