/** `hub simulate`, from the simulator, and how it comes to the hub of this machine. */
import type { Command } from 'commander'
import { dealersIndex } from '../gateway/documents.ts'
import { SHARDS } from '../gateway/store/keys.ts'
import type { Store } from '../gateway/store/store.ts'
import { simulateCommand } from '../simulator/command.ts'
import { World } from '../simulator/world.ts'
import { settle } from './local-hub.ts'
import { withStore } from './with-store.ts'

export const simulateHubCommand = (): Command =>
  simulateCommand((files) =>
    withStore(async (store, config) => {
      await refuseRealHub(store)
      return settle(store, config, files, { mqtt: config.mqtt.port, http: config.http.port })
    }),
  ).summary('a network of dealers against any hub, and a verdict')

/** As many as a world can have. */
const SIMULATED_DEALERS = 10_000

/**
 * The ledger is for ever: simulated sales among real ones could not be taken out again. Who wants that nevertheless
 * provisions the simulated devices by hand.
 * @throws when this hub has dealers, or events, of its own
 */
async function refuseRealHub(store: Store): Promise<void> {
  const network = new World({ seed: 0, dealers: SIMULATED_DEALERS, unitsPerDealer: 0, stockPerTerminal: 1 })
  const simulated = new Set(network.dealers.map(({ id }) => id))
  // Beyond the whole network any further one is a real one.
  const members = await store.range(SHARDS.map(dealersIndex), { limit: SIMULATED_DEALERS + 1 })
  const real = members.find(({ member }) => !simulated.has(member))
  const isEmpty = (await store.heads('ledger')).length === 0
  if (real === undefined && (members.length > 0 || isEmpty)) return
  const what = real === undefined ? 'events in its ledger' : `dealers of its own, such as ${real.member}`
  throw new Error(
    `this hub has ${what}, and simulated sales could never be taken out of its ledger again. Look at hub demo, ` +
      'choose another HUB_DATA_DIR or REDIS_URL, or use --files and --credentials (hub simulate --help)',
  )
}
