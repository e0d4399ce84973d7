/** A control that must fail: a hub in which everybody may publish and subscribe everywhere. */
import { rightsOf as realRightsOf } from '../../../broker/access.ts'

export * from '../../../broker/access.ts'

export const rightsOf: typeof realRightsOf = (principal, limits) => {
  const rights = realRightsOf(principal, limits)
  return rights && { ...rights, may: () => true }
}
