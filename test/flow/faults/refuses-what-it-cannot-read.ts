/** A control that must fail: a hub that does not acknowledge what it cannot decode, so that it comes again and again. */
import { type IntakeServices, startIntake as startRealIntake } from '../../../gateway/intake.ts'

export * from '../../../gateway/intake.ts'

export function startIntake(services: IntakeServices): ReturnType<typeof startRealIntake> {
  const intake = startRealIntake(services)
  return {
    ...intake,
    get pending() {
      return intake.pending
    },
    async accept(message) {
      if (services.decode(message).kind === 'undecodable') throw new Error('this cannot be read')
      return await intake.accept(message)
    },
  }
}
