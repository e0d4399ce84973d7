/** `devices.csv`, with the columns `dealer_id,device_id` (others are left aside) → the devices it names. */
import { z } from 'zod'
import { type DeviceName, deviceId as idOf } from '../gateway/contract/topics.ts'
import { dealerId, deviceId } from '../gateway/reference/columns.ts'
import { rowForm } from '../gateway/reference/files.ts'
import { type ReadErrors, readRows, type SheetForm } from '../gateway/reference/read.ts'
import { openSheet } from '../gateway/reference/sheet.ts'

const form: SheetForm = {
  ...rowForm(z.object({ dealer_id: dealerId, device_id: deviceId }), (fields) => {
    const name = { dealer: fields.dealer_id, device: fields.device_id }
    return { aggregate: idOf(name), identity: idOf(name), value: name }
  }),
  // All the same: they stay in the order of the file.
  key: () => '',
}

/** The devices by line, or everything that is wrong: a device named twice would get a credential that is lost at once. */
export async function readDeviceFile(
  bytes: AsyncIterable<Uint8Array>,
): Promise<{ readonly names: readonly DeviceName[] } & ReadErrors> {
  using sheet = openSheet()
  const errors = await readRows(bytes, form, sheet)
  const names = [...sheet.all()].map(({ value }) => value as unknown as DeviceName)
  return { names, ...errors }
}
