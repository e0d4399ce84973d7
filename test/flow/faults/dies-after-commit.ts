/** A hub that dies of its first sale: committed, and not yet acknowledged. */
import { openStore as openRealStore } from '../../../gateway/store/open.ts'

export async function openStore(
  ...options: Parameters<typeof openRealStore>
): ReturnType<typeof openRealStore> {
  const store = await openRealStore(...options)
  return {
    ...store,
    async commit(proposals) {
      const outcomes = await store.commit(proposals)
      if (proposals.some(({ append = [] }) => append.some(({ type }) => type === 'sale.registered'))) {
        process.kill(process.pid, 'SIGKILL')
      }
      return outcomes
    },
  }
}
