/** Who decides what: one decider per kind of event. */
import type { Decoded } from '../decode.ts'
import type { Decider } from './decision.ts'
import { jobStatusDecider } from './job-status.ts'
import { messageDecider } from './message.ts'
import { reportDecider } from './report.ts'
import { saleDecider } from './sale.ts'
import { soldDecider } from './sold.ts'
import { submissionDecider } from './submission.ts'
import { healthDecider, statusDecider } from './telemetry.ts'
import { timerDecider } from './timer.ts'
import { undecodableDecider } from './undecodable.ts'
import { unsoldDecider } from './unsold.ts'
import { voidSaleDecider } from './void-sale.ts'

const deciders: { [Kind in Decoded['kind']]: Decider<Extract<Decoded, { kind: Kind }>> } = {
  sale: saleDecider,
  status: statusDecider,
  health: healthDecider,
  message: messageDecider,
  submission: submissionDecider,
  timer: timerDecider,
  sold: soldDecider,
  unsold: unsoldDecider,
  job_status: jobStatusDecider,
  report: reportDecider,
  void_sale: voidSaleDecider,
  undecodable: undecodableDecider,
}

export const deciderOf = (message: Decoded): Decider<Decoded> => deciders[message.kind] as Decider<Decoded>
