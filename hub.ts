#!/usr/bin/env node
/**
 * The front door: the commands, and nothing else.
 */
import { createReadStream } from 'node:fs'
import { once } from 'node:events'
import { Command } from 'commander'
import { parse } from 'csv-parse'
import pino from 'pino'
import { environment, loadConfig } from './config.ts'
import { parseDeviceId } from './gateway/contract/topics.ts'
import { addDevices } from './gateway/devices.ts'
import { startHub } from './gateway/gateway.ts'
import { openStore } from './gateway/store/open.ts'

const program = new Command('hub')
program.command('start').action(async () => {
  const config = loadConfig(environment())
  const log = pino({ level: config.logLevel }, pino.destination(2))
  const hub = await startHub(config, log)
  log.info({ ...hub.addresses, promise: hub.promise }, 'ready')
  const signal = new Promise((resolve) => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
  await signal
  process.once('SIGINT', () => process.exit(1))
  process.once('SIGTERM', () => process.exit(1))
  await hub.close()
})
program
  .command('device')
  .command('add')
  .option('--dealer <dealer>')
  .option('--device <device>')
  .option('--file <file>')
  .option('--json')
  .action(async ({ dealer, device, file }) => {
    const store = await openStore(loadConfig(environment()))
    const names = []
    if (file) {
      for await (const row of createReadStream(file).pipe(parse({ columns: true, trim: true }))) {
        const name = parseDeviceId(`${row.dealer_id}/${row.device_id}`)
        if (name) names.push(name)
      }
    } else {
      const name = parseDeviceId(`${dealer}/${device}`)
      if (name) names.push(name)
    }
    const added = (await addDevices(store, names)).map(({ credential }) => credential)
    console.log(JSON.stringify(file ? added : added[0]))
    await store.close()
  })
program
  .command('ledger')
  .command('export')
  .action(async () => {
    const store = await openStore(loadConfig(environment()))
    for (let position = ''; ; ) {
      const page = await store.entriesAfter('ledger', position, 1000)
      if (page.entries.length === 0) break
      for (const { entry, at, type, data } of page.entries) {
        if (!process.stdout.write(`${JSON.stringify({ entry, at, type, data })}\n`)) await once(process.stdout, 'drain')
      }
      position = page.position
    }
    await store.close()
  })
await program.parseAsync()
