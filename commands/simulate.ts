/** `hub simulate`, from the simulator, and how it finds the hub of this machine. */
import type { Command } from 'commander'
import { simulateCommand } from '../simulator/command.ts'
import { settle } from './local-hub.ts'
import { withStore } from './with-store.ts'

export const simulateHubCommand = (): Command =>
  simulateCommand((files) =>
    withStore((store, config) =>
      settle(store, config, files, { mqtt: config.mqtt.port, http: config.http.port }),
    ),
  ).summary('a network of dealers against any hub, and a verdict')
