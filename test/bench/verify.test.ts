import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { verifyLedger } from '../../bench/verify.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const sale = (number: number, type = 'sale.registered', serial = `S${number}`) => ({
  entry: String(number),
  type,
  data: { event_id: `E${number}`, serial },
})

async function verify(entries: readonly object[], sales: number): Promise<void> {
  using folder = temporaryFolder('ledger')
  const file = join(folder.path, 'ledger.jsonl')
  writeFileSync(file, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
  await verifyLedger(file, sales)
}

describe('a figure counts when the ledger holds what was acknowledged', () => {
  test('each sale once, registered', async () => {
    await verify([sale(1), sale(2)], 2)
  })

  test('nothing, when nothing was acknowledged', async () => {
    await verify([], 0)
  })

  test.each([
    { wrong: 'a lost sale', entries: [sale(1)] },
    { wrong: 'an invented sale', entries: [sale(1), sale(2), sale(3)] },
    { wrong: 'an event that stands there twice', entries: [sale(1), sale(1)] },
    { wrong: 'a serial that was registered twice', entries: [sale(1), sale(2, 'sale.registered', 'S1')] },
    { wrong: 'a rejected sale', entries: [sale(1), sale(2, 'sale.rejected')] },
    { wrong: 'an alert nobody asked for', entries: [sale(1), sale(2), sale(2, 'alert.raised')] },
  ])('and not with $wrong', async ({ entries }) => {
    await expect(verify(entries, 2)).rejects.toThrow('2 sales were acknowledged, but the ledger holds')
  })
})
