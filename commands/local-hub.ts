/** A simulated world made at home on the hub of this machine: through the same doors as real data. */
import { createReadStream } from 'node:fs'
import type { Config } from '../config.ts'
import { addDevices } from '../gateway/devices.ts'
import type { ReferenceKind } from '../gateway/documents.ts'
import { importReference } from '../gateway/reference/import.ts'
import type { Store } from '../gateway/store/store.ts'
import { addToken } from '../gateway/tokens.ts'
import type { WorldFiles } from '../simulator/files.ts'
import type { SimulationTarget } from '../simulator/simulate.ts'
import { readDeviceFile } from './device-file.ts'
import { errorLines } from './files.ts'

export interface LocalPorts {
  readonly mqtt: number | null
  readonly http: number
}

/** @throws when the hub takes one of the files amiss; then the world and this hub's settings do not fit */
export async function settle(
  store: Store,
  { serialPattern }: Pick<Config, 'serialPattern'>,
  files: WorldFiles,
  { mqtt, http }: LocalPorts,
): Promise<SimulationTarget> {
  for (const kind of ['dealers', 'serials', 'prices'] satisfies ReferenceKind[]) {
    const result = await importReference(store, kind, createReadStream(files[kind]), { serialPattern })
    if (result.outcome === 'invalid') throw new Error(errorLines(files[kind], result).join('\n'))
    if (result.outcome === 'superseded') throw new Error(`another import of ${kind} began meanwhile`)
  }
  const { names } = await readDeviceFile(createReadStream(files.devices))
  const added = await addDevices(store, names)
  return {
    mqttUrl: mqtt === null ? `ws://127.0.0.1:${http}/mqtt` : `mqtt://127.0.0.1:${mqtt}`,
    credentials: added.map(({ credential }) => credential),
    ledger: { httpUrl: `http://127.0.0.1:${http}`, token: await addToken(store, 'analyst') },
  }
}
