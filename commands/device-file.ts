/** `devices.csv`, with the columns `dealer_id,device_id` (others are left aside) → the devices it names. */
import { type DeviceName, NAME_PATTERN, parseDeviceId, RESERVED_DEALERS } from '../gateway/contract/topics.ts'
import { type RowError, readCsv } from '../gateway/reference/csv.ts'
import { ERRORS_MAX, type ReadErrors } from '../gateway/reference/read.ts'

const COLUMNS = ['dealer_id', 'device_id'] as const
const NAME_FORM = `a name of letters, digits, dots, dashes and underscores, at most 64 (${NAME_PATTERN.source})`

/** The devices by line, or everything that is wrong: a device named twice would get a credential that is lost at once. */
export async function readDeviceFile(
  bytes: AsyncIterable<Uint8Array>,
): Promise<{ names: DeviceName[] } & ReadErrors> {
  const errors: RowError[] = []
  let errorsTotal = 0
  const onError = (error: RowError): void => {
    if (++errorsTotal <= ERRORS_MAX) errors.push(error)
  }
  const lines = new Map<string, number>()
  const names: DeviceName[] = []
  let positions: number[] | null = null
  for await (const { line, fields } of readCsv(bytes, onError)) {
    if (positions === null) {
      positions = COLUMNS.map((column) => fields.indexOf(column))
      const missing = COLUMNS.filter((_, i) => positions?.[i] === -1)
      for (const column of missing) {
        onError({
          line,
          column,
          expected: 'this column in the header',
          received: JSON.stringify(fields.join(',')),
        })
      }
      if (missing.length > 0) break
      continue
    }
    const [dealer, device] = positions.map((position) => fields[position]) as [string, string]
    const id = `${dealer}/${device}`
    const name = parseDeviceId(id)
    const earlier = lines.get(id)
    if (earlier !== undefined) {
      onError({
        line,
        column: null,
        expected: 'each device once',
        received: `${id} again, as in line ${earlier}`,
      })
    } else if (name === null) {
      const column =
        NAME_PATTERN.test(dealer) && !(RESERVED_DEALERS as readonly string[]).includes(dealer)
          ? 'device_id'
          : 'dealer_id'
      onError({
        line,
        column,
        expected: NAME_FORM,
        received: JSON.stringify(column === 'dealer_id' ? dealer : device),
      })
    } else {
      lines.set(id, line)
      names.push(name)
    }
  }
  if (errorsTotal === 0 && names.length === 0) {
    onError({
      line: 1,
      column: null,
      expected: `${COLUMNS.join(',')} and at least one row`,
      received: 'nothing',
    })
  }
  return { names, errors, errorsTotal }
}
